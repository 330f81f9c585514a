"""`ingest` keeps images as they are, names what is not one, finds copies, and describes the whole."""

import contextlib
import csv
import hashlib
import io
import json
import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.dataset.arrays import MappedRows
from pipeline.errors import SourceError
from pipeline.params.reader import Config, load_config
from pipeline.paths import Paths
from pipeline.quality.inspection import inspect
from pipeline.quality.near_duplicates import near_duplicates
from pipeline.stages import ingest
from tests.sample_images import CLASSES, draw, empty_png, write_class_folders

ROOT = Path(__file__).parent.parent


def configure(source: Path | str, **changes: object) -> Config:
    values = load_config(ROOT / "params.yaml").model_dump(by_alias=True)
    values["ingest"] |= {"source": str(source), **changes}
    return Config.model_validate(values)


class Outputs(NamedTuple):
    """What the stage wrote: report.json, the rows of rejected.csv and findings.csv, those of the index by path; and what it printed."""

    report: dict[str, Any]
    rejected: list[list[str]]
    findings: list[dict[str, str]]
    rows: dict[str, dict[str, Any]]
    printed: str

    def of(self, kind: str) -> list[tuple[str, str]]:
        return [(finding["path"], finding["other_path"]) for finding in self.findings if finding["finding"] == kind]

    @property
    def splits(self) -> dict[str, str]:
        return {path: row["split"] for path, row in self.rows.items()}


def run(root: Path, source: Path, **changes: object) -> Outputs:
    paths = Paths(root / "project")
    with contextlib.redirect_stderr(io.StringIO()) as printed:
        ingest.run(configure(source, **changes), paths, None)
    folder = paths.stage("ingest")
    with (folder / "rejected.csv").open(encoding="utf-8", newline="") as file:
        rejected = list(csv.reader(file))[1:]
    with (folder / "findings.csv").open(encoding="utf-8", newline="") as file:
        findings = list(csv.DictReader(file))
    index = {row["path"]: row for row in pq.read_table(folder / "index.parquet").to_pylist()}
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return Outputs(report, rejected, findings, index, printed.getvalue())


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_class_folders(tmp_path / "flowers", per_class=10)


@pytest.fixture
def split_source(tmp_path: Path) -> Path:
    return write_class_folders(tmp_path / "flowers", per_class=10, split=True)


def test_images_are_kept_as_found_with_their_description(tmp_path: Path, split_source: Path) -> None:
    found = run(tmp_path, split_source)

    row = pq.read_table(tmp_path / "project" / "data" / "ingest" / "images.parquet").to_pylist()[0]
    assert (found.report["images"], found.rejected, found.report["class_names"]) == (30, [], ["circle", "cross", "square"])
    assert found.report["counts"]["test"] == {"circle": 2, "cross": 2, "square": 2}
    assert row["bytes"] == (split_source / row["path"]).read_bytes()
    assert (row["mode"], found.report["grey"]) == ("RGB", False)


def test_the_split_follows_from_the_pixels_not_from_how_they_are_packed(tmp_path: Path) -> None:
    for number, kind in enumerate(CLASSES[:2]):
        for i in range(30):
            for folder, compress_level in (("png", 1), ("packed", 9)):
                path = tmp_path / folder / kind / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                draw(kind, np.random.default_rng([i, number])).save(path, compress_level=compress_level)

    one, other = run(tmp_path / "1", tmp_path / "png"), run(tmp_path / "2", tmp_path / "packed")

    assert one.splits == other.splits
    assert one.report["digest"] == other.report["digest"]
    assert (one.findings, one.printed) == ([], "")


def test_images_swapped_between_classes_change_the_digest(tmp_path: Path, source: Path) -> None:
    before = run(tmp_path, source).report["digest"]
    first, second = source / "circle" / "circle 001.jpg", source / "cross" / "cross 001.jpg"
    first_bytes, second_bytes = first.read_bytes(), second.read_bytes()
    first.write_bytes(second_bytes)
    second.write_bytes(first_bytes)

    assert run(tmp_path, source).report["digest"] != before


def test_an_archive_gives_the_same_images_as_its_folder(tmp_path: Path, split_source: Path) -> None:
    packed = Path(shutil.make_archive(str(tmp_path / "packed" / "flowers"), "zip", tmp_path, "flowers"))

    assert run(tmp_path, packed).report["digest"] == run(tmp_path, split_source).report["digest"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["cat/a.jpg", "cat/b.jpg"], "no classes found: 2 images in cat"),
        (["cat/a.txt", "dog/b.txt"], r"source has no images that are read here\. Found: 2 plain texts"),
        (["cat/a.jpg", "dog/b.txt", "dog/c.txt"], r"the class dog would be lost: its files are 2 plain texts"),
        (
            ["cat/a.jpg", "dog/a.jpg", *(f"dog/{i}.png" for i in range(6))],
            r"6 of 8 files of source would be left out, more than ingest\.max_rejected_fraction \(0\.1\) allows: 6 undecodable files, for example dog/0",
        ),
    ],
)
def test_a_source_that_cannot_be_learned_is_one_line_with_the_counts(tmp_path: Path, source: Path, names: list[str], words: str) -> None:
    images = sorted(source.rglob("*.jpg"))
    for name, image in zip(names, images, strict=False):
        (tmp_path / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "source" / name).write_bytes(image.read_bytes() if name.endswith("jpg") else b"text")

    with pytest.raises(SourceError, match=words):
        run(tmp_path, tmp_path / "source", max_rejected_fraction=0.1)


def test_what_ends_early_leaves_no_images_behind_and_nothing_recorded(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "describe", lambda *_: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        run(tmp_path, source)

    data = tmp_path / "project" / "data"
    assert [path.relative_to(data).as_posix() for path in data.rglob("*")] == ["ingest", "ingest/index.parquet"]


def copy(source: Path, there: str, here: str) -> None:
    (source / here).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source / there, source / here)


def test_an_exact_leak_is_taken_out_of_train_and_shown(tmp_path: Path, split_source: Path) -> None:
    copy(split_source, "test/circle/circle 000.jpg", "train/circle/copy.jpg")

    found = run(tmp_path, split_source)

    assert found.of("leak") == [("train/circle/copy.jpg", "test/circle/circle 000.jpg")]
    assert found.splits["train/circle/copy.jpg"] is None
    assert found.splits["test/circle/circle 000.jpg"] == "test"
    assert found.rejected == [["train/circle/copy.jpg", "leak", "the same pixels as test/circle/circle 000.jpg in test"]]
    assert b"train/circle/copy.jpg" in (tmp_path / "project" / "data" / "ingest" / "report.html").read_bytes()


def test_copies_at_other_sizes_are_found_and_stay_on_one_side(tmp_path: Path) -> None:
    source = write_class_folders(tmp_path / "flowers", per_class=25)
    for i in range(0, 25, 5):
        with Image.open(source / "circle" / f"circle {i:03d}.jpg") as image:
            image.resize((image.width * 2, image.height * 2)).save(source / "circle" / f"large {i:03d}.png")

    found = run(tmp_path, source)

    pairs = {frozenset(pair) for pair in found.of("near_duplicate")}
    assert {frozenset((f"circle/circle {i:03d}.jpg", f"circle/large {i:03d}.png")) for i in range(0, 25, 5)} <= pairs
    for first, second in pairs:
        assert found.splits[first] == found.splits[second]
        assert found.rows[first]["group"] == found.rows[second]["group"]
    assert len({row["group"] for row in found.rows.values()}) < len(found.rows)


def test_nothing_is_decoded_twice(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = run(tmp_path, source)
    decoded: list[bytes] = []

    def inspect_and_remember(content: bytes, max_pixels: int) -> tuple[object, ...]:
        decoded.append(content)
        return inspect(content, max_pixels)

    monkeypatch.setattr("pipeline.dataset.intake.inspect", inspect_and_remember)
    draw("cross", np.random.default_rng(77)).save(source / "cross" / "new.jpg")

    after = run(tmp_path, source)

    assert decoded == [(source / "cross" / "new.jpg").read_bytes()]
    assert after.rows.keys() == before.rows.keys() | {"cross/new.jpg"}
    assert all(after.rows[path]["sha256"] == row["sha256"] for path, row in before.rows.items())


def write_every_fault(folder: Path) -> dict[str, str]:
    """One of every fault beside good images of the classes circle and cross; the finding expected for each path."""
    circle, cross = folder / "circle", folder / "cross"
    good = (circle / "circle 001.jpg").read_bytes()
    (circle / "empty.jpg").write_bytes(b"")
    (circle / "truncated.jpg").write_bytes(good[: len(good) // 2])
    (circle / "text.jpg").write_text("no image", encoding="utf-8")
    (circle / "bomb.png").write_bytes(empty_png(60_000, 60_000))
    Image.new("RGB", (40, 40), "red").save(circle / "really a png.jpg", format="PNG")
    (cross / "followed.jpg").symlink_to(ROOT / "README.md")
    (cross / "broken.jpg").symlink_to(folder / "nowhere.jpg")
    os.mkfifo(cross / "pipe.jpg")
    (cross / "Ünï 名前.JPG").write_bytes((cross / "cross 001.jpg").read_bytes())
    (cross / "copy of another class.jpg").write_bytes(good)
    with Image.open(cross / "cross 002.jpg") as image:
        image.resize((image.width // 2, image.height // 2)).save(cross / "smaller.png")
    (folder / "stray.jpg").write_bytes(good)
    (cross / ".hidden.jpg").write_bytes(b"left alone")
    (cross / "Thumbs.db").write_bytes(b"left alone")
    return {
        **{f"circle/{name}": "undecodable" for name in ("truncated.jpg", "text.jpg")},
        "cross/followed.jpg": "undecodable",
        "cross/broken.jpg": "link",
        "circle/empty.jpg": "empty",
        "circle/bomb.png": "too_large",
        "circle/really a png.jpg": "wrong_type",
        "cross/pipe.jpg": "special",
        "cross/Ünï 名前.JPG": "duplicate",
        "cross/copy of another class.jpg": "conflict",
        "cross/smaller.png": "near_duplicate",
        "stray.jpg": "stray",
    }


def test_one_of_every_fault_runs_through_with_each_of_them_named(tmp_path: Path, source: Path) -> None:
    expected = write_every_fault(source) | {"circle/film.jpg": "too_large"}
    with (source / "circle" / "film.jpg").open("wb") as file:
        file.truncate(300 * 2**20)  # all holes; so much is inspected by several processes

    found = run(tmp_path, source)

    assert {finding["path"]: finding["finding"] for finding in found.findings if finding["path"] in expected} == expected
    assert not any("hidden" in finding["path"] or "Thumbs" in finding["path"] for finding in found.findings)
    rejected = {path: reason for path, _, reason in found.rejected}
    assert rejected["circle/film.jpg"] == "300 MB is more than 256 MB"  # it is not read
    assert "truncated" in rejected["circle/truncated.jpg"]
    assert f"left out circle/truncated.jpg: {rejected['circle/truncated.jpg']}" in found.printed
    conflict = ("circle/circle 001.jpg", "cross/copy of another class.jpg")
    assert sorted(found.of("conflict")) == [conflict, conflict[::-1]]
    assert set(conflict) < set(rejected)
    assert (
        found.report["images"] == 30 + 4 - 2
    )  # of four copies and misnamed ones beside the good images, one conflicts with a good one: both are left out


def test_the_same_folder_twice_gives_the_same_bytes_and_is_not_written_to(tmp_path: Path, source: Path) -> None:
    write_every_fault(source)

    def state() -> str:
        digest = hashlib.sha256()
        for path in sorted(source.rglob("*")):
            found = path.lstat()
            digest.update(f"{path} {found.st_mode} {found.st_mtime_ns} {found.st_size}".encode())
            digest.update(path.read_bytes() if path.is_file() and not path.is_symlink() else b"")
        return digest.hexdigest()

    def outputs() -> dict[str, bytes]:
        run(tmp_path, source, max_rejected_fraction=0.9)
        return contents(tmp_path / "project" / "data")

    before, first = state(), outputs()
    assert outputs() == first
    shutil.rmtree(tmp_path / "project" / ".checkpoints")  # the cache
    assert outputs() == first
    assert state() == before


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = write_class_folders(tmp_path_factory.mktemp("faulty") / "flowers", per_class=10, split=True)
    write_every_fault(source / "train")
    copy(source, "test/circle/circle 000.jpg", "train/circle/leak.jpg")
    return source


@pytest.mark.parametrize("kind", ["duplicate", "conflict", "leak", "near_duplicate", "wrong_type", "unusable", "class_problem"])
def test_a_finding_can_stop_the_run_and_is_shown_all_the_same(tmp_path: Path, faulty: Path, kind: str) -> None:
    with pytest.raises(SourceError, match=r"ingest\.source: flowers has .*report\.html shows them all"):
        run(tmp_path, faulty, max_rejected_fraction=0.9, **{kind: "fail"})

    folder = tmp_path / "project" / "data" / "ingest"
    assert sorted(file.name for file in folder.iterdir()) == ["findings.csv", "index.parquet", "rejected.csv", "report.html"]
    assert ",failed," in (folder / "findings.csv").read_text(encoding="utf-8")


def test_a_class_that_may_be_the_plural_of_another_is_kept_and_told(tmp_path: Path, source: Path) -> None:
    kinds = sorted(folder.name for folder in source.iterdir())
    (source / kinds[1]).rename(source / f"{kinds[0]}s")

    found = run(tmp_path, source)

    pairs = [(line["label"], line["other_label"], line["note"]) for line in found.findings if line["finding"] == "similar_names"]
    assert pairs == [(kinds[0], f"{kinds[0]}s", "one may be the plural of the other")]
    assert found.report["images"] == 30


@pytest.mark.parametrize(
    ("names", "note"),
    [
        (("Cat", "cat"), "differ in case, spaces or accents only"),
        (("TRUE", "true"), "differ in case, spaces or accents only"),
        (("1", "01"), "differ in zeros before a number only"),
        (("dog 7", "dog 007"), "differ in zeros before a number only"),
    ],
)
def test_classes_whose_names_are_almost_the_same_are_named_in_the_output(
    tmp_path: Path, source: Path, names: tuple[str, str], note: str
) -> None:
    rows = [(image, name) for name, kind in zip(names, sorted(source.iterdir()), strict=False) for image in sorted(kind.iterdir())]
    (source / "labels.csv").write_text("path,class\n" + "".join(f"{path.relative_to(source)},{name}\n" for path, name in rows))

    found = run(tmp_path, source, format="table")

    pairs = [(line["label"], line["other_label"], line["note"]) for line in found.findings if line["finding"] == "similar_names"]
    assert pairs == [(*names, note)]
    assert f"1 pair of ambiguous class names: {names[0]}, {names[1]}: {note}" in found.printed


def test_class_names_that_may_be_no_classes_are_kept_and_told(tmp_path: Path, source: Path) -> None:
    (source / "circle").rename(source / "unknown")
    coded = write_class_folders(tmp_path / "coded", per_class=10)
    for kind, code in zip(CLASSES, ("P01", "P02", "P03"), strict=False):
        (coded / kind).rename(coded / code)

    found, told = run(tmp_path / "1", source), run(tmp_path / "2", coded)

    assert [line["label"] for line in found.findings if line["finding"] == "placeholder_names"] == ["unknown"]
    assert [line["note"] for line in told.findings if line["finding"] == "code_names"] == ["all 3 class names are codes"]
    assert "1 placeholder as a class name" in found.printed
    assert "1 set of class names that are codes" in told.printed
    assert (found.report["images"], told.report["images"]) == (30, 30)
    with pytest.raises(SourceError, match="1 placeholder as a class name"):
        run(tmp_path / "3", source, class_problem="fail")


def test_of_few_groups_one_goes_to_test_and_stays_there(tmp_path: Path) -> None:
    source = write_class_folders(tmp_path / "source", classes=2, per_class=10)
    files = sorted(source.rglob("*.jpg"))
    drivers = {file.relative_to(source).as_posix(): f"driver {i % 5}" for i, file in enumerate(files)}

    def held_out() -> set[str]:
        lines = [f"{path},{path.partition('/')[0]},{driver}" for path, driver in drivers.items()]
        (source / "drivers.csv").write_text("\n".join(["path,label,driver", *lines]), encoding="utf-8")
        columns = {"path": "path", "label": "label", "group": "driver"}
        found = run(tmp_path, source, test_fraction=0.01, columns=columns, moved_images="keep")
        return {drivers[path] for path, split in found.splits.items() if split == "test"}

    first = held_out()
    drivers |= {path: f"new {i}" for i, path in enumerate(drivers) if drivers[path] not in first}

    assert len(first) == 1
    assert first <= held_out()


def test_a_glob_to_ignore_that_matches_nothing_is_told(tmp_path: Path, source: Path) -> None:
    found = run(tmp_path, source, ignore=["circel", "circle/circle 00[0-4].jpg"])

    assert found.of("unused_ignore") == [("circel", "")]
    assert "ingest: circel: this glob of ingest.ignore matches nothing in the source" in found.printed
    assert (found.report["images"], found.rejected) == (25, [])


def test_groups_in_more_than_one_split_of_the_source_are_named_with_their_images(tmp_path: Path) -> None:
    source = write_class_folders(tmp_path / "source", classes=2, per_class=10)
    patients = {0: "ann", 1: "ann", 2: "ann", 3: "bob"}
    lines = [
        f"{kind}/{kind} {i:03d}.jpg,{kind},{'test' if i % 5 == 0 else 'train'},{patients.get(i, f'patient {i}')}"
        for kind in ("circle", "cross")
        for i in range(10)
    ]
    (source / "labels.csv").write_text("\n".join(["file,label,split,patient", *lines]), encoding="utf-8")

    outputs = run(tmp_path, source, columns={"path": "auto", "label": "auto", "split": "auto", "group": "patient"})

    found = [finding for finding in outputs.findings if finding["finding"] == "group_leak"]
    assert [(finding["action"], finding["note"]) for finding in found] == [("kept", "group ann: images 4 in train, 2 in test")]
    assert "ingest: 1 group in several splits: group ann: images 4 in train, 2 in test\n" in outputs.printed


def test_a_source_that_changes_while_it_is_read_stops_the_run(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def search_while_somebody_copies(fingerprints: MappedRows) -> np.ndarray:
        (source / "circle" / "late.jpg").write_bytes(b"half of an im")
        return near_duplicates(fingerprints)

    monkeypatch.setattr(ingest, "near_duplicates", search_while_somebody_copies)

    with pytest.raises(SourceError, match=r"has changed while it was read: .*Run the same command again"):
        run(tmp_path, source)

    assert not (tmp_path / "project/data/ingest/report.json").exists()
