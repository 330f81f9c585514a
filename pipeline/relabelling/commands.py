"""`pipeline relabel`: a local page with the doubtful labels, or a CSV file of them."""

import argparse
import getpass
import logging
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from pipeline.errors import ConfigError, StageError
from pipeline.git import ask_git
from pipeline.labels.suspects import Labelled, find_suspects, labelled_test_images, labelled_training_images
from pipeline.labels.verdict import Verdict
from pipeline.labels.verdict_file import add_verdicts, read_verdicts
from pipeline.model_server.listening import address_of, answer_until_stopped, listen
from pipeline.params.reader import load_config
from pipeline.paths import Paths
from pipeline.processes import one_at_a_time
from pipeline.relabelling.app import RelabelApp
from pipeline.relabelling.maps import Maps
from pipeline.relabelling.pictures import Pictures, read_index
from pipeline.relabelling.session import Session
from pipeline.relabelling.sheet import in_words, read_sheet, refuse_mixed_rows, write_sheet

HOST = "127.0.0.1"
YARDSTICK = "Corrected test labels change the yardstick: the next run scores champion and challenger alike on the corrected labels."


def run_relabel(options: argparse.Namespace, paths: Paths) -> int:
    """Show the page until stopped, write the CSV file, or read it."""
    reviewer = options.reviewer if options.reviewer is not None else _reviewer(paths)
    read_verdicts(paths.verdicts)
    images = labelled_test_images(paths) if options.test else labelled_training_images(paths)
    with one_at_a_time("relabel", paths.root, paths.scratch, timeout_seconds=1):
        if options.from_file:
            return _read(Path(options.from_file), images, reviewer, paths)
        return _write(Path(options.csv), images, options, paths) if options.csv else _serve(images, reviewer, options, paths)


def _reviewer(paths: Paths) -> str:
    """Who judges: the name that git commits with, else that of the account."""
    return ask_git(paths.root, "config", "user.name").text or getpass.getuser()


def _read(file: Path, images: Labelled, reviewer: str, paths: Paths) -> int:
    """Add the verdicts of a filled-in file, those that are not there yet; all of them or none."""
    said = read_sheet(file, images.class_names, reviewer, date.today())
    new = _new_among(said, read_verdicts(paths.verdicts), file, paths)
    refuse_mixed_rows(new, read_index(paths.stage("ingest")), file)
    if new:
        add_verdicts(paths.verdicts, new)
    print(f"{len(new):,} of {len(said):,} verdicts in {file} are new{f': {in_words(new)}' if new else ''}.{_go_on(bool(new))}")
    return 0


def _new_among(said: Sequence[Verdict], known: Mapping[str, Verdict], file: Path, paths: Paths) -> list[Verdict]:
    """The verdicts that say something new. Raises ConfigError for one that contradicts another, in the file or known before."""
    new: dict[str, Verdict] = {}
    for verdict in said:
        before = new.get(verdict.sha256) or known.get(verdict.sha256)
        if before and verdict.contradicts(before):
            place = f"line {before.line}" if verdict.sha256 in new else f"{paths.relative(paths.verdicts)}:{before.line}"
            raise ConfigError(
                f"{file}:{verdict.line}: {verdict.path} is {verdict.in_words} here, but {before.in_words} in {place}. Decide which is right, "
                "and delete the other line."
            )
        if before is None or (before.verdict == "unsure" and verdict.verdict != "unsure"):
            new[verdict.sha256] = verdict
    return list(new.values())


def _write(file: Path, images: Labelled, options: argparse.Namespace, paths: Paths) -> int:
    suspects = find_suspects(images, read_verdicts(paths.verdicts), options.budget)
    if suspects.note:
        raise StageError(suspects.note)
    if not suspects.found:
        print("No doubtful label is left that nobody has judged.")
        return 0
    write_sheet(file, suspects.found)
    print(
        f"{file}: {len(suspects.found):,} of {suspects.left:,} doubtful labels, the most doubtful first. Fill in the column verdict (keep, change, "
        f"unsure or bad; change takes the suggestion, or new_label if you fill that in), then run `pipeline relabel --from {file}`."
    )
    return 0


def _serve(images: Labelled, reviewer: str, options: argparse.Namespace, paths: Paths) -> int:
    with listen(HOST, options.port) as listener:
        suspects = find_suspects(images, read_verdicts(paths.verdicts))
        if suspects.note:
            raise StageError(suspects.note)
        pictures = Pictures(paths.stage("ingest"), load_config(paths.params).ingest.max_pixels)
        session = Session(suspects.found, paths.verdicts, images.class_names, options.budget, reviewer, date.today)
        names = images.class_names
        maps = Maps(
            paths.stage("train") / "model.keras", paths.stage("preprocess") / ("test" if options.test else "train"), suspects.found, names
        )
        app = RelabelApp(
            session,
            pictures.picture,
            lambda row: (images.sha256[row], names[images.labels[row]]),
            names,
            YARDSTICK if options.test else "",
            maps.picture if maps.are_possible else None,
        )
        logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s", stream=sys.stderr)
        kind = "test" if options.test else "training"
        print(f"{suspects.left:,} {kind} labels are doubtful. Look at them at {address_of(HOST, listener.getsockname()[1])}")
        if options.test:
            print(YARDSTICK)
        print(f"Each answer is written to {paths.relative(paths.verdicts)} at once. Ctrl-C stops it.", flush=True)
        try:
            answer_until_stopped(app.asgi, listener)
        finally:  # a signal ends this block
            print(f"{in_words(session.given) or 'No verdict'} in this session.{_go_on(bool(session.given))}", flush=True)
    return 0


def _go_on(is_new: bool) -> str:
    return " `pipeline run` uses them; commit data/verdicts.csv." if is_new else ""
