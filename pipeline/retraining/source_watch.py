"""New files in the source start a run of the deployment, once they have settled: `pipeline serve --watch`."""

import sys
import time
from pathlib import Path

from prefect.client.orchestration import get_client

from pipeline.errors import ConfigError, PipelineError
from pipeline.listing.remote import is_url
from pipeline.params.reader import load_config
from pipeline.paths import Paths
from pipeline.unattended.only_run import is_running
from pipeline.unattended.settled import Settled
from pipeline.unattended.source_record import Files, list_files, read_record, state_in

MOST_SECONDS, LEAST_SECONDS = 30.0, 0.5
SHARE_OF_TIME = 20  # a look that takes long is taken seldom


class SourceWatch:
    """Looks at the source now and then; `deployment` is asked for a run as FLOW/NAME."""

    def __init__(self, paths: Paths, deployment: str, settle_seconds: float) -> None:
        self._paths, self._deployment = paths, deployment
        self._settled = Settled(settle_seconds)
        self._pause = min(max(settle_seconds / 5, LEAST_SECONDS), MOST_SECONDS)
        self._next = 0.0
        self._told = ""

    def look(self) -> None:
        """Take a look, if it is time for one."""
        started = time.monotonic()
        if started < self._next:
            return
        try:
            source = local_source(self._paths)
            files = list_files(source)
            self._tell("" if files is not None else f"the source {source} cannot be listed, so it is not watched until it can")
            if files is not None and self._is_due(source, files, started):
                self._start()
        except PipelineError as error:
            self._tell(str(error))
        self._next = time.monotonic() + max(self._pause, SHARE_OF_TIME * (time.monotonic() - started))

    def _is_due(self, source: Path, files: Files, now: float) -> bool:
        record = read_record(self._paths.scratch)
        is_known = record is not None and record.source == str(source) and record.files == files
        return self._settled.look(state_in(files), is_known=is_known, now=now)

    def _start(self) -> None:
        if is_running(self._paths):  # the deployment would skip another one
            self._settled.take_back()
            return
        try:
            with get_client(sync_client=True) as client:
                run = client.create_flow_run_from_deployment(client.read_deployment_by_name(self._deployment).id, tags=["watch"])
        except Exception as error:  # whatever Prefect raises while its server is away; the next look tries again
            self._settled.take_back()
            self._tell(f"the source has changed, but no run could be started: {(str(error).splitlines() or [type(error).__name__])[0]}")
            return
        print(f"The source has changed and settled: starting the run {run.name}.", flush=True)

    def _tell(self, problem: str) -> None:
        """Warn once of each problem."""
        if problem and problem != self._told:
            print(f"warning: {problem}", file=sys.stderr, flush=True)
        self._told = problem


def local_source(paths: Paths) -> Path:
    """The source. Raises ConfigError if it is at a URL, which cannot be watched."""
    config = load_config(paths.params)
    if is_url(config.ingest.source):
        raise ConfigError(
            f"--watch: ingest.source is {config.ingest.source}, and only a source on this machine can be watched. Use --cron."
        )
    return config.source_path(paths.root)
