"""The command line: `pipeline …`, and `python -m pipeline stage NAME`, which dvc.yaml calls."""

import argparse
import errno
import importlib
import os
import sys
from pathlib import Path

from pipeline.config import load_config
from pipeline.errors import PipelineError
from pipeline.paths import STAGES, Paths, find_paths

NO_TELEMETRY = {
    "DO_NOT_TRACK": "true",
    "DVC_NO_ANALYTICS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}
TRACKED_STAGES = STAGES[2:]


def main(arguments: list[str] | None = None) -> int:
    """The exit code: 0 done, 2 a problem that the user can mend, told in one line."""
    for name, value in NO_TELEMETRY.items():
        os.environ.setdefault(name, value)
    options = build_parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except PipelineError as error:
        return _fail(str(error))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return _fail(f"The disk is full: {error.filename or 'a file'} could not be written. Make room and run the same command again.")


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = argparse.ArgumentParser(prog="pipeline", description="Keeps a trustworthy image classifier in the registry.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    stage = commands.add_parser("stage", help="run one stage; dvc.yaml calls this")
    stage.add_argument("name", choices=STAGES)
    stage.set_defaults(run=_run_stage)
    return parser


def _fail(message: str) -> int:
    for line in message.splitlines():
        print(f"error: {line}", file=sys.stderr)
    return 2


def _run_stage(options: argparse.Namespace) -> int:
    paths = find_paths(Path.cwd())
    config = load_config(paths.params)
    module = importlib.import_module(f"pipeline.stages.{options.name}")
    report = module.run(config, paths, _tracker(options.name, paths))
    print(f"{options.name}: {', '.join(f'{key} {value}' for key, value in report.items())}", flush=True)
    return 0


def _tracker(stage: str, paths: Paths) -> object:
    """The log book for the stages that keep one; the others never load MLflow."""
    if stage not in TRACKED_STAGES:
        return None
    from pipeline.stores.mlflow_log import MlflowLog

    return MlflowLog.connect(paths)


if __name__ == "__main__":
    sys.exit(main())
