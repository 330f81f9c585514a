"""How much disk a run needs, known before anything is spent: by the number of images, and the size of a few of them.

Takes what `pipeline check` reads anyway, and the headers of some images; none is decoded.
"""

import contextlib
import io
import os
import shutil
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline.backbone.architecture import FEATURE_COUNT, architecture
from pipeline.backbone.candidates import candidates, pretrained
from pipeline.dataset.packing import MOST_KEPT_BYTES
from pipeline.images.sizes import auto_size
from pipeline.listing.records import Record
from pipeline.params.reader import Config, load_config
from pipeline.paths import Paths
from pipeline.workspace.surroundings import Finding

SAMPLED = 24
SAMPLED_PER_CLASS = 2
GREY = ("1", "L", "LA", "I", "I;16", "F")
STAGE_WITH_LARGEST_INPUT = 6
"""Of the stages that can be fine-tuned from kept rows, the one whose rows are largest."""
FLOAT32_BYTES, FLOAT16_BYTES = 4, 2
GIB, MIB = 2**30, 2**20


@dataclass
class Measured:
    """What is learnt of the images of a source while it is listed. sizes: (width, height, is grey) of a few; count: 0 if it was not listed."""

    count: int = 0
    listed: int = 0
    listed_bytes: int = 0
    sizes: list[tuple[int, int, bool]] = field(default_factory=list)
    _sampled: dict[str, int] = field(default_factory=dict)

    def watch(self, records: Iterable[Record]) -> Iterator[Record]:
        """The same records; the headers of some are read on the way."""
        for record in records:
            self.listed += 1
            self.listed_bytes += record.size_bytes
            seen = self._sampled.get(record.label, 0)
            if len(self.sizes) < SAMPLED and seen < SAMPLED_PER_CLASS:
                self._sampled[record.label] = seen + 1
                self.sizes += _size(record)
            yield record

    def report(self) -> dict[str, Any]:
        """The part of report.json, as far as it is known, by which sizes and networks are chosen."""
        widths, heights, grey = (np.array(column) for column in zip(*self.sizes, strict=True))
        ratios = np.quantile(widths / heights, (0.05, 0.5, 0.95))
        sizes = {
            name: [int(values.min()), int(np.median(values)), int(values.max())]
            for name, values in (("width", widths), ("height", heights))
        }
        longer = int(np.median(np.maximum(widths, heights)))
        return {
            "images": self.count,
            "grey": bool(grey.all()),
            "sizes_px": {**sizes, "median_longer_side": longer, "width_by_height": [float(ratio) for ratio in ratios]},
        }


@dataclass(frozen=True)
class Need:
    """Bytes of the parts of a run's disk space; outputs are links to DVC's cache, so each counts once."""

    sources: int
    packed: int
    kept: int
    embeddings: int
    stage_rows: int

    @property
    def after(self) -> int:
        """What lies on the disk after a run: embeddings are there twice, as an output and by content."""
        return self.sources + self.packed + self.kept + 2 * self.embeddings + self.stage_rows

    @property
    def most(self) -> int:
        """The most at any time: while `preprocess` packs, or DVC takes what it wrote, packed images are there twice."""
        return max(self.after, self.sources + 2 * self.packed + self.kept + 3 * self.embeddings, 2 * self.sources)


def need(config: Config, measured: Measured) -> Need:
    """What a run needs for `measured` images, of which some sizes are known."""
    report = measured.report()
    name = pretrained(candidates(config.model.name, config.model.weights, report).networks, config.model.weights)
    preprocess, count = config.preprocess, measured.count
    height, width = (
        auto_size(report["sizes_px"], is_pretrained=name is not None) if preprocess.image_size == "auto" else preprocess.image_size
    )
    channels = (1 if report["grey"] else 3) if preprocess.channels == "auto" else preprocess.channels
    views = count * (2 if config.augment.horizontal_flip else 1)
    packed = count * height * width * channels
    row = int(np.prod(architecture(name).stage_shape(STAGE_WITH_LARGEST_INPUT, height, width))) if name else 0
    return Need(
        sources=round(measured.listed_bytes / measured.listed * count),
        packed=packed,
        kept=min(packed, MOST_KEPT_BYTES),
        embeddings=views * FEATURE_COUNT * FLOAT32_BYTES if name else 0,
        stage_rows=views * row * FLOAT16_BYTES,
    )


def look_at_disk(paths: Paths, measured: Measured) -> Finding:
    """A line of `pipeline check`; nothing if no image could be measured. What earlier runs left is taken to be replaced."""
    if not measured.count or not measured.sizes:
        return Finding("space", "")
    wanted, there = need(load_config(paths.params), measured), _used(paths.root / "data", paths.scratch)
    free = shutil.disk_usage(paths.root).free
    found = f"a run on {measured.count:,} images needs {size_in_words(wanted.most)}; {size_in_words(free)} are free"
    lacking = wanted.most - there - free
    if lacking <= 0:
        return Finding("space", found)
    return Finding(
        "space",
        found,
        f"free {size_in_words(lacking)} more, or set a smaller preprocess.image_size: a run would stop when the disk is full (docs/data.md)",
    )


def _used(*folders: Path) -> int:
    """Bytes of the files below some folders that the stages wrote, a file with several links once."""
    seen: dict[tuple[int, int], int] = {}
    for folder in folders:
        for place, _, names in os.walk(folder):
            for name in names:
                with contextlib.suppress(OSError):  # gone since
                    status = os.lstat(os.path.join(place, name))  # noqa: PTH118
                    seen[status.st_dev, status.st_ino] = status.st_size
    return sum(seen.values())


def _size(record: Record) -> list[tuple[int, int, bool]]:
    """[(width, height, is grey)] by the header of an image, [] if it has none that Pillow knows."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(record.read())) as image:
            return [(*image.size, image.mode in GREY)]
    except Exception:  # of a damaged file, any; `ingest` says so
        return []


def used_by(paths: Paths) -> str:
    """What the project's stores take on the disk, by folder, as the end of a sentence. Empty where there are none."""
    folders = {".dvc/cache": paths.project / ".dvc" / "cache", "mlruns": paths.mlruns, ".checkpoints": paths.scratch}
    sizes = {name: _used(folder) for name, folder in folders.items() if folder.is_dir()}
    return f"; in use: {', '.join(f'{name} {size_in_words(size)}' for name, size in sizes.items())}" if sizes else ""


def size_in_words(size_bytes: float) -> str:
    """A size in GiB, or in MiB if it is smaller."""
    return f"{size_bytes / GIB:,.1f} GiB" if size_bytes >= GIB else f"{size_bytes / MIB:,.0f} MiB"
