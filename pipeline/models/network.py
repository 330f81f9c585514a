"""A network in its two forms: one to train and one to save. Arrays and bytes; no files, no MLflow."""

import importlib
import io
import json
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pipeline.models.efficientnet_lite import LAST_STAGE, STANDARDISATION, stage_starts
from pipeline.models.layers import (
    FEATURES,
    BatchNormalization,
    FrozenBatchNormalization,
    FusedBatchNormalization,
    PointwiseConvolution,
    copy_network,
)
from pipeline.params.model import EFFICIENTNETS_LITE, FitModel, module_name

FIXED_DATE = (1980, 1, 1, 0, 0, 0)


def input_standardisation(images: np.ndarray, options: FitModel) -> tuple[list[float], list[float]]:
    """(scale, offset) per channel that convert images, uint8 (N, H, W, C), to the network's input.

    With pretrained weights always the same: to the range that EfficientNet-Lite was trained with, or to -1 … 1 for keras.applications (the
    network converts them further). Else to mean 0 and standard deviation 1 over these images.
    """
    if options.weights == "none":
        return channel_standardisation(images)
    scale, offset = STANDARDISATION if options.name in EFFICIENTNETS_LITE else (1 / 127.5, -1.0)
    channels = images.shape[-1]
    return [scale] * channels, [offset] * channels


def split_head(network: keras.Model) -> tuple[keras.Model, keras.Model]:
    """(body, head) of a network that can have pretrained weights: head(body(images)) is network(images), with the same variables.

    body: images (N, H, W, C) to features (N, F), the pretrained part. head: features to logits (N, K), the new part.
    """
    features = network.get_layer(FEATURES).output
    return keras.Model(network.input, features, name="body"), keras.Model(features, network.output, name="head")


def build_to_fit(shape: tuple[int, int, int], class_count: int, options: FitModel, dtype_policy: str) -> keras.Model:
    """Logits of standardised images, in mixed precision, with fused batch normalisation."""
    with layers_in(dtype_policy):
        return _build(shape, class_count, options, FusedBatchNormalization)


def build_last_stages(shape: tuple[int, int, int], class_count: int, options: FitModel, stages: int) -> tuple[keras.Model, keras.Model]:
    """(network, its last stages), with the same variables, with frozen batch normalisation in float32.

    network: logits of images (N, H, W, C), standardised. Its last stages: logits of what goes into the first of the last `stages`.
    """
    with layers_in("float32"):
        network = _build(shape, class_count, options, FrozenBatchNormalization)
        start = stage_starts(options.name)[LAST_STAGE + 1 - stages]
        return network, keras.Model(network.get_layer(start).output, network.output, name="last_stages")


def last_stages_to_fit(last_stages: keras.Model, dtype_policy: str) -> keras.Model:
    """A copy of what `build_last_stages` gave, with variables of its own: if the policy is one of bfloat16, with PointwiseConvolution."""
    is_half = dtype_policy.endswith("bfloat16")

    def as_fitted(layer: keras.layers.Layer) -> keras.layers.Layer:
        if isinstance(layer, FusedBatchNormalization):
            return type(layer)(layer.momentum, layer.epsilon, layer.name)
        is_pointwise = type(layer) is keras.layers.Conv2D and set(layer.kernel_size) == {1}
        return (PointwiseConvolution if is_pointwise and is_half else type(layer)).from_config(layer.get_config())

    with layers_in("float32"):
        return copy_network(last_stages, as_fitted)


def build_to_keep(fitted: keras.Model, options: FitModel, scale: Sequence[float], offset: Sequence[float]) -> keras.Model:
    """Probabilities float32 (N, K) of images uint8 (N, H, W, C): the fitted weights in Keras's own layers, float32.

    `scale` and `offset`, one per channel, standardise an image. With `options.flip_average` the probabilities are averaged over the
    image and its mirror image.
    """
    shape = fitted.input_shape[1:]
    with layers_in("float32"):
        body = copy_network(fitted, _as_kept)
        images = keras.Input(shape, dtype="uint8", name="images_uint8")
        standardised = keras.layers.Rescaling(list(scale), list(offset), name="standardise")(images)
        probabilities = _probabilities(body, standardised, "softmax")
        if options.flip_average:
            mirrored = keras.ops.flip(standardised, axis=2)
            both = [probabilities, _probabilities(body, mirrored, "softmax_of_mirrored")]
            probabilities = keras.layers.Average(name="flip_average")(both)
        model = keras.Model(images, probabilities, name=body.name + "_classifier")
    for operation in model.operations:
        if type(operation).__name__ == "Flip":
            operation.name = "mirror"  # Keras would number it by what was built before in this process
    return model


def _as_kept(layer: keras.layers.Layer) -> keras.layers.Layer:
    """The layer in the current dtype policy, of one of Keras's own classes."""
    if isinstance(layer, FusedBatchNormalization):
        return keras.layers.BatchNormalization(momentum=layer.momentum, epsilon=layer.epsilon, name=layer.name)
    return type(layer).from_config(layer.get_config() | {"dtype": keras.config.dtype_policy()})


def to_bytes(model: keras.Model) -> bytes:
    """The `.keras` file of a model, with the same bytes for the same model: dates and memory addresses are removed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return _without_traces(path.read_bytes())


def _build(shape: tuple[int, int, int], class_count: int, options: FitModel, batch_normalization: BatchNormalization) -> keras.Model:
    module = importlib.import_module(f"pipeline.models.{module_name(options.name)}")
    model = module.build(shape, class_count, options, batch_normalization)
    assert isinstance(model, keras.Model)
    return model


def _probabilities(body: keras.Model, images: Any, name: str) -> Any:
    return keras.layers.Softmax(name=name)(body(images))


@contextmanager
def layers_in(dtype_policy: str) -> Iterator[None]:
    """Set Keras's policy for layers made inside, and restore the previous one."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype_policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _without_traces(archive: bytes) -> bytes:
    """A .keras archive with its members in a fixed order, a fixed date, and nothing that differs between processes."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as source, zipfile.ZipFile(result, "w") as target:
        for name in sorted(source.namelist()):
            content = source.read(name)
            if name.endswith(".json"):
                content = json.dumps(_canonical(json.loads(content), {})).encode()
            target.writestr(zipfile.ZipInfo(name, FIXED_DATE), content)
    return result.getvalue()


def _canonical(node: Any, numbers: dict[int, int]) -> Any:
    """JSON without `date_saved`, and with Keras's `shared_object_id`, an address in memory, replaced by the order of appearance."""
    if isinstance(node, list):
        return [_canonical(value, numbers) for value in node]
    if not isinstance(node, dict):
        return node
    result = {key: _canonical(value, numbers) for key, value in node.items() if key != "date_saved"}
    if "shared_object_id" in result:
        result["shared_object_id"] = numbers.setdefault(result["shared_object_id"], len(numbers))
    return result


def channel_standardisation(images: np.ndarray) -> tuple[list[float], list[float]]:
    """(scale, offset) per channel that convert these images, uint8 (N, H, W, C), to mean 0 and standard deviation 1."""
    sums = images.sum(axis=(0, 1, 2), dtype=np.float64)
    squares = np.square(images, dtype=np.uint32).sum(axis=(0, 1, 2), dtype=np.float64)
    count = images[..., 0].size
    mean = sums / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 1.0))
    return (1 / deviation).tolist(), (-mean / deviation).tolist()
