"""Trees of well-known data sets, a few small pictures each, and what is right for each of them.

A builder writes its tree and says of each picture what it is; the decorator above it says what a reader must make of the whole tree. The builders
stand in folder_layouts.py, table_layouts.py, mixed_layouts.py and packed_layouts.py.
"""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

Counts = Mapping[str, int]
FORMATS = {"jpg": "JPEG", "jpeg": "JPEG", "jfif": "JPEG", "jpg_large": "JPEG", "tif": "TIFF", "ppm": "PPM", "pgm": "PPM"}


class Picture(NamedTuple):
    """One picture of a tree: where it lies, its class, its number among those written with it, and its number in its class."""

    path: str
    label: str
    i: int
    n: int


class Truth(NamedTuple):
    """What a picture is. Its label is None if it must not be among the records."""

    path: str
    label: str | None
    split: str | None
    group: str | None


@dataclass(frozen=True)
class Right:
    """What a reader must find: images by split (`none` without one) and class.

    `naming` has other names for the classes that are as good (a number of a table, its name in another file); all or none of them are used.
    `any_split` leaves open into which split an image goes.
    """

    splits: Mapping[str, Counts]
    naming: Mapping[str, str] = field(default_factory=dict)
    any_split: bool = False

    def total(self) -> Counts:
        labels = sorted({label for counts in self.splits.values() for label in counts})
        return {label: sum(counts.get(label, 0) for counts in self.splits.values()) for label in labels}


@dataclass(frozen=True)
class Layout:
    """A tree by name. It is read as in `right`, or stops with `words`; with both, either is right, and nothing else is."""

    name: str
    build: Callable[["Tree"], Path | None]
    right: Right | None
    words: tuple[str, ...] | None
    advice: tuple[tuple[dict[str, Any], Right], ...] = ()


LAYOUTS: dict[str, Layout] = {}
Builder = Callable[["Tree"], Path | None]


def right(
    none: Counts | None = None,
    train: Counts | None = None,
    validation: Counts | None = None,
    test: Counts | None = None,
    naming: Mapping[str, str] | None = None,
    any_split: bool = False,
) -> Right:
    splits = {"none": none, "train": train, "validation": validation, "test": test}
    return Right({split: counts for split, counts in splits.items() if counts}, naming or {}, any_split)


def each(count: int, *labels: str) -> dict[str, int]:
    return dict.fromkeys(labels, count)


def reads(**splits: Any) -> Callable[[Builder], Builder]:
    """The tree is read with no setting but its path."""
    return _layout(right(**splits), None, ())


def stops(*words: str, advice: Sequence[tuple[dict[str, Any], Right]] = ()) -> Callable[[Builder], Builder]:
    """The tree is refused in one line that has each of the words (`a or b`: one of them), and what is advised there gives what is right."""
    return _layout(None, words, tuple(advice))


def reads_or_stops(*words: str, advice: Sequence[tuple[dict[str, Any], Right]] = (), **splits: Any) -> Callable[[Builder], Builder]:
    """The tree is read right, or refused with these words: what must not happen is that it is read wrong."""
    return _layout(right(**splits), words, tuple(advice))


def _layout(
    outcome: Right | None, words: tuple[str, ...] | None, advice: tuple[tuple[dict[str, Any], Right], ...]
) -> Callable[[Builder], Builder]:
    def register(build: Builder) -> Builder:
        name = build.__name__
        assert name not in LAYOUTS, name
        LAYOUTS[name] = Layout(name, build, outcome, words, advice)
        return build

    return register


class Tree:
    """A folder that is being filled. Remembers by content what each picture is; no two are alike unless one is written as a copy."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.truth: dict[str, Truth] = {}
        self.strays: list[str] = []
        self.unlabelled_paths: list[str] = []
        self._count = 0

    def draw(self, ending: str = "png", mode: str = "RGB") -> bytes:
        """An encoded picture unlike all others of this tree."""
        return encoded(self.next_number(), ending, mode)

    def next_number(self) -> int:
        self._count += 1
        return self._count

    def put(self, path: str, content: bytes) -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        return target

    def known(self, content: bytes, path: str, label: str | None, split: str | None = None, group: str | None = None) -> bytes:
        """The content of a picture, of which it is remembered what it is."""
        self.truth[hashlib.sha256(content).hexdigest()] = Truth(path, label, split, group)
        return content

    def known_pixels(self, pixels: np.ndarray, path: str, label: str | None, split: str | None = None) -> None:
        """The same of a picture that is stored as numbers, uint8 (H, W) or (H, W, 3)."""
        self.known(pixels.tobytes(), path, label, split)

    def picture(self, path: str, label: str | None, split: str | None = None, group: str | None = None) -> None:
        self.put(path, self.known(self.draw(ending_of(path)), path, label, split, group))

    def pictures(
        self,
        template: str,
        counts: Counts,
        split: str | None = None,
        start: int = 0,
        words: Mapping[str, str] | None = None,
        group: Callable[[Picture], str] | None = None,
    ) -> list[Picture]:
        """Pictures of several classes in turn. The template has {label}, {word} (the label's word in `words`), {i} and {n} as in Picture."""
        written: list[Picture] = []
        for n in range(max(counts.values())):
            for label, count in counts.items():
                if n < count:
                    i = start + len(written)
                    path = template.format(label=label, word=(words or {}).get(label, label), i=i, n=start + n)
                    picture = Picture(path, label, i, start + n)
                    self.picture(path, label, split, group(picture) if group else None)
                    written.append(picture)
        return written

    def stray(self, template: str, count: int = 1, start: int = 0) -> list[str]:
        """Pictures that are not of the data set: they are named and left out."""
        paths = [template.format(i=i) for i in range(start, start + count)]
        for path in paths:
            self.picture(path, None)
        self.strays += paths
        return paths

    def unlabelled(self, template: str, count: int = 6, start: int = 0) -> list[str]:
        """Pictures of the data set without a label: left out by name, and of this kind."""
        paths = [template.format(i=i) for i in range(start, start + count)]
        for path in paths:
            self.picture(path, None)
        self.unlabelled_paths += paths
        return paths

    def copy(self, path: str, target: str) -> None:
        self.put(target, (self.root / path).read_bytes())

    def text(self, path: str, content: str) -> Path:
        return self.put(path, content.encode())

    def lines(self, path: str, lines: Iterable[str]) -> Path:
        return self.text(path, "".join(f"{line}\n" for line in lines))

    def json(self, path: str, content: object) -> Path:
        return self.text(path, json.dumps(content))

    def table(self, path: str, header: str, rows: Iterable[Sequence[object]], delimiter: str = ",") -> Path:
        """A CSV file; its header as one text with the names separated by commas, or none if empty."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, delimiter=delimiter, lineterminator="\n")
        if header:
            writer.writerow(header.split(","))
        writer.writerows(rows)
        return self.text(path, buffer.getvalue())


def ending_of(path: str) -> str:
    return path.rsplit("/", 1)[-1].rsplit(".", 1)[-1].lower()


def encoded(number: int, ending: str = "png", mode: str = "RGB") -> bytes:
    """A small picture of noise, other than that of any other number."""
    channels = {"RGB": 3, "L": 1}[mode]
    noise = np.random.default_rng(number).integers(0, 255, (16, 16, channels), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise.squeeze()).save(
        buffer, FORMATS.get(ending, ending.upper() if ending in ("png", "bmp", "gif", "webp") else "JPEG")
    )
    return buffer.getvalue()


def mask(number: int) -> bytes:
    """A picture of 0 and 1 alone, as segmentation sets have them."""
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(number).integers(0, 2, (16, 16), dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()
