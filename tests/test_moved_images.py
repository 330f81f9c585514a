"""Images that earlier runs had in train and that the source puts into test, or the other way round, stop `ingest` until params.yaml confirms it."""

import csv
import json
import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.dataset.ledger import KNOWN_HEADER
from tests.sample_images import write_class_folders
from tests.test_earlier_runs import CLASSES, Project

MOVES = re.compile(
    r"ingest\.source: (\d+) of 30 images of photos that earlier runs recorded change sides: (\d+) from train to test, (\d+) from test to train, "
    r"for example \S+ \S+\. (.*)A champion from earlier runs would be tested on images that it was trained on\. .* ingest\.moved_images: keep .*"
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project after a run on class folders of 30 images, whose splits the pipeline decided."""
    project = Project(tmp_path)
    write_class_folders(project.source, per_class=10)
    project.run()
    return project


def images_in(project: Project) -> dict[str, str]:
    """The split of each image by its name, in the last run."""
    table = pq.read_table(project.paths.stage("ingest") / "index.parquet", columns=["path", "split"]).to_pylist()
    return {row["path"].rpartition("/")[2]: row["split"] for row in table}


def sort_into_splits(project: Project) -> None:
    """The same images, sorted into train/ and test/ by hand."""
    shutil.rmtree(project.source)
    write_class_folders(project.source, per_class=10, split=True)


def put_together(project: Project) -> None:
    """The same images, in class folders again."""
    shutil.rmtree(project.source)
    write_class_folders(project.source, per_class=10)


def findings(project: Project) -> dict[str, str]:
    """The findings about moved images: what was done, by name of the file."""
    with (project.paths.stage("ingest") / "findings.csv").open(encoding="utf-8", newline="") as lines:
        return {row["path"].rpartition("/")[2]: row["action"] for row in csv.DictReader(lines) if row["finding"] == "moved_images"}


def test_images_sorted_into_split_folders_stop_the_run_and_are_counted(project: Project) -> None:
    before = images_in(project)
    sort_into_splits(project)
    to_test = {name for name, split in before.items() if split == "train" and int(name[-7:-4]) % 5 == 0}
    to_train = {name for name, split in before.items() if split == "test" and int(name[-7:-4]) % 5}

    said = MOVES.fullmatch(project.refusal())

    assert to_test
    assert to_train
    assert said
    assert said.groups() == (
        str(len(to_test | to_train)),
        str(len(to_test)),
        str(len(to_train)),
        "The source now says the split itself. ",
    )
    assert findings(project) == dict.fromkeys(to_test | to_train, "failed")


def test_a_split_column_in_a_table_stops_the_run(project: Project) -> None:
    rows = [f"{kind}/{kind} {i:03d}.jpg,{kind},{'test' if i % 5 == 0 else 'train'}" for kind in CLASSES for i in range(10)]
    (project.source / "labels.csv").write_text("\n".join(["file,label,split", *rows]), encoding="utf-8")

    assert MOVES.fullmatch(project.refusal())


def test_groups_that_now_decide_the_split_stop_the_run(project: Project) -> None:
    rows = [f"{kind}/{kind} {i:03d}.jpg,{kind},patient {i}" for kind in CLASSES for i in range(10)]
    (project.source / "labels.csv").write_text("\n".join(["file,label,patient", *rows]), encoding="utf-8")

    said = MOVES.fullmatch(project.refusal(columns={"group": "patient"}))

    assert said
    assert said[4] == "Groups now decide the split. "


def test_columns_that_now_decide_the_split_can_be_left_out(project: Project) -> None:
    rows = [f"{kind}/{kind} {i:03d}.jpg,{kind},patient {i},{'test' if i % 5 == 0 else 'train'}" for kind in CLASSES for i in range(10)]
    for column, role in ((2, "group"), (3, "split")):
        lines = [",".join((*row.split(",")[:2], row.split(",")[column])) for row in ["file,label,patient,split", *rows]]
        (project.source / "labels.csv").write_text("\n".join(lines), encoding="utf-8")

        said = project.refusal()

        assert (
            f"as before, for which ingest.columns: {{{role}: none}} leaves column {['patient', 'split'][role == 'split']} out, or, if"
            in said
        )
        assert "moved_images" not in project.run(columns={role: "none"})


def test_confirmed_moves_are_findings_and_the_same_in_each_run(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    sort_into_splits(project)

    first = project.run(moved_images="keep")

    moved = first["moved_images"]
    assert first["findings"]["moved_images"] == moved["to_test"] + moved["to_train"] == len(findings(project))
    assert set(findings(project).values()) == {"kept"}
    assert "images that changed sides" in capsys.readouterr().err
    records = project.records()
    assert project.run(moved_images="keep") == first
    assert project.records() == records


def test_a_split_of_the_source_that_is_gone_stops_the_run_as_far_as_the_sample_shows(tmp_path: Path) -> None:
    project = Project(tmp_path)
    write_class_folders(project.source, per_class=10, split=True)
    project.run()
    put_together(project)

    said = MOVES.fullmatch(project.refusal())
    first = project.run(moved_images="keep")
    after = images_in(project)

    to_test = {name for name, split in after.items() if split == "test" and int(name[-7:-4]) % 5}
    assert said
    assert said[2] == str(len(to_test))
    assert first["moved_images"]["to_test"] == len(to_test)
    assert project.run(moved_images="keep") == first


def test_splits_that_the_source_changes_stop_the_run(tmp_path: Path) -> None:
    project = Project(tmp_path)
    write_class_folders(project.source, per_class=10, split=True)
    project.run()
    (project.source / "test" / "circle" / "circle 000.jpg").rename(project.source / "train" / "circle" / "circle 000.jpg")

    assert (
        "1 of 30 images of photos that earlier runs recorded change sides: 1 from test to train, for example train/circle/"
        in project.refusal()
    )


def test_records_of_a_version_that_knew_no_sides_are_filled_in(tmp_path: Path) -> None:
    project = Project(tmp_path)
    write_class_folders(project.source, per_class=10, split=True)
    project.run()
    with project.paths.known_images.open(encoding="utf-8", newline="") as lines:
        rows = [row[:3] for row in csv.reader(lines)]
    project.paths.known_images.write_text("".join(f"{','.join(row)}\n" for row in rows), encoding="utf-8")

    project.run()

    first, *others = project.paths.known_images.read_text(encoding="utf-8").splitlines()
    assert first.split(",") == KNOWN_HEADER
    assert {line.rpartition(",")[2] for line in others} == {"0" * 16, "f" * 16}


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_another_fraction_for_the_test_moves_images_on_purpose(project: Project, fraction: float) -> None:
    before = images_in(project)

    report = project.run(test_fraction=fraction)

    assert images_in(project) != before
    assert "moved_images" not in report
    assert "moved_images" not in report["findings"]


def test_images_that_are_added_removed_and_repeated_move_none(project: Project) -> None:
    (project.source / "circle" / "circle 001.jpg").unlink()
    shutil.copy(project.source / "cross" / "cross 002.jpg", project.source / "cross" / "again.jpg")
    write_class_folders(project.source, classes=1, per_class=14, seed=3)

    assert "moved_images" not in project.run()


def test_copies_in_both_splits_of_a_source_are_no_moves_when_it_is_read_again(tmp_path: Path) -> None:
    project = Project(tmp_path)
    write_class_folders(project.source, per_class=10, split=True)
    shutil.copy(project.source / "test" / "circle" / "circle 000.jpg", project.source / "train" / "circle" / "copy.jpg")

    first = project.run(leak="keep")

    assert first["findings"]["leak"] == 1
    assert project.run(leak="keep") == first
    assert '"moved_images"' not in json.dumps(first)
