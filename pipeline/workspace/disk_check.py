"""Refuses a run on images that it has not seen yet if they do not fit on the disk, before anything is spent."""

from typing import Any

from pipeline.errors import StorageError
from pipeline.files import read_json
from pipeline.params.reader import Config
from pipeline.paths import Paths
from pipeline.workspace.disk_need import Measured, look_at_disk
from pipeline.workspace.source_check import look_at_source


def refuse_too_little_disk(config: Config, paths: Paths) -> None:
    """Raise StorageError if a first run on a source needs more disk space than is free, as `pipeline check` says it."""
    file = paths.stage("ingest") / "report.json"
    last: dict[str, Any] = read_json(file) if file.is_file() else {}
    if last.get("source") == config.ingest.source:
        return
    measured = Measured()
    look_at_source(paths, measured=measured)
    found = look_at_disk(paths, measured)
    if found.fix:
        raise StorageError(f"{found.found}. Fix: {found.fix}")
