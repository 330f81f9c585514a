"""No source of images may lie where the project writes, by whatever way; and where it writes, nothing is a link. Nothing is touched by looking."""

import os
import shutil
from pathlib import Path

import pytest

from pipeline.errors import SourceError, StorageError
from pipeline.listing.written_places import refuse_links, refuse_other_files, refuse_shared_source
from pipeline.paths import STAGES, Paths

WRITTEN = [*(f"data/{stage}" for stage in STAGES), "mlruns", ".checkpoints", ".dvc", ".git"]


@pytest.fixture
def project(tmp_path: Path) -> Paths:
    root = tmp_path / "project"
    for name in [*WRITTEN, "data/photos"]:
        (root / name / "photos" / "cat").mkdir(parents=True)
    for name in ("splits.csv", "classes.json", "known_images.csv"):
        (root / "data" / name).touch()
    return Paths(root)


def refused(source: Path, paths: Paths) -> str:
    with pytest.raises(SourceError) as caught:
        refuse_shared_source(source, paths)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("written", WRITTEN)
def test_a_source_in_a_place_that_is_written_to_is_refused_with_the_names_of_both(project: Paths, written: str) -> None:
    (project.root / written / "photos.zip").touch()

    for below in ("", "photos", "photos/cat", "photos/../photos", "photos.zip"):
        message = refused(project.root / written / below, project)
        assert f"{project.root / written}" in message
        assert f" {written}, where the pipeline and its tools write and remove files" in message
        assert "Move the images to a folder of their own, such as data/photos" in message


def test_a_source_above_such_a_place_is_refused_also_before_there_are_any_and_so_is_a_record(project: Paths, tmp_path: Path) -> None:
    (tmp_path / "new" / "data").mkdir(parents=True)

    for source in (".", "data", "..", "/", "data/photos/..", "data/ingest/.."):
        assert "holds data/ingest" in refused(project.root / source, project)
    assert "holds data/ingest" in refused(tmp_path / "new" / "data", Paths(tmp_path / "new"))
    for name in ("data/splits.csv", "data/classes.json", "data/known_images.csv"):
        assert f"is {name}" in refused(project.root / name, project)


def test_links_are_followed_wherever_they_are_on_the_way(project: Paths, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "itself").symlink_to(project.stage("ingest") / "photos")
    (elsewhere / "relative").symlink_to("../project/data/ingest")
    (elsewhere / "twice").symlink_to("itself")
    (elsewhere / "checkout").symlink_to(project.root)

    for source in ("itself", "relative/photos", "twice", "twice/cat", "checkout/data/ingest/photos", "itself/../photos"):
        assert "lies in data/ingest" in refused(elsewhere / source, project)
    assert "holds data/ingest" in refused(elsewhere / "checkout", project)


def test_both_ends_of_a_link_in_such_a_place_are_refused(project: Paths, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "disk" / "states" / "fits").mkdir(parents=True)
    (project.stage("ingest") / "link").symlink_to(tmp_path / "outside")
    shutil.rmtree(project.root / ".checkpoints")
    (project.root / ".checkpoints").symlink_to(tmp_path / "disk" / "states")

    assert "lies in data/ingest" in refused(project.stage("ingest") / "link", project)
    assert "lies in .checkpoints" in refused(tmp_path / "disk" / "states" / "fits", project)
    assert "holds .checkpoints" in refused(tmp_path / "disk", project)


def test_places_are_told_by_their_inode_not_by_their_name(project: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a file system that takes DATA/Ingest for data/ingest."""
    stat = os.stat

    def without_case(path: Path | str, **options: bool) -> os.stat_result:
        return stat(str(path).replace("DATA/Ingest", "data/ingest"), **options)

    monkeypatch.setattr("pipeline.listing.written_places.os.stat", without_case)

    assert "lies in data/ingest" in refused(project.root / "DATA" / "Ingest" / "photos", project)


def test_a_source_anywhere_else_is_fine(project: Paths, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (project.root / "data" / "ingested").mkdir()
    (project.root / "data" / "labels.csv").touch()
    (project.root / "data" / "link").symlink_to("photos")
    (project.root / "loop").symlink_to("loop")
    sources = "data/photos data/ingest/../photos ../outside data/ingested data/labels.csv data/link data/nothing loop"

    for source in sources.split():
        refuse_shared_source(project.root / source, project)


def test_an_archive_that_dvc_has_linked_to_its_cache_is_fine(project: Paths) -> None:
    cached = project.root / ".dvc" / "cache" / "files" / "md5" / "0a" / "1b"
    cached.parent.mkdir(parents=True)
    cached.touch()
    (project.root / "data" / "photos.zip").symlink_to(cached)

    refuse_shared_source(project.root / "data" / "photos.zip", project)
    assert "lies in .dvc" in refused(cached, project)


def test_in_an_experiment_a_source_in_its_copy_is_fine_and_one_where_the_project_writes_is_not(project: Paths) -> None:
    copy = project.root / ".dvc" / "tmp" / "exps" / "standalone" / "tmpx"
    for folder in ("data/photos", "data/ingest/photos", "../other/data/photos"):
        (copy / folder).mkdir(parents=True)
    paths = Paths(copy)

    refuse_shared_source(copy / "data" / "photos", paths)
    refuse_shared_source(project.root / "data" / "photos", paths)
    assert "lies in data/ingest" in refused(copy / "data" / "ingest" / "photos", paths)
    assert "holds data/ingest" in refused(copy / "data", paths)
    assert f"lies in {project.root}/data/ingest" in refused(project.stage("ingest") / "photos", paths)
    assert f"lies in {project.root}/.dvc" in refused(copy.parent / "other" / "data" / "photos", paths)


@pytest.mark.parametrize("name", ["data", "data/train", "data/preprocess/test"])
def test_a_folder_that_stages_write_to_must_not_be_a_link(tmp_path: Path, name: str) -> None:
    (tmp_path / "disk" / "ingest").mkdir(parents=True)
    link = tmp_path / "project" / name
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "disk")

    with pytest.raises(StorageError, match=f"^{name} is a link to .*/disk, but DVC tracks .* `rm {name}` removes only the link"):
        refuse_links(Paths(tmp_path / "project"))


def test_a_file_where_a_stage_needs_a_folder_and_a_record_that_is_a_link_are_one_line(project: Paths, tmp_path: Path) -> None:
    (tmp_path / "other" / "data").mkdir(parents=True)
    (tmp_path / "other" / "data" / "evaluate").touch()
    project.ledger.rename(tmp_path / "shared.csv")
    project.ledger.symlink_to(tmp_path / "shared.csv")

    with pytest.raises(StorageError, match="data/evaluate is a file"):
        refuse_links(Paths(tmp_path / "other"))
    with pytest.raises(StorageError, match=r"data/splits\.csv is a link to .*shared\.csv"):
        refuse_links(project)


def test_links_where_the_project_keeps_caches_are_fine(project: Paths, tmp_path: Path) -> None:
    (project.root / "mlruns" / "disk").symlink_to(tmp_path)
    (project.stage("train") / "model.keras").symlink_to(tmp_path / "cached")  # as DVC links files to its cache where it is told to

    refuse_links(project)


def test_an_out_that_dvc_yaml_adds_is_the_stages_own_and_a_folder_in_the_place_of_an_out_is_named(tmp_path: Path) -> None:
    outs = "ingest: {outs: [data/ingest/more.csv: {cache: false}]}, train: {outs: [data/train/model.keras]}"
    (tmp_path / "dvc.yaml").write_text(f"stages: {{{outs}}}", encoding="utf-8")
    (tmp_path / "data" / "ingest").mkdir(parents=True)
    (tmp_path / "data" / "ingest" / "more.csv").touch()
    refuse_other_files(Paths(tmp_path))

    (tmp_path / "data" / "train" / "model.keras" / "cat").mkdir(parents=True)
    with pytest.raises(StorageError, match=r"data/train/model\.keras is a folder, where stage train writes a file"):
        refuse_other_files(Paths(tmp_path))
