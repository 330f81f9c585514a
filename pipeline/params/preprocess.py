"""Section `preprocess`: the size, channels and shape that images are brought to."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.params.section import Section

Resize = Literal["pad", "crop", "stretch"]
SizePx = Annotated[int, Field(ge=8, le=1024)]


class Preprocess(Section):
    image_size: Literal["auto"] | Annotated[list[SizePx], Field(min_length=2, max_length=2)]
    """auto, or [height, width] in px, each 8 to 1024"""
    channels: Literal["auto", 1, 3]
    """auto, 1 (grey) or 3 (colour)"""
    resize: Resize
    """pad (whole image, black borders), crop (centre) or stretch"""
