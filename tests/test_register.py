"""A model becomes champion only through the gate, once, and never from within an experiment; what is written is what is true now."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import TrackingError
from pipeline.params.reader import Config, load_config
from pipeline.registry.history import read_history
from pipeline.registry.moves import move
from pipeline.stages import register
from pipeline.tracking.run_log import ModelVersion, Registered
from tests.fakes import FakeTracker
from tests.finished_stages import write_finished_stages, write_test_images

CONFIG = load_config(Path(__file__).parent.parent / "params.yaml")
STRICT = CONFIG.model_copy(update={"register_": CONFIG.register_.model_copy(update={"min_accuracy": 0.95})})


class Workspace:
    """A project with a registry."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tracker = FakeTracker()

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
    """Run the stage on a model that gets `hits` of ten test images right: (version, promoted, because) of its report."""

    def step(workspace: Workspace) -> tuple[str, str, str]:
        paths = write_finished_stages(workspace.root, hits, name, test_images, classes)
        write_test_images(paths)
        spec = paths.stage("preprocess") / "spec.json"
        spec.write_text(json.dumps({**json.loads(spec.read_text(encoding="utf-8")), "removed_classes": removed}), encoding="utf-8")
        report = register.run(config, paths, workspace.tracker)
        assert report["model"] == "flowers"
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
    """Let a registered version have its files: it gives these labels to the ten test images."""

    def step(workspace: Workspace) -> tuple[str, str, str]:
        workspace.tracker.predictors[str(version)] = lambda images: [labels[int(image) - 1] for image in images]
        return NOTHING

    return step


def decided_by_an_older_project(workspace: Workspace) -> tuple[str, str, str]:
    old = {"promoted": True, "reason": "accuracy 0.9000", "champion": None, "experiment": False, "accuracy": 0.9, "test_sha256": "t"}
    workspace.tracker.tag_version(workspace.tracker.versions[0], {"decision": json.dumps(old)})
    return NOTHING


def against(accuracy: str, champion: str) -> str:
    return f"accuracy {accuracy} against the champion's {champion}, on the same images"


FIRST = "accuracy 0.9000; there was no champion before"
REMOVED = "; but the alias champion was removed by hand and stays removed"
SET_ELSEWHERE = "; but the alias champion was set on another version by hand and stays there"
SET_HERE = "the alias was set on this version by hand; decision of the gate: "
WAITS = (
    "accuracy 0.9000; it passes, but the alias champion or the version that had it was removed by hand. "
    "Set the alias to have a champion again"
)
NO_FOX = (
    "accuracy 1.0000, but the champion knows fox, which this model does not. If the removal is intended, confirm it in ingest.removed_classes "
    "or set the alias champion by hand; if this is another data set, set another register.model_name"
)
GUESSES = "accuracy 0.4000; it is already the champion, though no better than always predicting the most common class, a (0.5000)"
OLD, NEW, FOX = model(8, "old"), model(9, "new"), model(8, "old", classes=("a", "b", "fox"))


@pytest.mark.parametrize(
    ("steps", "version", "promoted", "because", "champion"),
    [
        pytest.param([NEW], "1", "true", FIRST, "1", id="the first model becomes champion"),
        pytest.param([NEW, OLD], "2", "false", against("0.8000", "0.9000"), "1", id="a worse model is registered but not promoted"),
        pytest.param(
            [NEW, model(9, "equal")],
            *("2", "false", against("0.9000", "0.9000") + ": an equal model does not replace it", "1"),
            id="an equal model does not replace the champion",
        ),
        pytest.param([OLD, NEW], "2", "true", against("0.9000", "0.8000"), "2", id="a better model replaces the champion"),
        pytest.param([OLD, NEW, OLD], "1", "false", against("0.8000", "0.9000"), "2", id="an older model that comes back is compared"),
        pytest.param([NEW, kill_before_the_alias_moves, NEW], "1", "true", FIRST, "1", id="a promotion killed half way is finished"),
        pytest.param(
            [OLD, kill_before_the_alias_moves, NEW, OLD],
            *("1", "false", against("0.8000", "0.9000"), "2"),
            id="a promotion that never happened is decided anew",
        ),
        pytest.param([NEW, remove_alias, NEW], "1", "false", FIRST + REMOVED, None, id="an alias that was removed stays removed"),
        pytest.param([OLD, remove_alias, NEW], "2", "false", WAITS, None, id="a new model does not bring back an alias that was removed"),
        pytest.param(
            [OLD, remove_alias, NEW, set_alias(1), NEW],
            *("2", "true", against("0.9000", "0.8000"), "2"),
            id="once the alias is set again the gate decides",
        ),
        pytest.param(
            [OLD, remove_alias, NEW, set_alias(2), NEW],
            *("2", "true", SET_HERE + "accuracy 0.9000; it is already the champion", "2"),
            id="a model that waited and is made champion by hand is decided anew",
        ),
        pytest.param(
            [NEW, OLD, set_alias(2), OLD],
            *("2", "true", SET_HERE + against("0.8000", "0.9000"), "2"),
            id="an alias set by hand is reported as such",
        ),
        pytest.param(
            [OLD, NEW, set_alias(1), NEW],
            *("2", "false", against("0.9000", "0.8000") + SET_ELSEWHERE, "1"),
            id="a rollback by hand stays",
        ),
        pytest.param(
            [OLD, NEW, set_alias(1), predicts(1, "a" * 10), model(9, "new", "j")],
            *("2", "false", against("0.9000", "0.5000") + SET_ELSEWHERE, "1"),
            id="a rollback by hand stays on other test images",
        ),
        pytest.param(
            [NEW, predicts(1, "aaabbbbbbb"), model(9, "other", "j")],
            *("2", "true", against("0.9000", "0.8000"), "2"),
            id="a champion scored on other images is scored again on these",
        ),
        pytest.param(
            [NEW, predicts(1, "a" * 10), model(10, "of swapped labels", "j"), predicts(2, "b" * 10), NEW],
            *("1", "true", against("0.9000", "0.5000"), "1"),
            id="a model that comes back is compared with today's champion on today's images",
        ),
        pytest.param([NEW, model(4, "new", "j")], "1", "true", GUESSES, "1", id="a champion on other test images gets today's numbers"),
        pytest.param([FOX, model(10, "new")], "2", "false", NO_FOX, "1", id="a model without a class of the champion does not replace it"),
        pytest.param(
            [FOX, model(10, "new", removed=("fox",))],
            *("2", "true", against("1.0000", "0.8000") + "; it does not know fox, whose removal is confirmed", "2"),
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
    assert because == against("0.9000", "0.8000") + SET_ELSEWHERE
    assert model(10, "newer")(workspace)[:2] == ("3", "true")


def test_the_gate_writes_its_reason_into_the_history_and_marks_the_challenger(workspace: Workspace) -> None:
    NEW(workspace)
    OLD(workspace)

    registered = workspace.tracker.registered("flowers")

    assert registered is not None
    assert [(line.action, line.why) for line in read_history(registered.tags).lines] == [("gate", FIRST)]
    assert registered.aliases == {"champion": "1", "challenger": "2"}


def test_a_version_has_its_provenance_and_a_description_for_people(workspace: Workspace) -> None:
    NEW(workspace)

    (version,), (run, *_) = workspace.tracker.versions, workspace.tracker.runs
    assert (version.tags["data_digest"], json.loads(version.tags["class_names"])) == ("d1", ["a", "b"])
    text = workspace.tracker.descriptions["1"]
    assert text.startswith("**Promoted to champion:** accuracy 0.9000; there was no champion before.\n")
    assert "test accuracy **0.9000**, 95 % interval 0.5000 to 1.0000, on 10 images" in text
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
        paths = write_finished_stages(workspace.root, hits, name, "j")
        write_test_images(paths)
        said = {"moved_images": {"to_test": 2, "to_train": 1, "digest": digest}}
        (paths.stage("ingest") / "report.json").write_text(json.dumps(said), encoding="utf-8")
        report = register.run(CONFIG, paths, workspace.tracker)
        return str(report["version"]), str(report["promoted"]), str(report["because"])

    return step


def test_a_champion_that_may_have_been_trained_on_test_images_is_said_to_be_until_another_one_takes_its_place(workspace: Workspace) -> None:
    NEW(workspace)
    predicts(1, "aaaaabbbaa")(workspace)

    version, promoted, because = moved(9, "after", "d")(workspace)

    warning = (
        "; the champion may have been trained on 2 of the 10 test images, which earlier runs had in train, so its accuracy may be too high"
    )
    assert (version, promoted) == ("2", "true")
    assert because == against("0.9000", "0.8000") + warning
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


def test_a_version_that_an_older_project_registered_without_class_names_is_found(workspace: Workspace) -> None:
    NEW(workspace)
    (version,) = workspace.tracker.versions
    workspace.tracker.versions = [replace(version, tags={key: tag for key, tag in version.tags.items() if key != "class_names"})]

    NEW(workspace)

    assert [json.loads(known.tags.get("class_names", "[]")) for known in workspace.tracker.versions] == [[]]
