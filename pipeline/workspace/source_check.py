"""What a run would make of the source, for `pipeline check`: read as `ingest` reads it, but no image is decoded and nothing is kept.

No TensorFlow or MLflow is imported. A URL and an archive that takes long to unpack are left to the first run.
"""

import contextlib
import os
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from pipeline.dataset.earlier_runs import not_recorded, read_recorded, what_decided
from pipeline.dataset.moved_images import how_to_go_on
from pipeline.errors import ConfigError, PipelineError, SourceError
from pipeline.labels.overlay import refuse_unknown_classes
from pipeline.labels.verdict_file import read_verdicts
from pipeline.listing.listing import IMAGE_SUFFIXES
from pipeline.listing.opening import ARCHIVE, LOOSE_IMAGES, is_archive
from pipeline.listing.records import LeftOut, Source
from pipeline.listing.remote import ask
from pipeline.listing.stores import over_http
from pipeline.listing.tar_archives import COMPRESSIONS
from pipeline.listing.written_places import refuse_shared_source
from pipeline.names import listed
from pipeline.params.ingest import Ingest
from pipeline.params.reader import load_config
from pipeline.paths import Paths
from pipeline.quality.class_names import similar_names
from pipeline.quality.continuity import Recorded, compare, refuse_unconfirmed
from pipeline.quality.findings import BESIDE, NOTES
from pipeline.quality.kinds import counted, in_words
from pipeline.sources.layouts import open_source
from pipeline.tables.cells import numeric_order
from pipeline.workspace.disk_need import Measured
from pipeline.workspace.source_text import SPLIT_ORDER, Example, Told, Understood, describe
from pipeline.workspace.surroundings import Finding
from pipeline.workspace.untracked import is_tracked

SECONDS_FOR_RECORDS = 2.0
SECONDS_BEFORE_A_WORD = 1.0
SECONDS_BETWEEN_WORDS = 5.0
MOST_TO_UNPACK_BYTES = 2**30
SPACE_TO_UNPACK = 4  # times the size of an archive
EXAMPLES = 3
DECIDED_BY = {"source": "the source", "group": "groups", "pipeline": "data/splits.csv"}


class Look(NamedTuple):
    """What `pipeline check` says of the source: a line of its table, empty where another check says why, and the text beneath the table."""

    finding: Finding
    text: str = ""


def look_at_source(paths: Paths, columns: int = 0, measured: Measured | None = None) -> Look:
    """What the source is understood to be. columns: of the terminal; 0: lines of any length. `measured` gets number and sizes of the images."""
    try:
        config = load_config(paths.params)
        ingest, source = config.ingest, config.source_path(paths.root)
        if "://" in ingest.source:
            told = f" ({ask(ingest.source, paths.scratch / 'sources')})" if over_http(ingest.source) else ""
            return Look(Finding("source", f"{ingest.source} is read by a run{told}"))
        refuse_shared_source(source, paths)
    except PipelineError:
        return Look(Finding("source", ""))
    if not os.path.exists(source):  # noqa: PTH110 (no error where one may not look)
        return Look(Finding("source", ""))
    try:
        return _look(source, ingest, columns, paths, measured or Measured())
    except PipelineError as error:
        return Look(Finding("source", "a run would stop", str(error)) if is_tracked(source) else Finding("source", ""))


def _look(source: Path, ingest: Ingest, columns: int, paths: Paths, measured: Measured) -> Look:
    try:
        free_bytes = shutil.disk_usage(tempfile.gettempdir()).free
    except OSError:
        return Look(Finding("source", "not read, since there is no folder for temporary files"))
    packed_bytes = bytes_to_unpack(source)
    if packed_bytes > min(MOST_TO_UNPACK_BYTES, free_bytes / SPACE_TO_UNPACK):
        return Look(Finding("source", f"{ingest.source} is read at the first run, which unpacks it: {packed_bytes / 2**30:,.1f} GiB"))
    with tempfile.TemporaryDirectory() as scratch, _saying_that_it_takes_time(ingest.source, Path(scratch)):
        opened = open_source(source, ingest, Path(scratch))
        recorded = read_recorded(opened, paths)
        watched = replace(opened, records=measured.watch(opened.records))
        found = replace(
            understand(watched, ingest),
            is_recorded=bool(recorded.classes or len(recorded.images)),
            not_recorded=not_recorded(opened.name, paths),
        )
    measured.count = sum(found.counts.values())
    other_split = _other_split(opened, found, ingest, paths)
    if lost := _lost_classes(opened.name, recorded, found, ingest):
        return Look(Finding("source", "a run would stop", lost), describe(found, columns))
    classes = counted(len(found.class_names), "class", "classes")
    summary = f"{found.how}, {counted(sum(found.counts.values()), 'image', 'images')} of {classes}"
    if alike := similar_names(found.class_names):
        pairs = [f"{one} and {other}" for one, other, *_ in alike]
        summary += f"; names that differ in case, spaces or accents only: {listed(pairs, EXAMPLES)}"
    fix = _too_many_left_out(found, ingest) or other_split or _unknown_in_verdicts(found.class_names, paths)
    return Look(Finding("source", summary, fix, warns=bool(alike)), describe(found, columns))


def _unknown_in_verdicts(class_names: Sequence[str], paths: Paths) -> str:
    """That a verdict gives a class which the source does not have; whether its image is in the source is not known here."""
    try:
        verdicts = read_verdicts(paths.verdicts)
        refuse_unknown_classes(verdicts, {verdict.label for verdict in verdicts.values()}, class_names, paths.relative(paths.verdicts))
    except ConfigError as error:
        return f"{error} A run stops at it if the image is in the source"
    return ""


def understand(source: Source, ingest: Ingest, seconds: float = SECONDS_FOR_RECORDS) -> Understood:
    """What the reader of a source tells; its records are asked for as long as `seconds` last. Raises SourceError if they show a fault."""
    assert source.reading is not None
    started, is_complete = time.monotonic(), True
    counts: Counter[tuple[str | None, str]] = Counter()
    examples: list[Example] = []
    groups: dict[str, set[str | None]] = {}
    grouped = 0
    for record in source.records:
        if len(examples) < EXAMPLES or (record.split, record.label) not in counts:
            examples.append(Example(record.path, record.label, record.split, record.group))
        counts[record.split, record.label] += 1
        if record.group:
            grouped += 1
            groups.setdefault(record.group, set()).add(record.split)
        if time.monotonic() - started > seconds:
            is_complete = False
            break
    labels = {label for _, label in source.reading.counts}
    names = source.class_names or numeric_order(labels) or sorted(labels)
    return Understood(
        how=source.reading.how,
        settings=source.reading.settings,
        origin=source.reading.origin_of_all(ingest.test_fraction),
        class_names=[name for name in names if name in labels],
        counts=counts if is_complete else _as_split_by_a_run(source.reading.counts),
        examples=_varied(examples),
        groups=len(groups),
        ungrouped=counts.total() - grouped,
        left_out=_summed_up(source.left_out),
        seen=None if is_complete else counts.total(),
        test_fraction=ingest.test_fraction,
        ignore=ingest.ignore,
        ignored=source.reading.ignored,
        divided_groups=sum(len(splits) > 1 for splits in groups.values()),
    )


def _lost_classes(name: str, recorded: Recorded, found: Understood, ingest: Ingest) -> str:
    """Why a run would stop at the classes of a data set, if it would. Whether all images were replaced is not known here."""
    try:
        with_images = {label for (_, label), count in found.counts.items() if count}
        classes = [label for label in found.class_names if label in with_images]
        changes = compare(name, recorded, classes, recorded.images, ingest.removed_classes)
        refuse_unconfirmed(changes, (), ingest.removed_classes, ingest.replaced_images)
    except SourceError as error:
        return str(error)
    return ""


def _other_split(source: Source, found: Understood, ingest: Ingest, paths: Paths) -> str:
    """That something else decides the split than in the last run, and what to do; empty if it does not, or if that is confirmed."""
    before = what_decided(source.name, paths)
    looked_at = found.seen or sum(found.counts.values())
    by = "source" if "test" in found.splits else "group" if found.groups and 2 * found.ungrouped < looked_at else "pipeline"
    if not before or before == by or ingest.moved_images == "keep" or source.reading is None:
        return ""
    origin = source.reading.origin
    now = {"source": origin.splits, "group": origin.groups}.get(by) or DECIDED_BY[by]
    return (
        f"the split came from {DECIDED_BY[before]} in earlier runs and comes from {now} now: a run will probably stop, since images change sides "
        f"between train and test. {how_to_go_on(by, origin)}"
    )


def bytes_to_unpack(source: Path) -> int:
    """The size of the compressed tar archives that a source consists of: these are unpacked before anything else."""
    if not source.is_dir():
        return source.stat().st_size if _is_compressed(source) and is_archive(source) else 0
    size_bytes = pictures = 0
    for folder, _, names in os.walk(source):
        for name in names:
            pictures += os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122 - once per image
            if pictures > LOOSE_IMAGES:
                return 0
            if ARCHIVE.search(name) and _is_compressed(file := Path(folder, name)):
                size_bytes += file.stat().st_size
    return size_bytes


def _is_compressed(file: Path) -> bool:
    if not file.is_file():
        return False  # a pipe would be waited for
    try:
        with file.open("rb") as content:
            start = content.read(8)
    except OSError:
        return False  # the reader says so
    return start.startswith(tuple(COMPRESSIONS))


def _as_split_by_a_run(counts: Mapping[tuple[str | None, str], int]) -> dict[tuple[str | None, str], int]:
    """Images by split and class. Without test images, those of train have no split yet, since a share of them is held out."""
    if any(split == "test" for split, _ in counts):
        return dict(counts)
    free: dict[tuple[str | None, str], int] = {}
    for (split, label), count in counts.items():
        key = (None if split == "train" else split, label)
        free[key] = free.get(key, 0) + count
    return free


def _varied(examples: Iterable[Example]) -> list[Example]:
    """A few images, of different classes and splits if there are such."""
    waiting = sorted(examples, key=_place)
    chosen: list[Example] = []
    while waiting and len(chosen) < EXAMPLES:
        best = max(waiting, key=lambda example: _novelty(example, chosen))
        waiting.remove(best)
        chosen.append(best)
    return sorted(chosen, key=_place)


def _novelty(example: Example, chosen: Sequence[Example]) -> tuple[bool, bool, bool]:
    """Whether none of the chosen ones has its class, its split, or both of them."""
    return (
        all(example.label != other.label for other in chosen),
        all(example.split != other.split for other in chosen),
        all((example.split, example.label) != (other.split, other.label) for other in chosen),
    )


def _place(example: Example) -> int:
    return SPLIT_ORDER.index(example.split)


def _summed_up(left_out: Iterable[LeftOut]) -> dict[str, Told]:
    """How much of each kind was left out, with the first of it."""
    told: dict[str, Told] = {}
    for fault in left_out:
        before = told.get(fault.finding)
        told[fault.finding] = Told(before.number + 1, before.example) if before else Told(1, fault)
    return told


def _too_many_left_out(found: Understood, ingest: Ingest) -> str:
    """What to do if a run would stop because of what is left out, by the policies of `ingest`; empty if it would not, as far as is known yet."""
    lost = {kind: told for kind, told in found.left_out.items() if kind not in BESIDE | NOTES}
    count = sum(told.number for told in lost.values())
    files = sum(found.counts.values()) + count
    if not count or (ingest.unusable != "fail" and count <= ingest.max_rejected_fraction * files):
        return ""
    words = ", ".join(in_words(kind, told.number) for kind, told in lost.items())
    example = next(iter(lost.values())).example
    limit = "ingest.unusable is fail" if ingest.unusable == "fail" else f"ingest.max_rejected_fraction is {ingest.max_rejected_fraction:g}"
    return (
        f"ingest.source: {count:,} of {files:,} files would be left out, and {limit}: {words}, for example {example.path}: {example.reason}. "
        "Fix them, leave them out on purpose with ingest.ignore, or change that parameter."
    )


def _what_is_done(source: str, seconds: float, scratch: Path, *, has_bar: bool) -> str:
    """A line about what is being read; empty while a bar shows what is being unpacked."""
    files = [file for file in scratch.rglob("*") if file.is_file()]
    if has_bar and any(file.suffix == ".partial" for file in files):
        return ""
    unpacked = sum(file.stat().st_size for file in files)
    done = f", {unpacked / 2**20:,.0f} MiB unpacked" if unpacked else ""
    return f"check: reading {source}: {seconds:.0f} s{done}"


@contextlib.contextmanager
def _saying_that_it_takes_time(source: str, scratch: Path) -> Iterator[None]:
    """Print what is being done on standard error, every few seconds once it has taken one."""
    started, ended = time.monotonic(), threading.Event()

    def say() -> None:
        wait = SECONDS_BEFORE_A_WORD
        while not ended.wait(wait):
            wait = SECONDS_BETWEEN_WORDS
            if word := _what_is_done(source, time.monotonic() - started, scratch, has_bar=sys.stderr.isatty()):
                print(word, file=sys.stderr, flush=True)

    def say_if_anybody_listens() -> None:
        with contextlib.suppress(OSError, ValueError):
            say()

    thread = threading.Thread(target=say_if_anybody_listens, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
