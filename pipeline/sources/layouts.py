"""A source of images in any supported layout, which is decided from its content. Sources are never written to.

First everything in the source is listed once. Then every reader says what it would make of that list: classes, splits, counts, what would be left
out. Then one rule chooses; where two readings differ, it is an error that shows both with the parameters that choose.
"""

import shutil
import tempfile
import time
import uuid
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from pipeline.containers import cifar, idx, image_parquet, npz, pixel_tables, refused, tfrecord
from pipeline.errors import SourceError
from pipeline.images.format_marks import Format
from pipeline.listing.listing import Listing, extracted
from pipeline.listing.opening import Options, is_archive, list_source
from pipeline.listing.records import LeftOut, Reading, Record, Source, source_name
from pipeline.params.ingest import Ingest
from pipeline.quality.class_names import not_labelled
from pipeline.quality.kinds import counted
from pipeline.sources.choice import Choice, all_ignored
from pipeline.sources.image_readings import read_images
from pipeline.sources.trials import Outcome, refuse_too_many_left_out, with_ways_that_work
from pipeline.tables.cells import unread_roles
from pipeline.tables.label_checks import refuse_no_classes, refuse_placeholders
from pipeline.tables.opening import is_table_name
from pipeline.two_readings import classes, listed, two_readings
from pipeline.ways_out import Undecided, Way

__all__ = ["FORMATS", "LAYOUTS", "open_source", "source_name"]
FEW_BESIDE = 5  # images beside arrays: examples
LAYOUTS = (
    "class folders (with or without train/, test/, val/ above them); images with a table of paths and labels (.csv, .tsv, .txt, .json, .jsonl, "
    ".parquet, .xlsx); images with the class in their names; Parquet files with images, .npz or .npy arrays, idx files, CIFAR's files, TFRecord, "
    "WebDataset; each as a folder, or in .zip or .tar archives"
)


class Container(NamedTuple):
    """A kind of files with many images each."""

    candidates: Callable[[Sequence[str]], list[str]]
    read: Callable[[Mapping[str, Path], Mapping[str, str]], Reading | None]  # with ingest.columns


CONTAINERS: dict[str, Container] = {
    "parquet": Container(
        image_parquet.candidates, lambda files, columns: image_parquet.read(files, columns.get("label"), unread_roles(columns))
    ),
    "idx": Container(idx.candidates, lambda files, columns: idx.read(files)),
    "npz": Container(npz.candidates, lambda files, columns: npz.read(files)),
    "cifar": Container(cifar.candidates, lambda files, columns: cifar.read(files, columns.get("label"))),
    "tfrecord": Container(tfrecord.candidates, lambda files, columns: tfrecord.read(files, columns.get("label"), unread_roles(columns))),
    "pixels": Container(pixel_tables.candidates, lambda files, columns: pixel_tables.read(files, unread_roles(columns))),
}
FORMATS = ("auto", "folders", "table", "webdataset", *CONTAINERS)


def open_source(path: Path, settings: Ingest, scratch: Path | None = None) -> Source:
    """The images at `path`. Unpacked archives are kept in the folder `scratch`, or in a temporary one, which is removed with the source.

    Raises SourceError if there are none, only one class, or more than one way to read them.
    """
    if not path.exists():
        raise SourceError(f"ingest.source: {path} does not exist. Set it in params.yaml to a folder, a file or a URL.")
    if not (path.is_dir() or path.is_file()):
        raise SourceError(f"ingest.source: {path} is neither a folder nor a regular file.")
    own = _Temporary(Path(tempfile.gettempdir()) / f"unpacked-{uuid.uuid4().hex}")
    try:
        reading = _read_or_advise(path, settings, (scratch or own.folder) / "unpacked")
    except SourceError as error:
        if str(error).isprintable():
            raise
        raise SourceError(
            "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in str(error))
        ) from None  # names may have line feeds
    except PermissionError as error:
        raise SourceError(
            f"ingest.source: {error.filename or path} cannot be read: permission denied. Give yourself read access."
        ) from None
    return _as_source(path, reading, own)


def _read_or_advise(path: Path, settings: Ingest, scratch: Path) -> Reading:
    """The reading of a source with labels of several classes. A stop has only ways out that were tried, if that does not take long."""
    lists, started = _Lists(scratch), time.monotonic()
    try:
        return _checked(_read(Choice(path, settings), lists), path, settings)
    except Undecided as stop:

        def attempt(changed: Ingest) -> Outcome:
            source = path if changed.source == settings.source else Path(changed.source)
            reading = _checked(_read(Choice(source, changed, is_trial=True), lists), source, changed)
            refuse_too_many_left_out(reading, changed)
            return dict(reading.counts), reading.origin.groups

        seconds = time.monotonic() - started - lists.seconds
        raise with_ways_that_work(stop, settings, attempt, seconds) from None


def _checked(reading: Reading, path: Path, settings: Ingest) -> Reading:
    """The reading, without labels such as TODO. Raises SourceError if its labels are no classes, or not several."""
    if settings.class_from == "auto":
        reading = _without_placeholders(reading, settings.placeholder, path)
    labels = {label for _, label in reading.counts}
    refuse_no_classes(reading.counts, path)
    if len(labels) < 2:
        found = (
            f"all {sum(reading.counts.values()):,} images of {path} are of one class, {min(labels)}"
            if labels
            else f"{path} has no images with a label"
        )
        raise SourceError(f"ingest.source: {found}. At least two classes are needed, each in a folder of its own.")
    return reading


def _without_placeholders(reading: Reading, placeholder: str, path: Path) -> Reading:
    """The reading without labels such as TODO, if they are to be rejected. Raises SourceError if they are to fail."""
    counts: Counter[str] = Counter()
    for (_, label), count in reading.counts.items():
        counts[label] += count
    if placeholder == "fail":
        refuse_placeholders(counts, path)
    found = set(not_labelled(counts)) if placeholder == "reject" else set()
    if not found:
        return reading

    def records(left_out: list[LeftOut]) -> Iterator[Record]:
        for record in reading.records(left_out):
            if record.label in found:
                left_out.append(LeftOut(record.path, "unlabelled", f"{record.label} is no label"))
            else:
                yield record

    return replace(
        reading,
        class_names=[name for name in reading.class_names if name not in found] if reading.class_names else None,
        counts={key: count for key, count in reading.counts.items() if key[1] not in found},
        records=records,
    )


class _Temporary:
    """A folder that is removed, if it was made at all, when nothing holds this any more."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)


def _as_source(path: Path, reading: Reading, copies: _Temporary) -> Source:
    """The source of a reading. Without a test split, the images of train have no split: a share of them is held out."""
    left_out = list(reading.left_out)
    has_test = any(split == "test" for split, _ in reading.counts)

    def records(_: _Temporary) -> Iterator[Record]:  # holds the copies of archives as long as records may be read
        for record in reading.records(left_out):
            yield record if has_test or record.split != "train" else record._replace(split=None)

    return Source(source_name(path), reading.class_names, records(copies), sum(reading.counts.values()), left_out, reading, copies)


class _Lists:
    """What is in a source, listed once for all readings of it. `seconds`: what that took. Copies of members of archives are kept in `scratch`."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.seconds = 0.0
        self._listed: dict[tuple[Path, Options], Listing] = {}

    def of(self, path: Path, settings: Ingest) -> Listing:
        """A list for one reading, which may change it."""
        options = Options(settings.follow_links, tuple(settings.ignore), settings.name_encoding)
        for (listed_path, listed_options), listing in self._listed.items():
            is_same = listed_path == path and listed_options._replace(ignore=options.ignore) == options
            if is_same and set(listed_options.ignore) <= set(options.ignore):
                return listing.without(glob for glob in options.ignore if glob not in listed_options.ignore)
        started = time.monotonic()
        listing = list_source(path, options, self.scratch)
        self.seconds += time.monotonic() - started
        self._listed[path, options] = listing
        return listing.without(())


def _read(choice: Choice, lists: _Lists) -> Reading:
    path, settings, scratch = choice.path, choice.settings, lists.scratch
    if path.is_dir() or (is_archive(path) and not _is_container(path.name)):
        listing = lists.of(path, settings)
        return replace(_choose(listing, choice, scratch), ignored=listing.ignored)
    for name, container in CONTAINERS.items():
        if container.candidates([path.name]) and (reading := container.read({path.name: path}, choice.columns)):
            return _of_format(name, reading, choice)
    if is_table_name(path.name) and settings.format in ("auto", "table"):
        listing = lists.of(path.parent, settings)
        return replace(read_images(listing, choice._replace(table=path.name), scratch), ignored=listing.ignored)
    if is_table_name(path.name):
        raise SourceError(f"ingest.source: {path} is a table, but ingest.format is {settings.format}. Set it to auto.")
    raise SourceError(f"ingest.source: {path}: expected {LAYOUTS}. Found: a file of an unknown format.")


def _is_container(name: str) -> bool:
    return any(container.candidates([name]) for container in CONTAINERS.values())


def _of_format(name: str, reading: Reading, choice: Choice) -> Reading:
    if choice.settings.format not in ("auto", name):
        raise SourceError(
            f"ingest.source: {choice.path}: found {reading.how}, but ingest.format is {choice.settings.format}. Set it to auto."
        )
    return reading


def _choose(listing: Listing, choice: Choice, scratch: Path) -> Reading:
    """The reading of a list: of files with many images each, or of image files; an error if it could be both."""
    wanted = choice.settings.format
    found = _containers(listing, choice, scratch) if wanted not in ("folders", "table", "webdataset") else {}
    if len(found) > 1:
        ways = [Way(f"{reading.how}, {_told(reading)}", {"format": name}) for name, reading in found.items()]
        raise two_readings(choice.path, f"it has {listed([reading.how for reading in found.values()])}", ways)
    if found:
        name, reading = next(iter(found.items()))
        if listing.images > FEW_BESIDE and wanted == "auto":
            raise two_readings(
                choice.path,
                f"it has {reading.how} and {listing.images:,} image files",
                [
                    Way(f"{reading.how}, {_told(reading)}", {"format": name}),
                    Way("the image files, by their folders", {"format": "folders"}),
                    Way("the image files, by a table", {"format": "table"}),
                ],
            )
        beside = [
            LeftOut(folder.below(name), "stray", f"an image file beside {reading.how}")
            for folder in listing.folders.values()
            for name in folder.names
        ]
        return replace(reading, left_out=[*listing.left_out, *beside, *reading.left_out])
    if wanted in CONTAINERS:
        raise SourceError(
            f"ingest.source: {choice.path}: found nothing of the format {wanted}, which ingest.format asks for. Set it to auto."
        )
    if not listing.images and not any(True for _ in listing.others()):
        _refuse_nothing_left(listing, choice)
        raise SourceError(
            f"ingest.source: {choice.path}: no images in a supported layout. Looked for: {LAYOUTS}. Found: {_seen(listing)}{_left_out(listing)}."
        )
    if not listing.images and wanted == "auto":
        formats = [other.path for other in listing.others()]
        refused.read({path: extracted(listing, path, scratch) for path in refused.candidates(formats)})
    return read_images(listing, choice, scratch)


def _refuse_nothing_left(listing: Listing, choice: Choice) -> None:
    """Raise SourceError for a source without files because `ingest.ignore` leaves them out, or because links lead to nothing."""
    if listing.ignored:
        raise SourceError(f"ingest.source: {choice.path}: {all_ignored(choice, listing)}")
    links = [fault for fault in listing.left_out if fault.finding in ("link", "linked_folder")]
    if links and len(links) == len(listing.left_out):
        raise SourceError(
            f"ingest.source: {choice.path} has nothing but {counted(len(links), 'link', 'links')} without images, for example {links[0].path}: "
            f"{links[0].reason}"
        )


def _containers(listing: Listing, choice: Choice, scratch: Path) -> dict[str, Reading]:
    wanted = choice.settings.format
    formats = {other.path: other.format for other in listing.others()}
    found = {}
    for name, container in CONTAINERS.items():
        if wanted in ("auto", name) and (candidates := container.candidates(list(formats))):
            _refuse_pointers(candidates, formats)
            try:
                reading = container.read({path: extracted(listing, path, scratch) for path in candidates}, choice.columns)
            except SourceError:
                if wanted == "auto" and listing.images > FEW_BESIDE:
                    continue  # arrays of features beside image files, for example
                raise
            if reading:
                found[name] = reading
    return found


def _refuse_pointers(paths: Sequence[str], formats: Mapping[str, Format | None]) -> None:
    """Raise SourceError for a file that stands for another one, such as Git LFS's."""
    for path in paths:
        found = formats[path]
        if found and found.kind == "other" and found.advice:
            raise SourceError(f"ingest.source: {path} is no data yet, but a {found.name}: {found.advice}.")


def _told(reading: Reading) -> str:
    return classes({label for _, label in reading.counts})


def _seen(listing: Listing) -> str:
    """The names at the top level, for an error message."""
    tops = {parts[0] if parts else "" for parts in listing.folders} - {""}
    files = [other.path for other in listing.others() if "/" not in other.path]
    return listed([*tops, *files]) or "nothing"


def _left_out(listing: Listing) -> str:
    if not listing.left_out:
        return ""
    fault = listing.left_out[0]
    return f", and {len(listing.left_out):,} left out, for example {fault.path}: {fault.reason}"
