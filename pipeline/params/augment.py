"""Section `augment`: what happens at random to training images, for `train` and every fold."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.params.section import Section

Fill = Literal["nearest", "reflect", "constant"]

SHIFT_OF_GREY, SHIFT_OF_COLOUR = 0.0, 0.125
"""What `auto` stands for."""


class Augment(Section):
    horizontal_flip: bool
    """mirror half of the images; set to false if left and right have a meaning"""
    rotation_degrees: Annotated[float, Field(ge=0, le=180)]
    """0 to 180: rotate by up to this angle in either direction"""
    shift_fraction: Literal["auto"] | Annotated[float, Field(ge=0, le=0.9)]
    """auto (0.125 for colour images that a whole network is fitted to, else 0), or 0 to 0.9: shift by up to this fraction of height and width"""
    shear_degrees: Annotated[float, Field(ge=0, le=60)]
    """0 to 60: shear by up to this angle in either direction"""
    zoom_fraction: Annotated[float, Field(ge=0, le=0.9)]
    """0 to 0.9: scale by 1 - this to 1 + this"""
    fill: Fill
    """nearest, reflect or constant (black): how to fill the border of a transformed image"""
    erase_fraction: Annotated[float, Field(ge=0, le=0.9)]
    """0 to 0.9: cutout, side of the erased square as a fraction of the image's sides"""
    random_erase_fraction: Annotated[float, Field(ge=0, le=1)]
    """0 to 1: random erasing, fraction of images with an erased rectangle of 2 to 33 % of the area"""
    brightness: Annotated[float, Field(ge=0, le=1)]
    """0 to 1: lighten or darken by up to this fraction of white"""
    contrast: Annotated[float, Field(ge=0, le=1)]
    """0 to 1: scale the contrast by 1 - this to 1 + this"""
    saturation: Annotated[float, Field(ge=0, le=1)]
    """0 to 1: less or more saturated, at 0.2 by up to 1.5 times; no effect on grey images"""
    hue: Annotated[float, Field(ge=0, le=1)]
    """0 to 1: shift hues by up to this fraction of half the colour wheel; no effect on grey images"""
    rand_augment: Annotated[float, Field(ge=0, le=1)]
    """0 to 1: magnitude of RandAugment, two of 14 operations per image; 0.3 is common"""
    mixup: Annotated[float, Field(ge=0, le=1)]
    """0 to 1: alpha of MixUp, which blends pairs of images and labels; 0.2 is common"""
    cutmix: Annotated[float, Field(ge=0, le=1)]
    """0 to 1: alpha of CutMix, which pastes part of another image; with mixup, each image gets one of the two"""


class FitAugment(Augment):
    """Section `augment` without `auto`."""

    shift_fraction: float


def augmented(augment: Augment, channels: int) -> FitAugment:
    """The transforms of images of so many channels."""
    shift = (SHIFT_OF_GREY if channels == 1 else SHIFT_OF_COLOUR) if augment.shift_fraction == "auto" else augment.shift_fraction
    return FitAugment(**augment.model_dump() | {"shift_fraction": shift})


OFF = FitAugment(
    horizontal_flip=False,
    fill="nearest",
    **dict.fromkeys(
        (
            *("rotation_degrees", "shift_fraction", "shear_degrees", "zoom_fraction", "erase_fraction", "random_erase_fraction"),
            *("brightness", "contrast", "saturation", "hue", "rand_augment", "mixup", "cutmix"),
        ),
        0.0,
    ),
)
"""No augmentation."""


def mirrored_only(augment: Augment) -> FitAugment:
    """What of the transforms reaches a classifier or last stages on pretrained features: the mirror image."""
    return OFF.model_copy(update={"horizontal_flip": augment.horizontal_flip})
