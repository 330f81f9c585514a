"""`ingest` takes what is an image, names what is not, and describes the whole."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline.config import Config, load_config
from pipeline.errors import SourceError
from pipeline.paths import Paths
from pipeline.stages import ingest
from tests.sample_images import write_class_folders

ROOT = Path(__file__).parent.parent


def configure(source: Path) -> Config:
    values = load_config(ROOT / "params.yaml").model_dump(by_alias=True)
    values["ingest"]["source"] = str(source)
    return Config.model_validate(values)


def run(tmp_path: Path, source: Path) -> tuple[dict[str, Any], list[list[str]], Any]:
    paths = Paths(tmp_path / "project")
    ingest.run(configure(source), paths, None)
    folder = paths.stage("ingest")
    with (folder / "rejected.csv").open(encoding="utf-8", newline="") as file:
        rejected = list(csv.reader(file))[1:]
    return json.loads((folder / "report.json").read_text(encoding="utf-8")), rejected, pq.read_table(folder / "images.parquet")


def test_images_are_kept_as_found_with_their_description(tmp_path: Path) -> None:
    source = write_class_folders(tmp_path / "flowers", classes=2, per_class=10, split=True)

    report, rejected, table = run(tmp_path, source)

    row = table.to_pylist()[0]
    assert (report["images"], rejected, report["class_names"]) == (20, [], ["circle", "cross"])
    assert report["counts"]["test"] == {"circle": 2, "cross": 2}
    assert row["bytes"] == (source / row["path"]).read_bytes()
    assert row["mode"] == "RGB"
    assert not report["grey"]


def test_a_truncated_image_is_left_out_and_listed_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_class_folders(tmp_path / "flowers", per_class=10)
    damaged = source / "circle" / "circle 003.jpg"
    damaged.write_bytes(damaged.read_bytes()[:500])
    (source / "cross" / "notes.txt").write_text("not an image", encoding="utf-8")

    report, rejected, _ = run(tmp_path, source)

    assert [path for path, _ in rejected] == ["circle/circle 003.jpg", "cross/notes.txt"]
    assert "truncated" in rejected[0][1].lower()
    assert report["images"] == 29
    assert "left out circle/circle 003.jpg" in capsys.readouterr().err


def test_an_image_stays_in_its_split_when_others_come_and_go(tmp_path: Path) -> None:
    source = write_class_folders(tmp_path / "flowers", per_class=40)
    before = {row["sha256"]: row["split"] for row in run(tmp_path, source)[2].to_pylist()}
    for i in range(0, 40, 3):
        (source / "circle" / f"circle {i:03d}.jpg").unlink()
    write_class_folders(tmp_path / "more", classes=4, per_class=10, seed=9)
    shutil.copytree(tmp_path / "more", source / "triangle", dirs_exist_ok=True)

    after = {row["sha256"]: row["split"] for row in run(tmp_path, source)[2].to_pylist()}

    assert 0.1 < sum(split == "test" for split in before.values()) / len(before) < 0.3
    assert all(after[sha256] == split for sha256, split in before.items() if sha256 in after)


def test_images_swapped_between_classes_change_the_digest(tmp_path: Path) -> None:
    source = write_class_folders(tmp_path / "flowers", per_class=10)
    before = run(tmp_path, source)[0]["digest"]
    first, second = source / "circle" / "circle 001.jpg", source / "cross" / "cross 001.jpg"
    first_bytes, second_bytes = first.read_bytes(), second.read_bytes()
    first.write_bytes(second_bytes)
    second.write_bytes(first_bytes)

    assert run(tmp_path, source)[0]["digest"] != before


def test_the_same_folder_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    source = write_class_folders(tmp_path / "flowers", per_class=10)

    def outputs() -> dict[str, bytes]:
        run(tmp_path, source)
        folder = tmp_path / "project" / "data" / "ingest"
        return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}

    assert outputs() == outputs()


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["cat/a.jpg", "cat/b.jpg"], "of one class, cat"),
        (["cat/a.txt", "dog/b.txt"], "none of 2 files in source is an image"),
    ],
)
def test_a_source_that_teaches_nothing_is_one_line(tmp_path: Path, names: list[str], words: str) -> None:
    source = tmp_path / "source"
    image = next(iter((write_class_folders(tmp_path / "x", classes=1, per_class=1) / "circle").iterdir())).read_bytes()
    for name in names:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(image if name.endswith("jpg") else b"text")

    with pytest.raises(SourceError, match=words):
        run(tmp_path, source)


def test_the_source_is_not_written_to(tmp_path: Path) -> None:
    source = write_class_folders(tmp_path / "flowers", per_class=10)
    before = {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in sorted(source.rglob("*.jpg"))}

    run(tmp_path, source)

    assert {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in sorted(source.rglob("*")) if file.is_file()} == before


def test_what_ends_early_leaves_no_images_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_class_folders(tmp_path / "flowers", per_class=10)
    run(tmp_path, source)
    monkeypatch.setattr(ingest, "_count", lambda *_: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        run(tmp_path, source)

    assert list((tmp_path / "project" / "data" / "ingest").iterdir()) == []


def test_copies_of_one_image_go_to_the_same_split(tmp_path: Path) -> None:
    source = write_class_folders(tmp_path / "flowers", per_class=30)
    for file in sorted((source / "circle").iterdir()):
        shutil.copy(file, source / "circle" / f"copy of {file.name}")

    splits: dict[str, set[str]] = {}
    for row in run(tmp_path, source)[2].to_pylist():
        splits.setdefault(row["sha256"], set()).add(row["split"])

    assert all(len(found) == 1 for found in splits.values())


def test_a_file_of_absurd_size_is_not_read(tmp_path: Path) -> None:
    source = write_class_folders(tmp_path / "flowers", per_class=10)
    with (source / "circle" / "film.jpg").open("wb") as file:
        file.truncate(300 * 2**20)  # all holes

    assert run(tmp_path, source)[1] == [["circle/film.jpg", "300 MB is more than 256 MB"]]


def test_an_archive_gives_the_same_images_as_its_folder(tmp_path: Path) -> None:
    source = write_class_folders(tmp_path / "flowers", per_class=10, split=True)
    packed = Path(shutil.make_archive(str(tmp_path / "packed" / "flowers"), "zip", tmp_path, "flowers"))

    assert run(tmp_path, packed)[0]["digest"] == run(tmp_path, source)[0]["digest"]
