"""`pipeline predict`: the champion, or another model, answers for files, folders, archives, tables and URLs."""

import argparse
import contextlib
import itertools
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pipeline.certainty.calibration import UNSURE
from pipeline.errors import ConfigError, SourceError
from pipeline.paths import Paths
from pipeline.predicting.inputs import FROM_INPUT, Images, Named, find_images
from pipeline.predicting.rows import Row, Write, parquet_writer, write_csv, write_json_lines, write_table
from pipeline.predicting.sorting import ClassFolders
from pipeline.progress import Progress
from pipeline.serving.answering import Prediction
from pipeline.serving.classifier import Classifier, load
from pipeline.terminal import greetings_kept_back

AT_ONCE = 200
HOW = "Name files, folders, archives, tables or URLs, or `-` for paths from standard input."


def run_predict(options: argparse.Namespace, paths: Paths) -> int:
    """Print a row per image. Raises SourceError with --strict if one cannot be used."""
    warnings.filterwarnings("ignore", message=".*tasks have been successfully executed.*")  # joblib's, where nobody reads the rest
    found = find_images(_named(options.images), paths.scratch / "predict")
    target = _checked_target(options.copy_to, found)
    for note in found.notes:
        print(f"note: {note}", file=sys.stderr)
    with greetings_kept_back():
        classifier = load(options.model, paths.root)
    folders = ClassFolders(target, classifier.shown) if target else None
    if folders:
        folders.open()
    failed = 0
    with _writer(options, found, classifier) as write:
        for rows in _answered(classifier, found.images, folders):
            write(rows)
            failed += sum(row.label is None for row in rows)
    return _end(failed, len(found.images), strict=options.strict)


def _named(images: Sequence[str]) -> Sequence[str]:
    if images:
        return images
    if sys.stdin.isatty():
        raise ConfigError(f"No images named. {HOW}")
    return [FROM_INPUT]


def _checked_target(folder: str | None, found: Images) -> Path | None:
    """The folder for sorted pictures. Raises ConfigError if it lies where pictures are looked for: the next run would find the copies."""
    if folder is None:
        return None
    real = Path(folder).resolve()
    for source in found.folders:
        if real.is_relative_to(source.resolve()):
            raise ConfigError(
                f"--copy-to {folder} lies in {source}, where the images are: the copies would be images, too. Name another folder."
            )
    return Path(folder)


@contextlib.contextmanager
def _writer(options: argparse.Namespace, found: Images, classifier: Classifier) -> Iterator[Write]:
    if options.parquet:
        with parquet_writer(Path(options.parquet)) as write:
            yield write
    elif options.csv:
        yield write_csv()
    elif options.jsonl:
        yield write_json_lines()
    else:
        yield write_table([image.path for image in found.images], classifier.class_names, classifier.version)


def _answered(classifier: Classifier, images: Sequence[Named], folders: ClassFolders | None) -> Iterator[list[Row]]:
    """The rows, some at a time."""
    answers = zip(images, classifier.stream([image.content for image in images]), strict=True)
    with Progress("predict", len(images), "images") as progress:
        while part := list(itertools.islice(answers, AT_ONCE)):
            if folders:
                _copy(part, folders)
            yield [_row(image, answer, classifier.version) for image, answer in part]
            progress.advance(len(part))


def _copy(part: Iterable[tuple[Named, Prediction]], folders: ClassFolders) -> None:
    for image, answer in part:
        if not answer.error:
            folders.add(image.path, None if answer.decision == UNSURE else answer.label, answer.sha256, image.content())


def _row(image: Named, answer: Prediction, version: str) -> Row:
    label, probability = (None, None) if answer.error else (answer.label, answer.probability)
    return Row(image.path, label, probability, answer.decision, list(answer.one_of), version, answer.sha256, answer.note, answer.error)


def _end(failed: int, total: int, *, strict: bool) -> int:
    if not failed:
        return 0
    said = f"{failed:,} of {total:,} images could not be used: the reasons are in the column error"
    if strict or failed == total:
        raise SourceError(f"{said}.")
    print(f"note: {said}; --strict makes this an error", file=sys.stderr)
    return 0
