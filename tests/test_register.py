"""A model becomes champion only through the gate, once, and never from within an experiment; what is written is what is true now."""

import json
from pathlib import Path

import pytest

from pipeline.errors import TrackingError
from pipeline.params.reader import Config, load_config
from pipeline.stages import register
from pipeline.tracking.run_log import ModelVersion, Registered
from tests.fakes import FakeTracker
from tests.finished_stages import write_finished_stages, write_test_images

CONFIG = load_config(Path(__file__).parent.parent / "params.yaml")
AGAINST = "accuracy {} against the champion's {}, on the same images"


class Workspace:
    """A project with a registry. `register` runs the stage on a model that gets `hits` of ten test images right."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tracker = FakeTracker()

    def register(
        self,
        hits: int = 9,
        model: str = "weights",
        test_images: str = "i",
        classes: tuple[str, ...] = ("a", "b"),
        removed: tuple[str, ...] = (),
        config: Config = CONFIG,
    ) -> tuple[str, str, str]:
        """(version, promoted, because) as the stage reports them."""
        paths = write_finished_stages(self.root, hits, model, test_images, classes)
        write_test_images(paths)
        spec = paths.stage("preprocess") / "spec.json"
        spec.write_text(json.dumps({**json.loads(spec.read_text(encoding="utf-8")), "removed_classes": removed}), encoding="utf-8")
        report = register.run(config, paths, self.tracker)
        assert report["model"] == "flowers"
        return str(report["version"]), str(report["promoted"]), str(report["because"])

    @property
    def champion(self) -> str | None:
        found = self.tracker.champions.get("flowers")
        return found.version if found else None

    @property
    def written(self) -> dict[str, object]:
        values: dict[str, object] = json.loads((self.root / "data" / "register" / "decision.json").read_text(encoding="utf-8"))
        return values

    def set_champion(self, version: int) -> None:
        self.tracker.champions["flowers"] = self.tracker.versions[version - 1]

    def forget_promotion(self) -> None:
        """Leave the registry as a stage does that was killed before it moved the alias."""
        self.tracker.champions.clear()
        self.tracker.model_tags.clear()

    def predict_always(self, version: int, label: str) -> None:
        """Let the files of a registered version be there: it gives one label to every image."""
        self.tracker.predictors[str(version)] = lambda images: [label] * len(images)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.delenv("DVC_EXP_NAME", raising=False)
    return Workspace(tmp_path)


def test_the_first_model_is_registered_under_the_name_of_its_data_becomes_champion_and_is_described(workspace: Workspace) -> None:
    assert workspace.register() == ("1", "true", "accuracy 0.9000; there was no champion before")

    assert workspace.champion == "1"
    (version,), (run, *_) = workspace.tracker.versions, workspace.tracker.runs
    assert (version.tags["data_digest"], json.loads(version.tags["class_names"])) == ("d1", ["a", "b"])
    text = workspace.tracker.descriptions["1"]
    assert text.startswith("**Promoted to champion:** accuracy 0.9000; there was no champion before.\n")
    assert "test accuracy **0.9000**, 95 % interval 0.5000 to 1.0000, on 10 images" in text
    assert run.page in text
    assert run.description == text
    assert "flowers: a, b" in workspace.tracker.descriptions["flowers"]


def test_registering_the_same_model_again_changes_nothing(workspace: Workspace) -> None:
    workspace.register()
    file = workspace.root / "data" / "register" / "decision.json"
    first = file.read_bytes()

    workspace.register()

    assert (len(workspace.tracker.versions), file.read_bytes()) == (1, first)


@pytest.mark.parametrize(
    ("hits", "promoted", "because"),
    [
        pytest.param(8, "false", AGAINST.format("0.8000", "0.9000"), id="worse"),
        pytest.param(9, "false", AGAINST.format("0.9000", "0.9000") + ": an equal model does not replace it", id="equal"),
        pytest.param(10, "true", AGAINST.format("1.0000", "0.9000"), id="better"),
    ],
)
def test_a_second_model_is_registered_and_replaces_the_champion_only_if_it_is_better(
    workspace: Workspace, hits: int, promoted: str, because: str
) -> None:
    workspace.register(9, "first")

    assert workspace.register(hits, "second") == ("2", promoted, because)
    assert workspace.champion == ("2" if promoted == "true" else "1")


def test_a_promotion_that_was_killed_before_the_alias_moved_is_finished(workspace: Workspace) -> None:
    workspace.register()
    workspace.forget_promotion()

    workspace.register()

    assert workspace.champion == "1"


def test_a_promotion_that_was_never_carried_out_is_decided_anew_against_todays_champion(workspace: Workspace) -> None:
    workspace.register(8, "killed before its alias")
    workspace.forget_promotion()
    workspace.register(9, "better")

    assert workspace.register(8, "killed before its alias")[:2] == ("1", "false")
    assert workspace.champion == "2"


def test_an_older_model_that_comes_back_says_that_another_is_champion_now(workspace: Workspace) -> None:
    workspace.register(8, "old")
    workspace.register(9, "new")

    assert workspace.register(8, "old") == ("1", "false", AGAINST.format("0.8000", "0.9000"))
    assert workspace.champion == "2"
    assert workspace.written["champion"] == {"model_sha256": workspace.tracker.versions[1].tags["model_sha256"]}
    assert (workspace.written["promoted"], workspace.written["reason"]) == (False, AGAINST.format("0.8000", "0.9000"))


def test_an_alias_that_a_person_removed_stays_removed_and_that_is_said(workspace: Workspace) -> None:
    workspace.register()
    workspace.tracker.champions.clear()

    _, promoted, because = workspace.register()

    assert (promoted, workspace.champion) == ("false", None)
    assert because.endswith("; but the alias champion was removed by hand and stays removed")


def test_a_new_model_waits_until_an_alias_that_was_removed_is_set_again(workspace: Workspace) -> None:
    workspace.register(8, "old")
    workspace.tracker.champions.clear()

    _, _, because = workspace.register(9, "new")
    assert workspace.champion is None
    assert "; it passes, but the alias champion or the version that had it was removed by hand. Set the alias" in because

    workspace.set_champion(1)
    workspace.register(9, "new")
    assert workspace.champion == "2"


def test_an_alias_set_by_hand_is_reported_as_such(workspace: Workspace) -> None:
    workspace.register(9, "good")
    workspace.register(8, "worse")
    workspace.set_champion(2)

    workspace.register(8, "worse")

    assert workspace.written["promoted"] is True
    assert str(workspace.written["reason"]).startswith(
        "the alias was set on this version by hand; decision of the gate: accuracy 0.8000 against"
    )


@pytest.mark.parametrize("test_images", ["i", "j"])
def test_a_way_back_by_hand_stays_on_the_same_and_on_other_test_images(workspace: Workspace, test_images: str) -> None:
    workspace.register(8, "old")
    workspace.register(9, "new")
    workspace.set_champion(1)
    workspace.predict_always(1, "a")

    _, promoted, because = workspace.register(9, "new", test_images)

    assert (promoted, workspace.champion) == ("false", "1")
    assert because.endswith("; but the alias champion was set on another version by hand and stays there")


def test_an_experiment_registers_a_candidate_and_moves_no_alias(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", "hot-cat")
    assert workspace.register()[:2] == ("1", "false")
    assert workspace.champion is None

    monkeypatch.setenv("DVC_EXP_NAME", " ")  # an empty name is no experiment
    assert workspace.register()[:2] == ("1", "true")


def test_a_champion_scored_on_other_images_is_scored_again_on_these(workspace: Workspace) -> None:
    workspace.register(9, "old", "i")
    workspace.predict_always(1, "a")

    assert workspace.register(7, "new", "j") == ("2", "true", AGAINST.format("0.7000", "0.5000"))


def test_a_model_that_comes_back_is_compared_with_todays_champion_on_todays_images(workspace: Workspace) -> None:
    workspace.register(9, "right", "i")
    workspace.predict_always(1, "a")
    workspace.register(10, "of swapped labels", "j")
    assert workspace.champion == "2"
    workspace.predict_always(2, "b")

    assert workspace.register(9, "right", "i") == ("1", "true", AGAINST.format("0.9000", "0.5000"))
    assert workspace.champion == "1"


def test_a_champion_that_cannot_be_loaded_stops_the_stage_and_nothing_is_registered(workspace: Workspace) -> None:
    workspace.register(9, "old", "i")

    with pytest.raises(TrackingError, match=r"champion cannot be scored.*cannot be loaded.*Restore its files"):
        workspace.register(10, "new", "j")

    assert (len(workspace.tracker.versions), workspace.champion) == (1, "1")


@pytest.mark.parametrize("method", ["registered", "find_version"])
def test_a_registry_that_cannot_be_read_is_never_treated_as_an_empty_one(workspace: Workspace, method: str) -> None:
    workspace.register(9, "good")

    def fail(*_: object) -> Registered | ModelVersion | None:
        raise TrackingError("503")

    setattr(workspace.tracker, method, fail)
    with pytest.raises(TrackingError, match="503"):
        workspace.register(10, "better")

    assert (len(workspace.tracker.versions), workspace.champion) == (1, "1")


def test_a_model_without_a_class_of_the_champion_replaces_it_only_if_the_removal_is_confirmed(workspace: Workspace) -> None:
    workspace.register(8, "old", classes=("a", "b", "fox"))

    _, promoted, because = workspace.register(10, "new")
    assert promoted == "false"
    assert "the champion knows fox" in because

    _, promoted, because = workspace.register(10, "newer", removed=("fox",))
    assert promoted == "true"
    assert because.endswith("; it no longer knows fox, which the champion knows")


def test_a_version_that_an_older_project_registered_is_decided_anew(workspace: Workspace) -> None:
    workspace.register()
    old = {"promoted": True, "reason": "accuracy 0.9000", "champion": None, "experiment": False, "accuracy": 0.9, "test_sha256": "t"}
    workspace.tracker.tag_version(workspace.tracker.versions[0], {"decision": json.dumps(old)})

    assert workspace.register()[2] == "accuracy 0.9000; it is already the champion"


def test_another_gate_decides_anew(workspace: Workspace) -> None:
    strict = CONFIG.model_copy(update={"register_": CONFIG.register_.model_copy(update={"min_accuracy": 0.95})})
    assert workspace.register(config=strict)[1] == "false"

    assert workspace.register()[1] == "true"


def test_a_champion_on_other_test_images_is_reported_with_todays_numbers(workspace: Workspace) -> None:
    workspace.register(9, "model", "i")

    _, _, because = workspace.register(4, "model", "j")

    assert because.startswith("accuracy 0.4000; it is already the champion, though no better than always predicting")
    assert (workspace.tracker.versions[0].tags["test_accuracy"], workspace.champion) == ("0.400000", "1")
