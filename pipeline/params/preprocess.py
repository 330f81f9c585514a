"""Section `preprocess`: the size, channels and shape that images are brought to."""

import math
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from pipeline.params.section import Section

Resize = Literal["pad", "crop", "stretch"]
SizePx = Annotated[int, Field(ge=8, le=1024)]


def _value_range(value: object) -> object:
    is_range = (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(isinstance(end, int | float) and not isinstance(end, bool) and math.isfinite(end) for end in value)
        and value[0] < value[1]
    )
    if value != "auto" and not is_range:
        raise ValueError("should be auto or [low, high], two numbers of which the first is less than the second, as in [0, 4095]")
    return value


class Preprocess(Section):
    image_size: Literal["auto"] | Annotated[list[SizePx], Field(min_length=2, max_length=2)]
    """auto, or [height, width] in px, each 8 to 1024"""
    channels: Literal["auto", 1, 3]
    """auto, 1 (grey) or 3 (colour)"""
    resize: Resize
    """pad (whole image, black borders), crop (centre) or stretch"""
    value_range: Annotated[Literal["auto"] | Annotated[list[float], Field(min_length=2, max_length=2)], BeforeValidator(_value_range)]
    """auto, or [low, high], which become 0 and 255: only for images of more than 8 bits per channel (docs/checks.md)"""
