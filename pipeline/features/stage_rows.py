"""What goes into a stage of a pretrained network, for all packed images and their mirror images: rows on disk, read a few at a time.

Fine-tuning of the last stages begins there. The rows stay in the files that they were kept in; reading some of them holds nothing else in memory.
"""

from pathlib import Path

import numpy as np

from pipeline.dataset.content_cache import ContentCache, drop_others
from pipeline.errors import StorageError
from pipeline.features.extractor import Extractor
from pipeline.features.kept_rows import Views, compute_missing, kept_folder, look_at
from pipeline.progress import Progress


class StageRows:
    """The rows of M views, `dtype` (M, *row_shape). Threads may read at the same time."""

    def __init__(self, places: np.ndarray, files: list[tuple[Path, int]], row_shape: tuple[int, ...], dtype: type[np.generic]) -> None:
        """places: int64 (M, 2), (file, row). files: path, and where its first row begins."""
        self._places, self._files = places, files
        self.shape, self.dtype = (len(places), *row_shape), np.dtype(dtype)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """The rows with these numbers, int (R,)."""
        result = np.empty((len(rows), *self.shape[1:]), self.dtype)
        into = result.view(np.uint8).reshape(len(rows), -1)
        places = self._places[rows]
        for number in np.unique(places[:, 0]).tolist():
            self._read(number, places, into)
        return result

    def _read(self, number: int, places: np.ndarray, into: np.ndarray) -> None:
        """Read the rows that are in one file."""
        path, offset = self._files[number]
        wanted = np.flatnonzero(places[:, 0] == number)
        try:
            with path.open("rb", buffering=0) as file:
                for i in wanted[np.argsort(places[wanted, 1])].tolist():
                    file.seek(offset + int(places[i, 1]) * into.shape[1])
                    if file.readinto(into[i].data) != into.shape[1]:
                        raise OSError("it ends too early")
        except OSError as error:
            raise StorageError(
                f"{path} cannot be read any more: {error.strerror or error}. Another run may have removed it: run the same command again."
            ) from None


def stage_rows(images: Path, views: int, extractor: Extractor, parent: Path, label: str = "embed") -> StageRows:
    """The rows of the views of the images uint8 (N, H, W, C) in an .npy file: view v of image i has number i * views + v.

    What is not kept below `parent` is computed first; what is kept there of other images or networks goes.
    """
    folder, seen = kept_folder(parent, extractor), Views(images, views)
    pictures = look_at(seen)
    cache = ContentCache(folder)
    missing = np.flatnonzero(cache.locate(pictures.keys)[:, 0] < 0)
    with Progress(label, len(pictures.keys), "images" if views == 1 else "images and mirror images") as progress:
        progress.skip(len(pictures.keys) - len(missing))
        compute_missing(seen, pictures, missing, extractor, cache, lambda numbers, _: progress.advance(len(numbers)))
    ContentCache(folder).keep(np.unique(pictures.prefixes))
    drop_others(folder)
    cache = ContentCache(folder)
    places = cache.locate(pictures.keys)
    if len(places) and places[:, 0].min() < 0:
        raise StorageError(
            f"{folder} has lost rows while they were computed. Another run may have removed them: run the same command again."
        )
    return StageRows(places[pictures.numbers], cache.segments(), extractor.row_shape, extractor.dtype)
