"""Section `augment`: what happens at random to training images, for `train` and every fold."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.params.section import Section

Fill = Literal["nearest", "reflect", "constant"]


class Augment(Section):
    horizontal_flip: bool
    """mirror every second image; false where left and right differ in meaning"""
    rotation_degrees: Annotated[float, Field(ge=0, le=180)]
    """0 to 180: turn by up to this angle, either way"""
    shift_fraction: Annotated[float, Field(ge=0, le=0.9)]
    """0 to 0.9: move by up to this share of height and width"""
    shear_degrees: Annotated[float, Field(ge=0, le=60)]
    """0 to 60: slant by up to this angle, either way"""
    zoom_fraction: Annotated[float, Field(ge=0, le=0.9)]
    """0 to 0.9: scale by 1 - this to 1 + this"""
    fill: Fill
    """nearest, reflect or constant (black): what appears behind a moved image"""
    erase_fraction: Annotated[float, Field(ge=0, le=0.9)]
    """0 to 0.9: side of a blanked square, as a share of the image's sides"""
    random_erase_fraction: Annotated[float, Field(ge=0, le=1)]
    """0 to 1: share of the images that get a blanked rectangle of 2 to 33 % of their area"""
    brightness: Annotated[float, Field(ge=0, le=1)]
    """0 to 1: make lighter or darker by up to this share of white"""
    contrast: Annotated[float, Field(ge=0, le=1)]
    """0 to 1: multiply differences from the mean colour by 1 - this to 1 + this"""
    saturation: Annotated[float, Field(ge=0, le=1)]
    """0 to 1: paler or more vivid, at 0.2 by up to 1.5 times; grey images are left alone"""
    hue: Annotated[float, Field(ge=0, le=1)]
    """0 to 1: turn colours by up to this share of half the colour wheel; grey images are left alone"""
    rand_augment: Annotated[float, Field(ge=0, le=1)]
    """0 to 1: strength of two random operations per image, of 14; 0.3 is usual"""
    mixup: Annotated[float, Field(ge=0, le=1)]
    """0 to 1: blend pairs of images and their labels, more evenly as this rises; 0.2 is usual"""
    cutmix: Annotated[float, Field(ge=0, le=1)]
    """0 to 1: paste part of another image and of its label, likewise; with mixup, each image gets one of the two"""
