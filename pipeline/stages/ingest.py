"""Verify and describe every image of the source, keep its bytes as found, and decide what it is used for."""

import hashlib
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config import Config, Ingest, Scalar
from pipeline.data_report import KINDS, counted
from pipeline.earlier_runs import class_problems, keys_of, read_recorded, record, refuse_changes
from pipeline.errors import SourceError
from pipeline.findings import Finding, Judged, count_findings, list_findings, rejections, write_findings, write_page
from pipeline.ml.class_checks import ClassProblem, check_counts, find_shortcuts
from pipeline.ml.copies import Copies, find_copies
from pipeline.ml.fingerprints import FINGERPRINT_BYTES
from pipeline.ml.images import FORMATS, GREY_MODES
from pipeline.ml.inspection import MODES
from pipeline.ml.near_duplicates import near_duplicates
from pipeline.ml.split_names import SPLITS
from pipeline.ml.splits import Sides, decide_sides, together, without_crowds
from pipeline.paths import Paths
from pipeline.stores.arrays import MappedRows
from pipeline.stores.class_folders import LINKED_FOLDER, similar_names
from pipeline.stores.columns import integers, texts
from pipeline.stores.continuity import Changes, Recorded, compare
from pipeline.stores.files import folder_beside, write_json
from pipeline.stores.intake import Images, take_images
from pipeline.stores.ledger import Ledger, extend_ledger, ordered_classes, read_ledger
from pipeline.stores.own_files import MADE, clear
from pipeline.stores.records import LeftOut, Source
from pipeline.stores.remote import is_url, local_copy
from pipeline.stores.shards import shard_files, write_index
from pipeline.stores.sources import open_source
from pipeline.stores.written_places import refuse_links, refuse_shared_source

NAMED_REJECTIONS = 10


def run(config: Config, paths: Paths, tracker: object) -> Mapping[str, Scalar]:
    """Write data/ingest/: images.parquet, index.parquet, findings.csv, rejected.csv, report.json, report.html.

    Reports how many images were taken and left out, and what was found.
    """
    source = open_source(_location(config, paths), config.ingest.format)
    recorded = read_recorded(source, paths)
    folder = clear(paths.stage("ingest"), MADE["ingest"])
    with folder_beside(folder / "images.parquet") as shards:
        images, near = _take(source, shards, paths)
        copies = without_crowds(len(images.facts), near)
        sides = _decide_sides(images, copies, read_ledger(paths.ledger), config.ingest.test_fraction)
        judged = Judged(images, shard_files(shards), sides.splits, np.ones(len(images.facts), bool))
        order = source.class_names or ordered_classes(paths.classes, source.name, set(images.labels))
        findings, changes = _judge(judged, near, order, config.ingest, recorded, source.name)
        digest = _write_index(folder, judged, together(sides.keys, images.facts["group"], copies))
        report = _describe(judged, order, findings, {"name": source.name, "source": config.ingest.source, "digest": digest})
        report["removed_classes"] = changes.removed
        _tell(folder, judged, findings, report)
        refuse_changes(changes, judged, config.ingest)
        _refuse(findings, judged, report, config.ingest)
    write_json(folder / "report.json", report)
    extend_ledger(paths.ledger, sides.new_keys, sides.new_founders)
    record(source, recorded, changes, judged, paths)
    return {"images": report["images"], "classes": len(report["class_names"]), "rejected": report["rejected"], **report["findings"]}


def _location(config: Config, paths: Paths) -> Path:
    """Where the images are on this machine: a URL is copied first, as far as it has changed."""
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


def _take(source: Source, shards: Path, paths: Paths) -> tuple[Images, np.ndarray]:
    """The images, and the pairs of near duplicates among them, int64 (M, 2)."""
    with tempfile.TemporaryFile(dir=shards.parent, prefix=".fingerprints.") as file:
        images = take_images(source, shards, file, paths.scratch)
        if not len(images.facts):
            example = f"{images.left_out[0].path}: {images.left_out[0].reason}"
            raise SourceError(f"ingest.source: none of {source.count} files in {source.name} is an image, for example {example}.")
        file.flush()
        return images, near_duplicates(MappedRows(file, FINGERPRINT_BYTES))


def _decide_sides(images: Images, near: np.ndarray, ledger: Ledger, test_fraction: float) -> Sides:
    facts, keys = images.facts, keys_of(images)
    recorded, earlier = ledger.find(keys)
    return decide_sides(keys, facts["label"], facts["split"], facts["group"], near, recorded, earlier, test_fraction=test_fraction)


def _judge(
    judged: Judged, near: np.ndarray, order: Sequence[str], policies: Ingest, recorded: Recorded, name: str
) -> tuple[list[Finding], Changes]:
    """(everything that was found, what has changed since earlier runs); `judged.kept` loses what is left out for it."""
    facts = judged.images.facts
    misnamed = Copies("wrong_type", np.empty((0, 2), np.int64), np.flatnonzero(facts["misnamed"]), policies.wrong_type)
    if policies.wrong_type == "reject":
        judged.kept[misnamed.rows] = False
    copies = find_copies(facts["pixels"], facts["label"], judged.splits, near, policies.model_dump(), judged.kept)
    found = _present(_counts(judged, order), order)
    changes = compare(name, recorded, found, keys_of(judged.images), policies.removed_classes)
    actions = {**policies.model_dump(), "removed_class": "fail" if changes.unconfirmed else "keep"}
    return list_findings(judged, misnamed, copies, [*class_problems(changes), *_check_classes(judged, order)], actions), changes


def _check_classes(judged: Judged, order: Sequence[str]) -> list[ClassProblem]:
    """What about the classes should make their owner look twice."""
    facts = judged.images.facts[judged.kept]
    counts = _counts(judged, order)
    names = _present(counts, order)
    if len(names) < 2:
        return []  # the run is going to be refused
    position = {name: i for i, name in enumerate(names)}
    labels = np.array([position.get(name, 0) for name in judged.images.labels])[facts["label"]]
    marks = {"colour mode": np.array(MODES)[facts["mode"]], "format": np.array(FORMATS)[facts["format"]]}
    areas = facts["width"].astype(np.int64) * facts["height"]
    lost = [ClassProblem("lost_class", (name,), "none of its images is left") for name in sorted(set(judged.images.labels) - set(names))]
    similar = [ClassProblem("similar_names", pair, "differ in case, spaces or accents only") for pair in similar_names(names)]
    return [*lost, *check_counts(counts, names), *similar, *find_shortcuts(labels, marks, areas, names)]


def _write_index(folder: Path, judged: Judged, groups: np.ndarray) -> str:
    """Write index.parquet; returns the data set's digest: the sha256 over pixels, split and class of all images that are kept."""
    names = (*SPLITS, None)
    places = np.where(judged.kept, judged.splits, len(SPLITS))
    ends = np.cumsum(judged.images.shard_lengths)
    slices = [slice(end - length, end) for end, length in zip(ends, judged.images.shard_lengths, strict=True)]
    digest = hashlib.sha256()
    splits = (texts([names[place] for place in places[rows].tolist()]) for rows in slices)
    for batch in write_index(folder, judged.shards, splits, (integers(groups[rows]) for rows in slices)):
        columns = (batch[name].to_pylist() for name in ("sha256", "split", "label"))
        digest.update("".join(f"{sha256} {split} {label}\n" for sha256, split, label in zip(*columns, strict=True) if split).encode())
    return digest.hexdigest()


def _counts(judged: Judged, order: Sequence[str]) -> dict[str, dict[str, int]]:
    """Images by split and class, of those that are kept."""
    table = np.zeros((len(SPLITS), len(judged.images.labels)), np.int64)
    np.add.at(table, (judged.splits[judged.kept], judged.images.facts["label"][judged.kept]), 1)
    column = {name: i for i, name in enumerate(judged.images.labels)}
    return {split: {name: int(table[i, column[name]]) if name in column else 0 for name in order} for i, split in enumerate(SPLITS)}


def _present(counts: Mapping[str, Mapping[str, int]], order: Sequence[str]) -> list[str]:
    return [name for name in order if any(by_class[name] for by_class in counts.values())]


def _describe(judged: Judged, order: Sequence[str], findings: Sequence[Finding], named: Mapping[str, str]) -> dict[str, Any]:
    """What report.json says."""
    facts = judged.images.facts[judged.kept]
    counts = _counts(judged, order)
    class_names = _present(counts, order)
    modes = Counter(MODES[mode] for mode in facts["mode"].tolist())
    widths, heights = facts["width"], facts["height"]
    return {
        **named,
        "images": len(facts),
        "rejected": len(rejections(findings)),
        "findings": count_findings(findings),
        "class_names": class_names,
        "counts": {split: {name: by_class[name] for name in class_names} for split, by_class in counts.items()},
        "sizes_px": {
            "width": _spread(widths),
            "height": _spread(heights),
            "median_longer_side": int(np.median(np.maximum(widths, heights))) if len(facts) else 0,
        },
        "modes": dict(sorted(modes.items())),
        "grey": set(modes) <= set(GREY_MODES),
    }


def _spread(values: np.ndarray) -> list[int]:
    """[least, median, most]."""
    return [int(values.min()), int(np.median(values)), int(values.max())] if len(values) else [0, 0, 0]


def _tell(folder: Path, judged: Judged, findings: Sequence[Finding], report: Mapping[str, Any]) -> None:
    """Write the lists and the page, and name the first of what is left out."""
    left_out = rejections(findings)
    write_findings(folder, findings, left_out)
    write_page(folder / "report.html", judged, report["class_names"], findings, report)
    for fault in left_out[:NAMED_REJECTIONS]:
        print(f"ingest: left out {fault.path}: {fault.reason}", file=sys.stderr)
    if len(left_out) > NAMED_REJECTIONS:
        print(f"ingest: left out {len(left_out) - NAMED_REJECTIONS:,} more, see data/ingest/rejected.csv", file=sys.stderr)
    if report["findings"]:
        found = ", ".join(counted(count, KINDS[kind].one, KINDS[kind].many) for kind, count in report["findings"].items())
        print(f"ingest: found {found}: see data/ingest/report.html", file=sys.stderr)


def _refuse(findings: Sequence[Finding], judged: Judged, report: Mapping[str, Any], limits: Ingest) -> None:
    """Raise SourceError where a policy says so, where too much is left out, or where what is left cannot be learned or tested."""
    failed = count_findings([finding for finding in findings if finding.action == "failed"])
    if failed:
        example = next(finding for finding in findings if finding.action == "failed")
        about = example.subject.path or example.subject.label
        raise SourceError(
            f"ingest.source: {report['name']} has {_listed(failed)}, for example {about}: {example.note}. "
            "Mend them, or change what params.yaml says about them under ingest; data/ingest/report.html shows them all."
        )
    _refuse_linked_folders(judged.images, report["name"])
    _refuse_too_many(rejections(findings), judged.images, limits, report["name"])
    counts, names = report["counts"], report["class_names"]
    if not names:
        raise SourceError(f"ingest.source: no image of {report['name']} is left; data/ingest/report.html shows why.")
    if len(names) < 2:
        raise SourceError(f"ingest.source: all {report['images']} images of {report['name']} are of one class, {names[0]}. Two are needed.")
    for split in ("train", "test"):
        if not any(counts[split].values()):
            raise SourceError(
                f"ingest.source: {report['name']} has no images for the {split} split. Add images, or change ingest.test_fraction."
            )
    unseen = [name for name in names if not counts["train"][name] + counts["validation"][name]]
    if unseen:
        raise SourceError(f"ingest.source: {', '.join(unseen)} has test images but none to train on. Add some, or take the class out.")


def _refuse_linked_folders(images: Images, name: str) -> None:
    """Raise SourceError where a folder is a link: with it a whole class may be missing."""
    linked = [fault.path for fault in images.left_out if fault.reason == LINKED_FOLDER]
    if linked:
        more = f" and {len(linked) - 3:,} more" if len(linked) > 3 else ""
        raise SourceError(
            f"ingest.source: {name} has folders that are links, and links to folders are not followed: {', '.join(linked[:3])}{more}. Their images "
            "would be missing. Put the folders themselves there (`cp -rL` copies with what links lead to), or take the links out."
        )


def _refuse_too_many(left_out: Sequence[LeftOut], images: Images, limits: Ingest, name: str) -> None:
    """Raise SourceError where more is left out than ingest.max_rejected_fraction allows."""
    files = len(images.facts) + len(images.left_out)
    if len(left_out) > limits.max_rejected_fraction * files:
        found = Counter(fault.finding for fault in left_out)
        raise SourceError(
            f"ingest.source: {len(left_out):,} of {files:,} files of {name} would be left out, more than ingest.max_rejected_fraction "
            f"({limits.max_rejected_fraction:g}) allows: {_listed(found)}, for example {left_out[0].path}: {left_out[0].reason}. "
            "Mend them, or raise it; data/ingest/rejected.csv lists them all."
        )


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in counts.items())
