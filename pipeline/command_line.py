"""The commands of `pipeline`, their options and their help. A mistyped command gives a one-line error, with the nearest name. Runs nothing."""

import argparse
import difflib
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from typing import NoReturn

from pipeline.model_commands import Add, add_model_commands
from pipeline.option_types import DEFAULT_BRANCH, count, days, interval, minutes, port, seconds
from pipeline.paths import STAGES

Command = Callable[[argparse.Namespace], int]

EXAMPLES = """\
examples:
  pipeline check                          check environment, parameters and images, and suggest fixes
  pipeline run                            bring everything up to date
  pipeline serve --cron "0 6 * * 1"       run every Monday at 6, until stopped
  pipeline ui                             compare runs in MLflow
  pipeline predict photos/                say what is in images, with the champion
  pipeline serve-model                    answer over HTTP, with a page to drop pictures on
  pipeline relabel                        look at doubtful labels, and correct them
  pipeline rollback --reason "…"          go back to the champion before
"""
RUN = """\
Bring every stage up to date, as a Prefect flow. Only what is affected by a change since the last run is run again.

examples:
  pipeline run
  pipeline run --lock-timeout 600         wait up to 10 minutes for another DVC command
  pipeline run --publish                  then commit the results to the branch retrained, and push them with their data
"""
SERVE = """\
Run the pipeline on a schedule, when new images arrive, or both, until stopped by Ctrl-C or SIGTERM. If no Prefect server is configured, one
is started. A run does nothing if too little has changed (section retrain of params.yaml).

examples:
  pipeline serve --cron "0 6 * * 1"                             every Monday at 6
  pipeline serve --cron "30 2 * * *" --timezone Europe/Berlin   every day at half past two
  pipeline serve --watch --settle 10                            10 minutes after the last change in the source
"""
UI = """\
Show runs, curves and the registry in MLflow's UI, until stopped by Ctrl-C.

examples:
  pipeline ui
  pipeline ui --port 5001
"""
CHECK = """\
Check the machine, the tools, the environment, the parameters and the images: a table, and one `Fix:` line per problem. Exit code 2 if there
is one. Below it, what a run would read: layout, splits, classes with their images, examples, and what is left out, before any image is decoded.
Nothing is changed. Images at a URL are not fetched; archives that take long to unpack are left to the first run.
"""
CLEAN = """\
Show what may be deleted, with its size: what is left over in .checkpoints for two weeks, files of DVC's cache that no branch, tag, stash, experiment,
worktree or registered version names, and, with --runs-older-than, MLflow runs without a registered version. These go to MLflow's trash first, and out
of it after 30 days. Nothing is deleted without --yes.

examples:
  pipeline clean
  pipeline clean --runs-older-than 90d
  pipeline clean --runs-older-than 90d --yes
"""
RELABEL = """\
Look at the labels that are probably wrong, the most doubtful first, on a page in the browser: one key per image. Answers go to data/verdicts.csv at
once, which the next run lays over the labels; the source stays as it is. Until stopped by Ctrl-C.

examples:
  pipeline relabel
  pipeline relabel --budget 50            stop after 50 images a week
  pipeline relabel --csv                  write relabel.csv instead; fill it in, then
  pipeline relabel --from relabel.csv     read the verdicts from it
  pipeline relabel --test                 test images: corrected labels change what models are measured by
"""
STAGE = f"""\
Run one stage, whether or not it is up to date. dvc.yaml calls this; by hand, use `dvc repro NAME`.

stages: {", ".join(STAGES)}
"""


MAY_BE_EMPTY = ("--reviewer",)
EMPTY = re.compile("--[a-z-]+=")


class _Help(argparse.RawDescriptionHelpFormatter):
    """With room for the longest command, which argparse measures without its indentation."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog)
        self._action_max_length = 15


class _Parser(argparse.ArgumentParser):
    """Reports a mistyped command in one line."""

    def error(self, message: str) -> NoReturn:
        sentence = message if message.endswith(("?", ".")) else f"{message}."
        print(f"error: {sentence} See `{self.prog} --help`.", file=sys.stderr)
        raise SystemExit(2)

    def _check_value(self, action: argparse.Action, value: object) -> None:
        if action.choices is not None and value not in action.choices:
            names = [str(choice) for choice in action.choices]
            suggestion = f"Did you mean {near[0]}?" if (near := _near(str(value), names)) else f"Choose from {', '.join(names)}"
            what = {"name": "stage", "format": "format"}.get(action.dest, "command")
            raise argparse.ArgumentError(None, f"unknown {what} {value}. {suggestion}")

    def _nearest_option(self, typed: str) -> str:
        options = [option for action in self._actions for option in action.option_strings]
        near = _near(typed.split("=")[0], options) if typed.startswith("-") else []
        return f" Did you mean {near[0]}?" if near else ""

    def _of_command(self, name: str | None) -> "_Parser":
        """The parser of a command."""
        choices = [action.choices for action in self._actions if isinstance(action, argparse._SubParsersAction)]
        return next((parser for parsers in choices for key, parser in parsers.items() if key == name and isinstance(parser, _Parser)), self)

    def parse_args(self, args: Sequence[str] | None = None, namespace: None = None) -> argparse.Namespace:  # type: ignore[override]
        """As argparse does; without any arguments, show the help. An empty value is refused: it is that of a variable of the shell that is not set."""
        typed = list(sys.argv[1:] if args is None else args)
        if not typed:
            self.print_help(sys.stderr)
            raise SystemExit(2)
        options, unknown = self.parse_known_args(typed, namespace)
        command = self._of_command(getattr(options, "command", None))
        if unknown:
            command.error(f"unexpected argument {unknown[0]}.{command._nearest_option(unknown[0])}")
        empty = [word[:-1] if word else before for before, word in pairwise(["", *typed]) if not word or EMPTY.fullmatch(word)]
        if wrong := [name for name in empty if name not in MAY_BE_EMPTY]:
            what = f"argument {wrong[0]}: the value" if wrong[0].startswith("-") else "an argument"
            command.error(f"{what} is empty. Is a variable of the shell not set?")
        return options


def create_parser(run: Mapping[str, Command]) -> argparse.ArgumentParser:
    """The parser of all commands; each sets `run` to what is to be called with the options."""
    parser = _Parser(
        prog="pipeline",
        description="Train, evaluate and register an image classifier from a folder of labelled images.",
        epilog=EXAMPLES,
        formatter_class=_Help,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {_version()}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")

    def add(name: str, help_line: str, description: str) -> argparse.ArgumentParser:
        command = commands.add_parser(
            name, help=help_line, description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
        )
        command.set_defaults(run=run[name])
        return command

    _add_run(add)
    _add_serve(add)
    ui = add("ui", "show runs, curves and the registry in MLflow's UI, until stopped", UI)
    ui.add_argument("--port", type=port, default=5000, metavar="PORT", help="port on 127.0.0.1 (default: 5000)")
    add("check", "check environment, parameters and images, and suggest fixes", CHECK)
    clean = add("clean", "show what may be deleted, and delete it", CLEAN)
    clean.add_argument("--yes", action="store_true", help="delete it")
    clean.add_argument("--runs-older-than", type=days, metavar="DAYS", help="also runs that ended so long ago, such as 90d")
    _add_relabel(add)
    add_model_commands(add)
    stage = add("stage", "run one stage; dvc.yaml calls this", STAGE)
    stage.add_argument("name", choices=STAGES, metavar="NAME", help=", ".join(STAGES))
    return parser


def _add_run(add: Add) -> None:
    once = add("run", "bring every stage up to date, as a Prefect flow", RUN)
    once.add_argument(
        "--if-worth-it", action="store_true", help="only if enough has changed, by section retrain of params.yaml, as a scheduled run does"
    )
    once.add_argument(
        "--lock-timeout",
        type=seconds,
        default=60.0,
        metavar="SECONDS",
        help="how long to wait for another run or DVC command (default: 60)",
    )
    once.add_argument("--stage-timeout", type=interval, metavar="SECONDS", help="end a stage that takes longer (default: never)")
    once.add_argument(
        "--publish", nargs="?", const=DEFAULT_BRANCH, default="", metavar="BRANCH",
        help=f"commit the results to this branch, never the one that is checked out, and push them with their data (default: {DEFAULT_BRANCH})",
    )  # fmt: skip


def _add_serve(add: Add) -> None:
    schedule = add("serve", "run on a schedule, or when images arrive, until stopped", SERVE)
    schedule.add_argument("--cron", metavar='"M H DOM MON DOW"', help='cron schedule, e.g. "0 6 * * 1": Mondays at 6')
    schedule.add_argument("--watch", action="store_true", help="start a run when files in the source have changed and settled")
    schedule.add_argument(
        "--settle", type=minutes, default=5.0, metavar="MINUTES", help="with --watch: how long nothing may be written there (default: 5)"
    )
    schedule.add_argument(
        "--publish", nargs="?", const=DEFAULT_BRANCH, default="", metavar="BRANCH", help="as pipeline run does, after each run"
    )
    schedule.add_argument(
        "--stage-timeout", type=interval, default=86_400.0, metavar="SECONDS", help="end a stage that takes longer (default: 86400, a day)"
    )
    schedule.add_argument("--timezone", metavar="NAME", help="time zone, e.g. Europe/Berlin (default: this machine's)")
    schedule.add_argument(
        "--port", type=port, metavar="PORT", help="port of the Prefect server, if one is started (default: 4200, if free)"
    )


def _add_relabel(add: Add) -> None:
    relabel = add("relabel", "look at doubtful labels, and correct them", RELABEL)
    relabel.add_argument("--budget", type=count, default=100, metavar="IMAGES", help="how many images to judge in a week (default: 100)")
    relabel.add_argument("--port", type=port, default=8090, metavar="PORT", help="port on 127.0.0.1 (default: 8090)")
    relabel.add_argument("--test", action="store_true", help="the test images, instead of the training images")
    relabel.add_argument("--reviewer", metavar="NAME", help="who judges (default: git's user.name)")
    form = relabel.add_mutually_exclusive_group()
    form.add_argument(
        "--csv", nargs="?", const="relabel.csv", metavar="FILE", help="write the doubtful labels to a new file (default: relabel.csv)"
    )
    form.add_argument("--from", dest="from_file", metavar="FILE", help="read the verdicts from such a file")


def _version() -> str:
    try:
        return version("image-classifier-pipeline")
    except PackageNotFoundError:  # the code without its installation
        return "of no installation"


def _near(name: str, known: Sequence[str]) -> list[str]:
    """Known names like this one, the nearest first; upper and lower case are the same."""
    lower = {candidate.lower(): candidate for candidate in known}
    return [lower[found] for found in difflib.get_close_matches(name.lower(), lower, n=1)]
