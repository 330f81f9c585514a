"""Pickles of plain values, as CIFAR is published in: dictionaries, lists, text, whole numbers, and arrays of bytes.

Unpickling can run any code, so nothing is unpickled here. The instructions of the file are followed one by one, only those that make such values; a
file that asks for anything else is refused. Text of Python 2 comes as str, decoded as Latin-1.
"""

import io
import math
import pickletools
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.errors import SourceError

MOST_BYTES = 2**30
STRETCH_BYTES = 2**16
LENGTH_BYTES = {"BINSTRING": 4, "BINBYTES": 4, "BINBYTES8": 8}
ARRAY, DTYPE, ENCODE = "array", "dtype", "encode"
KNOWN = {
    "numpy.core.multiarray _reconstruct": ARRAY,
    "numpy._core.multiarray _reconstruct": ARRAY,
    "numpy dtype": DTYPE,
    "numpy ndarray": "ndarray",
    "_codecs encode": ENCODE,
}


class Stretch(NamedTuple):
    """Where many bytes are in the file, which are not kept."""

    offset: int
    length: int


@dataclass
class ByteArray:
    """An array uint8: its shape, and its values in C order or where they are."""

    shape: tuple[int, ...] = ()
    values: bytes | Stretch = b""


class _Global(NamedTuple):
    name: str


class _Dtype(NamedTuple):
    code: str


_MARK = object()


def starts_like_pickle(file: Path) -> bool:
    """Whether a file can be a pickle of a dictionary, by its size and its first bytes."""
    if not 4 < file.stat().st_size <= MOST_BYTES:
        return False
    with file.open("rb") as opened:
        start = opened.read(3)
    return (start[0] == 0x80 and 2 <= start[1] <= 5) or start in (b"(dp", b"}q\0")


def load_plain(path: str, file: Path) -> Any:
    """The value in a pickle, which is called `path` in the source. Raises SourceError if it is damaged, or asks for more than plain values."""
    machine = _Machine(path)
    if file.stat().st_size > MOST_BYTES:
        raise SourceError(f"ingest.source: {path} is larger than any file of CIFAR. Remove it from the source.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # escape sequences that are none
            for opcode, argument, position in pickletools.genops(io.BytesIO(file.read_bytes())):
                machine.follow(opcode.name, argument, position or 0)
        return machine.stack.pop()
    except SourceError:
        raise
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        reason = (str(error).splitlines() or [""])[0][:100]
        raise SourceError(f"ingest.source: {path} is damaged, or no pickle of CIFAR: {reason}. Get the file again.") from None


class _Machine:
    """The stack machine that a pickle is written for."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def follow(self, name: str, argument: Any, position: int) -> None:
        if name in ("PROTO", "FRAME", "STOP"):
            return
        if name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif _VALUES.fullmatch(name):
            is_long = name in LENGTH_BYTES and len(argument) >= STRETCH_BYTES
            self.stack.append(Stretch(position + 1 + LENGTH_BYTES[name], len(argument)) if is_long else argument)
        elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self.memo[len(self.memo) if name == "MEMOIZE" else argument] = self.stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[argument])
        elif name in _STEPS:
            _STEPS[name](self)
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            self.push_global(argument if name == "GLOBAL" else " ".join(reversed([self.pop_text(), self.pop_text()])))
        else:
            raise self.refusal(name)

    def refusal(self, what: str) -> SourceError:
        return SourceError(
            f"ingest.source: {self.path} is a pickle that asks for {what[:80]!a}, which CIFAR's files do not contain. It was not loaded, since "
            "pickles can run code. Get the file from where it was published."
        )

    def push_global(self, name: str) -> None:
        if name not in KNOWN:
            raise self.refusal(name.replace(" ", "."))
        self.stack.append(_Global(KNOWN[name]))

    def pop_text(self) -> str:
        text = self.stack.pop()
        if not isinstance(text, str):
            raise TypeError("expected text")
        return text

    def pop_to_mark(self) -> list[Any]:
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
        found = self.stack[at + 1 :]
        del self.stack[at:]
        return found

    def extend(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise TypeError("expected a list")
        self.stack[-1].extend(items)

    def set_items(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], dict) or not all(isinstance(key, str | bytes | int) for key in items[::2]):
            raise TypeError("expected a dictionary, and text as its keys")
        self.stack[-1].update(zip(items[::2], items[1::2], strict=True))

    def push_dictionary(self) -> None:
        items = self.pop_to_mark()
        self.stack.append({})
        self.set_items(items)

    def push_tuple(self, count: int) -> None:
        at = len(self.stack) - count
        self.stack[at:] = [tuple(self.stack[at:])]

    def reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        match function, arguments:
            case _Global(name), _ if name == ARRAY:
                self.stack.append(ByteArray())
            case _Global(name), (str(code), *_) if name == DTYPE:
                self.stack.append(_Dtype(code))
            case _Global(name), (str(text), str(encoding)) if name == ENCODE and encoding == "latin1":
                self.stack.append(text.encode("latin1"))
            case _:
                raise self.refusal("a call")

    def build(self) -> None:
        state = self.stack.pop()
        match self.stack[-1], state:
            case _Dtype(), tuple():
                pass
            case ByteArray() as array, (_, tuple(shape), _Dtype("u1"), _, str() | bytes() | Stretch() as values):
                array.shape = shape
                array.values = values.encode("latin1") if isinstance(values, str) else values
                length = values.length if isinstance(values, Stretch) else len(array.values)
                if len(shape) > 2 or not all(isinstance(size, int) and size > 0 for size in shape) or math.prod(shape) != length:
                    raise ValueError(f"an array of {length:,} bytes does not have the shape that it says")
            case _:
                raise self.refusal("an object")


_CONSTANTS: dict[str, Callable[[], Any]] = {
    "MARK": lambda: _MARK,
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
}
_VALUES = re.compile("INT|BININT[12]?|LONG1?|STRING|UNICODE|(SHORT_)?BIN(STRING|UNICODE|BYTES)|BINBYTES8")
_STEPS: dict[str, Callable[[_Machine], None]] = {
    "DICT": _Machine.push_dictionary,
    "LIST": lambda machine: machine.stack.append(machine.pop_to_mark()),
    "TUPLE": lambda machine: machine.stack.append(tuple(machine.pop_to_mark())),
    "TUPLE1": lambda machine: machine.push_tuple(1),
    "TUPLE2": lambda machine: machine.push_tuple(2),
    "TUPLE3": lambda machine: machine.push_tuple(3),
    "APPEND": lambda machine: machine.extend([machine.stack.pop()]),
    "APPENDS": lambda machine: machine.extend(machine.pop_to_mark()),
    "SETITEM": lambda machine: machine.set_items([machine.stack.pop(-2), machine.stack.pop()]),
    "SETITEMS": lambda machine: machine.set_items(machine.pop_to_mark()),
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
}
