"""A data set that has lost classes or all of its images since the last run stops `ingest`, unless params.yaml confirms it; a new one never does."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import SourceError
from pipeline.paths import Paths
from pipeline.stages import ingest
from tests.sample_images import draw, write_class_folders
from tests.test_ingest import configure

RECORDS = ("classes.json", "splits.csv", "known_images.csv")


class Project:
    """A project whose source is a folder of circles, crosses and squares."""

    def __init__(self, root: Path) -> None:
        self.paths = Paths(root / "project")
        self.source = write_class_folders(root / "photos", per_class=10)

    def run(self, source: Path | None = None, **changes: object) -> dict[str, Any]:
        ingest.run(configure(source or self.source, **changes), self.paths, None)
        report: dict[str, Any] = json.loads((self.paths.stage("ingest") / "report.json").read_text(encoding="utf-8"))
        return report

    def refusal(self, source: Path | None = None, **changes: object) -> str:
        """What the run is refused with; nothing is recorded by it."""
        before = self.records()
        with pytest.raises(SourceError) as caught:
            self.run(source, **changes)
        assert self.records() == before
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def records(self) -> dict[str, bytes]:
        files = (self.paths.root / "data" / name for name in RECORDS)
        return {file.name: file.read_bytes() for file in files if file.exists()}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.run()
    return project


def remove(folder: Path) -> None:
    shutil.rmtree(folder)


def empty(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


def damage(folder: Path) -> None:
    for file in folder.iterdir():
        file.write_bytes(b"no image")


@pytest.mark.parametrize("lose", [remove, empty])
def test_a_class_without_an_image_stops_the_run_and_says_how_to_confirm_it(project: Project, lose: Callable[[Path], None]) -> None:
    lose(project.source / "square")

    message = project.refusal()

    assert "photos has no image of square any more, which data/classes.json has from earlier runs" in message
    assert message.endswith("Put the images back, or, if this is meant, confirm it in params.yaml: ingest.removed_classes: [square].")


def test_a_class_of_which_no_file_can_be_used_is_said_to_be_left_out(project: Project) -> None:
    damage(project.source / "square")

    assert "All files of square are left out: see data/ingest/rejected.csv" in project.refusal(max_rejected_fraction=0.9)


def test_a_confirmed_class_is_let_go_and_told_to_the_stages_that_follow(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    remove(project.source / "square")

    report = project.run(removed_classes=["square"])

    assert report["class_names"] == ["circle", "cross"]
    assert report["removed_classes"] == ["square"]
    assert report["findings"]["removed_class"] == 1
    assert "1 removed class" in capsys.readouterr().err
    assert project.run(removed_classes=["square"])["removed_classes"] == ["square"]


def test_a_confirmation_counts_for_the_classes_that_it_names_and_no_other(project: Project) -> None:
    for name in ("square", "cross"):
        remove(project.source / name)
    write_class_folders(project.source, classes=5, per_class=5, seed=3)
    for name in ("square", "cross"):
        remove(project.source / name)

    message = project.refusal(removed_classes=["square"])

    assert "no image of cross any more" in message
    assert message.endswith("ingest.removed_classes: [square, cross].")


def test_a_confirmation_of_a_class_that_has_images_again_has_to_go(project: Project) -> None:
    assert project.refusal(removed_classes=["square"]) == (
        "params.yaml: ingest.removed_classes names square, but photos has images of it. Take it out of the list."
    )


def test_a_confirmation_of_nothing_is_told(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.run(removed_classes=["hexagon"])
    assert "warning: ingest.removed_classes: hexagon is no recorded class of photos. It can be taken out" in capsys.readouterr().err

    remove(project.source / "square")
    project.refusal(removed_classes=["squar"])

    assert "squar is no recorded class of photos. Did you mean square?" in capsys.readouterr().err


@pytest.mark.parametrize(("spelling", "shown"), [("Square", "Square"), ("SQUARE", "SQUARE"), ("square ", '"square "')])
def test_a_class_that_comes_back_under_another_spelling_stops_the_run(project: Project, spelling: str, shown: str) -> None:
    (project.source / "square").rename(project.source / spelling)

    assert f". {shown} differs from square in spelling alone: rename {shown} to square. " in project.refusal()


def test_all_classes_in_another_spelling_are_no_other_data_set(project: Project) -> None:
    for name in ("circle", "cross", "square"):
        (project.source / name).rename(project.source / name.title())

    message = project.refusal()

    assert "rename Circle to circle" in message
    assert "another data set" not in message


def test_other_classes_under_the_same_name_are_another_data_set(project: Project, tmp_path: Path) -> None:
    other = write_class_folders(tmp_path / "elsewhere" / "photos", classes=5, per_class=8, seed=5)
    for name in ("circle", "cross", "square"):
        remove(other / name)

    message = project.refusal(other)

    assert "photos is another data set than earlier runs recorded under this name (data/classes.json): it has stripes, triangle" in message
    assert "Give its folder or file another name" in message
    assert "register.model_name" in message
    report = project.run(other, removed_classes=["circle", "cross", "square"])
    assert report["class_names"] == ["stripes", "triangle"]


def test_another_data_set_that_shares_a_class_is_said_to_have_other_images(project: Project, tmp_path: Path) -> None:
    other = write_class_folders(tmp_path / "elsewhere" / "photos", classes=4, per_class=8, seed=5)
    for name in ("circle", "cross"):
        remove(other / name)

    message = project.refusal(other)

    assert "no image of circle, cross any more" in message
    assert "New: stripes. None of the images of the last run is left either: if it is another data set, give its folder" in message


def test_the_same_images_in_classes_of_other_names_are_named(project: Project) -> None:
    for number, name in enumerate(("circle", "cross", "square")):
        (project.source / name).rename(project.source / f"kind {number}")

    message = project.refusal()

    assert "no image of circle, cross, square any more" in message
    assert "New: kind 0, kind 1, kind 2" in message


def test_a_source_all_of_whose_images_are_others_stops_the_run(project: Project, tmp_path: Path) -> None:
    other = write_class_folders(tmp_path / "elsewhere" / "photos", per_class=10, seed=5)

    message = project.refusal(other)

    assert "photos has other images than at its last run: none of the 30 that were noted then (data/known_images.csv) is there" in message
    assert message.endswith("set ingest.replaced_images: keep in params.yaml.")


def test_replaced_images_can_be_confirmed_and_are_told(project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = write_class_folders(tmp_path / "elsewhere" / "photos", per_class=10, seed=5)

    assert project.run(other, replaced_images="keep")["findings"]["replaced_images"] == 1
    assert "1 replaced data set" in capsys.readouterr().err
    assert "replaced_images" not in project.run(other)["findings"]


def test_one_image_that_stays_is_enough(project: Project) -> None:
    kept = project.source / "circle" / "circle 004.jpg"
    kept.rename(project.source.parent / "kept.jpg")
    shutil.rmtree(project.source)
    write_class_folders(project.source, per_class=10, seed=5)
    (project.source.parent / "kept.jpg").rename(project.source / "circle" / "another name.jpg")

    assert project.run()["images"] == 31


def test_a_source_with_test_images_of_its_own_is_watched_too(tmp_path: Path) -> None:
    project = Project(tmp_path)
    source = write_class_folders(tmp_path / "split", per_class=10, split=True)
    project.run(source)
    shutil.rmtree(source)
    write_class_folders(source, per_class=10, split=True, seed=7)

    assert "none of the 30 that were noted" in project.refusal(source)


def arrays(path: Path, names: list[str], labels: list[int]) -> Path:
    kinds = [("circle", "cross", "square")[label] for label in labels]
    images = np.stack([np.asarray(draw(kind, np.random.default_rng(i)).resize((24, 24))) for i, kind in enumerate(kinds)])
    np.savez(path, images=images, labels=np.array(labels), class_names=np.array(names))
    return path


def test_a_source_that_orders_its_classes_itself_is_watched_too(tmp_path: Path) -> None:
    project = Project(tmp_path)
    file = arrays(tmp_path / "shapes.npz", ["circle", "cross", "square"], [0, 1, 2] * 10)
    project.run(file)
    arrays(file, ["circle", "cross", "square"], [0, 1] * 15)

    message = project.refusal(file)

    assert "shapes has no image of square any more, which data/known_images.csv has" in message
    assert project.run(file, removed_classes=["square"])["class_names"] == ["circle", "cross"]
    assert not project.paths.classes.exists()


def test_a_data_set_of_another_name_is_new(project: Project, tmp_path: Path) -> None:
    other = write_class_folders(tmp_path / "pets", classes=2, per_class=10, seed=8)

    assert project.run(other)["images"] == 20


def test_classes_and_images_that_are_added_are_welcome(project: Project) -> None:
    write_class_folders(project.source, classes=4, per_class=3, seed=2)

    assert project.run()["class_names"] == ["circle", "cross", "square", "stripes"]


def test_a_clone_with_the_records_of_git_stops_as_the_first_one_does(project: Project, tmp_path: Path) -> None:
    clone = Project(tmp_path / "clone")
    clone.paths.ledger.parent.mkdir(parents=True)
    for name in RECORDS:
        shutil.copy(project.paths.root / "data" / name, clone.paths.root / "data" / name)
    remove(clone.source / "square")

    assert "no image of square any more" in clone.refusal()


def test_records_of_an_earlier_commit_and_the_images_of_that_time_go_together(project: Project) -> None:
    committed = project.records()
    write_class_folders(project.source, classes=4, per_class=3, seed=2)
    project.run()
    remove(project.source / "stripes")
    for name, content in committed.items():
        (project.paths.root / "data" / name).write_bytes(content)

    assert project.run()["class_names"] == ["circle", "cross", "square"]


def test_records_of_a_version_that_knew_no_images_are_enough_for_the_classes(project: Project) -> None:
    project.paths.known_images.unlink()

    assert project.run()["images"] == 30
    project.paths.known_images.unlink()
    remove(project.source / "square")
    assert "no image of square" in project.refusal()


def test_a_class_that_never_had_a_usable_image_is_not_missed(tmp_path: Path) -> None:
    project = Project(tmp_path)
    damage(project.source / "square")

    for _ in range(2):
        assert project.run(max_rejected_fraction=0.9)["class_names"] == ["circle", "cross"]
    assert json.loads(project.paths.classes.read_text(encoding="utf-8")) == {"photos": ["circle", "cross"]}


def test_a_name_that_yaml_would_read_as_something_else_is_quoted(tmp_path: Path) -> None:
    project = Project(tmp_path)
    for shade, name in enumerate(("7", "no", "a, b", "0x")):
        (project.source / name).mkdir()
        for i in range(6):
            Image.fromarray(np.full((20, 20 + i, 3), 10 * shade, np.uint8)).save(project.source / name / f"{i}.png")
    project.run()
    for name in ("7", "no", "a, b", "0x"):
        remove(project.source / name)

    assert project.refusal().endswith('ingest.removed_classes: ["0x", "7", "a, b", "no"].')


def test_the_record_is_small_and_the_same_whenever_nothing_has_changed(project: Project) -> None:
    before = project.records()

    project.run()

    assert project.records() == before
    assert before["known_images.csv"].decode().count("\n") == 31
