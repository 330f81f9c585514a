"""docs/data.md keeps its word: each tree that it shows is built and read, and gives the classes, splits and groups that stand beside it.

A block of the kind `layout` has a path in each line; what is indented below it is what the file contains. Behind `→` stands what the image is. Each
picture is written several times, with other numbers in its name, as are the rows of tables that name it; not so in a block that says `exact`.
"""

import hashlib
import io
import re
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML

from tests.layout_trees import FORMATS, Tree, encoded, mask
from tests.packed_layouts import CIFAR, image_table, python_2_pickle, tf_records
from tests.source_trees import write_idx
from tests.test_layouts import read, stop_of

PAGE = (Path(__file__).parent.parent / "docs" / "data.md").read_text(encoding="utf-8")
PICTURES = {f".{ending}" for ending in (*FORMATS, "png")}
COPIES = 6
SAID = re.compile(r"(?P<labels>.+?)(?: in (?P<split>train|validation|test))?(?:, group (?P<group>.+))?")
PACKED = 12  # images in each file of many
SETTING = re.compile(r"ingest\.(\w+)")


class Said(NamedTuple):
    """What a line says of the images in it."""

    labels: tuple[str, ...]
    split: str | None
    group: str | None


@dataclass
class Entry:
    """A file of a block: its path, what is said of it, and the lines in it."""

    path: str
    said: Said | None
    inside: list[str] = field(default_factory=list)

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.path).suffix.lower()

    @property
    def stem(self) -> str:
        return PurePosixPath(self.path).name.partition(".")[0] if self.suffix == ".cls" else PurePosixPath(self.path).stem


@dataclass
class Block:
    """A block of the page: files, parameters, and the parameters that the error must name if it is refused."""

    title: str
    is_exact: bool
    entries: list[Entry] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


def blocks(kind: str) -> Iterator[tuple[str, str, list[str]]]:
    """(heading above it, words after its kind, lines) of each block of a kind."""
    heading = ""
    for match in re.finditer(rf"^#+ ([^\n]+)$|^```{kind}( \w+)?\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        heading = match[1] or heading
        if match[3]:
            yield heading, (match[2] or "").strip(), match[3].splitlines()


def layouts() -> list[Block]:
    found = []
    for i, (heading, words, lines) in enumerate(blocks("layout"), 1):
        block = Block(f"{i} {heading}", words == "exact")
        for line in lines:
            if line.startswith("ingest."):
                name, _, value = line.removeprefix("ingest.").partition(": ")
                block.settings[name] = YAML(typ="safe").load(value)
            elif line.startswith("→ stops: "):
                block.asked = SETTING.findall(line)
            else:
                add_line(block.entries, line)
        found.append(block)
    return found


def add_line(entries: list[Entry], line: str) -> None:
    if line.startswith("  "):
        entries[-1].inside.append(line[2:])
    else:
        path, _, said = line.partition("→")
        entries.append(Entry(path.strip(), as_said(said.strip())))


def as_said(text: str) -> Said | None:
    if not text or text == "left out":
        return None
    match = SAID.fullmatch(text)
    assert match, text
    return Said(tuple(match["labels"].split(", ")), match["split"], match["group"])


def within(entry: Entry) -> list[Entry]:
    """The members of an archive."""
    members: list[Entry] = []
    for line in entry.inside:
        add_line(members, line)
    return members


class Built:
    """The tree of a block, and what the images in it are: pictures by content, images in files of many by label and split."""

    def __init__(self, block: Block, root: Path) -> None:
        self.root = root
        self.copies = 1 if block.is_exact else COPIES
        self.pictures: dict[str, Said] = {}
        self.packed: set[tuple[str, str | None]] = set()
        self.left_out: list[str] = []
        self._number = 0
        root.mkdir()
        for path, content in self._files(block.entries):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)

    def _files(self, entries: Sequence[Entry]) -> Iterator[tuple[str, bytes]]:
        pictures = [PurePosixPath(entry.path).name for entry in entries if entry.suffix in PICTURES]
        for entry in entries:
            if entry.suffix in PICTURES:
                for k in range(self.copies):
                    yield renumbered(entry.path, entry.stem, k), self._picture(entry, k)
            elif entry.suffix in (".zip", ".tar"):
                yield entry.path, archive(entry.suffix, list(self._files(within(entry))))
            elif entry.said or entry.suffix == ".npz" or entry.path.endswith(("idx1-ubyte.gz", "batches.meta")):
                yield from self._of_many(entry)
            elif entry.stem in {PurePosixPath(name).stem for name in pictures}:
                text = "\n".join(entry.inside).encode()
                yield from ((renumbered(entry.path, entry.stem, k), text) for k in range(self.copies))
            else:
                yield entry.path, "".join(f"{line}\n" for line in self._rows(entry.inside, pictures)).encode()

    def _picture(self, entry: Entry, k: int) -> bytes:
        self._number += 1
        content = mask(self._number) if "_mask" in entry.path else encoded(self._number, entry.suffix[1:])
        if entry.said:
            self.pictures[hashlib.sha256(content).hexdigest()] = entry.said
        else:
            self.left_out.append(renumbered(entry.path, entry.stem, k))
        return content

    def _rows(self, lines: Sequence[str], pictures: Sequence[str]) -> Iterator[str]:
        """The lines of a table; those that name a picture, or if no line does, its stem, once for each of its copies."""
        stems = {name: PurePosixPath(name).stem for name in pictures}
        has_names = any(mentions(line, name) for line in lines for name in pictures)
        for line in lines:
            stem = next((stem for name, stem in stems.items() if mentions(line, name if has_names else stem)), None)
            yield from ([line.replace(stem, renumbered(stem, stem, k)) for k in range(self.copies)] if stem else [line])

    def _of_many(self, entry: Entry) -> Iterator[tuple[str, bytes]]:
        """A file of many images; a 0 and a 1, or the two names that are said, are their labels in turn."""
        names, split = (entry.said.labels, entry.said.split) if entry.said else (("0", "1"), None)
        if entry.said:
            self.packed |= {(name, split) for name in names}
        if entry.suffix == ".npz":
            yield entry.path, self._npz(entry)
        elif entry.suffix == ".parquet":
            table = image_table(Tree(self.root), [i % 2 for i in range(PACKED)], names, split)
            buffer = io.BytesIO()
            pq.write_table(table, buffer)
            yield entry.path, buffer.getvalue()
        elif entry.suffix == ".csv":
            yield entry.path, pixel_table(entry.inside[0]).encode()
        elif entry.path.endswith("ubyte.gz"):
            prefix = entry.path.partition("images")[0]
            if "images" in entry.path:
                write_idx(self.root, noise((PACKED, 28, 28)), labels(), prefix, ".gz")
        elif "cifar" in entry.path:
            meta = {"num_cases_per_batch": PACKED, "label_names": list(CIFAR), "num_vis": 3072}
            batch = {
                "batch_label": "x",
                "labels": labels(),
                "data": noise((PACKED, 3072)),
                "filenames": [f"{i}.png" for i in range(PACKED)],
            }
            yield entry.path, python_2_pickle(meta if entry.path.endswith("meta") else batch)
        else:
            keys = entry.inside[0].split(", ")
            yield entry.path, tf_records({key: self._feature(key, names, i) for key in keys} for i in range(PACKED))

    def _feature(self, key: str, names: Sequence[str], i: int) -> bytes | int:
        if "encoded" in key:
            self._number += 1
            return encoded(1000 + self._number)
        return names[i % 2].encode() if "text" in key else i % 2

    def _npz(self, entry: Entry) -> bytes:
        arrays: dict[str, np.ndarray] = {}
        for line in entry.inside:
            described, _, said = line.partition("→")
            for name, shape in re.findall(r"(\w+) \(([\d, ]+)\)", described):
                sizes = tuple(PACKED if int(size) > 999 else int(size) for size in re.findall(r"\d+", shape))
                is_label = name.startswith("y") or "label" in name
                arrays[name] = noise(sizes) if not is_label else np.array(labels()) if len(sizes) == 1 else np.eye(sizes[1])[labels()]
            found = as_said(said.strip())
            assert found, line
            self.packed |= {(label, found.split) for label in found.labels}
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        return buffer.getvalue()


def renumbered(path: str, stem: str, k: int) -> str:
    """A path with another number in the stem of its name, for each k; the first is the path itself."""
    if not k:
        return path
    parts = re.fullmatch(r"(.*?)(\d+)(\D*)", stem)
    assert parts, f"{path} has no number"
    other = f"{parts[1]}{int(parts[2]) + 100 * k:0{len(parts[2])}}{parts[3]}"
    folder, _, name = path.rpartition("/")
    return f"{folder}/{name.replace(stem, other, 1)}".lstrip("/")


def mentions(line: str, name: str) -> bool:
    return re.search(rf"(?<![A-Za-z0-9_]){re.escape(name)}(?![A-Za-z0-9_])", line) is not None


def labels() -> list[int]:
    return [i % 2 for i in range(PACKED)]


def noise(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, 255, shape, dtype=np.uint8)


def pixel_table(header: str) -> str:
    """A table of pixels with the columns that `…` stands for."""
    last = int(header.rpartition("pixel")[2])
    columns = [f"pixel{i}" for i in range(last + 1)]
    rows = [",".join(map(str, [label, *noise((1, last + 1))[0].tolist()])) for label in labels()]
    return "\n".join([",".join(["label", *columns]), *rows, ""])


def archive(suffix: str, members: Sequence[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    if suffix == ".zip":
        with zipfile.ZipFile(buffer, "w") as out:
            for name, content in members:
                out.writestr(name, content)
    else:
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for name, content in members:
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize("block", layouts(), ids=lambda block: block.title)
def test_a_tree_of_the_page_is_read_as_it_says(block: Block, tmp_path: Path) -> None:
    built = Built(block, tmp_path / "set")
    if block.asked:
        message = stop_of(built.root, **block.settings)
        assert [name for name in block.asked if f"ingest.{name}" not in message] == [], message
        return

    source = read(built.root, **block.settings)
    records = list(source.records)

    packed = set()
    seen = set()
    for record in records:
        digest = hashlib.sha256(record.read()).hexdigest()
        if said := built.pictures.get(digest):
            seen.add(digest)
            assert (record.label, record.split, record.group) == (said.labels[0], said.split, said.group), record.path
        else:
            packed.add((record.label, record.split))
    assert built.pictures.keys() - seen == set()
    assert packed == built.packed
    if "ignore" not in block.settings:
        named = [fault.path for fault in source.left_out]
        assert [path for path in built.left_out if not any(f"{path}/".startswith(f"{name}/") for name in named)] == []


def refusals() -> list[tuple[str, list[str], list[str]]]:
    """(what is seen, parameters that decide, pictures) of each example of a source that is refused."""
    lines = [line for _, _, block in blocks("stops") for line in block]
    return [
        (line.partition(": ")[0], SETTING.findall(line), example.split()) for line, example in zip(lines[::2], lines[1::2], strict=True)
    ]


@pytest.mark.parametrize(("what", "asked", "paths"), refusals(), ids=lambda value: value if isinstance(value, str) else "-")
def test_a_source_that_can_be_read_in_two_ways_is_refused_with_the_parameters_that_decide(
    what: str, asked: list[str], paths: list[str], tmp_path: Path
) -> None:
    built = Built(Block(what, False, [Entry(path, None) for path in paths]), tmp_path / "set")

    message = stop_of(built.root)

    assert [name for name in asked if f"ingest.{name}" not in message] == [], message


def test_the_page_shows_all_kinds_of_layouts() -> None:
    assert len(layouts()) > 30
    assert len(refusals()) == 14
