"""Features of all packed images, and of their mirror images, as one array per part of a data set."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.backbone.architecture import FEATURE_COUNT
from pipeline.dataset.arrays import ArrayFile, packed_array
from pipeline.dataset.content_cache import ContentCache, drop_others
from pipeline.features.extractor import Extractor
from pipeline.features.kept_rows import Pictures, Views, compute_missing, kept_folder, look_at, take_known
from pipeline.progress import Progress

EMBEDDINGS = "embeddings.npy"


def write_no_embeddings(folders: Sequence[Path], views: int) -> None:
    """Write arrays of no rows, float32 (0, views, FEATURE_COUNT), for networks that are not pretrained."""
    for folder in folders:
        with packed_array(folder / EMBEDDINGS, (0, views, FEATURE_COUNT), np.float32):
            pass


def write_embeddings(folders: Sequence[Path], views: int, extractor: Extractor, parent: Path) -> None:
    """Write embeddings.npy, float32 (N, views, FEATURE_COUNT), beside the images.npy (N, H, W, C) of each folder.

    `views`: 1, or 2 to embed the mirror images, too. Rows are kept below `parent`; what is kept there of other images or networks goes.
    """
    cache = kept_folder(parent, extractor)
    used = []
    for folder in folders:
        seen = Views(folder / "images.npy", views)
        pictures = look_at(seen)
        with packed_array(folder / EMBEDDINGS, (len(seen) // views, views, *extractor.row_shape), extractor.dtype) as file:
            _fill(replace(file, shape=(len(seen), *extractor.row_shape)), seen, pictures, extractor, cache)
        used.append(pictures.prefixes)
    ContentCache(cache).keep(np.unique(np.concatenate(used)))
    drop_others(cache)


def _fill(file: ArrayFile, views: Views, pictures: Pictures, extractor: Extractor, folder: Path) -> None:
    """Write the row of every view, kept or computed."""
    places = np.argsort(pictures.numbers, kind="stable")  # all positions of picture 0, of picture 1, …
    ends = np.cumsum(np.bincount(pictures.numbers, minlength=len(pictures.keys)))

    def write(numbers: np.ndarray, rows: np.ndarray) -> None:
        spans = [places[ends[number - 1] if number else 0 : ends[number]] for number in numbers.tolist()]
        file.write_at(np.concatenate(spans), np.repeat(rows, [len(span) for span in spans], axis=0))

    unit = "images" if views.count == 1 else "images and mirror images"
    with Progress("embed", len(pictures.keys), unit) as progress:
        cache = ContentCache(folder)
        missing = take_known(pictures, cache, write)
        progress.skip(len(pictures.keys) - len(missing))
        if 0 < len(missing) < len(pictures.keys):
            progress.note(f"{len(missing):,} of {len(pictures.keys):,} {unit} are new")

        def write_and_tell(numbers: np.ndarray, rows: np.ndarray) -> None:
            write(numbers, rows)
            progress.advance(len(numbers))

        compute_missing(views, pictures, missing, extractor, cache, write_and_tell)
