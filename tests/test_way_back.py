"""`pipeline promote` and `rollback`: what they do, what they say, and that a wrong word is one line with what exists."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from pipeline.errors import ConfigError, PipelineError, TrackingError
from pipeline.paths import Paths
from pipeline.pedigree import way_back
from pipeline.pedigree.history_page import as_text, as_values, verdict
from pipeline.pedigree.references import find_model_version
from pipeline.pedigree.way_back import promote, rollback
from pipeline.registry.history import HEAD_TAG, read_history
from pipeline.registry.moves import move
from pipeline.tracking.run_log import ModelVersion
from tests.fakes import FakeTracker

ROOT = Path(__file__).parent.parent
SPEC = b'{"width": 8, "height": 6}'


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    (tmp_path / "params.yaml").write_text(text.replace("model_name: auto", "model_name: pets"), encoding="utf-8")
    (tmp_path / "dvc.yaml").touch()
    return Paths(tmp_path)


@pytest.fixture
def tracker() -> FakeTracker:
    """Versions 1 to 4 of pets, which the gate promoted one after the other, but for the last."""
    tracker = FakeTracker()
    tracker.versions = [ModelVersion("pets", str(number), {}) for number in range(1, 5)]
    for version in tracker.versions:
        tracker.files[version.version] = {"model.keras": b"weights", "spec.json": SPEC}
        tracker.answers[version.version] = lambda _: {"a": 1.0}
    for version in tracker.versions[:3]:
        move(tracker, version, "champion", action="gate", why="better")
    return tracker


def aliases(tracker: FakeTracker) -> dict[str, str]:
    registered = tracker.registered("pets")
    assert registered is not None
    return dict(registered.aliases)


def page(tracker: FakeTracker) -> str:
    registered = tracker.registered("pets")
    assert registered is not None
    return as_text(registered, read_history(registered.tags))


def test_a_rollback_says_what_it_did_and_the_next_goes_back_further(tracker: FakeTracker, paths: Paths) -> None:
    assert rollback(tracker, paths, "bad labels") == "pets version 2 is champion now, instead of version 3; it loads and answers"
    assert rollback(tracker, paths, "bad labels") == "pets version 1 is champion now, instead of version 2; it loads and answers"
    with pytest.raises(ConfigError, match=r"no champion before version 1\. Name one: `pipeline rollback --to VERSION"):
        rollback(tracker, paths, "bad labels")
    assert aliases(tracker) == {"champion": "1"}


def test_a_rollback_goes_back_to_the_version_named(tracker: FakeTracker, paths: Paths) -> None:
    rollback(tracker, paths, "bad labels", to="1")

    assert aliases(tracker) == {"champion": "1"}
    assert rollback(tracker, paths, "bad labels", to="1") == "pets version 1 already is the champion; nothing was done"


def test_a_promotion_moves_the_anchor_if_asked_to(tracker: FakeTracker, paths: Paths) -> None:
    assert promote(tracker, paths, "4", "agreed", anchor=True).startswith(
        "pets version 4 is champion and anchor now, instead of version 3;"
    )
    assert aliases(tracker) == {"champion": "4", "previous": "3", "anchor": "4"}
    assert promote(tracker, paths, "v4", "agreed", anchor=True) == "pets version 4 already is champion and anchor; nothing was done"
    assert "The anchor stays on version 4" in rollback(tracker, paths, "no")
    assert aliases(tracker)["anchor"] == "4"


def test_a_promotion_of_both_aliases_that_failed_at_its_last_call_is_ended_without_a_second_line(
    tracker: FakeTracker, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag_model = tracker.tag_model

    def fails_at_the_end(name: str, tags: Mapping[str, str]) -> None:
        if HEAD_TAG in tags and aliases(tracker).get("anchor") == "4":
            raise TrackingError("status 503")
        tag_model(name, tags)

    with monkeypatch.context() as failing:
        failing.setattr(tracker, "tag_model", fails_at_the_end)
        with pytest.raises(TrackingError, match="status 503"):
            promote(tracker, paths, "4", "agreed", anchor=True)

    promote(tracker, paths, "4", "agreed", anchor=True)

    registered = tracker.registered("pets")
    assert registered is not None
    history = read_history(registered.tags)
    assert (history.faults, history.unfinished) == ((), [])
    assert [(line.alias, line.origin, line.target) for line in history.lines[3:]] == [("champion", "3", "4"), ("anchor", None, "4")]


def test_a_version_that_cannot_serve_gets_no_alias_and_no_line(tracker: FakeTracker, paths: Paths) -> None:
    del tracker.answers["4"]
    before = dict(tracker.model_tags["pets"])

    with pytest.raises(TrackingError, match="pets version 4 cannot serve, so no alias was moved"):
        promote(tracker, paths, "4", "agreed")

    assert (aliases(tracker)["champion"], tracker.model_tags["pets"]) == ("3", before)


def test_two_words_for_the_champion_before_are_named_both(tracker: FakeTracker, paths: Paths) -> None:
    tracker.set_alias("pets", "previous", "1")

    with pytest.raises(
        ConfigError, match=r"before version 3 was version 2, but somebody has set the alias previous on version 1\. Say which"
    ):
        rollback(tracker, paths, "bad labels")


def test_a_champion_that_changes_while_the_one_before_is_started_is_not_rolled_back_from_unseen(
    tracker: FakeTracker, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(*_: object) -> str:
        move(tracker, tracker.versions[3], "champion", action="gate", why="better")
        return "it answers"

    monkeypatch.setattr(way_back, "check_servable", meanwhile)

    with pytest.raises(ConfigError, match=r"the champion of pets has changed from version 3 to 4\. Nothing was moved\..*`--to 2`"):
        rollback(tracker, paths, "bad labels")

    assert aliases(tracker)["champion"] == "4"


def test_a_champion_before_that_was_deleted_is_named(tracker: FakeTracker, paths: Paths) -> None:
    tracker.versions = [version for version in tracker.versions if version.version != "2"]

    with pytest.raises(ConfigError, match=r"^The champion before was version 2 of pets, which is not in the registry any more"):
        rollback(tracker, paths, "bad labels")


def test_a_champion_that_was_moved_by_hand_is_told_as_such(tracker: FakeTracker, paths: Paths) -> None:
    tracker.set_alias("pets", "champion", "2")
    tracker.set_alias("pets", "previous", "2")

    with pytest.raises(
        ConfigError, match=r"^Somebody has moved the alias champion of pets in MLflow, from version 3 to version 2: .*Say which"
    ):
        rollback(tracker, paths, "bad labels")


def test_without_a_champion_there_is_nothing_to_go_back_from(tracker: FakeTracker, paths: Paths) -> None:
    tracker.set_alias("pets", "champion", None)

    with pytest.raises(ConfigError, match=r"pets has no champion.*`pipeline promote VERSION"):
        rollback(tracker, paths, "bad labels")
    rollback(tracker, paths, "in service again", to="3")
    assert aliases(tracker)["champion"] == "3"


@pytest.mark.parametrize(
    "written", ["3", "v3", "champion", "pets/3", "models:/pets/3", "pets@champion", "models:/pets@champion", "@champion"]
)
def test_a_version_is_found_however_it_is_written(tracker: FakeTracker, paths: Paths, written: str) -> None:
    assert find_model_version(tracker, paths, written).version == "3"


@pytest.mark.parametrize(
    ("written", "name", "said"),
    [
        ("9", "", "pets has no version 9. Versions: 1, 2, 3, 4."),
        ("0", "", "0 is no version. Write a number, an alias such as champion, NAME/3 or NAME@champion."),
        ("", "", "An empty text is no version."),
        ("chmpion", "", "pets has no alias 'chmpion'. Aliases: champion (version 3), previous (version 2). Versions: 1, 2, 3, 4."),
        ("cats/1", "", "has no model 'cats'. It has pets."),
        ("1", "cats", "has no model 'cats'. It has pets."),
        ("pets/1", "cats", "pets/1 names the model 'pets', but --name is 'cats'. Leave one of them out."),
    ],
)
def test_what_does_not_exist_is_answered_with_what_does(tracker: FakeTracker, paths: Paths, written: str, name: str, said: str) -> None:
    with pytest.raises(PipelineError) as caught:
        find_model_version(tracker, paths, written, name)

    assert said in str(caught.value)


def test_an_empty_registry_is_said(paths: Paths) -> None:
    with pytest.raises(
        ConfigError, match=r"has no model 'pets'\. It has no model at all: is MLFLOW_TRACKING_URI the registry that you mean"
    ):
        find_model_version(FakeTracker(), paths, "1")


def test_the_history_of_a_model_fits_a_page(tracker: FakeTracker, paths: Paths) -> None:
    rollback(tracker, paths, "bad labels")
    tracker.set_alias("pets", "champion", "1")

    lines = page(tracker).splitlines()

    assert lines[0] == "pets: champion is version 1, previous is version 1"
    assert lines[2].split() == ["when", "(UTC)", "who", "alias", "from", "to", "why"]
    assert lines[3].split(maxsplit=5) == ["?", "?", "champion", "2", "1", "moved by hand in MLflow, which keeps neither who nor when"]
    assert lines[4].endswith("rollback: bad labels")
    assert [line.split()[-1] for line in lines[5:]] == ["better"] * 3


def test_programs_get_the_same(tracker: FakeTracker) -> None:
    registered = tracker.registered("pets")
    assert registered is not None

    values = as_values(registered, read_history(registered.tags))

    assert values["aliases"] == {"champion": "3", "previous": "2"}
    assert [(event["from"], event["to"], event["action"]) for event in values["events"]] == [
        (None, "1", "gate"), ("1", "2", "gate"), ("2", "3", "gate"),
    ]  # fmt: skip
    assert values["events"][-1]["sha256"] == values["head"]
    assert verdict(registered, read_history(registered.tags)) == f"the history of pets is whole: 3 lines, the last is {values['head']}"


def test_a_damaged_line_is_named(tracker: FakeTracker) -> None:
    registered = tracker.registered("pets")
    assert registered is not None
    tags = dict(registered.tags)
    key = max(key for key in tags if key.startswith("history "))
    tags[key] = tags[key].replace("better", "worse")

    assert verdict(registered, read_history(tags)).startswith(f"the history of pets: line 3 ({key.split()[-1][:12]}) was changed")
