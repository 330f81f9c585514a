"""What changed since the champion: images, labels, the yardstick, parameters, code and answers; and the page says all of it, once."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.changes.answers import per_class
from pipeline.changes.data import ClassChange, compare_images, compare_yardstick
from pipeline.changes.image_list import Placed
from pipeline.changes.settings import compare_code, compare_params
from pipeline.errors import TrackingError
from pipeline.evaluation.paired import tango_interval
from pipeline.params.reader import load_config
from pipeline.paths import Paths
from pipeline.stages import register
from tests.fakes import FakeTracker
from tests.finished_stages import LABELS, answer, write_finished_stages

CONFIG = load_config(Path(__file__).parent.parent / "params.yaml")


def placed(**images: str) -> dict[str, Placed]:
    """By name of an image, `label/split`."""
    return {name: Placed(*text.split("/")) for name, text in images.items()}


def test_images_are_added_removed_relabelled_and_moved_by_content() -> None:
    before = placed(a="cat/train", b="cat/test", c="dog/train", d="dog/train")
    now = placed(a="cat/train", b="dog/test", c="dog/test", e="cat/validation")

    found = compare_images(before, now)

    assert (found.before, found.now, found.added, found.removed, found.relabelled, found.moved) == (4, 4, ["e"], ["d"], ["b"], 1)
    assert found.classes == [ClassChange("cat", 2, 2, 1, 0, 0, 1), ClassChange("dog", 2, 2, 0, 1, 1, 0)]


def test_the_change_of_the_yardstick_stands_apart_from_the_change_of_the_model() -> None:
    """Image 2 was called cat and is called dog now; image 4 was not a test image then."""
    before = placed(i1="cat/test", i2="cat/test", i3="dog/test", i4="dog/train")
    labels = np.array(["cat", "dog", "dog", "dog"], dtype=object)
    champion = np.array(["cat", "cat", "cat", "cat"], dtype=object)
    challenger = np.array(["cat", "dog", "dog", "dog"], dtype=object)

    found = compare_yardstick(before, ["i1", "i2", "i3", "i4"], labels, champion, challenger)

    assert (found.images, found.corrected) == (3, 1)
    assert (found.champion_before, found.champion_now) == (2, 1)
    assert (found.challenger_before, found.challenger_now) == (2, 3)


def test_parameters_differ_by_value_and_what_was_chosen_or_counted_is_none() -> None:
    before = {"train.epochs": "5", "seed": "1", "data_images": "70", "chosen.epochs": "5"}
    now = {"train.epochs": "7", "seed": "1", "data_images": "80", "chosen.epochs": "7", "evaluate.max_error": "0.05"}

    assert compare_params(before, now) == [("evaluate.max_error", "not there", "0.05"), ("train.epochs", "5", "7")]


def test_the_commits_between_are_listed_newest_first(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        return subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    commits = []
    for subject in ("one", "two <b>", "three"):
        (tmp_path / "file").write_text(subject, encoding="utf-8")
        git("add", "-A")
        git("commit", "-q", "-m", subject)
        commits.append(git("rev-parse", "HEAD"))
    before, now = (
        {"mlflow.source.git.commit": commit, "git_dirty": dirty} for commit, dirty in ((commits[0], "true"), (commits[2], "false"))
    )

    found = compare_code(before, now, tmp_path)

    assert (found.dirty_before, found.dirty_now) == (True, False)
    assert found.commits == [(commits[2][:10], "three"), (commits[1][:10], "two <b>")]
    assert compare_code({"mlflow.source.git.commit": "0" * 40}, now, tmp_path).commits is None
    assert compare_code({}, now, tmp_path).before == ""


def test_the_class_with_the_largest_loss_comes_first_with_a_paired_interval() -> None:
    labels = np.array(["a"] * 10 + ["b"] * 10, dtype=object)
    champion = labels.copy()
    champion[0] = "b"
    challenger = labels.copy()
    challenger[10:14] = "a"

    worst, best = per_class(labels, champion, challenger, np.arange(20))

    assert (worst.name, worst.champion, worst.challenger, worst.difference) == ("b", 1.0, 0.6, -0.4)
    assert (worst.low, worst.high) == pytest.approx(tuple(map(float, tango_interval(0, 4, 10))))
    assert best.name == "a"
    assert best.difference == pytest.approx(0.1)


class Project:
    """A project whose stages before `register` have finished."""

    def __init__(self, root: Path) -> None:
        self.paths, self.tracker = Paths(root), FakeTracker()
        self.tracker.answers = {"1": answer, "2": answer}

    def register(self, hits: int, model: str, labels: list[str] = LABELS) -> tuple[str, dict[str, object]]:
        """The page and the numbers, after a model that gets so many of each ten images right."""
        write_finished_stages(self.paths.root, hits, model, times=10)
        self.relabel(labels * 10)
        report = register.run(CONFIG, self.paths, self.tracker)
        assert report["changes"] == "data/register/changes.html"
        folder = self.paths.stage("register")
        return (folder / "changes.html").read_text(encoding="utf-8"), json.loads((folder / "changes.json").read_bytes())

    def relabel(self, labels: list[str]) -> None:
        for stage, name, values in (("evaluate", "predictions", labels), ("ingest", "index", ["a", *labels])):
            file = self.paths.stage(stage) / f"{name}.parquet"
            table = pq.read_table(file)
            pq.write_table(table.set_column(table.column_names.index("label"), "label", pa.array(values)), file)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.delenv("DVC_EXP_NAME", raising=False)
    return Project(tmp_path)


def test_the_first_model_has_nothing_to_be_compared_with(project: Project) -> None:
    page, numbers = project.register(9, "old")

    assert "There is no other champion to compare with" in page
    assert numbers["champion"] is None
    assert project.tracker.runs[0].files.keys() >= {"register/changes.html", "register/changes.json", "register/images.parquet"}


def test_the_page_begins_with_the_sentence_of_the_gate_and_the_same_run_again_gives_the_same_bytes(project: Project) -> None:
    project.register(8, "old")
    first = project.register(9, "new")

    again = project.register(9, "new")
    for run in project.tracker.runs:
        run.files.pop("register/changes.json", None)
    anew = project.register(9, "new")

    assert again == first
    assert anew == first
    page, numbers = first
    sentence = str(numbers["sentence"])
    assert sentence.startswith("v2 vs champion v1: +10.00 pt")
    assert page.index("<h1>v2 vs champion v1") < page.index("<section>")
    assert "The same 100 images with the same labels" in page
    assert numbers["flips"] == {"right to wrong": 0, "wrong to right": 10, "wrong to other wrong": 0}
    assert "Too few images to say: 0 are new." in page


def test_corrected_test_labels_are_told_apart_and_shown(project: Project) -> None:
    project.register(10, "old")
    project.tracker.predictors["1"] = lambda images: [LABELS[(int(image) - 1) % 10] for image in images]

    page, numbers = project.register(10, "new", labels=["b", *LABELS[1:]])

    assert numbers["yardstick"] == {
        "images": 100,
        "corrected": 10,
        "champion_before": 100,
        "champion_now": 90,
        "challenger_before": 100,
        "challenger_now": 90,
    }
    assert "10 of the 100 test images that both have got another label since" in page
    assert numbers["counts"] == {"added": 0, "removed": 0, "relabelled": 10}


def test_what_an_older_version_did_not_record_is_said(project: Project) -> None:
    project.register(8, "old")
    del project.tracker.runs[0].files["register/images.parquet"]

    page, numbers = project.register(9, "new")

    assert "Not recorded: the champion was registered before the list of its images was kept." in page
    assert numbers["images"] is None


def test_a_server_that_fails_is_no_list_that_was_not_recorded(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.register(8, "old")

    def fail(*_: object) -> None:
        raise TrackingError("503")

    monkeypatch.setattr(project.tracker, "fetch_file", fail)
    with pytest.raises(TrackingError, match="503"):
        project.register(9, "new")
