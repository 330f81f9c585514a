"""The commands about registered models, their options and their help: history, promote, rollback, trace, reproduce. Runs nothing."""

import argparse
from collections.abc import Callable

Add = Callable[[str, str, str], argparse.ArgumentParser]
"""Adds a command by name, line of help and description."""

HISTORY = """\
Show which version has which alias, and who moved it when, from which version to which, and why; the newest first. A move that somebody made by hand
in MLflow is shown as such. The history is kept in the registry, with the model.

examples:
  pipeline history
  pipeline history --verify               exit code 2 if a line was changed, removed or put in
"""
PROMOTE = """\
Make a registered version the champion, whatever the gate says. Before, it must show that it can serve: its files are unchanged, and started as it is
served it answers as when it was registered. The reason is kept in the history.

examples:
  pipeline promote 7 --reason "better on the new cameras, as agreed on Monday"
  pipeline promote 7 --anchor --reason "new baseline"
"""
ROLLBACK = """\
Go back to the champion before this one; run again, to the one before that. The version must show that it can serve, as with promote. The gate leaves
the version that was taken back alone until somebody promotes it.

examples:
  pipeline rollback --reason "mistakes cats for dogs since Tuesday"
  pipeline rollback --to 3 --reason "last version that was checked by hand"
"""
TRACE = """\
Show where a model came from: its data, code, parameters, machine, results and verdict, and what of that is gone, so that it cannot be rebuilt.

examples:
  pipeline trace champion
  pipeline trace models:/flowers/7
  pipeline trace data/train/model.keras
"""
REPRODUCE = """\
Build a registered version again and compare the bytes: a clean copy of the project at its commit, with the changes that were not committed, runs
ingest, preprocess and train. If the source has changed since, it starts from the images as ingested, out of DVC's cache or remote. Nothing is logged
to the registry. Exit code 2 if the bytes differ.

examples:
  pipeline reproduce champion
  pipeline reproduce 7
"""


def add_model_commands(add: Add) -> None:
    """Add the commands to the parser."""
    history = add("history", "show who moved champion and anchor, when and why", HISTORY)
    history.add_argument("--verify", action="store_true", help="check that no line was changed, removed or put in")
    history.add_argument("--json", action="store_true", help="print JSON for programs, the oldest move first")
    promotion = add("promote", "make a registered version the champion", PROMOTE)
    promotion.add_argument("version", metavar="VERSION", help="its number, or an alias such as challenger")
    promotion.add_argument("--anchor", action="store_true", help="make it the anchor, too")
    way_back = add("rollback", "go back to the champion before", ROLLBACK)
    way_back.add_argument("--to", metavar="VERSION", help="the version to go back to (default: the champion before)")
    origin = add("trace", "show where a model came from", TRACE)
    origin.add_argument("of", metavar="MODEL", help="a version (7, champion, NAME/7, NAME@champion), the id of a run, or a .keras file")
    origin.add_argument("--json", action="store_true", help="print JSON for programs")
    again = add("reproduce", "build a version again and compare the bytes", REPRODUCE)
    again.add_argument("of", metavar="VERSION", help="as with trace")
    for command in (promotion, way_back):
        command.add_argument("--reason", required=True, metavar='"…"', help="why, in a few words; kept in the history")
    for command in (history, promotion, way_back, origin, again):
        command.add_argument("--name", help="the registered model (default: this project's)")
