"""EfficientNet-Lite0, 1 and 2: networks for photographs whose pretrained weights are installed like a package, so nothing is downloaded.

Tan and Le, 2019, without squeeze and excitation. Inside the network small images are upscaled and grey ones repeated on three channels, as in
pipeline/backbone, which computes the same features without Keras.
"""

from typing import Any

import keras
import numpy as np

from pipeline.backbone.architecture import (
    EPSILON,
    FEATURE_COUNT,
    MEAN,
    SCALE,
    STEM_FILTERS,
    Architecture,
    Block,
    architecture,
    enlargement,
)
from pipeline.backbone.weights import Weights, load_weights
from pipeline.models.layers import FEATURES, MOMENTUM, BatchNormalization, linear_classifier
from pipeline.params.model import FitModel

LAST_STAGE = 7
STANDARDISATION = 1 / SCALE, -MEAN / SCALE
"""(scale, offset) from bytes to what the weights were trained with."""


def build(shape: tuple[int, int, int], class_count: int, options: FitModel, batch_normalization: BatchNormalization) -> keras.Model:
    """Logits (N, class_count) of images, float (N, H, W, C): standardised, or by STANDARDISATION for pretrained weights.

    Raises WeightsError if these are not installed.
    """
    weights = None if options.weights == "none" else load_weights(options.name)
    body = build_body(architecture(options.name), weights, shape, batch_normalization)
    return keras.Model(body.input, linear_classifier(body.output, class_count, options.dropout), name=options.name)


def build_body(
    network: Architecture, weights: Weights | None, shape: tuple[int, int, int], batch_normalization: BatchNormalization
) -> keras.Model:
    """Features (N, FEATURE_COUNT) of images, float (N, H, W, C), with pretrained weights or drawn ones."""
    parts = _Parts(batch_normalization)
    inputs = keras.Input(shape, name="images")
    x = parts.convolve(_enlarge(inputs), STEM_FILTERS, "stem", ("_conv_stem", "_bn0"), kernel=3, strides=2)
    for i, block in enumerate(network.blocks):
        x = parts.block(x, i, block)
    x = parts.convolve(x, FEATURE_COUNT, "head", ("_conv_head", "_bn1"))
    body = keras.Model(inputs, keras.layers.GlobalAveragePooling2D(name=FEATURES)(x), name=network.name)
    if weights:
        parts.set_weights(body, weights)
    return body


def stage_starts(name: str) -> dict[int, str]:
    """For each stage from 2 to 7 of the network called `name`, the layer whose output goes into it: where the network can be split."""
    network = architecture(name)
    return {stage: _last_layer(network, network.first_block(stage) - 1) for stage in range(2, 8)}


def _last_layer(network: Architecture, i: int) -> str:
    return f"block{i + 1}_add" if network.blocks[i].residual else f"block{i + 1}_project_normalization"


def _enlarge(images: Any) -> Any:
    """Images (N, H, W, 3), upscaled by `enlargement`."""
    x = keras.layers.Concatenate(name="grey_as_colour")([images] * 3) if images.shape[-1] == 1 else images
    factor = enlargement(*images.shape[1:3])
    return keras.layers.UpSampling2D(factor, interpolation="bilinear", name="enlarge")(x) if factor > 1 else x


class _Parts:
    """The building blocks, and which weights belong to which layer."""

    def __init__(self, batch_normalization: BatchNormalization) -> None:
        self._batch_normalization = batch_normalization
        self._sources: dict[str, tuple[str, str]] = {}

    def block(self, x: Any, i: int, block: Block) -> Any:
        """An inverted residual block."""
        before, name, source = x, f"block{i + 1}", f"_blocks.{i}."
        if block.expansion > 1:
            x = self.convolve(x, block.filters_inside, f"{name}_expand", (f"{source}_expand_conv", f"{source}_bn0"))
        depthwise = f"{source}_depthwise_conv", f"{source}_bn1"
        x = self.convolve(x, None, f"{name}_depthwise", depthwise, kernel=block.kernel, strides=block.strides)
        x = self.convolve(x, block.filters_out, f"{name}_project", (f"{source}_project_conv", f"{source}_bn2"), activate=False)
        return keras.layers.Add(name=f"{name}_add")([before, x]) if block.residual else x

    def convolve(
        self, x: Any, filters: int | None, name: str, source: tuple[str, str], *, kernel: int = 1, strides: int = 1, activate: bool = True
    ) -> Any:
        """Convolution (depthwise without `filters`), batch normalisation, ReLU6. `source`: the names of both in the file of weights."""
        arguments = {"strides": strides, "padding": "same", "use_bias": False, "name": f"{name}_convolution"}
        if filters:
            x = keras.layers.Conv2D(filters, kernel, kernel_initializer="he_normal", **arguments)(x)
        else:
            x = keras.layers.DepthwiseConv2D(kernel, depthwise_initializer="he_normal", **arguments)(x)
        x = self._batch_normalization(momentum=MOMENTUM, epsilon=EPSILON, name=f"{name}_normalization")(x)
        self._sources[name] = source
        return keras.layers.ReLU(6.0, name=f"{name}_relu")(x) if activate else x

    def set_weights(self, body: keras.Model, weights: Weights) -> None:
        """Give every layer its pretrained weights."""
        for name, source in self._sources.items():
            kernel, *statistics = weights.convolution(*source)
            convolution = body.get_layer(f"{name}_convolution")
            axes = (2, 3, 0, 1) if isinstance(convolution, keras.layers.DepthwiseConv2D) else (2, 3, 1, 0)
            convolution.set_weights([np.transpose(kernel, axes)])
            body.get_layer(f"{name}_normalization").set_weights(statistics)
