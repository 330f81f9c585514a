"""Verify and describe every image of the source, and keep its bytes as found."""

import csv
import hashlib
import io
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from pipeline.config import Config, Scalar
from pipeline.errors import SourceError
from pipeline.ml.images import GREY_MODES, describe
from pipeline.parallel import parallel_map
from pipeline.paths import Paths
from pipeline.progress import Progress
from pipeline.stores.files import empty_folder, folder_beside, write_bytes, write_json
from pipeline.stores.records import Record, Source
from pipeline.stores.shards import SCHEMA, ShardWriter
from pipeline.stores.sources import open_source

CHUNK_RECORDS = 512
CHUNK_BYTES = 8 * 2**20
MOST_BYTES = 256 * 2**20
NAMED_REJECTIONS = 10


@dataclass
class Findings:
    """What is counted while the images go by."""

    rejected: list[tuple[str, str]] = field(default_factory=list)
    counts: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    widths: list[int] = field(default_factory=list)
    heights: list[int] = field(default_factory=list)
    modes: Counter[str] = field(default_factory=Counter)
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)


def run(config: Config, paths: Paths, tracker: object) -> Mapping[str, Scalar]:
    """Write data/ingest/: images.parquet, rejected.csv, report.json. Reports how many images were taken and left out."""
    source_path = config.source_path(paths.root)
    source = open_source(source_path)
    folder = empty_folder(paths.stage("ingest"))
    findings = Findings(rejected=list(source.rejected))
    with folder_beside(folder / "images.parquet") as shards:
        _verify_all(source, config.ingest.test_fraction, shards, findings)
        class_names = _class_names(source, findings)
    write_bytes(folder / "rejected.csv", _csv(findings.rejected))
    write_json(folder / "report.json", _describe(source, class_names, findings, config))
    _name_rejections(findings.rejected)
    return {"images": len(findings.widths), "classes": len(class_names), "rejected": len(findings.rejected)}


def _verify_all(source: Source, test_fraction: float, shards: Path, findings: Findings) -> None:
    """Write the shards, and count what goes into them."""
    with ShardWriter(shards) as writer, Progress("ingest", source.count, "images") as progress:
        for rows, rejected in parallel_map(_Verify(test_fraction), _chunks(source.records)):
            writer.add(rows)
            _count(findings, rows, rejected)
            progress.advance(len(rows) + len(rejected))
    findings.rejected.sort()


@dataclass(frozen=True)
class _Verify:
    """Decodes a chunk of records; a value, so that it can be sent to another process."""

    test_fraction: float

    def __call__(self, records: list[Record]) -> tuple[pa.Table, list[tuple[str, str]]]:
        """(rows of the images, path and reason of what was left out)."""
        rows, rejected = [], []
        for record in records:
            try:
                rows.append(self._row(record))
            except SourceError as error:
                rejected.append((record.path, str(error)))
            except OSError as error:
                rejected.append((record.path, f"cannot be read: {error.strerror}"))
        return pa.Table.from_pylist(rows, SCHEMA), rejected

    def _row(self, record: Record) -> dict[str, object]:
        if record.size_bytes > MOST_BYTES:
            raise SourceError(f"{record.size_bytes / 2**20:,.0f} MB is more than {MOST_BYTES // 2**20} MB")
        content = record.read()
        found = describe(content)
        sha256 = record.sha256 or hashlib.sha256(content).hexdigest()
        return {
            "path": record.path,
            "label": record.label,
            "split": record.split or split_by_content(sha256, self.test_fraction),
            "sha256": sha256,
            "width": found.width,
            "height": found.height,
            "mode": found.mode,
            "bytes": content,
        }


def split_by_content(sha256: str, test_fraction: float) -> str:
    """`test` or `train`, by the image's own content: it never moves when others come or go, and copies stay together."""
    return "test" if int(sha256[:16], 16) / 2**64 < test_fraction else "train"


def _chunks(records: Iterable[Record]) -> Iterator[list[Record]]:
    """The records, some hundred at a time, or some megabytes."""
    chunk: list[Record] = []
    size_bytes = 0
    for record in records:
        chunk.append(record)
        size_bytes += record.size_bytes
        if len(chunk) == CHUNK_RECORDS or size_bytes >= CHUNK_BYTES:
            yield chunk
            chunk, size_bytes = [], 0
    if chunk:
        yield chunk


def _count(findings: Findings, rows: pa.Table, rejected: list[tuple[str, str]]) -> None:
    columns = rows.drop(["bytes"]).to_pydict()
    for sha256, label, split in zip(columns["sha256"], columns["label"], columns["split"], strict=True):
        findings.counts[split][label] += 1
        findings.digest.update(f"{sha256} {split} {label}\n".encode())
    findings.widths += columns["width"]
    findings.heights += columns["height"]
    findings.modes.update(columns["mode"])
    findings.rejected += rejected


def _class_names(source: Source, findings: Findings) -> list[str]:
    """The classes in the order of their numbers. Raises SourceError where nothing can be learned or tested."""
    found = set().union(*findings.counts.values())
    if not found:
        example = ": ".join(findings.rejected[0])
        raise SourceError(f"ingest.source: none of {source.count} files in {source.name} is an image, for example {example}.")
    if len(found) < 2:
        raise SourceError(
            f"ingest.source: all {len(findings.widths)} images of {source.name} are of one class, {min(found)}. Two are needed."
        )
    for split in ("train", "test"):
        if not findings.counts[split]:
            raise SourceError(
                f"ingest.source: {source.name} has no images for the {split} split. Add images, or change ingest.test_fraction."
            )
    unseen = found - set(findings.counts["train"]) - set(findings.counts["validation"])
    if unseen:
        raise SourceError(
            f"ingest.source: {', '.join(sorted(unseen))} has test images but none to train on. Add some, or take the class out."
        )
    return [name for name in source.class_names or sorted(found) if name in found]


def _describe(source: Source, class_names: list[str], findings: Findings, config: Config) -> dict[str, object]:
    sizes = {
        "width": [min(findings.widths), int(statistics.median(findings.widths)), max(findings.widths)],
        "height": [min(findings.heights), int(statistics.median(findings.heights)), max(findings.heights)],
        "median_longer_side": int(statistics.median(map(max, findings.widths, findings.heights))),
    }
    return {
        "name": source.name,
        "source": config.ingest.source,
        "digest": findings.digest.hexdigest(),
        "images": len(findings.widths),
        "rejected": len(findings.rejected),
        "class_names": class_names,
        "counts": {split: {name: findings.counts[split][name] for name in class_names} for split in ("train", "validation", "test")},
        "sizes_px": sizes,
        "modes": dict(sorted(findings.modes.items())),
        "grey": set(findings.modes) <= set(GREY_MODES),
    }


def _csv(rejected: list[tuple[str, str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([("path", "reason"), *rejected])
    return text.getvalue().encode()


def _name_rejections(rejected: list[tuple[str, str]]) -> None:
    for path, reason in rejected[:NAMED_REJECTIONS]:
        print(f"ingest: left out {path}: {reason}", file=sys.stderr)
    if len(rejected) > NAMED_REJECTIONS:
        print(f"ingest: left out {len(rejected) - NAMED_REJECTIONS} more, see data/ingest/rejected.csv", file=sys.stderr)
