"""Every network of keras.applications by its name, with weights from ImageNet or without.

Keras's network is copied layer by layer, with the requested batch normalisation, names that do not depend on what was built before, and seeded
dropout. Before it, inside the network, small images are upscaled, grey ones repeated on three channels, and values converted to its own range.
"""

import os
import re
import warnings
import zlib
from pathlib import Path
from typing import Any

import keras

from pipeline.errors import WeightsError
from pipeline.models.layers import DROPOUT_SEED, FEATURES, MOMENTUM, BatchNormalization, copy_network, linear_classifier
from pipeline.params.model import FitModel

SMALLEST_PX = {"InceptionResNetV2": 75, "InceptionV3": 75, "Xception": 71}
SMALLEST_PRETRAINED_PX = 96

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's red, green and blue, from 0 to 1
TORCH = [0.5 / d for d in DEVIATION], [(0.5 - m) / d for m, d in zip(MEAN, DEVIATION, strict=True)]
CAFFE = [127.5] * 3, [127.5 - 123.68, 127.5 - 116.779, 127.5 - 103.939]
BYTES = [127.5] * 3, [127.5] * 3
OWN_RANGE = {
    r"ConvNeXt.*|DenseNet.*|EfficientNetV2B.": TORCH,
    r"ResNet\d+|VGG..": CAFFE,
    r"EfficientNetB.": BYTES,
    r"EfficientNetV2[SML]": ([127.5 / 128] * 3, [127.5 / 128 - 1] * 3),
}
"""(scale, offset) from -1 … 1, the range that every other network was trained with, to that of these."""


def build(shape: tuple[int, int, int], class_count: int, options: FitModel, batch_normalization: BatchNormalization) -> keras.Model:
    """Logits (N, class_count) of images, float (N, H, W, C): standardised, or from -1 to 1 for pretrained weights.

    Raises WeightsError if they cannot be downloaded.
    """
    inputs = keras.Input(shape, name="images")
    application = _load(options, _in_own_range(_enlarge(inputs, options), options))
    x = keras.layers.GlobalAveragePooling2D(name=FEATURES)(application.output)
    network = keras.Model(inputs, linear_classifier(x, class_count, options.dropout), name=options.name)
    return copy_network(network, lambda layer: _make(layer, batch_normalization), renumber=True)


def _enlarge(images: Any, options: FitModel) -> Any:
    """Images (N, H, W, 3), upscaled by the smallest whole factor that makes the shorter side as long as the network needs."""
    x = keras.layers.Concatenate(name="grey_as_colour")([images] * 3) if images.shape[-1] == 1 else images
    smallest = SMALLEST_PX.get(options.name, 32) if options.weights == "none" else SMALLEST_PRETRAINED_PX
    factor = -(-smallest // min(images.shape[1:3]))
    return keras.layers.UpSampling2D(factor, interpolation="bilinear", name="enlarge")(x) if factor > 1 else x


def _in_own_range(x: Any, options: FitModel) -> Any:
    """Images in the range that the network was trained with, float32. Without pretrained weights any range will do, unless the network divides it."""
    if options.weights == "none":
        divides = re.fullmatch(r"EfficientNetB.", options.name)
        return keras.layers.Rescaling(255.0, dtype="float32", name="undo_rescaling")(x) if divides else x
    scale, offset = next((found for names, found in OWN_RANGE.items() if re.fullmatch(names, options.name)), ([1.0] * 3, [0.0] * 3))
    x = keras.layers.Rescaling(scale, offset, dtype="float32", name="own_range")(x)
    return keras.ops.flip(x, axis=-1) if scale is CAFFE[0] else x  # these were trained on BGR


def _load(options: FitModel, images: Any) -> keras.Model:
    """Keras's own network on `images`, without its classifier. Raises WeightsError."""
    build_application = getattr(keras.applications, options.name)
    weights = None if options.weights == "none" else options.weights
    arguments = {"include_preprocessing": False} if re.match(r"ConvNeXt|EfficientNetV2|MobileNetV3", options.name) else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that the weights were trained at 224 px
        try:
            return build_application(include_top=False, weights=weights, input_tensor=images, input_shape=images.shape[1:], **arguments)
        except Exception as error:
            raise _explain(error, options.name) from None


def _explain(error: Exception, name: str) -> Exception:
    """The error for weights that Keras could not download or read; any other error as it is."""
    reason = str(error).partition("\n")[0]
    fetch = re.search(r"URL fetch failure on (\S+): (.*)", reason)
    if not fetch and not isinstance(error, OSError) and "corrupted file" not in reason:
        return error
    folder = Path(os.environ.get("KERAS_HOME", "~/.keras")) / "models"
    if fetch:
        file, cause = fetch[1].rpartition("/")[2], fetch[2].removeprefix("None -- ")
        what = f"cannot be downloaded: {cause}. Put {file} from the Keras project's public store into {folder}"
    else:
        what = f"cannot be read: {reason}. Delete the file in {folder} to download it again"
    return WeightsError(f"The pretrained weights of {name} {what}, or set model.weights: none.")


def _make(layer: keras.layers.Layer, batch_normalization: BatchNormalization) -> keras.layers.Layer:
    """The copy of a layer of Keras's network: the same, except for batch normalisation and the seed of dropout."""
    config = layer.get_config()
    if type(layer) is keras.layers.BatchNormalization:
        if layer.scale and layer.center:
            return batch_normalization(momentum=MOMENTUM, epsilon=layer.epsilon, name=layer.name)
        config["momentum"] = MOMENTUM
    if "seed" in config:
        config["seed"] = DROPOUT_SEED + zlib.crc32(layer.name.encode()) % 1000
    return type(layer).from_config(config)
