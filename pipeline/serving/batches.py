"""Images to answer, batch by batch: read, hashed and prepared on all cores, in order, whatever is wrong with one of them."""

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.errors import ImageError

MOST_BYTES = 256 * 2**20
MOST_IMAGES = 500
BATCH_BYTES = 4 * 2**20
ENCODED_BYTES = 4 * 2**20
FEW_BATCHES = 2
"""So many batches are prepared here: starting other processes would take longer."""


@dataclass(frozen=True)
class Batch:
    """N images. faults: why each cannot be used, empty where it can. sha256: of the encoded images, empty for arrays. prepared: of the M others,
    their inputs uint8 (M, height, width, channels) and notes; of a model that only takes encoded images, these.
    """

    faults: list[str]
    sha256: list[str]
    notes: list[str]
    prepared: Any


@dataclass(frozen=True)
class Unusable:
    """In place of an image that is known to be unreadable; picklable."""

    reason: str

    def __call__(self) -> bytes:
        raise ImageError(self.reason)


def in_batches(images: Sequence[Any], preparation: Any, input_bytes: int, workers: int | None = None) -> Iterator[Batch]:
    """The batches of images, each an array or a function that gives an encoded image.

    preparation: the model's own, picklable; None for one that takes encoded images. input_bytes: of one prepared image.
    workers: processes; 1 is this one.
    """
    size = max(1, min(MOST_IMAGES, BATCH_BYTES // max(1, input_bytes)))
    chunks = (images[start : start + size] for start in range(0, len(images), size))
    if workers is None:
        workers = 1 if len(images) <= FEW_BATCHES * size else -1
    if workers == 1:
        return map(_Take(preparation), chunks)
    from pipeline.parallel import parallel_map  # the server of an export needs no joblib

    return parallel_map(_Take(preparation), chunks, workers)


@dataclass(frozen=True)
class _Take:
    """Reads and prepares one batch; picklable, so that it can be sent to another process."""

    preparation: Any

    def __call__(self, images: Sequence[Any]) -> Batch:
        faults, sha256 = [""] * len(images), [""] * len(images)
        notes, parts, rows, waiting = [""] * len(images), [], [], []
        waiting_bytes = 0
        for row, image in enumerate(images):
            try:
                content = image if isinstance(image, np.ndarray) else _read(image)
            except ImageError as error:
                faults[row] = str(error)
                continue
            if isinstance(content, bytes):
                sha256[row] = hashlib.sha256(content).hexdigest()
            rows.append(row)
            waiting.append(content)
            waiting_bytes += len(content)
            if waiting_bytes > ENCODED_BYTES:  # so that a batch of large files is not in memory as a whole
                parts.append(self._prepare(rows, waiting, faults, notes))
                rows, waiting, waiting_bytes = [], [], 0
        parts.append(self._prepare(rows, waiting, faults, notes))
        joined = np.concatenate(parts) if self.preparation else list(itertools.chain(*parts))
        return Batch(faults, sha256, notes, joined)

    def _prepare(self, rows: list[int], images: list[Any], faults: list[str], notes: list[str]) -> Any:
        """What the model needs of the images of some rows; faults and notes of these rows are set."""
        if self.preparation is None:
            return images
        prepared = self.preparation(images)
        for row, fault, noted in zip(rows, prepared.faults, prepared.notes, strict=True):
            faults[row], notes[row] = fault, "; ".join(noted)
        return prepared.inputs


def _read(image: Callable[[], bytes]) -> bytes:
    try:
        size_bytes = getattr(image, "size_bytes", int)()
        if size_bytes > MOST_BYTES:
            raise ImageError(f"{size_bytes / 2**20:,.0f} MB is more than {MOST_BYTES // 2**20} MB", "too_large")
        return image()
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror}", "unreadable") from None
