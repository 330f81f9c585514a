"""From encoded images or arrays to the input of the network, with what cannot be read and what the model does not know. No TensorFlow.

Travels with the registered model; `Preparation` is picklable, so that images are prepared in several processes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.errors import SourceError
from pipeline.images.decoding import ImageSpec, array_to_input, decode, image_to_input
from pipeline.serving.base64_text import image_bytes
from pipeline.serving.notes import TrainingImages, notes_of, notes_of_array


@dataclass(frozen=True)
class Prepared:
    """N images. inputs: uint8 (M, height, width, channels), those without a fault, in order. notes: N lists. faults: N texts, or empty."""

    inputs: np.ndarray
    notes: list[list[str]]
    faults: list[str]


@dataclass(frozen=True)
class Preparation:
    """Prepares images for one model. training: what is known of its training images."""

    spec: ImageSpec
    training: TrainingImages

    def __call__(self, images: Sequence[Any]) -> Prepared:
        """Prepare images: encoded (bytes, or base64 as `image_bytes` takes it), or arrays as `array_to_input` takes them."""
        inputs = np.empty((len(images), self.spec.height, self.spec.width, self.spec.channels), np.uint8)
        notes: list[list[str]] = [[] for _ in images]
        faults = [""] * len(images)
        count = 0
        for row, image in enumerate(images):
            try:
                inputs[count], notes[row] = self._prepare(image)
                count += 1
            except (SourceError, ValueError) as error:
                faults[row] = str(error)
        return Prepared(inputs[:count], notes, faults)

    def _prepare(self, image: Any) -> tuple[np.ndarray, list[str]]:
        if isinstance(image, np.ndarray):
            pixels = array_to_input(image, self.spec)
            return pixels, notes_of_array(image, pixels, self.spec, self.training)
        encoded = image_bytes(image)
        decoded = decode(encoded, self.spec)
        pixels = image_to_input(decoded, self.spec)
        return pixels, notes_of(decoded, encoded, pixels, self.spec, self.training)
