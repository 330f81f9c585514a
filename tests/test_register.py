"""A model becomes champion only through the gate, once, and never from within an experiment; what is written is what is true now."""

import contextlib
import io
import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.certainty.calibrated_run import CALIBRATION_TAG
from pipeline.errors import TrackingError
from pipeline.evaluation.paired import tango_interval
from pipeline.judging.sentences import interval
from pipeline.params.reader import Config, load_config
from pipeline.paths import Paths
from pipeline.registry.history import read_history
from pipeline.registry.moves import move
from pipeline.stages import register
from pipeline.tracking.run_log import ModelVersion, Registered
from tests.fakes import FakeTracker
from tests.finished_stages import answer, write_finished_stages

CONFIG = load_config(Path(__file__).parent.parent / "params.yaml")
TIMES, IMAGES = 100, 1000


def gate(**changes: object) -> Config:
    return CONFIG.model_copy(update={"register_": CONFIG.register_.model_copy(update=changes)})


STRICT, ONLY_BETTER = gate(min_accuracy=0.95), gate(promote_when="better")


class Workspace:
    """A project with a registry, of which all models can serve."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tracker = FakeTracker()
        self.tracker.answers = {str(number): answer for number in range(1, 9)}

    @property
    def champion(self) -> str | None:
        found = self.tracker.champions.get("flowers")
        return found.version if found else None

    @property
    def decision(self) -> bytes:
        return (self.root / "data" / "register" / "decision.json").read_bytes()


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.delenv("DVC_EXP_NAME", raising=False)
    return Workspace(tmp_path)


Step = Callable[[Workspace], tuple[str, str, str]]
NOTHING = ("", "", "")


def model(
    hits: int,
    name: str,
    test_images: str = "i",
    classes: tuple[str, ...] = ("a", "b"),
    removed: tuple[str, ...] = (),
    config: Config = CONFIG,
) -> Step:
    """Run the stage on a model that gets `hits` of each ten test images right: (version, promoted, because) of its report."""

    def step(workspace: Workspace) -> tuple[str, str, str]:
        paths = write_finished_stages(workspace.root, hits, name, test_images, classes, TIMES)
        spec = paths.stage("preprocess") / "spec.json"
        spec.write_text(json.dumps({**json.loads(spec.read_text(encoding="utf-8")), "removed_classes": removed}), encoding="utf-8")
        report = register.run(config, paths, workspace.tracker)
        assert report["model"] == "flowers"
        return str(report["version"]), str(report["promoted"]), str(report["because"])

    return step


def calibrated(calibration: str, config: Config = CONFIG) -> Step:
    """Run the stage on the model NEW with another calibration."""

    def step(workspace: Workspace) -> tuple[str, str, str]:
        paths = write_finished_stages(workspace.root, 9, "new", times=TIMES, calibration=json.dumps({"note": calibration}))
        report = register.run(config, paths, workspace.tracker)
        return str(report["version"]), str(report["promoted"]), str(report["because"])

    return step


def set_alias(version: int) -> Step:
    def step(workspace: Workspace) -> tuple[str, str, str]:
        workspace.tracker.champions["flowers"] = workspace.tracker.versions[version - 1]
        return NOTHING

    return step


def remove_alias(workspace: Workspace) -> tuple[str, str, str]:
    workspace.tracker.champions.clear()
    return NOTHING


def kill_before_the_alias_moves(workspace: Workspace) -> tuple[str, str, str]:
    """Leave the registry as a stage does that was killed after it registered the model."""
    workspace.tracker.model_tags.clear()
    return remove_alias(workspace)


def predicts(version: int, labels: str) -> Step:
    """Let a registered version have its files: it gives these labels to each ten test images."""

    def step(workspace: Workspace) -> tuple[str, str, str]:
        workspace.tracker.predictors[str(version)] = lambda images: [labels[(int(image) - 1) % 10] for image in images]
        return NOTHING

    return step


def decided_by_an_older_project(workspace: Workspace) -> tuple[str, str, str]:
    old = {"promoted": True, "reason": "accuracy 0.9000", "champion": None, "experiment": False, "accuracy": 0.9, "test_sha256": "t"}
    workspace.tracker.tag_version(workspace.tracker.versions[0], {"decision": json.dumps(old)})
    return NOTHING


def against(accuracy: str, gained: int, lost: int, verdict: str) -> str:
    """The reason of a comparison. gained, lost: of each ten test images."""
    gained, lost = IMAGES // 10 * gained, IMAGES // 10 * lost
    low, high = tango_interval(gained, lost, IMAGES)
    return f"accuracy {accuracy}, {interval((gained - lost) / IMAGES, float(low), float(high))} against the champion on the same 1,000 images: {verdict}"


FIRST = "accuracy 0.9000; there was no champion before"
REMOVED = "; but a person has removed the alias champion, and it stays removed"
SET_ELSEWHERE = "; but a person has set the alias champion on another version, where it stays"
SET_HERE = "a person has set the alias on this version; decision of the gate: "
WORSE = against("0.8000", 0, 1, "worse (margin 1.0 pt)") + "; worse by more than register.max_class_drop 0.05 at b (0.8000 to 0.6000)"
SAME = "not worse (margin 0.38 pt)"  # z^2 / (1000 + z^2) = 0.0038
STAYS = "The champion stays: `pipeline promote 2 --reason …` promotes it all the same"
WAITS = (
    "accuracy 0.9000; it passes, but a person has removed the alias champion, or the version that had it. "
    "`pipeline promote 2 --reason …` sets it again"
)
NO_FOX = (
    "accuracy 1.0000, but the champion knows fox, which this model does not. If the removal is intended, confirm it in ingest.removed_classes "
    "or run `pipeline promote 2 --reason …`; if this is another data set, set another register.model_name"
)
GUESSES = "accuracy 0.4000; it is already the champion, though no better than always predicting the most common class, a (0.5000)"
RECALIBRATED = "it is the network of version 1, the champion, with another calibration"
OLD, NEW, FOX = model(8, "old"), model(9, "new"), model(8, "old", classes=("a", "b", "fox"))


@pytest.mark.parametrize(
    ("steps", "version", "promoted", "because", "champion"),
    [
        pytest.param([NEW], "1", "true", FIRST, "1", id="the first model becomes champion"),
        pytest.param([NEW, OLD], "2", "false", WORSE, "1", id="a worse model is registered but not promoted"),
        pytest.param(
            [NEW, model(9, "equal")],
            *("2", "true", against("0.9000", 0, 0, SAME), "2"),
            id="a model that is not worse replaces the champion",
        ),
        pytest.param(
            [NEW, model(9, "equal", config=ONLY_BETTER)],
            *("2", "false", against("0.9000", 0, 0, SAME) + f", but register.promote_when is better. {STAYS}", "1"),
            id="unless it has to be better",
        ),
        pytest.param([OLD, NEW], "2", "true", against("0.9000", 1, 0, "better"), "2", id="a better model replaces the champion"),
        pytest.param([OLD, NEW, OLD], "1", "false", WORSE, "2", id="an older model that comes back is compared"),
        pytest.param([NEW, kill_before_the_alias_moves, NEW], "1", "true", FIRST, "1", id="a promotion killed half way is finished"),
        pytest.param(
            [OLD, kill_before_the_alias_moves, NEW, OLD],
            *("1", "false", WORSE, "2"),
            id="a promotion that never happened is decided anew",
        ),
        pytest.param([NEW, remove_alias, NEW], "1", "false", FIRST + REMOVED, None, id="an alias that was removed stays removed"),
        pytest.param([OLD, remove_alias, NEW], "2", "false", WAITS, None, id="a new model does not bring back an alias that was removed"),
        pytest.param(
            [OLD, remove_alias, NEW, set_alias(1), NEW],
            *("2", "true", against("0.9000", 1, 0, "better"), "2"),
            id="once the alias is set again the gate decides",
        ),
        pytest.param(
            [OLD, remove_alias, NEW, set_alias(2), NEW],
            *("2", "true", SET_HERE + "accuracy 0.9000; it is already the champion", "2"),
            id="a model that waited and is made champion by hand is decided anew",
        ),
        pytest.param(
            [NEW, OLD, set_alias(2), OLD],
            *("2", "true", SET_HERE + WORSE, "2"),
            id="an alias set by hand is reported as such",
        ),
        pytest.param(
            [OLD, NEW, set_alias(1), NEW],
            *("2", "false", against("0.9000", 1, 0, "better") + SET_ELSEWHERE, "1"),
            id="a rollback by hand stays",
        ),
        pytest.param(
            [OLD, NEW, set_alias(1), predicts(1, "a" * 10), model(9, "new", "j")],
            *("2", "false", against("0.9000", 4, 0, "better") + SET_ELSEWHERE, "1"),
            id="a rollback by hand stays on other test images",
        ),
        pytest.param(
            [NEW, predicts(1, "aaaaabbbaa"), model(9, "other", "j")],
            *("2", "true", against("0.9000", 1, 0, "better"), "2"),
            id="a champion scored on other images is scored again on these",
        ),
        pytest.param(
            [NEW, predicts(1, "a" * 10), model(10, "of swapped labels", "j"), predicts(2, "a" * 10), NEW],
            *("1", "true", against("0.9000", 4, 0, "better"), "1"),
            id="a model that comes back is compared with today's champion on today's images",
        ),
        pytest.param([NEW, model(4, "new", "j")], "1", "true", GUESSES, "1", id="a champion on other test images gets today's numbers"),
        pytest.param([FOX, model(10, "new")], "2", "false", NO_FOX, "1", id="a model without a class of the champion does not replace it"),
        pytest.param(
            [FOX, model(10, "new", removed=("fox",))],
            *("2", "true", against("1.0000", 2, 0, "better") + "; it does not know fox, whose removal is confirmed", "2"),
            id="unless the removal of the class is confirmed",
        ),
        pytest.param(
            [NEW, decided_by_an_older_project, NEW],
            *("1", "true", "accuracy 0.9000; it is already the champion", "1"),
            id="a decision of an older project is made anew",
        ),
        pytest.param([model(9, "new", config=STRICT), NEW], "1", "true", FIRST, "1", id="another gate decides anew"),
    ],
)
def test_the_champion_after(
    workspace: Workspace, steps: Sequence[Step], version: str, promoted: str, because: str, champion: str | None
) -> None:
    *earlier, last = steps
    for step in earlier:
        step(workspace)

    assert last(workspace) == (version, promoted, because)

    assert workspace.champion == champion
    written = json.loads(workspace.decision)
    assert (str(written["promoted"]).lower(), written["reason"]) == (promoted, because)
    digests = {known.version: known.tags["model_sha256"] for known in workspace.tracker.versions}
    assert written["champion"] == ({"model_sha256": digests[champion]} if champion else None)
    decided = workspace.tracker.versions[int(version) - 1]
    assert f"accuracy {float(decided.tags['test_accuracy']):.4f}" in because


def test_what_a_person_has_rolled_back_is_not_promoted_again_by_the_next_run(workspace: Workspace) -> None:
    OLD(workspace)
    NEW(workspace)
    move(workspace.tracker, workspace.tracker.versions[0], "champion", action="rollback", why="bad labels")

    version, promoted, because = NEW(workspace)

    assert (version, promoted, workspace.champion) == ("2", "false", "1")
    assert because == against("0.9000", 1, 0, "better") + SET_ELSEWHERE
    assert model(10, "newer")(workspace)[:2] == ("3", "true")


def test_the_gate_writes_its_reason_into_the_history_and_marks_the_challenger(workspace: Workspace) -> None:
    NEW(workspace)
    OLD(workspace)

    registered = workspace.tracker.registered("flowers")

    assert registered is not None
    lines = [(line.alias, line.action, line.why) for line in read_history(registered.tags).lines]
    assert lines == [(alias, "gate", f"v1: {FIRST} -> promoted") for alias in ("anchor", "champion")]
    assert registered.aliases == {"anchor": "1", "champion": "1", "challenger": "2"}


def test_a_version_has_its_provenance_and_a_description_for_people(workspace: Workspace) -> None:
    NEW(workspace)

    (version,), (run, *_) = workspace.tracker.versions, workspace.tracker.runs
    assert (version.tags["data_digest"], json.loads(version.tags["class_names"])) == ("d1", ["a", "b"])
    text = workspace.tracker.descriptions["1"]
    assert text.startswith(
        "Promoted to champion: accuracy 0.9000; there was no champion before\n\n| test accuracy on 1,000 images | cross-v"
    )
    assert "| **0.9000** [0.5000, 1.0000] | 0.9000 ± 0.0100 |" in text
    assert "flips" not in text
    assert run.page in text
    assert run.description == text
    assert "flowers: a, b" in workspace.tracker.descriptions["flowers"]


def test_registering_the_same_model_again_changes_nothing(workspace: Workspace) -> None:
    NEW(workspace)
    first = workspace.decision

    NEW(workspace)

    assert (len(workspace.tracker.versions), workspace.decision) == (1, first)


def test_an_experiment_registers_a_candidate_and_moves_no_alias(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", "hot-cat")
    assert NEW(workspace) == ("1", "false", f"{FIRST}; it passes, but an experiment does not move the alias")
    assert workspace.champion is None

    monkeypatch.setenv("DVC_EXP_NAME", " ")  # an empty name is no experiment
    assert NEW(workspace) == ("1", "true", FIRST)


def moved(hits: int, name: str, digest: str) -> Step:
    """As `model`, on test images of which earlier runs had two in train."""

    def step(workspace: Workspace) -> tuple[str, str, str]:
        paths = write_finished_stages(workspace.root, hits, name, "j", times=TIMES)
        said = {"moved_images": {"to_test": 2, "to_train": 1, "digest": digest}}
        (paths.stage("ingest") / "report.json").write_text(json.dumps(said), encoding="utf-8")
        report = register.run(CONFIG, paths, workspace.tracker)
        return str(report["version"]), str(report["promoted"]), str(report["because"])

    return step


def test_a_champion_that_may_have_been_trained_on_test_images_is_said_to_be_until_another_one_takes_its_place(workspace: Workspace) -> None:
    NEW(workspace)
    predicts(1, "aaaaabbbaa")(workspace)

    version, promoted, because = moved(9, "after", "d")(workspace)

    warning = "; the champion may have been trained on 2 of the 1,000 test images, which earlier runs had in train, so its accuracy may be too high"
    assert (version, promoted) == ("2", "true")
    assert because == against("0.9000", 1, 0, "better") + warning
    assert "may have been" not in moved(10, "later", "d")(workspace)[2]
    assert warning in moved(10, "moved again", "e")(workspace)[2]


def fail(*_: object) -> Registered | ModelVersion | None:
    raise TrackingError("503")


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("registered", "503"),
        ("find_version", "503"),
        ("", r"champion cannot be scored.*version 1 cannot be loaded.*Restore its files"),
    ],
    ids=["the model cannot be read", "the version cannot be read", "the champion cannot be loaded"],
)
def test_nothing_is_decided_or_registered_if(workspace: Workspace, broken: str, message: str) -> None:
    NEW(workspace)
    if broken:
        setattr(workspace.tracker, broken, fail)

    with pytest.raises(TrackingError, match=message):
        model(10, "better", "j")(workspace)

    assert (len(workspace.tracker.versions), workspace.champion) == (1, "1")


def test_a_network_that_answers_with_other_class_names_is_another_version(workspace: Workspace) -> None:
    """The last class was renamed: the arrays, and so the network, are the same, but the registered model has the old names."""
    typo, dog = model(8, "same", classes=("a", "b", "dgo")), model(8, "same", classes=("a", "b", "dog"), removed=("dgo",))
    assert typo(workspace)[0] == "1"

    assert dog(workspace)[0] == "2"
    assert [json.loads(version.tags["class_names"])[-1] for version in workspace.tracker.versions] == ["dgo", "dog"]
    assert [dog(workspace)[0], typo(workspace)[0], len(workspace.tracker.versions)] == ["2", "1", 2]


def test_a_version_that_an_older_project_registered_without_calibration_gets_one_in_a_new_version(workspace: Workspace) -> None:
    NEW(workspace)
    (version,) = workspace.tracker.versions
    old = replace(version, tags={key: tag for key, tag in version.tags.items() if key not in ("class_names", CALIBRATION_TAG)})
    workspace.tracker.versions = [old]
    workspace.tracker.champions = {"flowers": old}
    workspace.tracker.runs[0].tags.pop(CALIBRATION_TAG)

    assert NEW(workspace) == ("2", "true", "accuracy 0.9000; it is the network of version 1, the champion, with a calibration")

    assert workspace.champion == "2"
    first, second = workspace.tracker.versions
    assert first == old
    assert first.run_id != second.run_id


def test_another_calibration_of_the_champion_takes_its_place_and_leaves_it_as_it_was(workspace: Workspace) -> None:
    """Even where a model has to be better: the labels are the same. The files of the first version stay those of its run."""
    NEW(workspace)
    files = dict(workspace.tracker.runs[0].files)

    assert calibrated("other", ONLY_BETTER)(workspace) == ("2", "true", "accuracy 0.9000; " + RECALIBRATED)

    first, second = workspace.tracker.versions
    assert first.tags[CALIBRATION_TAG] != second.tags[CALIBRATION_TAG]
    assert json.loads(second.tags["decision"])["judged"] == 1
    assert workspace.tracker.runs[0].files == files
    assert [run.files["model/calibration.json"] for run in workspace.tracker.runs if run.parent is None] == [
        files["model/calibration.json"],
        b'{"note": "other"}',
    ]
    assert calibrated("other")(workspace)[0] == "2"
    assert NEW(workspace)[:2] == ("1", "true")  # the parameter is set back
    assert (workspace.champion, len(workspace.tracker.versions)) == ("1", 2)


def test_another_calibration_does_not_bring_back_what_a_person_has_rolled_back(workspace: Workspace) -> None:
    OLD(workspace)
    NEW(workspace)
    move(workspace.tracker, workspace.tracker.versions[0], "champion", action="rollback", why="bad labels")

    version, promoted, because = calibrated("other")(workspace)

    assert (version, promoted, workspace.champion) == ("3", "false", "1")
    assert because == (
        "accuracy 0.9000; it is the network of version 2, from which a person took the alias champion, with another calibration. "
        "`pipeline promote 3 --reason …` promotes it all the same"
    )


def test_an_experiment_with_another_calibration_moves_no_alias(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    NEW(workspace)
    monkeypatch.setenv("DVC_EXP_NAME", "hot-cat")

    said = f"accuracy 0.9000; {RECALIBRATED}; it passes, but an experiment does not move the alias"
    assert calibrated("other")(workspace) == ("2", "false", said)
    assert workspace.champion == "1"


class Anchored:
    """A year of models that are each a little worse than the champion, as seen on 1,000 test images: the first ones of each class right."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    def register(self, right: int, name: str, config: Config = CONFIG) -> str:
        """Run the stage on a model that gets the first `right` test images right; the reason of the decision."""
        paths = write_finished_stages(self.workspace.root, 10, name, times=TIMES)
        file = paths.stage("evaluate") / "predictions.parquet"
        table = pq.read_table(file).to_pydict()
        other = {"a": "b", "b": "a"}
        table["predicted"] = [label if i < right else other[label] for i, label in enumerate(table["label"])]
        pq.write_table(pa.table(table), file)
        return str(register.run(config, paths, self.workspace.tracker)["because"])

    @property
    def aliases(self) -> tuple[str | None, str | None]:
        """The versions that are champion and anchor."""
        found = self.workspace.tracker.aliases.get("flowers", {})
        return self.workspace.champion, found.get("anchor")


def test_small_losses_do_not_add_up_and_only_a_better_model_moves_the_anchor(workspace: Workspace) -> None:
    year = Anchored(workspace)
    wide = gate(margin=0.02)
    year.register(900, "first")
    assert year.aliases == ("1", "1")

    assert "not worse (margin 2.0 pt)" in year.register(890, "a little worse", wide)
    assert year.aliases == ("2", "1")

    reason = year.register(880, "a little worse again", wide)
    assert "-1.00 pt [-1.83, -0.54] against the champion on the same 1,000 images: not worse (margin 2.0 pt), but -2.00 pt" in reason
    assert "against the anchor: worse" in reason
    assert year.aliases == ("2", "1")

    assert ": better" in year.register(960, "better", wide)
    assert year.aliases == ("4", "4")


def test_a_champion_from_before_there_were_anchors_becomes_the_anchor(workspace: Workspace) -> None:
    year = Anchored(workspace)
    year.register(900, "first")
    workspace.tracker.aliases.clear()

    year.register(890, "a little worse", gate(margin=0.02))

    assert year.aliases == ("2", "1")


def test_the_decision_has_all_that_it_rests_on(workspace: Workspace) -> None:
    year = Anchored(workspace)
    year.register(900, "first")
    year.register(910, "second")

    written = json.loads(workspace.decision)
    decision = written["decision"]
    assert written["sentence"] == "v2 vs champion v1: +1.00 pt [+0.54, +1.83] on 1,000 images -> promoted (better)"
    assert decision["champion"]["comparison"] == {
        "test": "Tango score interval, McNemar mid-p",
        "n": 1000,
        "groups": 1000,
        "b": 10,
        "c": 0,
        "both_wrong_differently": 0,
        "difference": 0.01,
        "interval": [0.005441, 0.018309],
        "p_value": 0.000977,  # 2 * 2^-10 - 2^-10
    }
    assert (decision["verdict"], decision["judged"], decision["images_needed"]) == ("better", 2, None)
    assert decision["margin"] == pytest.approx((7.849 * 0.01 / 1000) ** 0.5, abs=1e-5)
    assert decision["power"] == pytest.approx(0.8, abs=1e-3)
    text = workspace.tracker.descriptions["2"]
    assert "| right → wrong | wrong → right | wrong → other wrong |" in text
    assert " | 0 | 10 | 0 |\n" in text
    assert "these test images have judged 2 models, this one included" in text
    (run,) = [run for run in workspace.tracker.runs if run.tags.get("verdict") == written["sentence"]]
    assert run.last("vs_champion") == 0.01


def test_the_images_that_changed_and_the_champions_answers_are_kept_with_the_run(workspace: Workspace) -> None:
    year = Anchored(workspace)
    year.register(900, "first")
    year.register(902, "second")

    (run,) = [run for run in workspace.tracker.runs if "register/flips.csv" in run.files]
    assert run.files["register/flips.csv"].decode().splitlines() == [
        "kind,path,sha256,label,champion,challenger",
        "wrong to right,900.png,i900,a,b,a",
        "wrong to right,901.png,i901,a,b,a",
    ]
    assert b"What changed against the champion" in run.files["register/flips.html"]
    answers = pq.read_table(io.BytesIO(run.files["register/champion_answers.parquet"])).to_pydict()
    assert sum(label == said for label, said in zip(answers["label"], answers["predicted"], strict=True)) == 900


def test_no_version_is_scored_twice_on_the_same_images(workspace: Workspace) -> None:
    NEW(workspace)
    asked: list[int] = []
    workspace.tracker.predictors["1"] = lambda images: asked.extend(map(int, images)) or ["a"] * len(images)  # type: ignore[func-returns-value]
    OTHER = model(6, "other", "j")  # noqa: N806
    OTHER(workspace)
    assert len(asked) == IMAGES

    workspace.tracker.versions.pop()
    workspace.tracker.champions["flowers"] = workspace.tracker.versions[0]
    OTHER(workspace)

    assert len(asked) == IMAGES


def test_a_champion_whose_files_are_gone_is_named_and_nothing_is_decided(workspace: Workspace) -> None:
    NEW(workspace)

    with pytest.raises(
        TrackingError, match=r"The champion cannot be scored on the test images, so nothing was decided: .*version 1 cannot be loaded"
    ):
        model(10, "better", "j")(workspace)

    assert (workspace.champion, len(workspace.tracker.versions)) == ("1", 1)


def test_no_alias_moves_to_a_model_that_cannot_serve(workspace: Workspace) -> None:
    OLD(workspace)
    del workspace.tracker.answers["2"]

    with pytest.raises(TrackingError, match=r"version 2 cannot serve, so no alias was moved"):
        NEW(workspace)
    assert workspace.champion == "1"

    workspace.tracker.answers["2"] = answer
    assert NEW(workspace)[:2] == ("2", "true")


def test_a_class_that_the_champion_does_not_know_is_left_out_of_the_comparison(workspace: Workspace) -> None:
    NEW(workspace)
    predicts(1, "aaaaabbbba")(workspace)
    paths = write_finished_stages(workspace.root, 9, "with a fox", "j", ("a", "b", "fox"), TIMES)
    for file in (paths.stage("evaluate") / "predictions.parquet", paths.stage("ingest") / "index.parquet"):
        table = pq.read_table(file).to_pydict()
        first = len(table["label"]) - IMAGES
        table["label"][first : first + 10] = ["fox"] * 10
        pq.write_table(pa.table(table, pq.read_schema(file)), file)

    report = register.run(CONFIG, paths, workspace.tracker)

    because = str(report["because"])
    assert "+0.00 pt [-0.39, +0.39] against the champion on the same 990 images: not worse" in because
    assert because.endswith("; compared without the images of fox, which the champion does not know; it never predicts fox")


def test_a_model_against_itself_is_the_champion_already(workspace: Workspace) -> None:
    assert [NEW(workspace)[2], NEW(workspace)[2]] == [FIRST, FIRST]


class Faulty:
    """A tracker of which one call to the registry fails."""

    def __init__(self, tracker: FakeTracker, failing: int) -> None:
        self._tracker = tracker
        self._failing = failing
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> object:
        found = getattr(self._tracker, name)
        if not callable(found):
            return found

        def call(*arguments: object, **named: object) -> object:
            self.calls.append(name)
            if len(self.calls) == self._failing:
                raise TrackingError("503")
            return found(*arguments, **named)

        return call


def better_model(root: Path) -> Paths:
    return write_finished_stages(root, 9, "new", times=TIMES)


def test_whatever_call_fails_nothing_is_half_done_and_the_next_run_ends_as_if_none_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DVC_EXP_NAME", raising=False)
    undisturbed = Workspace(tmp_path / "undisturbed")
    OLD(undisturbed)
    counted = Faulty(undisturbed.tracker, 0)
    register.run(CONFIG, better_model(undisturbed.root), counted)  # type: ignore[arg-type]
    calls = len(counted.calls)
    assert calls > 20
    moved = [i for i, name in enumerate(counted.calls, 1) if name == "set_alias"][1]  # anchor, then champion, then previous

    for failing in range(1, calls + 1):
        workspace = Workspace(tmp_path / str(failing))
        OLD(workspace)
        paths = better_model(workspace.root)
        tracker = Faulty(workspace.tracker, failing)
        is_last = counted.calls[failing - 1] == "untag_model"  # all is done but that a tag is left, which the next run takes away
        with contextlib.nullcontext() if is_last else pytest.raises(TrackingError, match="503"):
            register.run(CONFIG, paths, tracker)  # type: ignore[arg-type]
        if failing <= moved:
            assert workspace.champion == "1"

        for run in workspace.tracker.runs:
            run.owed.clear()  # kept in memory by the process that failed
        register.run(CONFIG, paths, workspace.tracker)

        assert (workspace.champion, workspace.decision) == ("2", undisturbed.decision), counted.calls[failing - 1]
        assert workspace.tracker.aliases == undisturbed.tracker.aliases
        assert len(workspace.tracker.versions) == 2


def test_an_empty_registry_is_said_where_an_earlier_run_left_a_champion(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C", str(workspace.root)]
    NEW(workspace)
    assert "warning: the registry" not in capsys.readouterr().err
    for command in (["init", "-q"], ["add", "data/register/decision.json"], ["commit", "-qm", "first baseline"]):
        subprocess.run([*git, *command], check=True)
    workspace.tracker = FakeTracker()
    workspace.tracker.answers = {"1": answer}

    NEW(workspace)

    assert "has no model flowers, but data/register/decision.json in git names a champion" in capsys.readouterr().err


def test_a_model_is_compared_with_the_champion_that_somebody_else_has_registered_meanwhile(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Version 2 is better than version 1; while it is started, version 3, which is better still, becomes the champion."""
    OLD(workspace)
    started = workspace.tracker.answer

    def while_it_is_started(version: ModelVersion, images: Sequence[bytes]) -> list[dict[str, float]]:
        monkeypatch.undo()
        other = workspace.tracker.register("flowers", workspace.tracker.runs[0], {"model_sha256": "other", "class_names": '["a", "b"]'})
        predicts(3, "aaaaabbbbb")(workspace)
        move(workspace.tracker, other, "champion", action="gate", why="better")
        return started(version, images)

    monkeypatch.setattr(workspace.tracker, "answer", while_it_is_started)

    version, promoted, because = NEW(workspace)

    assert (version, promoted, workspace.champion) == ("2", "false", "3")
    assert (
        because
        == against("0.9000", 0, 1, "worse (margin 1.0 pt)") + "; worse by more than register.max_class_drop 0.05 at b (1.0000 to 0.8000)"
    )
    assert len(workspace.tracker.versions) == 3
    registered = workspace.tracker.registered("flowers")
    assert registered is not None
    assert [line.target for line in read_history(registered.tags).lines if line.alias == "champion"] == ["1", "3"]


def test_a_decision_against_an_earlier_champion_is_told_as_such(workspace: Workspace) -> None:
    """Version 3 does not pass; a person makes it the champion all the same, and goes back to version 1 later."""
    OLD(workspace)
    NEW(workspace)
    predicts(2, "aaaaabbbbb")(workspace)
    third = model(8, "third")
    assert third(workspace)[:2] == ("3", "false")
    for number, action in ((3, "promote"), (1, "rollback")):
        move(workspace.tracker, workspace.tracker.versions[number - 1], "champion", action=action, why="agreed")

    version, promoted, because = third(workspace)

    assert (version, promoted, workspace.champion) == ("3", "false", "1")
    assert because.endswith(
        ". That was decided against version 2; version 1 is champion now, and this one is left alone, as a person has taken the alias from it"
    )


def test_a_champion_that_never_stands_still_is_an_error(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    OLD(workspace)
    monkeypatch.setattr(register, "carry_out", lambda *_: False)

    with pytest.raises(TrackingError, match="The champion of flowers changed 5 times while this model was compared with it"):
        NEW(workspace)


def test_the_decision_its_interval_and_the_changed_images_stand_first_in_the_description(workspace: Workspace) -> None:
    """Of 1,000 images the new model gets 100 right that the champion got wrong; MLflow shows the first lines only."""
    OLD(workspace)
    NEW(workspace)

    first, _, header, _, numbers, *_ = workspace.tracker.descriptions["2"].splitlines()

    assert first.startswith(r"Promoted to champion: v2 vs champion v1: +10.00 pt \[+8.29, +12.02\] on 1,000 images")
    assert header == "| test accuracy on 1,000 images | cross-validation | right → wrong | wrong → right | wrong → other wrong |"
    assert numbers == "| **0.9000** [0.5000, 1.0000] | 0.9000 ± 0.0100 | 0 | 100 | 0 |"
