"""The layouts of well-known data sets are read right, or refused in one line whose advice works; none is read wrong."""

import hashlib
import io
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError
from ruamel.yaml import YAML

from pipeline.errors import SourceError
from pipeline.listing.records import LeftOut, Record, Source
from pipeline.params.ingest import Ingest
from pipeline.params.reader import load_config
from pipeline.sources.layouts import open_source
from tests import folder_layouts, mixed_layouts, packed_layouts, table_layouts
from tests.layout_trees import LAYOUTS, Layout, Right, Tree, Truth

BUILDERS = (folder_layouts, mixed_layouts, packed_layouts, table_layouts)  # importing them fills LAYOUTS
DEFAULTS = load_config(Path(__file__).parents[1] / "params.yaml").ingest.model_dump()
SETTING = re.compile(r"ingest\.(\w+)(?:\.(\w+))?: (\{[^{}]*\}|\[(?:\"[^\"]*\"|[^\]\"])*\]|\"[^\"]*\"|'[^']*'|[^\s,;()]+)")


@pytest.fixture(autouse=True)
def _without_the_reader_of_heic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.images.header_formats.is_heic_read", lambda: False)


def ingest(source: Path | str, **settings: Any) -> Ingest:
    """Section `ingest` of params.yaml with other values for some of its parameters."""
    merged = {key: {**DEFAULTS.get(key, {}), **value} if isinstance(value, dict) else value for key, value in settings.items()}
    return Ingest(**{**DEFAULTS, "source": str(source), **merged})


def read(path: Path, **settings: Any) -> Source:
    return open_source(path, ingest(path, **settings))


def counts(records: list[Record]) -> dict[str, dict[str, int]]:
    """Images by split and class."""
    by_split: dict[str, Counter[str]] = {}
    for record in records:
        by_split.setdefault(record.split or "none", Counter())[record.label] += 1
    return {split: dict(labels) for split, labels in by_split.items()}


def build(layout: Layout, folder: Path) -> tuple[Tree, Path]:
    """A layout's tree in a folder named after it, and what to set as ingest.source."""
    tree = Tree(folder / layout.name)
    tree.root.mkdir()
    return tree, layout.build(tree) or tree.root


def stop_of(path: Path, **settings: Any) -> str:
    """The message with which a source is refused. Its images are asked for, since some faults show only then."""
    with pytest.raises(SourceError) as stopped:
        list(read(path, **settings).records)
    return without(path, stopped.value)


def without(path: Path, error: SourceError) -> str:
    """A message without the path of the source, which has words of its own."""
    return str(error).replace(str(path), "SOURCE").replace(str(path.parent), "ABOVE")


def assert_words(message: str, words: tuple[str, ...]) -> None:
    """A message of one line with each word (`a or b`: one of them); a number stands by itself."""
    assert "\n" not in message
    missing = [word for word in words if not any(has(message, choice) for choice in word.split(" or "))]
    assert not missing, f"{missing} not in: {message}"


def has(message: str, word: str) -> bool:
    return re.search(rf"(?<!\d){word}(?!\d)" if word.isdigit() else re.escape(word), message, re.IGNORECASE) is not None


def assert_right(records: list[Record], expected: Right) -> None:
    wanted, found = dict(expected.splits), counts(records)
    if expected.any_split:
        wanted, found = {"any": expected.total()}, {"any": dict(Counter(record.label for record in records))}
    other = {split: {expected.naming.get(label, label): count for label, count in labels.items()} for split, labels in wanted.items()}
    assert found in (wanted, other)


def assert_true(tree: Tree, records: list[Record], expected: Right) -> None:
    """Each record is what its picture is known to be; pictures are looked up by their content."""
    groups: dict[str, set[str | None]] = {}
    for record in records:
        truth = truth_of(tree, record.read())
        assert truth is not None, f"{record.path} is none of the pictures that were written"
        assert truth.label is not None, f"{record.path} is no image of the data set"
        assert record.label in (truth.label, expected.naming.get(truth.label)), record.path
        assert expected.any_split or record.split == truth.split, record.path
        if truth.group is not None:
            groups.setdefault(truth.group, set()).add(record.group)
    assert all(len(names) == 1 and None not in names for names in groups.values()), groups
    assert len({name for names in groups.values() for name in names}) == len(groups)


def truth_of(tree: Tree, content: bytes) -> Truth | None:
    """What a picture is, by its bytes or else, if it was stored as numbers, by its pixels."""
    pixels = np.asarray(Image.open(io.BytesIO(content)))
    return tree.truth.get(hashlib.sha256(content).hexdigest()) or tree.truth.get(hashlib.sha256(pixels.tobytes()).hexdigest())


def names(left_out: LeftOut, path: str) -> bool:
    """Whether something that is left out is this file or a folder above it, seen from the source or from a folder further down, in any case."""
    named, path = f"/{left_out.path.strip('/')}".lower(), f"/{path}".lower()
    return path.endswith(named) or named.endswith(path) or (named + "/") in path


def assert_left_out(tree: Tree, left_out: list[LeftOut]) -> None:
    unlabelled = [one for one in left_out if one.finding == "unlabelled"]
    assert [path for path in tree.unlabelled_paths if not any(names(one, path) for one in unlabelled)] == []
    assert [path for path in tree.strays if not any(names(one, path) for one in left_out)] == []
    assert all(one.reason for one in left_out)


READ = [layout for layout in LAYOUTS.values() if layout.right and not layout.words]
STOPPED = [layout for layout in LAYOUTS.values() if layout.words and not layout.right]
EITHER = [layout for layout in LAYOUTS.values() if layout.words and layout.right]
ADVISED = [(layout, settings, outcome) for layout in LAYOUTS.values() for settings, outcome in layout.advice]


def check_read(layout: Layout, tree: Tree, source: Source) -> None:
    assert layout.right
    records = list(source.records)
    empty = [LeftOut(record.path, "empty", "no content") for record in records if record.size_bytes == 0]  # the stage leaves them out
    filled = [record for record in records if record.size_bytes]
    assert_right(filled, layout.right)
    assert_true(tree, filled, layout.right)
    assert_left_out(tree, [*source.left_out, *empty])


@pytest.mark.parametrize("layout", READ, ids=lambda layout: layout.name)
def test_a_usual_layout_is_read_with_nothing_but_its_path(layout: Layout, tmp_path: Path) -> None:
    tree, path = build(layout, tmp_path)

    check_read(layout, tree, read(path))


@pytest.mark.parametrize("layout", STOPPED, ids=lambda layout: layout.name)
def test_a_layout_with_no_one_meaning_is_refused_in_words_that_show_it(layout: Layout, tmp_path: Path) -> None:
    _, path = build(layout, tmp_path)

    assert_words(stop_of(path), layout.words or ())


@pytest.mark.parametrize("layout", EITHER, ids=lambda layout: layout.name)
def test_an_unusual_layout_is_read_right_or_refused_never_read_wrong(layout: Layout, tmp_path: Path) -> None:
    tree, path = build(layout, tmp_path)
    try:
        source = read(path)
    except SourceError as stopped:
        assert_words(without(path, stopped), layout.words or ())
    else:
        check_read(layout, tree, source)


@pytest.mark.parametrize(("layout", "settings", "outcome"), ADVISED, ids=lambda value: getattr(value, "name", None) or "-")
def test_what_a_refusal_advises_works_when_followed(layout: Layout, settings: dict[str, Any], outcome: Right, tmp_path: Path) -> None:
    _, path = build(layout, tmp_path)

    assert_right(list(read(path, **settings).records), outcome)


@pytest.mark.parametrize(
    ("layout", "settings"), [(layout, settings) for layout, settings, _ in ADVISED], ids=lambda value: getattr(value, "name", None) or "-"
)
def test_a_refusal_names_the_parameters_that_decide(layout: Layout, settings: dict[str, Any], tmp_path: Path) -> None:
    _, path = build(layout, tmp_path)
    try:
        list(read(path).records)
    except SourceError as stopped:
        message = without(path, stopped)
    else:
        assert layout.right, f"{layout.name} was not refused"
        return

    for key, value in settings.items():
        assert f"ingest.{key}" in message
        plain = list(value.values()) if isinstance(value, dict) else [value] if isinstance(value, str) and "{" not in value else []
        assert [word for word in plain if word not in message] == []


def ways_in(message: str) -> list[dict[str, Any]]:
    """What a message says to write in params.yaml: the parameters of each way; those that `and` joins belong together."""
    ways: list[dict[str, Any]] = []
    message, end = message.removeprefix("ingest.source: "), 0
    for found in SETTING.finditer(message):
        key, part, text = found.groups()
        value = YAML(typ="safe").load(text.rstrip(".:"))
        if ways and message[end : found.start()] == " and ":
            ways[-1][key] = {part: value} if part else value
        else:
            ways.append({key: {part: value} if part else value})
        end = found.end()
    return ways


def faults_of(path: Path, ways: list[dict[str, Any]]) -> list[str]:
    """The ways that do not lead to images of several classes, with the errors."""
    faults = []
    for way in ways:
        other = {key: value for key, value in way.items() if key != "source"}
        try:
            list(read(Path(way.get("source", path)), **other).records)
        except (SourceError, ValidationError) as error:
            faults.append(f"{way}: {error}")
    return faults


@pytest.mark.parametrize("layout", [*STOPPED, *EITHER], ids=lambda layout: layout.name)
def test_every_way_out_that_a_refusal_shows_is_read_when_followed(layout: Layout, tmp_path: Path) -> None:
    _, path = build(layout, tmp_path)
    try:
        list(read(path).records)
    except SourceError as stopped:
        message = str(stopped)
    else:
        return  # read right, as another test sees to

    assert faults_of(path, ways_in(message)) == []
