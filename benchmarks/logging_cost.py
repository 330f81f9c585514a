"""What logging costs a fit: seconds that stage `train` waits for MLflow, as a share of its epochs.

    python benchmarks/logging_cost.py

In a project in which `preprocess` has run. Fits the network again with its parameters, and logs to the store that MLFLOW_TRACKING_URI names.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from overhead import epoch_seconds

from pipeline.__main__ import main as run_command
from pipeline.paths import find_paths
from pipeline.tracking import mlflow_log
from pipeline.tracking.mlflow_client import GuardedClient
from pipeline.tracking.tracking_server import tracking_uri


class Clock:
    """Seconds by what was waited for; what happens within something else counts there only."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._is_running = False

    @contextmanager
    def during(self, what: str) -> Iterator[None]:
        """Count the block."""
        if self._is_running:
            yield
            return
        self._is_running, started = True, time.perf_counter()
        try:
            yield
        finally:
            self._is_running = False
            self.seconds[what] = self.seconds.get(what, 0.0) + time.perf_counter() - started

    def timed(self, what: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The call, counted."""

        def counted(*arguments: Any, **named: Any) -> Any:
            with self.during(what):
                return call(*arguments, **named)

        return counted


def main() -> int:
    """Print the seconds and the share."""
    clock = Clock()
    by_name = GuardedClient.__getattr__
    GuardedClient.__getattr__ = lambda client, name: clock.timed(name, by_name(client, name))  # type: ignore[method-assign]
    mlflow_log.log_served_model = clock.timed("log the model", mlflow_log.log_served_model)
    if code := run_command(["stage", "train"]):
        return code
    waited = dict(clock.seconds)
    fit = epoch_seconds(GuardedClient(tracking_uri(find_paths(Path.cwd()))))["train"]
    for what, seconds in sorted(waited.items(), key=lambda pair: -pair[1]):
        print(f"{what:<32}{seconds:8.3f} s")
    print(f"logging {sum(waited.values()):.2f} s, epochs {fit:.1f} s: {sum(waited.values()) / fit:.2%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
