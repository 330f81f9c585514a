"""What of a network is fitted: all of it to images, or its last stages to what goes into them, computed once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import keras
import numpy as np

from pipeline.fitting.head import Head
from pipeline.models.layers import LOGITS
from pipeline.models.network import build_last_stages, build_to_fit, build_to_keep, input_standardisation, last_stages_to_fit, split_head
from pipeline.params.augment import OFF, FitAugment
from pipeline.params.model import FitModel

Scaling = tuple[list[float], list[float]]
"""(scale, offset), one number per channel: the input of what is fitted is scale * values + offset."""


class Part(Protocol):
    """What is fitted. shape: (H, W, C) of its input. dtype: of the values before scaling.

    score_batch_size: how many rows are scored at a time. smallest_tower: the fewest rows of a batch that are worth a tower of their own.
    """

    shape: tuple[int, int, int]
    dtype: str
    augment: FitAugment
    score_batch_size: int
    smallest_tower: int

    def build(self, dtype_policy: str) -> keras.Model:
        """Logits (N, K) of inputs (N, H, W, C) float32, to fit."""

    def split(self, fitted: keras.Model) -> tuple[keras.Model, keras.Model]:
        """(body, head) of what `build` made; while the body is frozen, only the head is fitted."""

    def scaling(self, sample: Callable[[], np.ndarray]) -> Scaling:
        """The scaling for a fit; `sample` gives some of the rows that it is fitted to, (N, H, W, C)."""

    def start(self, fitted: keras.Model) -> None:
        """Set the variables that a fit starts with, where they are not those that `build` gave."""

    def keep(self, fitted: keras.Model, scaling: Scaling) -> keras.Model:
        """The model to keep: probabilities float32 (N, K) of images uint8 (N, H, W, C)."""


class WholeNetwork:
    """All of a network, fitted to images uint8."""

    dtype = "uint8"
    score_batch_size = 1000
    smallest_tower = 32

    def __init__(self, shape: tuple[int, int, int], class_count: int, options: FitModel, augment: FitAugment) -> None:
        self.shape, self.augment = shape, augment
        self._class_count, self._options = class_count, options

    def build(self, dtype_policy: str) -> keras.Model:
        return build_to_fit(self.shape, self._class_count, self._options, dtype_policy)

    def split(self, fitted: keras.Model) -> tuple[keras.Model, keras.Model]:
        return split_head(fitted) if self._options.weights != "none" else (fitted, fitted)

    def scaling(self, sample: Callable[[], np.ndarray]) -> Scaling:
        return input_standardisation(sample(), self._options)

    def start(self, fitted: keras.Model) -> None:
        """Nothing: as built."""

    def keep(self, fitted: keras.Model, scaling: Scaling) -> keras.Model:
        return build_to_keep(fitted, self._options, *scaling)


class LastStages:
    """The last stages of a pretrained network, fitted to float16 features; the classifier starts as `head`, fitted to the features of the network."""

    dtype = "float16"
    augment = OFF
    score_batch_size = 64
    smallest_tower = 8

    def __init__(self, image_shape: tuple[int, int, int], class_count: int, options: FitModel, stages: int) -> None:
        self.head: Head | None = None
        self._image_shape, self._class_count, self._options, self._stages = image_shape, class_count, options, stages
        self._network, self._last = build_last_stages(image_shape, class_count, options, stages)
        self.shape = tuple(self._last.input_shape[1:])

    def build(self, dtype_policy: str) -> keras.Model:
        """In float32, but for the products of 1 x 1 convolutions during training: on CPUs bfloat16 makes depthwise convolutions slower."""
        return last_stages_to_fit(self._last, dtype_policy)

    def split(self, fitted: keras.Model) -> tuple[keras.Model, keras.Model]:
        return fitted, fitted

    def scaling(self, sample: Callable[[], np.ndarray]) -> Scaling:
        return [1.0] * self.shape[-1], [0.0] * self.shape[-1]

    def start(self, fitted: keras.Model) -> None:
        if self.head is not None:
            fitted.get_layer(LOGITS).set_weights([self.head.kernel, self.head.bias])

    def keep(self, fitted: keras.Model, scaling: Scaling) -> keras.Model:
        """The whole network: the stages before, and these as fitted."""
        for layer in fitted.layers:
            self._last.get_layer(layer.name).set_weights(layer.get_weights())
        images = np.empty((0, *self._image_shape), np.uint8)
        return build_to_keep(self._network, self._options, *input_standardisation(images, self._options))


def keep_classifier(image_shape: tuple[int, int, int], options: FitModel, head: Head) -> keras.Model:
    """The model to keep of a pretrained network whose classifier alone was fitted."""
    part = LastStages(image_shape, len(head.bias), options, 1)
    part.head = head
    fitted = part.build("float32")
    part.start(fitted)
    return part.keep(fitted, ([], []))
