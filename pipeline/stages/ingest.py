"""Verify and describe every image of the source, store its bytes unchanged, and assign it to a split."""

from __future__ import annotations

import math
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.dataset.arrays import MappedRows
from pipeline.dataset.earlier_runs import class_problems, not_recorded, read_recorded, record, refuse_changes, tell_other_range
from pipeline.dataset.intake import Images, take_images
from pipeline.dataset.judged import Judged, describe, keys_of, present, write_judged_index, write_properties
from pipeline.dataset.ledger import Ledger, extend_ledger, ordered_classes, read_ledger
from pipeline.dataset.moved_images import EarlierSides, Moved, find_moved, moved_problems, moves_reported, read_sides, refuse_moved
from pipeline.dataset.pixel_findings import (
    image_problems,
    limits_of_model,
    range_of,
    refuse_nothing_to_see,
    refuse_repeated_classes,
    repetitions,
    value_problems,
)
from pipeline.dataset.shards import shard_files
from pipeline.dataset.split_names import SPLITS
from pipeline.dataset.splits import Sides, decide_sides, decided_by, together, without_crowds
from pipeline.dataset.whole_pixels import Aliases, WholeDigests, compared_whole, find_aliases, maybe_equal, same_pixels
from pipeline.errors import SourceError
from pipeline.files import folder_beside, write_bytes, write_json
from pipeline.images.decoding import FORMATS
from pipeline.labels.overlay import BAD, applied, refuse_other_images, refuse_unknown_classes
from pipeline.labels.verdict import Verdict, new_labels
from pipeline.labels.verdict_file import read_verdicts
from pipeline.listing.changes import record_linked_folders, state_of
from pipeline.listing.records import NO_ORIGIN, LeftOut, Source
from pipeline.listing.remote import is_url, local_copy
from pipeline.listing.written_places import refuse_links, refuse_shared_source
from pipeline.names import listed, shown
from pipeline.own_files import MADE, clear
from pipeline.params.ingest import MOST_FOR_TEST, Ingest
from pipeline.params.section import Scalar
from pipeline.paths import Paths
from pipeline.properties.data_section import property_section
from pipeline.quality.class_checks import ClassProblem, check_counts, find_shortcuts
from pipeline.quality.class_names import are_codes, placeholder_names, plural_names, same_numbers, similar_names
from pipeline.quality.continuity import Changes, Recorded, compare
from pipeline.quality.copies import Copies, find_copies
from pipeline.quality.findings import (
    BESIDE,
    NOTES,
    Finding,
    ImageProblem,
    count_findings,
    findings_csv,
    list_findings,
    printed,
    rejected_csv,
    rejections,
    rows_named,
)
from pipeline.quality.fingerprints import FINGERPRINT_BYTES
from pipeline.quality.group_leaks import find_group_leaks
from pipeline.quality.inspection import MODES
from pipeline.quality.kinds import in_words
from pipeline.quality.near_duplicates import near_duplicates
from pipeline.quality.value_range import ValueRange
from pipeline.reports.data_page import data_page, rows_shown
from pipeline.reports.data_report import thumbnails_per_class
from pipeline.sources.layouts import open_source
from pipeline.tables.label_checks import combined_labels
from pipeline.tables.opening import is_table_name

if TYPE_CHECKING:
    from pipeline.params.reader import Config

NAMED_REJECTIONS = 10
NAMED_NOTES = 3
NAMED_CODES = 3


def run(config: Config, paths: Paths, tracker: object) -> Mapping[str, Scalar]:
    """Write data/ingest/: images.parquet, index.parquet, properties.parquet, findings.csv, rejected.csv, report.json, report.html.

    Reports how many images are used and left out, and the number of findings.
    """
    location = _location(config, paths)
    with ThreadPoolExecutor(max_workers=1) as beside:
        state = beside.submit(state_of, location)
        return _ingest(config, paths, location, state)


def _ingest(config: Config, paths: Paths, location: Path, state: Future[str]) -> Mapping[str, Scalar]:
    verdicts = read_verdicts(paths.verdicts)
    source = _open(location, config, paths)
    read_as = source.reading.origin_of_all(config.ingest.test_fraction) if source.reading else ""
    print(f"ingest: {shown(read_as)}", flush=True)
    recorded = read_recorded(source, paths)
    if new := not_recorded(source.name, paths):
        print(f"ingest: {new}", file=sys.stderr)
    folder = clear(paths.stage("ingest"), MADE["ingest"])
    with folder_beside(folder / "images.parquet") as shards:
        images, near, doubtful = _take(source, shards, paths, config.ingest.max_pixels, verdicts)
        digests = WholeDigests(images, shard_files(shards), paths.scratch, config.ingest.max_pixels)
        pixels = compared_whole(images, doubtful, digests)
        copies = np.concatenate([without_crowds(len(images.facts), near), same_pixels(pixels, doubtful)])
        aliases = find_aliases(images, read_ledger(paths.ledger), recorded.images, doubtful, digests)
        recorded, earlier, also = _recognized(read_sides(paths, source.name, read_ledger(paths.ledger)), recorded, aliases)
        sides = _decide_sides(images, copies, earlier.ledger, config.ingest.test_fraction)
        overlaid = applied(verdicts, images)
        kept = ~np.isin(np.arange(len(images.facts)), [problem.row for problem in overlaid.bad])
        judged = Judged(images, shard_files(shards), pixels, sides.splits, kept, config.ingest.max_pixels)
        order = source.class_names or ordered_classes(paths.classes, source.name, set(images.labels))
        findings, changes, moved = _judge(judged, near, order, config.ingest, recorded, earlier, sides.followed, source.name, overlaid.bad)
        digest = write_judged_index(folder, judged, together(sides.keys, images.facts["group"], copies))
        report = describe(judged, order, findings, {"name": source.name, "source": config.ingest.source, "digest": digest})
        report |= {
            "removed_classes": changes.removed,
            **limits_of_model(judged),
            **moves_reported(moved),
            **overlaid.described,
        }
        _tell(folder, judged, findings, report, read_as)
        tell_other_range(judged, source.name, paths)
        for line in overlaid.lines(paths.relative(paths.verdicts)):
            print(f"ingest: {line}", file=sys.stderr)
        refuse_changes(changes, judged, config.ingest)
        refuse_moved(moved, judged, source.name, config.ingest.moved_images, source.reading.origin if source.reading else NO_ORIGIN)
        _refuse(findings, judged, report, config.ingest, sides.enough_for_test)
    if state_of(location) != state.result():
        raise SourceError(
            f"ingest.source: {config.ingest.source} has changed while it was read: files were added, changed or removed. Run the same command again "
            "when nothing is written there."
        )
    write_properties(folder, judged)
    write_json(folder / "report.json", report)
    extend_ledger(paths.ledger, *(np.concatenate(both) for both in zip(also, (sides.new_keys, sides.new_founders), strict=True)))
    record(source, recorded, changes, judged, moved, paths)
    record_linked_folders(location, paths.scratch)
    return {"images": report["images"], "classes": len(report["class_names"]), "rejected": report["rejected"], **report["findings"]}


def _location(config: Config, paths: Paths) -> Path:
    """Where the images are on this machine; new and changed files of a URL are downloaded first."""
    refuse_links(paths)
    if is_url(config.ingest.source):
        return local_copy(config.ingest.source, paths.scratch / "sources")
    source = config.source_path(paths.root)
    refuse_shared_source(source, paths)
    if not source.exists() and paths.root != paths.project and (elsewhere := config.source_path(paths.project)).exists():
        raise SourceError(
            f"ingest.source: {config.ingest.source} is in the project, but not in the copy that this experiment runs in, since git ignores it. "
            f"Run `dvc add {config.ingest.source}`, or set ingest.source to {elsewhere}."
        )
    return source


def _open(location: Path, config: Config, paths: Paths) -> Source:
    """The source; errors show it as it is set, not where a copy of a URL is."""
    try:
        return open_source(location, config.ingest, paths.scratch / "sources")
    except SourceError as error:
        if not is_url(config.ingest.source):
            raise
        shown = (
            str(error).replace(str(location), config.ingest.source).replace(str(location.parent), config.ingest.source.rpartition("/")[0])
        )
        alone = " A table at a URL is fetched without its images: put both into one archive." if is_table_name(location.name) else ""
        raise SourceError(shown + alone) from None


def _take(
    source: Source, shards: Path, paths: Paths, max_pixels: int, verdicts: Mapping[str, Verdict]
) -> tuple[Images, np.ndarray, np.ndarray]:
    """The images, the pairs of near duplicates among them, int64 (M, 2), and the rows from `maybe_equal`."""
    with tempfile.TemporaryFile(dir=shards.parent, prefix=".fingerprints.") as file:
        images = take_images(source, shards, file, paths.scratch, max_pixels, new_labels(verdicts))
        if not len(images.facts):
            example = f"{images.left_out[0].path}: {images.left_out[0].reason}"
            raise SourceError(f"ingest.source: none of {source.count} files in {source.name} is an image, for example {example}.")
        classes = {*(source.class_names or ()), *images.labels} - images.given | set(source.class_names or ())
        refuse_unknown_classes(verdicts, images.given, classes, paths.relative(paths.verdicts))
        refuse_other_images(verdicts, images.judged, classes, paths.relative(paths.verdicts))
        file.flush()
        fingerprints = MappedRows(file, FINGERPRINT_BYTES)
        return images, near_duplicates(fingerprints), maybe_equal(images, fingerprints)


def _recognized(
    earlier: EarlierSides, recorded: Recorded, aliases: Aliases
) -> tuple[Recorded, EarlierSides, tuple[np.ndarray, np.ndarray]]:
    """What earlier runs recorded, also by the keys that images have now; what to append to the ledger for it: images, and what they follow."""
    ledger, *appended = aliases.in_ledger(earlier.ledger)
    sides = EarlierSides(ledger, aliases.in_sides(earlier.sample))
    return replace(recorded, images=aliases.in_sample(recorded.images)), sides, (appended[0], appended[1])


def _decide_sides(images: Images, near: np.ndarray, ledger: Ledger, test_fraction: float) -> Sides:
    facts, keys = images.facts, keys_of(images)
    recorded, earlier = ledger.find(decided_by(keys, facts["group"]))
    return decide_sides(keys, facts["label"], facts["split"], facts["group"], near, recorded, earlier, test_fraction=test_fraction)


def _judge(
    judged: Judged,
    near: np.ndarray,
    order: Sequence[str],
    policies: Ingest,
    recorded: Recorded,
    earlier: EarlierSides,
    followed: np.ndarray,
    name: str,
    bad: Sequence[ImageProblem],
) -> tuple[list[Finding], Changes, Moved]:
    """(all findings, changes since earlier runs, images that changed sides); `judged.kept` is set to False for images left out."""
    facts = judged.images.facts
    misnamed = Copies("wrong_type", np.empty((0, 2), np.int64), np.flatnonzero(facts["misnamed"]), policies.wrong_type)
    if policies.wrong_type == "reject":
        judged.kept[misnamed.rows] = False
    copies = find_copies(judged.pixels, facts["label"], judged.splits, near, policies.model_dump(), judged.kept)
    found = present(judged.counts(order), order)
    changes = compare(name, recorded, found, keys_of(judged.images), policies.removed_classes)
    actions = {**policies.model_dump(), "removed_class": "fail" if changes.unconfirmed else "keep", "lost_class": "fail", BAD: "reject"}
    value_range = range_of(judged)
    moved = find_moved(judged, earlier, followed, policies.test_fraction)
    seen = [*bad, *image_problems(judged, value_range), *moved_problems(moved)]
    subjects = judged.subjects(rows_named(misnamed, copies, seen))
    leaks = find_group_leaks(facts["group"][judged.kept], judged.splits[judged.kept], judged.images.groups, SPLITS)
    problems = [
        *leaks,
        *class_problems(changes),
        *_check_classes(judged, order),
        *repetitions(judged),
        *value_problems(judged, value_range),
    ]
    return list_findings(judged.images.left_out, misnamed, copies, seen, problems, subjects, facts["format"], actions), changes, moved


def _check_classes(judged: Judged, order: Sequence[str]) -> list[ClassProblem]:
    """Problems with the classes."""
    facts = judged.images.facts[judged.kept]
    counts = judged.counts(order)
    names = present(counts, order)
    if len(names) < 2:
        return []  # the run will be refused
    position = {name: i for i, name in enumerate(names)}
    labels = np.array([position.get(name, 0) for name in judged.images.labels])[facts["label"]]
    marks = {"colour mode": np.array(MODES)[facts["mode"]], "format": np.array(FORMATS)[facts["format"]]}
    areas = facts["width"].astype(np.int64) * facts["height"]
    lost = [ClassProblem("lost_class", (name,), _why_lost(judged, name)) for name in sorted(set(judged.images.labels) - set(names))]
    return [*lost, *check_counts(counts, names), *_check_names(names), *find_shortcuts(labels, marks, areas, names)]


def _check_names(names: Sequence[str]) -> list[ClassProblem]:
    """Names of classes that may mean the same class, several, or none."""
    similar = [ClassProblem("similar_names", pair, "differ in case, spaces or accents only") for pair in similar_names(names)]
    similar += [ClassProblem("similar_names", pair, "differ in zeros before a number only") for pair in same_numbers(names)]
    similar += [ClassProblem("similar_names", pair, "one may be the plural of the other") for pair in plural_names(names)]
    combined = [
        ClassProblem("combined_names", (name,), f"it may mean images of {' and of '.join(parts)}")
        for name, parts in combined_labels(names).items()
    ]
    placeholders = [ClassProblem("placeholder_names", (name,), "may mean that the image has no label") for name in placeholder_names(names)]
    examples = tuple(sorted(names)[:NAMED_CODES])
    codes = [ClassProblem("code_names", examples, f"all {len(names):,} class names are codes")] if are_codes(names) else []
    return [*similar, *combined, *placeholders, *codes]


def _why_lost(judged: Judged, name: str) -> str:
    """Why a class has no image left, by one of its files if its name is in their paths."""
    fault = next((fault for fault in judged.images.left_out if name in fault.path.split("/")), None)
    return "all its images are left out" + (f", for example {shown(fault.path)}: {fault.reason}" if fault else "")


def _tell(folder: Path, judged: Judged, findings: Sequence[Finding], report: Mapping[str, Any], read_as: str) -> None:
    """Write the lists and the page, and print the first files left out."""
    left_out, beside = rejections(findings), rejections(findings, beside=True)
    write_bytes(folder / "findings.csv", findings_csv(findings))
    write_bytes(folder / "rejected.csv", rejected_csv(sorted([*left_out, *beside])))
    by_class = judged.rows_of_class(report["class_names"], thumbnails_per_class(len(report["class_names"])))
    pictures = judged.pictures({*rows_shown(findings), *(row for rows in by_class.values() for row in rows)})
    section = property_section(judged, report["class_names"]) if report["images"] else None
    page = data_page({**report, "read_as": read_as}, findings, judged.images.facts[judged.kept], by_class, pictures, section)
    write_bytes(folder / "report.html", page)
    for fault in left_out[:NAMED_REJECTIONS]:
        print(f"ingest: left out {shown(fault.path)}: {fault.reason}", file=sys.stderr)
    if len(left_out) > NAMED_REJECTIONS:
        print(f"ingest: left out {len(left_out) - NAMED_REJECTIONS:,} more, see data/ingest/rejected.csv", file=sys.stderr)
    for kind, count in Counter(fault.finding for fault in beside).items():
        example = next(fault for fault in beside if fault.finding == kind)
        print(f"ingest: not counted as images: {in_words(kind, count)}, such as {shown(example.path)}: {example.reason}", file=sys.stderr)
    notes = [finding for finding in findings if finding.kind in NOTES]
    for kind in dict.fromkeys(note.kind for note in notes):
        of_kind = [note for note in notes if note.kind == kind]
        for note in of_kind[:NAMED_NOTES]:
            print(f"ingest: {note.about}: {note.note}", file=sys.stderr)
        if len(of_kind) > NAMED_NOTES:
            print(f"ingest: and {in_words(kind, len(of_kind) - NAMED_NOTES)} more, see data/ingest/findings.csv", file=sys.stderr)
    for line in printed(findings):
        print(f"ingest: {line}", file=sys.stderr)
    if found := report["value_range"]:
        print(f"ingest: {ValueRange(**found).sentence}", file=sys.stderr)
    if report["findings"]:
        print(f"ingest: found {_listed(report['findings'])}: see data/ingest/report.html", file=sys.stderr)


def _refuse(findings: Sequence[Finding], judged: Judged, report: Mapping[str, Any], limits: Ingest, enough_for_test: float) -> None:
    """Raise SourceError if a policy says so, if too much is left out, or if the rest cannot be used for training and testing."""
    failed = count_findings([finding for finding in findings if finding.action == "failed"])
    if failed:
        if "conflict" in failed:
            refuse_repeated_classes(judged, report["name"])
        example = next(finding for finding in findings if finding.action == "failed")
        raise SourceError(
            f"ingest.source: {report['name']} has {_listed(failed)}, for example {example.about}: {example.note}. "
            "Fix them, or change the policy in params.yaml under ingest; data/ingest/report.html shows them all."
        )
    refuse_nothing_to_see(judged, report["name"])
    _refuse_too_many([fault for fault in rejections(findings) if fault.finding != BAD], judged, limits, report["name"])
    counts, names = report["counts"], report["class_names"]
    if not names:
        raise SourceError(f"ingest.source: all images of {report['name']} are left out; data/ingest/report.html shows why.")
    if len(names) < 2:
        raise SourceError(
            f"ingest.source: all {report['images']} images of {report['name']} are of one class, {shown(names[0])}. At least two classes are needed."
        )
    for split in ("train", "test"):
        if not any(counts[split].values()):
            advice = _how_to_fill(split, limits.test_fraction, enough_for_test)
            raise SourceError(f"ingest.source: {report['name']} has no images for the {split} split{advice}")
    unseen = [name for name in names if not counts["train"][name] + counts["validation"][name]]
    if unseen:
        raise SourceError(f"ingest.source: {listed(unseen)} has test images but no training images. Add some, or remove the class.")


def _how_to_fill(split: str, test_fraction: float, enough_for_test: float) -> str:
    """The end of a sentence: why no image is in a split, and what to do."""
    if split != "test" or enough_for_test <= test_fraction:
        return ". Add images or change ingest.test_fraction."
    if enough_for_test > MOST_FOR_TEST:
        return ": each group of images is all of a class, or was used for training before. Add images."
    return f". Add images, or set ingest.test_fraction to {math.ceil(100 * enough_for_test) / 100:g}."


def _refuse_too_many(left_out: Sequence[LeftOut], judged: Judged, limits: Ingest, name: str) -> None:
    """Raise SourceError if more is left out than ingest.max_rejected_fraction allows."""
    files = len(judged.images.facts) + sum(fault.finding not in BESIDE | NOTES for fault in judged.images.left_out)
    if len(left_out) > limits.max_rejected_fraction * files:
        found = Counter(fault.finding for fault in left_out)
        if found["conflict"] > len(left_out) / 2:
            refuse_repeated_classes(judged, name)
        raise SourceError(
            f"ingest.source: {len(left_out):,} of {files:,} files of {name} would be left out, more than ingest.max_rejected_fraction "
            f"({limits.max_rejected_fraction:g}) allows: {_listed(found)}, for example {shown(left_out[0].path)}: {left_out[0].reason}. "
            "Fix them or raise the limit; data/ingest/rejected.csv lists them all."
        )


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(in_words(kind, count) for kind, count in counts.items())
