"""Moving an alias: killed at any moment and run again, or by two at once, it ends with one line per move and the alias where the last line says."""

import contextlib
import random
import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from pipeline.errors import ConfigError
from pipeline.registry.alias import lost_alias_by_hand
from pipeline.registry.history import LONGEST_REASON, read_history
from pipeline.registry.moves import checked_reason, move, set_challenger, writer
from pipeline.registry.story import events
from pipeline.tracking.run_log import ModelVersion, Registered
from tests.fakes import FakeTracker


class Killed(BaseException):
    """The process ends here."""


class Mortal(FakeTracker):
    """A registry whose client dies before its call number `dies_at`, of those that change something."""

    dies_at = -1

    def tag_model(self, model_name: str, tags: Mapping[str, str]) -> None:
        for key, value in tags.items():
            self._live()
            super().tag_model(model_name, {key: value})

    def set_alias(self, model_name: str, alias: str, version: str | None) -> None:
        self._live()
        super().set_alias(model_name, alias, version)

    def _live(self) -> None:
        self.dies_at -= 1
        if self.dies_at == 0:
            raise Killed


def registry(count: int = 4) -> Mortal:
    tracker = Mortal()
    tracker.versions = [ModelVersion("pets", str(number), {"model_sha256": f"sha {number}"}) for number in range(1, count + 1)]
    return tracker


def make_champion(tracker: FakeTracker, number: int, action: str = "promote", why: str = "better") -> None:
    move(tracker, tracker.versions[number - 1], "champion", action=action, why=why)


def state(tracker: FakeTracker) -> tuple[dict[str, str], list[tuple[str | None, str | None, str]], tuple[str, ...]]:
    """Aliases, events and faults."""
    registered = tracker.registered("pets")
    assert isinstance(registered, Registered)
    history = read_history(registered.tags)
    return (
        dict(registered.aliases),
        [(event.origin, event.target, event.mark) for event in events(history, registered.aliases)],
        history.faults,
    )


def test_a_move_is_one_line_and_names_the_champion_before() -> None:
    tracker = registry()

    for number in (1, 2, 3):
        make_champion(tracker, number)
    make_champion(tracker, 2, "rollback")

    assert state(tracker) == (
        {"champion": "2", "previous": "1"},
        [(None, "1", ""), ("1", "2", ""), ("2", "3", ""), ("3", "2", "")],
        (),
    )


def test_after_the_last_rollback_there_is_no_previous() -> None:
    tracker = registry()
    make_champion(tracker, 1)
    make_champion(tracker, 2)

    make_champion(tracker, 1, "rollback")

    assert state(tracker)[0] == {"champion": "1"}


@pytest.mark.parametrize("action", ["promote", "rollback"])
@pytest.mark.parametrize("calls", range(1, 6))
def test_killed_at_any_call_and_run_again_it_is_as_if_it_had_not_been(calls: int, action: str) -> None:
    tracker, undisturbed = registry(), registry()
    for one in (tracker, undisturbed):
        for number in (1, 2, 3):
            make_champion(one, number)
    target = 2 if action == "rollback" else 4
    make_champion(undisturbed, target, action)
    tracker.dies_at = calls

    try:
        make_champion(tracker, target, action)
    except Killed:
        tracker.dies_at = -1
        make_champion(tracker, target, action)

    assert state(tracker) == state(undisturbed)


@pytest.mark.parametrize("calls", range(1, 6))
def test_killed_and_followed_by_another_move_every_line_is_told_as_what_it_was(calls: int) -> None:
    tracker = registry()
    make_champion(tracker, 1)
    make_champion(tracker, 2)
    tracker.dies_at = calls
    with contextlib.suppress(Killed):
        make_champion(tracker, 3)
    tracker.dies_at = -1

    make_champion(tracker, 4, why="something else")

    aliases, found, faults = state(tracker)
    assert (aliases["champion"], faults, found[-1][1:]) == ("4", (), ("4", ""))
    assert all(mark in ("", "not carried out") for _, _, mark in found), found
    carried_out = [target for _, target, mark in found if not mark]
    assert carried_out in (["1", "2", "4"], ["1", "2", "3", "4"])
    assert aliases["previous"] == carried_out[-2]


class TakingTurns(FakeTracker):
    """A registry that serves two clients, `a` and `b`, call by call in a given order; one that has ended is passed over."""

    def __init__(self, order: str) -> None:
        super().__init__()
        self.order = list(order)
        self.ended: set[str] = set()
        self.turn = threading.Condition()

    def run(self, name: str, work: Callable[[], None]) -> threading.Thread:
        def until_the_end() -> None:
            work()
            with self.turn:
                self.ended.add(name)
                self.turn.notify_all()

        return threading.Thread(target=until_the_end, name=name, daemon=True)

    def registered(self, model_name: str) -> Registered | None:
        found: Registered | None = self._in_turn(lambda: super(TakingTurns, self).registered(model_name))
        return found

    def tag_model(self, model_name: str, tags: Mapping[str, str]) -> None:
        for key, value in tags.items():
            self._in_turn(lambda key=key, value=value: super(TakingTurns, self).tag_model(model_name, {key: value}))  # type: ignore[misc]

    def set_alias(self, model_name: str, alias: str, version: str | None) -> None:
        self._in_turn(lambda: super(TakingTurns, self).set_alias(model_name, alias, version))

    def _in_turn(self, call: Callable[[], Any]) -> Any:
        me = threading.current_thread().name
        with self.turn:
            while self.order and self.order[0] != me:
                if self.order[0] in self.ended:
                    self.order.pop(0)
                    continue
                self.turn.wait(10)
            if self.order:
                self.order.pop(0)
            answer = call()
            self.turn.notify_all()
            return answer


@pytest.mark.parametrize("seed", range(150))
def test_two_at_once_end_with_two_lines_and_the_alias_where_the_last_one_says(seed: int) -> None:
    order = list("a" * 10 + "b" * 10)
    random.Random(seed).shuffle(order)
    tracker = TakingTurns("")
    tracker.versions = registry().versions
    make_champion(tracker, 1)
    make_champion(tracker, 2)
    tracker.order = order

    both = [tracker.run("a", lambda: make_champion(tracker, 3)), tracker.run("b", lambda: make_champion(tracker, 4))]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(30)

    aliases, found, faults = state(tracker)
    assert not any(thread.is_alive() for thread in both)
    assert faults == ()
    assert {target for _, target, _ in found} == {"1", "2", "3", "4"}
    assert "by hand" not in [mark for _, _, mark in found]
    assert "not carried out yet" not in [mark for _, _, mark in found]
    assert aliases["champion"] == found[-1][1]
    make_champion(tracker, 1)
    assert state(tracker)[2] == ()


def test_the_gate_leaves_alone_what_a_person_has_taken_back() -> None:
    tracker = registry()
    make_champion(tracker, 1, "gate")
    make_champion(tracker, 2, "gate")
    make_champion(tracker, 3, "gate")
    make_champion(tracker, 2, "rollback")
    make_champion(tracker, 1, "rollback")
    registered = tracker.registered("pets")

    assert [lost_alias_by_hand(version, registered) for version in tracker.versions] == [False, True, True, False]

    make_champion(tracker, 3, "promote")
    make_champion(tracker, 4, "gate")
    registered = tracker.registered("pets")
    assert [lost_alias_by_hand(version, registered) for version in tracker.versions] == [True, True, False, False]


def test_the_challenger_is_the_version_compared_last_until_it_is_champion() -> None:
    tracker = registry()
    make_champion(tracker, 1, "gate")
    for number in (1, 2, 3):
        set_challenger(tracker, tracker.versions[number - 1])
    assert state(tracker)[0] == {"champion": "1", "challenger": "3"}

    make_champion(tracker, 3)

    assert state(tracker)[0] == {"champion": "3", "previous": "1"}


def test_an_alias_set_by_hand_is_told_as_such_by_the_next_line() -> None:
    tracker = registry()
    make_champion(tracker, 1)
    tracker.set_alias("pets", "champion", "3")

    make_champion(tracker, 4)

    assert state(tracker)[1] == [(None, "1", ""), ("1", "3", "by hand"), ("3", "4", "")]
    assert state(tracker)[0] == {"champion": "4", "previous": "3"}


def test_a_damaged_history_is_said_and_does_not_stop_a_way_back(capsys: pytest.CaptureFixture[str]) -> None:
    tracker = registry()
    make_champion(tracker, 1)
    make_champion(tracker, 2)
    first = min(key for key in tracker.model_tags["pets"] if key.startswith("history "))
    del tracker.model_tags["pets"][first]

    make_champion(tracker, 1, "rollback")

    assert state(tracker)[0]["champion"] == "1"
    assert "the history of pets is damaged" in capsys.readouterr().err


def test_a_reason_is_one_line_that_says_something() -> None:
    assert checked_reason("  wrong\n labels ") == "wrong labels"
    with pytest.raises(ConfigError, match="--reason is empty"):
        checked_reason(" \n")
    with pytest.raises(ConfigError, match="has 1,001 characters; the history has room for 1,000"):
        checked_reason("x" * (LONGEST_REASON + 1))


def test_a_writer_is_a_user_on_a_machine_with_the_name_on_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "user")
    monkeypatch.setattr("platform.node", lambda: "host")
    monkeypatch.delenv("MLFLOW_TRACKING_USERNAME", raising=False)
    assert writer() == "user@host"
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "login")
    assert writer() == "login (user@host)"
