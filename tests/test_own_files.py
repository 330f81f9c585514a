"""A stage clears what it made, and stops at anything else; caches and checkpoints lose their own files only."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline.dataset.content_cache import drop_others
from pipeline.errors import StorageError
from pipeline.files import folder_beside
from pipeline.own_files import MADE, clear, remove_matching

ROOT = Path(__file__).parent.parent
INGEST = MADE["ingest"]


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name, encoding="utf-8")
    return folder


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("stage", MADE)
def test_every_out_of_a_stage_is_known_as_its_own(stage: str) -> None:
    described = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"][stage]
    outs = [*described["outs"], *described.get("plots", []), *described.get("metrics", [])]

    assert {out.removeprefix(f"data/{stage}/") for out in outs} <= {made.partition("/[")[0] for made in MADE[stage]}


def test_a_stage_begins_with_nothing_of_its_earlier_runs(tmp_path: Path) -> None:
    made = ["images.parquet/00000.parquet", "images.parquet/.00001.parquet.partial", "index.parquet", ".report.html.partial", "report.json"]
    made += [".fingerprints.x1", ".images.parquet.partial/00000.parquet", ".images.parquet.partial/.00001.parquet.partial"]
    folder = fill(tmp_path / "data" / "ingest", *made, ".DS_Store", ".gitignore")

    assert clear(folder, INGEST) == folder
    assert sorted(path.name for path in folder.iterdir()) == [".DS_Store", ".gitignore"]  # of file managers and git
    assert clear(tmp_path / "data" / "preprocess", MADE["preprocess"]).is_dir()


@pytest.mark.parametrize(
    ("stage", "name"),
    [
        ("ingest", "photos/cat/1.jpg"),
        ("ingest", "cat.jpg"),
        ("ingest", "images.parquet/cat/1.jpg"),
        ("ingest", "images.parquet/cat.jpg"),
        ("ingest", "images.parquet/.hidden.jpg"),
        ("ingest", "index.parquet/1.jpg"),
        ("ingest", ".images.parquet.partial/1.jpg"),
        ("ingest", "report.json/cat/1.jpg"),
        ("preprocess", "train/cat/1.jpg"),
    ],
)
def test_anything_else_stops_the_stage_is_named_and_stays(tmp_path: Path, stage: str, name: str) -> None:
    own = {"ingest": ["images.parquet/00000.parquet", "rejected.csv"], "preprocess": ["train/images.npy"]}
    folder = fill(tmp_path / "data" / stage, *own[stage], name)
    before = files(folder)

    with pytest.raises(StorageError) as caught:
        clear(folder, MADE[stage])

    assert f"did not create: data/{stage}/{name.split('/')[0]}" in str(caught.value)
    assert "Nothing was deleted. Move them elsewhere" in str(caught.value)
    assert files(folder) == before


def test_only_some_of_many_strange_files_are_named(tmp_path: Path) -> None:
    folder = fill(tmp_path / "data" / "ingest", *(f"{i}.jpg" for i in range(9)))

    with pytest.raises(StorageError, match=r"data/ingest/0\.jpg, data/ingest/1\.jpg, data/ingest/2\.jpg and 6 more"):
        clear(folder, INGEST)


def test_a_link_goes_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    kept = fill(tmp_path / "kept", "report.json", "photos/1.jpg")
    folder = fill(tmp_path / "data" / "ingest", "rejected.csv")
    (folder / "report.json").symlink_to(kept / "report.json")
    (folder / "index.parquet").symlink_to(kept / "photos")

    clear(folder, INGEST)

    assert list(folder.iterdir()) == []
    assert files(kept) == ["photos/1.jpg", "report.json"]


def test_a_folder_is_filled_only_where_there_is_none(tmp_path: Path) -> None:
    fill(tmp_path / ".images.parquet.partial", "1.jpg")

    with pytest.raises(FileExistsError), folder_beside(tmp_path / "images.parquet"):
        pass

    assert files(tmp_path) == [".images.parquet.partial/1.jpg"]


def test_dropping_other_caches_leaves_what_is_no_cache(tmp_path: Path) -> None:
    fill(tmp_path / "prepared", "old/a.keys.npy", "old/a.rows.npy", "album/1.jpg", "notes.txt", "new/b.keys.npy")
    (tmp_path / "pictures").mkdir()
    fill(tmp_path / "pictures", "c.keys.npy")
    (tmp_path / "prepared" / "link").symlink_to(tmp_path / "pictures")

    drop_others(tmp_path / "prepared" / "new")

    assert files(tmp_path / "prepared") == ["album/1.jpg", "new/b.keys.npy", "notes.txt"]
    assert files(tmp_path / "pictures") == ["c.keys.npy"]


def test_of_a_folder_only_the_files_that_match_go(tmp_path: Path) -> None:
    fill(tmp_path / "fit", "train.npz", "cat.jpg", "deep/other.npz")

    remove_matching(tmp_path / "fit", re.compile(r".*\.npz"))

    assert files(tmp_path / "fit") == ["cat.jpg", "deep/other.npz"]
