"""The command line: `pipeline …`, and `python -m pipeline stage NAME`, which dvc.yaml calls.

Prefect, MLflow and TensorFlow are imported by the commands that use them, so that `--help`, `check` and a wrong parameter answer at once.
"""

import argparse
import contextlib
import errno
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from pipeline.check import check_inputs, check_machine, check_places, table
from pipeline.environment import apply_settings
from pipeline.errors import PipelineError
from pipeline.paths import STAGES, Paths, find_paths
from pipeline.processes import Stopped, callers, exit_with, one_at_a_time, stop_on_signals
from pipeline.stores.dvc_repro import FLOW_PID
from pipeline.summary import verdict

TRACKED_STAGES = STAGES[2:]
EXAMPLES = """\
examples:
  pipeline check                          what this machine has, and what to mend
  pipeline run                            bring everything up to date
  pipeline serve --cron "0 6 * * 1"       the same every Monday at 6, until stopped
  pipeline ui                             compare runs in MLflow
"""


def main(arguments: list[str] | None = None) -> int:
    """The exit code: 0 done, 2 a problem that the user can mend, told in one line, 130 or 143 stopped by Ctrl-C or SIGTERM."""
    apply_settings()
    options = build_parser().parse_args(arguments)
    try:
        with stop_on_signals():
            return int(options.run(options))
    except PipelineError as error:
        return _fail(str(error))
    except Stopped as stopped:
        print(f"pipeline {options.command}: stopped by {stopped}", file=sys.stderr)
        return stopped.exit_code
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return _fail(f"The disk is full: {error.filename or 'a file'} could not be written. Make room and run the same command again.")


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = argparse.ArgumentParser(
        prog="pipeline",
        description="Point it at labelled images, and it keeps a trustworthy classifier in the registry.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {version('image-classifier-pipeline')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    once = commands.add_parser("run", help="bring every stage up to date, as a Prefect flow; does only what is not done yet")
    once.add_argument(
        "--lock-timeout", type=float, default=60.0, metavar="SECONDS", help="wait so long for another DVC command (default: 60)"
    )
    once.set_defaults(run=_run_flow)
    schedule = commands.add_parser("serve", help="the same on a schedule, until stopped")
    schedule.add_argument("--cron", required=True, metavar='"M H DOM MON DOW"', help='when, as in "0 6 * * 1": Mondays at 6')
    schedule.add_argument("--timezone", metavar="NAME", help="of the schedule, as in Europe/Berlin (default: this machine's)")
    schedule.add_argument("--port", type=int, help="of the Prefect server that it starts where none is configured (default: 4200, if free)")
    schedule.set_defaults(run=_serve)
    ui = commands.add_parser("ui", help="show runs, curves and the registry in MLflow's UI, until stopped")
    ui.add_argument("--port", type=int, default=5000, help="on 127.0.0.1 (default: 5000)")
    ui.set_defaults(run=_show_ui)
    commands.add_parser("check", help="the machine, the tools and the parameters, with a fix per problem").set_defaults(run=_check)
    stage = commands.add_parser("stage", help="run one stage; dvc.yaml calls this")
    stage.add_argument("name", choices=STAGES, metavar="NAME", help=", ".join(STAGES))
    stage.set_defaults(run=_run_stage)
    return parser


def _fail(message: str) -> int:
    for line in message.splitlines():
        print(f"error: {line}", file=sys.stderr)
    return 2


def _run_flow(options: argparse.Namespace) -> int:
    paths = find_paths(Path.cwd())
    check_inputs(paths)
    from pipeline.serve import run_once

    run_once(paths, options.lock_timeout)
    from pipeline.stores.registered import registry_state

    if outcome := verdict(paths, registry_state(paths)):
        print(f"\n{outcome}", flush=True)
    return 0


def _serve(options: argparse.Namespace) -> int:
    paths = find_paths(Path.cwd())
    check_inputs(paths)
    from pipeline.serve import serve

    serve(paths, options.cron, options.timezone, options.port)
    return 0


def _show_ui(options: argparse.Namespace) -> int:
    from pipeline.ui import show

    show(find_paths(Path.cwd()), options.port)
    return 0


def _check(_: argparse.Namespace) -> int:
    findings = check_machine(find_paths(Path.cwd()))
    print(table(findings))
    return 2 if any(finding.fix for finding in findings) else 0


def _run_stage(options: argparse.Namespace) -> int:
    """Run a stage, alone of its name, for as long as those live who wait for it: DVC and the flow."""
    if "DVC_STAGE" in os.environ:
        exit_with(*callers(), *map(int, filter(None, [os.environ.get(FLOW_PID)])))
    paths = find_paths(Path.cwd())
    config = check_places(paths, [options.name])
    with one_at_a_time(options.name, paths.root, paths.scratch):
        with _greetings_kept_back():
            module = importlib.import_module(f"pipeline.stages.{options.name}")
        report = module.run(config, paths, _tracker(options.name, paths))
    print(f"{options.name}: {', '.join(f'{key} {value}' for key, value in report.items())}", flush=True)
    return 0


@contextlib.contextmanager
def _greetings_kept_back() -> Iterator[None]:
    """Without what TensorFlow's C++ code prints as it is loaded: no setting of its own reaches those lines. Shown where loading fails."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    kept = os.dup(2)
    with tempfile.TemporaryFile() as greetings:
        os.dup2(greetings.fileno(), 2)
        try:
            yield
        except BaseException:
            greetings.seek(0)
            os.write(kept, greetings.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _tracker(stage: str, paths: Paths) -> object:
    """The log book for the stages that keep one; the others never load MLflow."""
    if stage not in TRACKED_STAGES:
        return None
    from pipeline.stores.mlflow_log import MlflowLog

    return MlflowLog.connect(paths, stage)


if __name__ == "__main__":
    sys.exit(main())
