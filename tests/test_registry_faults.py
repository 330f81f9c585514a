"""A registry whose every call can fail in every way: nothing is promoted in error, no champion is overlooked, and run again all ends well.

`register`, `promote`, `rollback`, `history` and `trace` work through a proxy before a real MLflow server, which lets the first call fail, then the
second, and so on. The models answer within this process here: starting each in one of its own takes minutes.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import PipelineError, TrackingError
from pipeline.pedigree.history_page import as_text
from pipeline.pedigree.origin import find_origin
from pipeline.pedigree.references import find_registered
from pipeline.pedigree.trace import trace
from pipeline.pedigree.way_back import promote, rollback
from pipeline.registry.history import read_history
from pipeline.tracking import mlflow_log, mlflow_model, mlflow_registry
from pipeline.tracking.mlflow_log import MlflowLog
from pipeline.tracking.run_log import Registered
from pipeline.travelling_code import ENTRY
from tests.failing_proxy import FAULTS, HANG_SECONDS, FailingProxy, Fault
from tests.mlflow_servers import MlflowServer
from tests.threshold_project import BRIGHTNESS, CLASSES, ThresholdProject, named, png

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(3000)]

TURNS = (0,)
"""The kinds of failure take turns from call to call. With range(len(FAULTS)) instead, each call fails in each way, which takes hours."""
OLD, NEW = 0.45, 0.5
"""Thresholds: the first network gets 51 of 1,000 images wrong, the second none."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("server")
    with MlflowServer(home, f"sqlite:///{home}/mlflow.db", str(home / "artifacts")) as server:
        yield server.url


@pytest.fixture(scope="module")
def proxy(server: str) -> Iterator[FailingProxy]:
    with FailingProxy(server) as proxy:
        yield proxy
        proxy.shutdown()


class Team:
    """Two workspaces of one project, with an old and a better model, and the server that both use, directly or through the proxy."""

    def __init__(self, home: Path, server: str, proxy: FailingProxy, environment: pytest.MonkeyPatch) -> None:
        self.old, self.new = ThresholdProject(home / "old"), ThresholdProject(home / "new")
        probabilities = {"1": self.old.write_stages(OLD), "2": self.new.write_stages(NEW)}
        self.by_version = {
            version: {png(value): row for value, row in zip(BRIGHTNESS, rows, strict=True)} for version, rows in probabilities.items()
        }
        self.server, self.proxy, self.environment = server, proxy, environment

    def begin(self, name: str) -> None:
        """Start with a champion, version 1, in a registered model and an experiment of this name."""
        self.name = name
        self.environment.setenv("MLFLOW_EXPERIMENT_NAME", name)
        self.directly(lambda: self.old.run_register(named(name)))

    def directly(self, step: Callable[[], object]) -> object:
        self.environment.setenv("MLFLOW_TRACKING_URI", self.server)
        self.proxy.fail(lambda _: None)  # within a process MLflow goes on to store a run's files where it stored the first
        return step()

    def through_the_proxy(self, step: Callable[[], object], fault_of: Callable[[int], Fault | None]) -> str:
        """What the step failed with; empty if it did not. An error is one line, and one that the command line knows."""
        self.environment.setenv("MLFLOW_TRACKING_URI", self.proxy.url)
        self.proxy.fail(fault_of)
        said: list[PipelineError] = []
        try:
            step()
        except PipelineError as error:
            said.append(error)
        assert all(isinstance(error, TrackingError) and len(str(error).splitlines()) == 1 for error in said)
        return str(said[0]) if said else ""

    def register_new(self) -> str:
        return self.new.run_register(named(self.name))

    @property
    def log(self) -> MlflowLog:
        return MlflowLog.connect(self.new.paths)

    @property
    def registered(self) -> Registered:
        self.environment.setenv("MLFLOW_TRACKING_URI", self.server)
        found = self.log.registered(self.name)
        assert found is not None
        return found

    @property
    def aliases(self) -> dict[str, str]:
        return dict(self.registered.aliases)

    def moves(self, why: str = "") -> list[tuple[str, str | None, str | None]]:
        """(alias, from, to) of each line of the history with this reason, or of all; the history is whole."""
        history = read_history(self.registered.tags)
        assert (history.faults, history.unfinished) == ((), [])
        return [(line.alias, line.origin, line.target) for line in history.carried_out if why in ("", line.why)]


@pytest.fixture
def team(tmp_path: Path, server: str, proxy: FailingProxy, monkeypatch: pytest.MonkeyPatch) -> Team:
    monkeypatch.delenv("DVC_EXP_NAME", raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", str(int(HANG_SECONDS) - 1))
    served_model = (tmp_path / "code" / "pipeline").joinpath(*ENTRY.split(".")).with_suffix(".py")
    served_model.parent.mkdir(parents=True)
    served_model.touch()
    monkeypatch.setattr(mlflow_model, "CODE", tmp_path / "code")  # a version has 40 files of code, each an upload
    team = Team(tmp_path, server, proxy, monkeypatch)

    def rows(model_uri: str, images: Sequence[bytes]) -> list[np.ndarray]:
        version = next(v for v in team.log.all_versions(team.name) if team.log._address(v) == model_uri)
        return [team.by_version[version.version][image] for image in images]

    def answer(_: str, model_uri: str, images: Sequence[bytes]) -> list[dict[str, float]]:
        return [dict(zip(CLASSES, map(float, row), strict=True)) for row in rows(model_uri, images)]

    monkeypatch.setattr(mlflow_registry, "answer_apart", answer)
    monkeypatch.setattr(
        mlflow_log, "predict_apart", lambda _, uri, batches: ([CLASSES[int(row.argmax())] for row in rows(uri, batch)] for batch in batches)
    )
    return team


AFTER_TWO = [("anchor", None, "1"), ("champion", None, "1"), ("anchor", "1", "2"), ("champion", "1", "2")]


def failing(number: int, turn: int) -> Callable[[int], Fault | None]:
    """How calls fail from the one with this number on: only this one, or all that follow, as where a server is stopped."""
    fault = FAULTS[(number + turn) % len(FAULTS)]
    once = fault == "hangs" or (number // len(FAULTS) + turn) % 2 == 0
    return lambda call: fault if call == number or (call > number and not once) else None


@pytest.mark.parametrize("turn", TURNS)
def test_register_ends_well_whichever_call_fails(team: Team, turn: int) -> None:
    for number in itertools.count(1):
        team.begin(f"register {turn} {number}")
        said = team.through_the_proxy(team.register_new, failing(number, turn))
        if len(team.proxy.asked) < number:
            assert not said
            break
        assert "no champion before" not in said
        assert team.aliases["champion"] in ("1", "2")

        because = str(team.directly(team.register_new))

        assert "against the champion on the same 1,000 images: better" in because, (number, said)
        assert team.aliases == {"champion": "2", "anchor": "2", "previous": "1"}
        assert [version.version for version in team.log.all_versions(team.name)] == ["1", "2"]
        assert team.moves() == AFTER_TWO


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("command", ["promote", "rollback"])
def test_a_command_ends_well_whichever_call_fails(team: Team, command: str, turn: int) -> None:
    team.begin(f"{command} {turn}")
    team.directly(team.register_new)
    for number in itertools.count(1):
        target = {"1": "2", "2": "1"}[team.aliases["champion"]]

        def step(target: str = target, reason: str = f"call {number}") -> str:
            if command == "rollback":
                return rollback(team.log, team.new.paths, reason, to=target, name=team.name)
            return promote(team.log, team.new.paths, target, reason, name=team.name, anchor=True)

        said = team.through_the_proxy(step, failing(number, turn))
        if len(team.proxy.asked) < number:
            assert not said
            break
        assert team.aliases["champion"] in ("1", "2")

        team.directly(step)

        moved = ["champion"] if command == "rollback" else ["anchor", "champion"]
        assert {team.aliases[alias] for alias in moved} == {target}, (number, said)
        assert sorted(team.moves(f"call {number}")) == [(alias, {"1": "2", "2": "1"}[target], target) for alias in moved], (number, said)


@pytest.mark.parametrize("turn", TURNS)
def test_what_is_shown_is_right_or_an_error_whichever_call_fails(team: Team, turn: int) -> None:
    team.begin(f"shown {turn}")
    team.directly(team.register_new)

    def history() -> str:
        registered = find_registered(team.log, team.new.paths, team.name)
        return as_text(registered, read_history(registered.tags))

    def traced() -> object:
        tracker = team.log
        return trace(tracker, team.new.paths, find_origin(tracker, team.new.paths, f"{team.name}@champion", team.new.paths.root, ""))

    for step in (history, traced):
        right = team.directly(step)
        for number in itertools.count(1):
            shown: list[object] = []
            said = team.through_the_proxy(lambda step=step, shown=shown: shown.append(step()), failing(number, turn))  # type: ignore[misc]
            assert shown == ([] if said else [right]), (number, said)
            if len(team.proxy.asked) < number:
                break
