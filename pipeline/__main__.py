"""The command line: `pipeline …`, and `python -m pipeline stage NAME`, which dvc.yaml calls.

Prefect, MLflow and TensorFlow are imported by the commands that use them, so that `--help`, `check` and a wrong parameter answer at once; so are the
checks of a run, which `predict` does without.
"""

import argparse
import contextlib
import importlib
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipeline.python_path import CODE, foreign_module, missing_package

if __name__ == "__main__" and (fault := foreign_module() or missing_package()):  # checked before third-party modules are imported
    sys.exit(print(f"error: {fault}", file=sys.stderr) or 2)

from pipeline.command_line import create_parser
from pipeline.environment import apply_settings
from pipeline.errors import FULL_DISK, ConfigError, PipelineError, StorageError
from pipeline.network import masked, spare_loopback
from pipeline.paths import STAGES, Paths, find_paths
from pipeline.processes import Stopped, callers, exit_with, one_at_a_time, stop_on_signals
from pipeline.publishing.publish import publish
from pipeline.publishing.refusals import refuse_branch
from pipeline.quality.kinds import counted, kinds
from pipeline.retraining.summary import first_baseline, verdict
from pipeline.terminal import CLOSED_PIPE, greetings_kept_back, nobody_reads, prepare_streams, restart_in_utf8, stop_printing
from pipeline.unattended.notify import check_notify, look_at_notify
from pipeline.workspace.dvc_graph import missing_inputs
from pipeline.workspace.dvc_repro import FLOW_PID, MAY_PASS
from pipeline.workspace.surroundings import foreign_code, make_homes, refuse_what_stops_a_run, settle_home

TRACKED_STAGES = STAGES[2:]
MODEL_COMMANDS = {
    "clean": "pipeline.housekeeping.commands",
    **dict.fromkeys(("history", "promote", "rollback", "trace", "reproduce"), "pipeline.pedigree.commands"),
    "predict": "pipeline.predicting.commands",
    "drift": "pipeline.monitoring.commands",
    "serve-model": "pipeline.model_server.commands",
    "export": "pipeline.exporting.commands",
    "relabel": "pipeline.relabelling.commands",
}
WORDS = {"images": ("image", "images"), "classes": ("class", "classes"), "epochs": ("epoch", "epochs"), "folds": ("fold", "folds")}


def main(arguments: list[str] | None = None) -> int:
    """The exit code: 0 done, 2 a problem that the user can fix, printed in one line, 130 or 143 stopped by Ctrl-C or SIGTERM."""
    prepare_streams()
    if arguments is None:
        restart_in_utf8(sys.orig_argv[1:])
    apply_settings()
    spare_loopback(os.environ)
    _lead_children()
    try:
        options = build_parser().parse_args(arguments)
        exit_code = _run(options)
        sys.stdout.flush()
        return exit_code
    except SystemExit as ended:  # argparse has printed help or an error
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.flush()
            raise
        return _end_unread(ended.code)
    except PipelineError as error:
        return _fail(str(error), MAY_PASS if error.may_pass and FLOW_PID in os.environ else 2)
    except BrokenPipeError:
        if not nobody_reads():
            raise
        return _end_unread(CLOSED_PIPE)
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise
        return _fail(
            f"The disk is full: {error.filename or 'a file'} could not be written. Free some space, then run the same command again."
        )


def _run(options: argparse.Namespace) -> int:
    try:
        with contextlib.suppress(PipelineError):  # the command reports problems of the project
            settle_home(find_paths(_here()))
            if options.command != "check":
                make_homes()
        with stop_on_signals():
            return int(options.run(options))
    except Stopped as stopped:
        print(f"pipeline {options.command}: stopped by {stopped}", file=sys.stderr)
        return stopped.exit_code


def _here() -> Path:
    try:
        return Path.cwd()
    except OSError:
        raise StorageError("The current folder no longer exists. Change to the project's folder.") from None


def _end_unread(exit_code: object) -> int:
    stop_printing()
    return exit_code if isinstance(exit_code, int) else CLOSED_PIPE


def _lead_children() -> None:
    """Make every Python that this starts find this code first, whatever else is on PYTHONPATH."""
    os.environ.pop("PYTHONSAFEPATH", None)
    others = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder and folder != str(CODE)]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(CODE), *others])


def build_parser() -> argparse.ArgumentParser:
    """All commands, their options and what each of them runs."""
    own = {"run": _run_flow, "serve": _serve, "ui": _show_ui, "check": _check, "stage": _run_stage}
    return create_parser({**own, **dict.fromkeys(MODEL_COMMANDS, _ask_registry)})


def _fail(message: str, exit_code: int = 2) -> int:
    for line in message.splitlines():
        print(f"error: {masked(line)}", file=sys.stderr)
    return exit_code


def _project() -> Paths:
    """The project to work on, printed if the current folder is not in it."""
    here = _here()
    paths = find_paths(here)
    if not here.resolve().is_relative_to(paths.root):
        print(f"note: {here} is not in a project; using {paths.root}", file=sys.stderr)
    return paths


def _run_flow(options: argparse.Namespace) -> int:
    from pipeline.workspace.check import check_inputs
    from pipeline.workspace.disk_check import refuse_too_little_disk

    paths, here = _project(), _here()
    config = check_inputs(paths)
    refuse_what_stops_a_run(paths)
    refuse_too_little_disk(config, paths)
    check_notify()
    head = refuse_branch(paths, options.publish) if options.publish else ""
    from pipeline.retraining.serve import run_once

    if nothing_done := run_once(paths, options.lock_timeout, options.stage_timeout, if_worth_it=options.if_worth_it):
        print(nothing_done, flush=True)
    from pipeline.registry.state import registry_state

    if outcome := verdict(paths, registry_state(paths), shutil.get_terminal_size().columns if sys.stdout.isatty() else 0):
        print(f"\n{outcome}", flush=True)
    if options.publish:
        published = publish(paths, options.publish, head)
        print(f"\n{masked(published.said)}", file=sys.stdout if published.is_done else sys.stderr, flush=True)
    elif command := first_baseline(paths, here):
        print(f"\nTo compare later runs with this one, commit it as your first baseline: {command}", flush=True)
    return 0


def _serve(options: argparse.Namespace) -> int:
    from pipeline.workspace.check import check_inputs

    if options.cron is None and not options.watch:
        raise ConfigError('serve: when is it to run? --cron "0 6 * * 1" is Mondays at 6, --watch is when images arrive; both are possible.')
    paths = _project()
    check_inputs(paths)
    check_notify()
    refuse_what_stops_a_run(paths)
    if options.publish:
        refuse_branch(paths, options.publish)
    from pipeline.retraining.serve import serve

    parameters = {"publish_to": options.publish, "stage_timeout_hours": options.stage_timeout / 3600}
    serve(paths, options.cron, options.timezone, 60 * options.settle if options.watch else None, parameters, options.port)
    return 0


def _show_ui(options: argparse.Namespace) -> int:
    from pipeline.tracking.ui import show

    show(find_paths(Path.cwd()), options.port)
    return 0


def _check(_: argparse.Namespace) -> int:
    from pipeline.workspace.check import check_machine, table
    from pipeline.workspace.disk_need import Measured, look_at_disk
    from pipeline.workspace.settings_check import look_at_settings
    from pipeline.workspace.source_check import look_at_source

    paths = _project()
    with ThreadPoolExecutor(1) as beside:  # most of it is waiting for other programs
        machine = beside.submit(check_machine, paths)
        measured = Measured()
        source, text = look_at_source(paths, shutil.get_terminal_size().columns if sys.stdout.isatty() else 0, measured)
        others = look_at_disk(paths, measured), look_at_settings(paths, measured), look_at_notify()
    findings = [*machine.result(), *(look for look in (source, *others) if look.found)]
    print(table(findings))
    if text:
        print(f"\n{masked(text)}")
    return 2 if any(finding.fix for finding in findings) else 0


def _ask_registry(options: argparse.Namespace) -> int:
    """A command that asks the registry."""
    paths = _project()
    commands = importlib.import_module(MODEL_COMMANDS[options.command])
    return int(getattr(commands, f"run_{options.command.replace('-', '_')}")(options, paths))


def _run_stage(options: argparse.Namespace) -> int:
    """Run a stage, one at a time, and end with the processes that wait for it: DVC and the flow."""
    from pipeline.workspace.check import check_places

    if "DVC_STAGE" in os.environ:
        exit_with(*callers(), *map(int, filter(None, [os.environ.get(FLOW_PID)])))
    paths = _project()
    if fault := foreign_code(paths):
        raise ConfigError(f"stage {options.name}: {fault}.")
    config = check_places(paths, [options.name])
    if "DVC_STAGE" not in os.environ and (missing := missing_inputs(options.name, paths)):  # DVC checks this itself
        raise StorageError(
            f"{options.name} needs {missing[0]}, which does not exist. `dvc repro {options.name}` runs the stages that create it."
        )
    with one_at_a_time(options.name, paths.root, paths.scratch):
        with greetings_kept_back():
            module = importlib.import_module(f"pipeline.stages.{options.name}")
        report = module.run(config, paths, _tracker(options.name, paths))
    print(f"{options.name}: {', '.join(_said(key, value) for key, value in report.items())}", flush=True)
    return 0


def _said(key: str, value: object) -> str:
    """One entry of a stage's report: `44 near leaks`, `accuracy 0.9257`."""
    words = WORDS.get(key) or ((kinds()[key].one, kinds()[key].many) if key in kinds() else None)
    return counted(value, *words) if words and isinstance(value, int) else f"{key.replace('_', ' ')} {value}"


def _tracker(stage: str, paths: Paths) -> object:
    """The tracker for the stages that use one; the others never load MLflow."""
    if stage not in TRACKED_STAGES:
        return None
    from pipeline.tracking.mlflow_log import MlflowLog

    return MlflowLog.connect(paths, stage)


if __name__ == "__main__":
    sys.exit(main())
