"""A file that torch wrote gives its arrays; whatever else a pickle could ask for is refused, and nothing is run."""

import os
import pickle
import re
import struct
import sys
import types
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.backbone.torch_stream import DTYPES, MAGIC_NUMBER, PROTOCOL, read_tensors
from pipeline.errors import WeightsError

MACHINE = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
VALUES = np.arange(6, dtype=np.float32)


class Stand:
    """Something that is pickled as a global of another module, or as a call of one, whose result is given attributes."""

    def __init__(self, module: str, name: str, arguments: tuple[Any, ...] | None = None, state: dict[str, Any] | None = None) -> None:
        self.module, self.name, self.arguments, self.state = module, name, arguments, state


class Reference:
    """Something that is pickled as a persistent id."""

    def __init__(self, *parts: Any) -> None:
        self.parts = parts


class Pickler(pickle._Pickler):  # the one in Python, which can be told to write any global
    write: Callable[[bytes], object]

    def persistent_id(self, value: Any) -> Any:
        return value.parts if isinstance(value, Reference) else None

    def save(self, value: Any, save_persistent_id: bool = True) -> None:
        if not isinstance(value, Stand):
            super().save(value, save_persistent_id)  # type: ignore[misc]
            return
        self.write(pickle.GLOBAL + f"{value.module}\n{value.name}\n".encode())
        if value.arguments is not None:
            self.save(value.arguments)
            self.write(pickle.REDUCE)
        if value.state is not None:
            self.save(value.state)
            self.write(pickle.BUILD)


def tensor(
    key: str = "7", *, kind: str = "FloatStorage", count: Any = 6, offset: Any = 0, shape: Any = (2, 3), strides: Any = (3, 1)
) -> Stand:
    storage = Reference("storage", Stand("torch", kind), key, "cpu", count, None)
    return Stand("torch._utils", "_rebuild_tensor_v2", (storage, offset, shape, strides, False, OrderedDict()))


def write(
    file: Path,
    tensors: Any,
    *,
    keys: Any = ("7",),
    storages: tuple[np.ndarray, ...] = (VALUES,),
    magic: Any = MAGIC_NUMBER,
    protocol: Any = PROTOCOL,
    machine: Any = MACHINE,
) -> Path:
    with file.open("wb") as stream:
        for value in (magic, protocol, machine, tensors, list(keys)):
            Pickler(stream, 2).dump(value)
        for storage in storages:
            stream.write(struct.pack("<q", storage.size) + storage.tobytes())
    return file


def test_tensors_have_their_shape_strides_and_dtype(tmp_path: Path) -> None:
    numbers = np.array([5, -6], np.int64)
    tensors = OrderedDict(
        plain=tensor(),
        transposed=tensor(shape=(3, 2), strides=(1, 3)),
        tail=tensor(offset=4, shape=(2,), strides=(1,)),
        count=tensor("8", kind="LongStorage", count=2, offset=1, shape=(), strides=()),
        empty=tensor(shape=(0, 9), strides=(9, 1)),
    )

    found = read_tensors(write(tmp_path / "weights", tensors, keys=("7", "8"), storages=(VALUES, numbers)))

    assert found["plain"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["transposed"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert found["tail"].tolist() == [4, 5]
    assert found["count"].tolist() == -6
    assert found["empty"].shape == (0, 9)
    assert [each.dtype for each in found.values()] == ["f4", "f4", "f4", "i8", "f4"]


@pytest.mark.parametrize("kind", DTYPES)
def test_every_plain_storage_is_known(kind: str, tmp_path: Path) -> None:
    values = np.array([0, 1], DTYPES[kind])

    found = read_tensors(write(tmp_path / "weights", {"x": tensor(kind=kind, count=2, shape=(2,), strides=(1,))}, storages=(values,)))["x"]

    assert found.dtype == DTYPES[kind]
    assert found.tolist() == values.tolist()


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Stand("os", "system", ("touch ran",)), "os.system"),
        (Stand("posix", "system", ("touch ran",)), "posix.system"),
        (Stand("builtins", "eval", ("open('ran', 'w')",)), "builtins.eval"),
        (Stand("torch", "load", ("x",)), "torch.load"),
        (Stand("torch._utils", "_rebuild_parameter", ("x",)), "torch._utils._rebuild_parameter"),
        (Stand("collections", "OrderedDict.fromkeys", ("x",)), "collections.OrderedDict.fromkeys"),
    ],
)
@pytest.mark.parametrize("place", ["magic", "machine", "tensors", "keys"])
def test_a_pickle_that_asks_for_anything_else_is_refused_and_runs_nothing(
    value: Stand, name: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    contents: dict[str, Any] = {"tensors": {"x": tensor()}} | {place: [value] if place == "keys" else value}

    with pytest.raises(WeightsError, match=rf"it asks for '{re.escape(name)}', which no weights contain\. It was not loaded"):
        read_tensors(write(tmp_path / "weights", **contents))

    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "sizes",
    [
        {"offset": 1},
        {"shape": (2, 4), "strides": (3, 1)},
        {"strides": (4, 1)},
        {"shape": (3, 2), "strides": (1, 4)},
        {"shape": (10**9,), "strides": (0,)},
        {"offset": 10**30},
    ],
)
def test_a_tensor_that_reaches_past_its_storage_is_refused(sizes: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"it has a tensor of shape .* that reaches past its storage of 6 values"):
        read_tensors(write(tmp_path / "weights", {"x": tensor(**sizes)}))


@pytest.mark.parametrize(
    "sizes",
    [
        {"offset": -1},
        {"strides": (-3, 1)},
        {"shape": (6,)},
        {"offset": 1.0},
        {"offset": True},
        {"shape": ("2", 3)},
        {"shape": (1,) * 99, "strides": (1,) * 99},
        {"shape": (1,), "strides": (2**63,)},
    ],
)
def test_a_tensor_of_unknown_form_is_refused(sizes: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="it has a tensor of unknown form"):
        read_tensors(write(tmp_path / "weights", {"x": tensor(**sizes)}))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"magic": 1}, "does not begin with torch's magic number, but with 1"),
        ({"protocol": 1002}, "is of protocol 1002, not 1001"),
        ({"machine": {"little_endian": False}}, "was not written on a little-endian machine"),
        ({"tensors": {"x": 3}}, "is no table of tensors by name"),
        ({"tensors": {}}, "is no table of tensors by name"),
        ({"tensors": {"x": tensor(count=-6)}}, "has a storage of unknown form"),
        ({"keys": ("9",)}, "does not hold the storages that its tensors name"),
        ({"tensors": {"x": tensor(), "y": tensor(kind="IntStorage")}}, "does not hold the storages that its tensors name"),
        ({"storages": (VALUES[:5],)}, "has a storage of 5 values where its tensors expect 6"),
        ({"storages": ()}, "ends too early"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(changes: dict[str, Any], fault: str, tmp_path: Path) -> None:
    file = write(tmp_path / "weights", **({"tensors": {"x": tensor()}} | changes))

    with pytest.raises(
        WeightsError, match=rf"weights cannot be used as weights: it {re.escape(fault)}\. It was not loaded\. Install its package"
    ):
        read_tensors(file)


def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    whole = write(tmp_path / "weights", {"x": tensor()}).read_bytes()

    for length in range(len(whole)):
        (tmp_path / "cut").write_bytes(whole[:length])
        with pytest.raises(WeightsError, match=r"it (is damaged: |ends too early).*\. It was not loaded\."):
            read_tensors(tmp_path / "cut")


def test_a_storage_longer_than_the_file_takes_no_memory(tmp_path: Path) -> None:
    file = write(tmp_path / "weights", {"x": tensor(count=2**40)}, storages=())
    file.write_bytes(file.read_bytes() + struct.pack("<q", 2**40) + VALUES.tobytes())

    with pytest.raises(WeightsError, match="it ends too early"):
        read_tensors(file)


@pytest.mark.parametrize("setting", [{"__call__": os.system}, (None, {"__call__": 1}), ({"x": 1}, None)])
def test_a_pickle_cannot_change_what_reads_it(setting: Any, tmp_path: Path) -> None:
    reduced: Callable[[Any], bytes] = lambda value: pickle.dumps(value, 2)[2:-1]  # noqa: E731
    state = b"}" if setting == {"__call__": os.system} else reduced(setting)
    start = b"".join(pickle.dumps(value, 2) for value in (MAGIC_NUMBER, PROTOCOL, MACHINE))
    file = tmp_path / "weights"
    file.write_bytes(start + b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n" + state + b"b.")

    with pytest.raises(WeightsError):
        read_tensors(file)

    assert read_tensors(write(file, {"x": tensor()}))["x"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_an_object_that_is_given_the_attributes_of_a_tensor_is_none(tmp_path: Path) -> None:
    empty = Stand("collections", "OrderedDict")
    storage = Stand("collections", "OrderedDict", (), {"key": "7", "dtype": "<f4", "size": 6})
    pretended = Stand("collections", "OrderedDict", (), {"storage": storage, "offset": 0, "shape": (10**6,), "strides": (1,)})
    table = Stand("collections", "OrderedDict", ([("x", pretended)],), {"items": empty})

    with pytest.raises(WeightsError, match="it is no table of tensors by name"):
        read_tensors(write(tmp_path / "weights", table))

    real = Stand("collections", "OrderedDict", ([("x", tensor())],), {"_metadata": OrderedDict(version=1)})  # as torch writes it
    assert read_tensors(write(tmp_path / "weights", real))["x"].shape == (2, 3)


def test_torch_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trap = types.ModuleType("torch")
    monkeypatch.setitem(sys.modules, "torch", trap)

    assert read_tensors(write(tmp_path / "weights", {"x": tensor()}))["x"].shape == (2, 3)
    assert [name for name in vars(trap) if not name.startswith("__")] == []
