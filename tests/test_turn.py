"""One at a time, with a registry that knows no locks: two processes are never inside at once, and one that was killed is not waited for."""

import os
import random
import threading
import time

import psutil
import pytest

from pipeline.errors import TrackingError
from pipeline.judging import carrying_out
from pipeline.judging.carrying_out import carry_out
from pipeline.registry import turn as turns
from pipeline.registry.history import read_history
from pipeline.registry.moves import move
from pipeline.registry.turn import KEY, turn
from pipeline.tracking.run_log import ModelVersion
from tests.fakes import FakeTracker
from tests.test_moves import TakingTurns

ELSEWHERE = f"{KEY}000000000000 1 abcd"


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "POLL_SECONDS", 0.001)


def registry(tracker: FakeTracker) -> FakeTracker:
    tracker.versions = [ModelVersion("pets", "1", {"model_sha256": "sha 1"})]
    tracker.set_alias("pets", "champion", "1")
    return tracker


@pytest.mark.parametrize("order", ["abab", "aabb", "abba", "aabbab", "ababba", "baabab"])
def test_of_two_that_begin_at_once_one_waits_for_the_other(order: str) -> None:
    tracker = TakingTurns("")
    registry(tracker)
    tracker.order = list(order)
    inside: list[str] = []

    def enter(name: str) -> None:
        with turn(tracker, "pets"):
            inside.append(f"{name} in")
            time.sleep(0.02)
            inside.append(f"{name} out")

    both = [tracker.run("a", lambda: enter("a")), tracker.run("b", lambda: enter("b"))]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(30)

    assert inside in (["a in", "a out", "b in", "b out"], ["b in", "b out", "a in", "a out"])
    assert tracker.model_tags["pets"] == {}


def test_six_at_once_are_never_two_inside() -> None:
    tracker = registry(FakeTracker())
    inside, most = 0, 0

    def enter() -> None:
        nonlocal inside, most
        for _ in range(5):
            with turn(tracker, "pets"):
                inside += 1
                most = max(most, inside)
                time.sleep(0.002)
                inside -= 1

    threads = [threading.Thread(target=enter, daemon=True) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert not any(thread.is_alive() for thread in threads)
    assert most == 1


@pytest.mark.parametrize("value", ["0", "1"])
def test_one_that_was_killed_on_this_machine_is_not_waited_for(value: str) -> None:
    tracker = registry(FakeTracker())
    dead = next(pid for pid in range(2**22 - 1, 0, -1) if not psutil.pid_exists(pid))
    tracker.tag_model("pets", {f"{KEY}{turns._HERE} {dead} abcd": value, f"{KEY}{turns._HERE} {os.getpid()} left": value})

    with turn(tracker, "pets"):
        assert len(tracker.model_tags["pets"]) == 1

    assert tracker.model_tags["pets"] == {}


def test_one_on_another_machine_is_waited_for_as_long_as_it_may_live(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", 0.2)
    tracker = registry(FakeTracker())
    tracker.tag_model("pets", {ELSEWHERE: "1"})
    started = time.monotonic()

    with turn(tracker, "pets"):
        assert time.monotonic() - started > 0.2

    assert capsys.readouterr().err == "pets: waiting for another process, which moves its aliases\n"
    assert tracker.model_tags["pets"] == {}


def test_an_error_inside_is_told_and_the_turn_ends_also_where_the_registry_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = registry(FakeTracker())

    def fail(*_: object) -> None:
        raise TrackingError("503")

    monkeypatch.setattr(tracker, "untag_model", fail)
    with pytest.raises(TrackingError, match="first"), turn(tracker, "pets"):
        raise TrackingError("first")
    monkeypatch.undo()
    monkeypatch.setattr(turns, "POLL_SECONDS", 0.001)

    assert len(tracker.model_tags["pets"]) == 1
    with turn(tracker, "pets"):
        pass
    assert tracker.model_tags["pets"] == {}


@pytest.mark.parametrize("seed", range(60))
def test_of_two_gates_that_compared_with_the_same_champion_one_moves_and_the_other_compares_again(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrying_out, "check_servable", lambda *_: None)
    monkeypatch.delenv("DVC_EXP_NAME", raising=False)
    tracker = TakingTurns("")
    tracker.versions = [ModelVersion("pets", str(number), {"model_sha256": f"sha {number}"}) for number in (1, 2, 3)]
    for alias in ("champion", "anchor"):
        move(tracker, tracker.versions[0], alias, action="gate", why="first")
    tracker.order = list("a" * 30 + "b" * 30)
    random.Random(seed).shuffle(tracker.order)
    decision = {"promoted": True, "moves_anchor": True, "champion": {"version": "1"}, "anchor": None}
    stands: dict[str, bool] = {}

    def gate(version: str) -> None:
        stands[version] = carry_out(tracker, tracker.versions[int(version) - 1], decision, f"v{version} is better")

    both = [tracker.run("a", lambda: gate("2")), tracker.run("b", lambda: gate("3"))]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(30)

    assert sorted(stands.values()) == [False, True]
    winner = next(version for version, stood in stands.items() if stood)
    registered = tracker.registered("pets")
    assert registered is not None
    assert registered.aliases == {"champion": winner, "anchor": winner, "previous": "1"}
    assert [line.target for line in read_history(registered.tags).lines] == ["1", "1", winner, winner]
