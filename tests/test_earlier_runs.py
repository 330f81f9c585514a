"""A data set that has lost classes or all of its images since the last run stops `ingest`, unless params.yaml confirms it; a new one never does."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML

from pipeline.errors import SourceError
from pipeline.paths import Paths
from pipeline.quality.continuity import Changes, refuse_unconfirmed
from pipeline.stages import ingest
from tests.odd_names import ODD_NAMES
from tests.sample_images import draw, write_class_folders
from tests.test_ingest import configure

RECORDS = ("classes.json", "splits.csv", "known_images.csv")
CLASSES = ("circle", "cross", "square")

Change = Callable[[Path], object]


class Project:
    """A project in a folder, and its source: a folder of circles, crosses and squares."""

    def __init__(self, root: Path) -> None:
        self.paths = Paths(root / "project")
        self.source = root / "photos"

    def run(self, **changes: object) -> dict[str, Any]:
        ingest.run(configure(self.source, **changes), self.paths, None)
        report: dict[str, Any] = json.loads((self.paths.stage("ingest") / "report.json").read_text(encoding="utf-8"))
        return report

    def refusal(self, **changes: object) -> str:
        """The error that stops the run; nothing is recorded by it."""
        before = self.records()
        with pytest.raises(SourceError) as caught:
            self.run(**changes)
        assert self.records() == before
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def records(self) -> dict[str, bytes]:
        files = (self.paths.root / "data" / name for name in RECORDS)
        return {file.name: file.read_bytes() for file in files if file.exists()}


@pytest.fixture(scope="module")
def after_a_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("first")
    write_class_folders(root / "photos", per_class=10)
    Project(root).run()
    return root


@pytest.fixture
def project(after_a_run: Path, tmp_path: Path) -> Project:
    return Project(Path(shutil.copytree(after_a_run, tmp_path / "copy")))


def remove(*classes: str) -> Change:
    def change(source: Path) -> None:
        for name in classes:
            shutil.rmtree(source / name)

    return change


def empty(source: Path) -> None:
    remove("square")(source)
    (source / "square").mkdir()


def damage(source: Path) -> None:
    for file in (source / "square").iterdir():
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def rename(new_name: Callable[[str], str], *classes: str) -> Change:
    return lambda source: [(source / name).rename(source / new_name(name)) for name in classes]


def replace(classes: int = 3, without: tuple[str, ...] = ()) -> Change:
    """Other images in the same place, of other classes."""

    def change(source: Path) -> None:
        shutil.rmtree(source)
        write_class_folders(source, classes=classes, per_class=10, seed=5)
        remove(*without)(source)

    return change


SPELLINGS = {"Square": "Square", "SQUARE": "SQUARE", "square ": '"square "'}
CONFIRM = "Put the images back, or confirm the removal in params.yaml: ingest.removed_classes: [square]."
REFUSALS: dict[str, tuple[Change, str]] = {
    "a class without a folder": (remove("square"), f"no image of square any more, but data/classes.json has it … {CONFIRM}"),
    "a class with an empty folder": (empty, f"no image of square any more, but data/classes.json has it … {CONFIRM}"),
    "a class without a usable file": (damage, f"All files of square are left out: see data/ingest/rejected.csv … {CONFIRM}"),
    **{
        f"a class spelled {shown}": (
            rename(lambda _, new=new: new, "square"),  # type: ignore[misc]
            f". {shown} and square differ only in spelling: rename {shown} to square. Put",
        )
        for new, shown in SPELLINGS.items()
    },
    "all classes in another spelling": (rename(str.title, *CLASSES), "rename Circle to circle"),
    "the same images in classes of other names": (
        rename(lambda name: f"kind {name}", *CLASSES),
        "no image of circle, cross, square any more … New classes: kind circle, kind cross, kind square. Put",
    ),
    "another data set": (
        replace(5, without=CLASSES),
        "photos is another data set than the one that earlier runs recorded under this name (data/classes.json): it has stripes, triangle, and … "
        "Give its folder or file another name … register.model_name … ingest.removed_classes: [circle, cross, square].",
    ),
    "another data set that shares a class": (
        replace(4, without=("circle", "cross")),
        "no image of circle, cross any more … New classes: stripes. None of the images of the last run is there either: if this is another data set",
    ),
    "all images are others": (
        replace(),
        "photos has other images than in its last run: none of the 30 images recorded then (data/known_images.csv) is there. If this is another "
        "data set … set ingest.replaced_images: keep in params.yaml.",
    ),
}


@pytest.mark.parametrize(("change", "said"), REFUSALS.values(), ids=REFUSALS)
def test_lost_classes_and_replaced_images_stop_the_run_and_say_how_to_confirm(project: Project, change: Change, said: str) -> None:
    change(project.source)

    message = project.refusal(max_rejected_fraction=0.9)

    assert [words for words in said.split(" … ") if words not in message] == []
    assert ("another data set" in message) == ("another data set" in said)
    assert ("New classes" in message) == ("New classes" in said)


def test_a_confirmed_class_is_let_go_and_told_to_the_stages_that_follow(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    remove("square")(project.source)

    report = project.run(removed_classes=["square"])

    assert report["class_names"] == ["circle", "cross"]
    assert report["removed_classes"] == ["square"]
    assert report["findings"]["removed_class"] == 1
    assert "1 removed class" in capsys.readouterr().err
    assert project.run(removed_classes=["square"])["removed_classes"] == ["square"]


def test_other_classes_can_be_confirmed(project: Project) -> None:
    replace(5, without=CLASSES)(project.source)

    assert project.run(removed_classes=[*CLASSES])["class_names"] == ["stripes", "triangle"]


def test_a_confirmation_counts_for_the_classes_that_it_names_and_no_other(project: Project) -> None:
    write_class_folders(project.source, classes=5, per_class=5, seed=3)  # two are added
    remove("square", "cross")(project.source)

    message = project.refusal(removed_classes=["square"])

    assert "no image of cross any more" in message
    assert message.endswith("ingest.removed_classes: [square, cross].")


def test_a_confirmation_of_a_class_that_has_images_again_has_to_go(project: Project) -> None:
    assert project.refusal(removed_classes=["square"]) == (
        "params.yaml: ingest.removed_classes names square, but photos has images of it. Remove it from the list."
    )


def test_a_confirmation_of_nothing_is_told(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.run(removed_classes=["hexagon"])
    assert "warning: ingest.removed_classes: hexagon is not a recorded class of photos. Remove it from the list." in capsys.readouterr().err

    remove("square")(project.source)
    project.refusal(removed_classes=["squar"])

    assert "squar is not a recorded class of photos. Did you mean square?" in capsys.readouterr().err


def test_replaced_images_can_be_confirmed_and_are_told(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    replace()(project.source)

    assert project.run(replaced_images="keep")["findings"]["replaced_images"] == 1
    assert "1 replaced data set" in capsys.readouterr().err
    assert "replaced_images" not in project.run(replaced_images="fail")["findings"]


def test_one_image_that_stays_is_enough(project: Project) -> None:
    kept = (project.source / "circle" / "circle 004.jpg").read_bytes()
    replace()(project.source)
    (project.source / "circle" / "another name.jpg").write_bytes(kept)

    assert project.run()["images"] == 31


def test_a_source_with_test_images_of_its_own_is_watched_too(tmp_path: Path) -> None:
    project = Project(tmp_path)
    write_class_folders(project.source, per_class=10, split=True)
    project.run()
    shutil.rmtree(project.source)
    write_class_folders(project.source, per_class=10, split=True, seed=7)

    assert "none of the 30 images recorded" in project.refusal()


def test_a_source_that_orders_its_classes_itself_is_watched_too(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.source = tmp_path / "shapes.npz"

    def write(labels: list[int]) -> None:
        images = [np.asarray(draw(CLASSES[label], np.random.default_rng(i)).resize((24, 24))) for i, label in enumerate(labels)]
        np.savez(project.source, images=np.stack(images), labels=np.array(labels), class_names=np.array(CLASSES))

    write([0, 1, 2] * 10)
    project.run()
    write([0, 1] * 15)

    assert "shapes has no image of square any more, but data/known_images.csv has it" in project.refusal()
    assert project.run(removed_classes=["square"])["class_names"] == ["circle", "cross"]
    assert not project.paths.classes.exists()


def test_a_data_set_of_another_name_is_new(project: Project, tmp_path: Path) -> None:
    project.source = write_class_folders(tmp_path / "pets", classes=2, per_class=10, seed=8)

    assert project.run()["images"] == 20


def test_a_clone_with_the_records_of_git_stops_as_the_first_one_does(project: Project) -> None:
    remove("square")(project.source)
    for path in project.paths.root.rglob("*"):
        if path.is_file() and path.name not in RECORDS:
            path.unlink()

    assert "no image of square any more" in project.refusal()


def test_records_of_an_earlier_commit_and_the_images_of_that_time_go_together(project: Project) -> None:
    committed = project.records()
    write_class_folders(project.source, classes=4, per_class=3, seed=2)
    rename(lambda _: "aster", "stripes")(project.source)
    assert project.run()["class_names"] == [*CLASSES, "aster"]  # what is added is welcome, and goes last
    remove("aster")(project.source)
    for name, content in committed.items():
        (project.paths.root / "data" / name).write_bytes(content)

    assert project.run()["class_names"] == [*CLASSES]


def test_records_of_a_version_that_knew_no_images_are_enough_for_the_classes(project: Project) -> None:
    project.paths.known_images.unlink()

    assert project.run()["images"] == 30
    project.paths.known_images.unlink()
    remove("square")(project.source)
    assert "no image of square" in project.refusal()


def test_a_class_that_never_had_a_usable_image_stops_the_first_run(tmp_path: Path) -> None:
    project = Project(tmp_path)
    write_class_folders(project.source, per_class=10)
    damage(project.source)

    assert "photos has 1 lost class, for example square: all its images are left out" in project.refusal(max_rejected_fraction=0.9)
    assert project.records() == {}


def test_a_name_that_yaml_would_read_as_something_else_is_quoted(project: Project) -> None:
    strange = ("7", "no", "a, b", "0x")
    for shade, name in enumerate(strange):
        (project.source / name).mkdir()
        for i in range(6):
            Image.fromarray(np.full((20, 20 + i, 3), 10 * shade, np.uint8)).save(project.source / name / f"{i}.png")
    project.run()
    remove(*strange)(project.source)

    assert project.refusal().endswith('ingest.removed_classes: ["0x", "7", "a, b", "no"].')


def test_the_record_is_small_and_the_same_whenever_nothing_has_changed(project: Project) -> None:
    before = project.records()

    project.run()

    assert project.records() == before
    assert before["known_images.csv"].decode().count("\n") == 31


def test_what_confirms_the_removal_of_classes_of_any_name_is_yaml_that_names_them() -> None:
    changes = Changes("pets", "data/classes.json", ODD_NAMES, ODD_NAMES, [], ["cat"], 0)

    with pytest.raises(SourceError) as caught:
        refuse_unconfirmed(changes, [], [], "fail")

    said = str(caught.value)
    assert YAML(typ="safe").load(said.partition("params.yaml: ingest.")[2].removesuffix(".")) == {"removed_classes": ODD_NAMES}
    assert len(said.splitlines()) == 1
    assert "no image of None, NA, nan, null, True and 23 more any more" in said
