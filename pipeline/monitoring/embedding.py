"""What a pretrained network says of prepared images, kept by their content, so that the same images are not computed again."""

from pathlib import Path

import numpy as np

from pipeline.dataset.content_cache import ContentCache, drop_others, key_of
from pipeline.features.extractor import Extractor
from pipeline.features.kept_rows import kept_folder


class Embedding:
    """Rows of an extractor. parent: the folder for what is kept; what is kept there of other networks goes."""

    def __init__(self, extractor: Extractor, parent: Path) -> None:
        self._extractor = extractor
        self._folder = kept_folder(parent, extractor)
        self._used: set[bytes] = set()

    def rows(self, inputs: np.ndarray) -> np.ndarray:
        """(M, F) of images uint8 (M, H, W, C)."""
        result = np.empty((len(inputs), *self._extractor.row_shape), self._extractor.dtype)
        keys = [key_of(picture.tobytes()) for picture in inputs]
        self._used.update(keys)
        cache = ContentCache(self._folder)
        found = cache.find(keys)
        missing = [i for i, row in enumerate(found) if row is None]
        if missing:
            result[missing] = self._extractor.compute(inputs[missing])
            cache.add([keys[i] for i in missing], result[missing])
        for i, row in enumerate(found):
            if row is not None:
                result[i] = row
        return result

    def forget_others(self) -> None:
        """Remove what was kept of images that this has not seen, once it is more than half of a file."""
        prefixes = np.frombuffer(b"".join(key[:8] for key in sorted(self._used)), np.uint64)
        ContentCache(self._folder).keep(prefixes)
        drop_others(self._folder)
