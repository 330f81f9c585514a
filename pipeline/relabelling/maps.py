"""Where in an image the trained model sees the suggested class: a map by HiResCAM, computed when it is asked for and then kept.

The model in data/train may have been fitted to the image, other than those that doubt its label. It is loaded for the first map, with TensorFlow; where
there is no model, or its network has no places to map, there are no maps.
"""

import logging
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.dataset.arrays import read_array
from pipeline.explanation.overlay import overlay
from pipeline.labels.suspects import Suspect
from pipeline.terminal import greetings_kept_back

if TYPE_CHECKING:
    from pipeline.explanation.kept_model import KeptModel

MOST_KEPT = 200
LOG = logging.getLogger(__name__)


class Maps:
    """Maps of suspects by their sha256. model: the `.keras` file. arrays: the folder of the packed images that the suspects' rows are of."""

    def __init__(self, model: Path, arrays: Path, suspects: Sequence[Suspect], class_names: Sequence[str]) -> None:
        self._file = model
        self._images = read_array(arrays / "images.npy")  # kept open: a run beside this one may write another file there
        self._suspects: Mapping[str, Suspect] = {suspect.sha256: suspect for suspect in suspects}
        self._class_names = list(class_names)
        self._kept: dict[str, bytes | None] = {}
        self._lock = threading.Lock()
        self._loaded: KeptModel | None = None

    @property
    def are_possible(self) -> bool:
        """Whether there is a model to ask."""
        return self._file.is_file()

    def picture(self, sha256: str) -> bytes | None:
        """The image under its map, a JPEG; None if there is none, as for a broken model. Takes seconds the first time."""
        suspect = self._suspects.get(sha256)
        if suspect is None or not self.are_possible:
            return None
        with self._lock:  # one image at a time: the model uses all cores
            if sha256 not in self._kept:
                while len(self._kept) >= MOST_KEPT:
                    del self._kept[next(iter(self._kept))]
                self._kept[sha256] = self._drawn(suspect)
            return self._kept[sha256]

    def _drawn(self, suspect: Suspect) -> bytes | None:
        image = np.asarray(self._images[suspect.row])
        suggested = np.array([self._class_names.index(suspect.suggested)])
        try:
            with greetings_kept_back():
                maps = self._model().maps(image[None], suggested)
        except Exception as error:  # Keras and a damaged file raise nearly any exception
            LOG.warning("No map: %s", (str(error).splitlines() or [type(error).__name__])[0])
            return None
        return None if maps is None else overlay(image, maps[0])

    def _model(self) -> "KeptModel":
        if self._loaded is None:
            from pipeline.explanation.kept_model import KeptModel  # takes seconds to import

            self._loaded = KeptModel(self._file)
        return self._loaded
