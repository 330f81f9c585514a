"""A pretrained network as a function from packed images to rows, with the identity of what it computes."""

import hashlib
import importlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.backbone.architecture import FEATURE_COUNT
from pipeline.backbone.runtime import Backbone, Runtime
from pipeline.backbone.weights import SHA256

PROBED = 2


@dataclass(frozen=True)
class Extractor:
    """`compute`: from images uint8 (M, H, W, C) to rows (M, *row_shape) of `dtype`.

    `identity` differs where a row of the same image could differ. `described`: the network, its weights and the runtime, for people.
    """

    compute: Callable[[np.ndarray], np.ndarray]
    row_shape: tuple[int, ...]
    dtype: type[np.generic]
    identity: tuple[object, ...]
    described: dict[str, str]


def embedder(name: str, shape: tuple[int, int, int]) -> Extractor:
    """Features float32 (M, FEATURE_COUNT) of images (M, *shape) by the network called `name`. Raises WeightsError if it cannot be used."""
    backbone = Backbone(name, shape, _keras_runtime)
    return _extractor(name, shape, backbone, backbone.features, (FEATURE_COUNT,), np.float32)


def stage_extractor(name: str, shape: tuple[int, int, int], stage: int) -> Extractor:
    """What goes into a stage of the network, float16 (M, H', W', C'), for images (M, *shape). Raises WeightsError if it cannot be used."""
    backbone = Backbone(name, shape, _keras_runtime)
    return _extractor(name, shape, backbone, lambda images: backbone.stage_features(images, stage), backbone.stage_shape(stage), np.float16)


def _extractor(
    name: str,
    shape: tuple[int, int, int],
    backbone: Backbone,
    compute: Callable[[np.ndarray], np.ndarray],
    row_shape: tuple[int, ...],
    dtype: type[np.generic],
) -> Extractor:
    described = {"name": name, "weights_sha256": SHA256[name], "runtime": backbone.runtime}
    return Extractor(compute, row_shape, dtype, (described, shape, _probe(compute, shape)), described)


def _probe(compute: Callable[[np.ndarray], np.ndarray], shape: tuple[int, int, int]) -> str:
    """What the function says of two fixed images: another version of this code, or another processor, may differ in the last bits."""
    images = np.random.default_rng(0).integers(0, 256, (PROBED, *shape), dtype=np.uint8)
    return hashlib.sha256(np.ascontiguousarray(compute(images)).tobytes()).hexdigest()


def _keras_runtime() -> Runtime:
    """The runtime for machines without ONNX Runtime. It loads TensorFlow, so it is imported by name, and only there."""
    runtime: Runtime = importlib.import_module("pipeline.models.keras_backbone").KerasRuntime()
    return runtime
