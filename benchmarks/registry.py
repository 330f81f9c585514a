"""How long history, trace and register's questions take in a large registry, beyond the start of Python and MLflow.

`python benchmarks/registry.py` makes a store in a temporary folder, with 1,000 versions and 10,000 runs, asks, and prints seconds.
"""

import argparse
import sqlite3
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.paths import Paths
from pipeline.pedigree.history_page import as_text, verdict
from pipeline.pedigree.origin import Origin, find_origin
from pipeline.pedigree.references import find_model_version
from pipeline.pedigree.trace import trace
from pipeline.registry.history import HEAD_TAG, Line, read_history
from pipeline.registry.story import CHAMPION
from pipeline.tracking.mlflow_log import MlflowLog

NAME = "flowers"
TAGS_PER_VERSION = 30
TABLES = ("runs", "tags", "params", "latest_metrics")


def main() -> None:
    """Print one line per question."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--versions", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=10_000)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(__file__).parent.parent
        paths = Paths(Path(folder))
        for name in ("params.yaml", "dvc.yaml"):
            (paths.root / name).write_bytes((root / name).read_bytes())
        log = MlflowLog.connect(paths)
        fill(log, paths, options.versions, options.runs)
        for what, seconds in ask(log, paths, options.versions).items():
            print(f"{what:<28}{seconds:7.2f} s", flush=True)


def ask(log: MlflowLog, paths: Paths, versions: int) -> dict[str, float]:
    """Seconds by question."""

    def history() -> None:
        registered = log.registered(NAME)
        assert registered is not None
        read = read_history(registered.tags)
        assert len(as_text(registered, read).splitlines()) > versions
        assert "is whole" in verdict(registered, read)

    def origin(reference: str) -> Origin:
        return find_origin(log, paths, reference, paths.root, NAME)

    run_id = origin(f"{NAME}/{versions // 2}").run
    assert run_id is not None
    return {
        "history and --verify": timed(history),
        "trace of a version": timed(lambda: trace(log, paths, origin(f"{NAME}/{versions // 2}"))),
        "trace of the champion": timed(lambda: trace(log, paths, origin(f"{NAME}@champion"))),
        "trace of a run": timed(lambda: trace(log, paths, origin(run_id.id))),
        "find a version by sha256": timed(lambda: log.find_version(NAME, {"model_sha256": f"sha {versions // 2}"})),
        "find a run by sha256": timed(lambda: log.find_runs({"model_sha256": "sha 7"})),
        "a version that is not there": timed(lambda: _fails(log, paths)),
    }


def fill(log: MlflowLog, paths: Paths, versions: int, runs: int) -> None:
    """One real run and its copies; versions that the gate promoted one after the other."""
    run = log.start_run("run", {f"tag {i}": "x" * 60 for i in range(20)})
    run.log_params({f"section.parameter_{i}": i for i in range(70)})
    run.log_metrics({f"metric_{i}": 0.5 for i in range(20)})
    run.finish()
    ids = [uuid.uuid4().hex for _ in range(runs)]
    with closing(sqlite3.connect(paths.mlruns / "mlflow.db")) as connection, connection:
        for table in TABLES:
            columns = [row[1] for row in connection.execute(f"pragma table_info({table})") if row[1] != "run_uuid"]
            names = ", ".join(columns)
            copies = [(run_id, run.id) for run_id in ids]
            connection.executemany(f"insert into {table} (run_uuid, {names}) select ?, {names} from {table} where run_uuid = ?", copies)  # noqa: S608
        connection.executemany(
            "insert into tags (key, value, run_uuid) values ('model_sha256', ?, ?)", [(f"sha {i}", ids[i]) for i in range(runs)]
        )
    client = log._client
    client.create_registered_model(NAME)
    for i in range(1, versions + 1):
        own = {"model_sha256": f"sha {i}", **{f"tag {k}": "x" * 60 for k in range(TAGS_PER_VERSION)}}
        client.create_model_version(NAME, str(paths.root), ids[i], tags=own)
    tags: dict[str, str] = {}
    before: tuple[str, ...] = ()
    for i in range(1, versions + 1):
        at = f"20{i // 400 + 24}-{i % 12 + 1:02d}-01T06:00:00+00:00"
        line = Line(at, "user@host", "gate", CHAMPION, str(i - 1) if i > 1 else None, str(i), "better", before, (), i)
        tags[line.key], before = line.text, (line.digest,)
    log.tag_model(NAME, {**tags, HEAD_TAG: before[0]})
    log.set_alias(NAME, CHAMPION, str(versions))


def timed(call: Callable[[], object]) -> float:
    """Seconds that a call takes, the least of three."""
    found = []
    for _ in range(3):
        started = time.perf_counter()
        call()
        found.append(time.perf_counter() - started)
    return min(found)


def _fails(log: MlflowLog, paths: Paths) -> None:
    said = ""
    try:
        find_model_version(log, paths, "99999", NAME)
    except ConfigError as error:
        said = str(error)
    assert "versions, the last of them" in said


if __name__ == "__main__":
    main()
