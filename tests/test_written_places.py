"""No source of images may lie where the project writes, by whatever way; and where it writes, nothing is a link. Nothing is touched by looking."""

import os
from pathlib import Path

import pytest

from pipeline.errors import SourceError, StorageError
from pipeline.paths import STAGES, Paths
from pipeline.sources.written_places import refuse_links, refuse_other_files, refuse_shared_source

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
@pytest.mark.parametrize("below", ["", "photos", "photos/cat", "photos/../photos"])
def test_a_source_in_a_place_that_is_written_to_is_refused_with_the_names_of_both(project: Paths, written: str, below: str) -> None:
    message = refused(project.root / written / below, project)

    assert f"{project.root / written}" in message
    assert f" {written}, where the pipeline and its tools write and remove files" in message
    assert "Move the images to a place of their own, data/photos for example" in message


@pytest.mark.parametrize("source", [".", "data", "..", "/", "data/photos/..", "data/ingest/.."])
def test_a_source_above_such_a_place_is_refused(project: Paths, source: str) -> None:
    assert "holds data/ingest" in refused(project.root / source, project)


def test_a_source_above_is_refused_before_the_stages_have_made_their_folders(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()

    assert "holds data/ingest" in refused(tmp_path / "data", Paths(tmp_path))


@pytest.mark.parametrize("name", ["splits.csv", "classes.json", "known_images.csv"])
def test_a_ledger_is_no_source(project: Paths, name: str) -> None:
    assert f"is data/{name}" in refused(project.root / "data" / name, project)


def test_an_archive_or_table_in_such_a_place_is_refused(project: Paths) -> None:
    for name in ("photos.zip", "labels.csv"):
        (project.stage("train") / name).touch()
        assert "lies in data/train" in refused(project.stage("train") / name, project)


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


def test_a_link_that_lies_in_such_a_place_is_refused_though_its_images_lie_elsewhere(project: Paths, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (project.stage("ingest") / "link").symlink_to(tmp_path / "outside")

    assert "lies in data/ingest" in refused(project.stage("ingest") / "link", project)


def test_the_target_of_a_written_folder_that_is_a_link_is_refused(project: Paths, tmp_path: Path) -> None:
    (tmp_path / "disk" / "states" / "fits").mkdir(parents=True)
    (project.root / ".checkpoints" / "photos" / "cat").rmdir()
    (project.root / ".checkpoints" / "photos").rmdir()
    (project.root / ".checkpoints").rmdir()
    (project.root / ".checkpoints").symlink_to(tmp_path / "disk" / "states")

    assert "lies in .checkpoints" in refused(tmp_path / "disk" / "states" / "fits", project)
    assert "holds .checkpoints" in refused(tmp_path / "disk", project)


def test_places_are_told_by_their_inode_not_by_their_name(project: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a file system that takes DATA/Ingest for data/ingest."""
    stat = os.stat

    def without_case(path: Path | str, **options: bool) -> os.stat_result:
        return stat(str(path).replace("DATA/Ingest", "data/ingest"), **options)

    monkeypatch.setattr("pipeline.sources.written_places.os.stat", without_case)

    assert "lies in data/ingest" in refused(project.root / "DATA" / "Ingest" / "photos", project)


def test_a_source_anywhere_else_is_fine(project: Paths, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (project.root / "data" / "ingested").mkdir()
    (project.root / "data" / "labels.csv").touch()
    (project.root / "data" / "link").symlink_to("photos")

    for source in ("data/photos", "data/ingest/../photos", "../outside", "data/ingested", "data/labels.csv", "data/link", "data/nothing"):
        refuse_shared_source(project.root / source, project)


def test_an_archive_that_dvc_has_linked_to_its_cache_is_fine(project: Paths) -> None:
    cached = project.root / ".dvc" / "cache" / "files" / "md5" / "0a" / "1b"
    cached.parent.mkdir(parents=True)
    cached.touch()
    (project.root / "data" / "photos.zip").symlink_to(cached)

    refuse_shared_source(project.root / "data" / "photos.zip", project)
    assert "lies in .dvc" in refused(cached, project)


def test_a_loop_of_links_is_nowhere(project: Paths) -> None:
    (project.root / "loop").symlink_to("loop")

    refuse_shared_source(project.root / "loop", project)


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

    with pytest.raises(StorageError, match=f"^{name} is a link to .*/disk, and DVC keeps track .* `rm {name}` removes the link alone"):
        refuse_links(Paths(tmp_path / "project"))


def test_a_file_where_a_stage_needs_a_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "evaluate").touch()

    with pytest.raises(StorageError, match="data/evaluate is a file"):
        refuse_links(Paths(tmp_path))


def test_a_ledger_must_not_be_a_link(project: Paths, tmp_path: Path) -> None:
    project.ledger.rename(tmp_path / "shared.csv")
    project.ledger.symlink_to(tmp_path / "shared.csv")

    with pytest.raises(StorageError, match=r"data/splits\.csv is a link to .*shared\.csv"):
        refuse_links(project)


def test_links_where_the_project_keeps_caches_are_fine(project: Paths, tmp_path: Path) -> None:
    (project.root / "mlruns" / "disk").symlink_to(tmp_path)
    (project.stage("train") / "model.keras").symlink_to(tmp_path / "cached")  # as DVC links files to its cache where it is told to

    refuse_links(project)


def test_an_out_that_dvc_yaml_has_besides_is_no_strange_file(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text("stages: {ingest: {cmd: x, outs: [data/ingest/more.csv: {cache: false}]}}", encoding="utf-8")
    (tmp_path / "data" / "ingest").mkdir(parents=True)
    (tmp_path / "data" / "ingest" / "more.csv").touch()

    refuse_other_files(Paths(tmp_path))


def test_a_folder_of_pictures_where_dvc_would_remove_a_file_is_named(project: Paths) -> None:
    for stage in ("ingest", "preprocess"):
        (project.stage(stage) / "photos" / "cat").rmdir()
        (project.stage(stage) / "photos").rmdir()
    (project.root / "dvc.yaml").write_text("stages: {train: {cmd: x, outs: [data/train/model.keras]}}", encoding="utf-8")
    (project.stage("train") / "model.keras" / "cat").mkdir(parents=True)

    with pytest.raises(StorageError, match=r"data/train/model\.keras is a folder, where stage train writes a file"):
        refuse_other_files(project)
