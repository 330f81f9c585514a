"""Section `evaluate`: metrics on the test images."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.params.section import Section


class Evaluate(Section):
    top_k: Annotated[int, Field(ge=2)]
    """2 or more: also report top-k accuracy"""
    max_error: Literal["none"] | Annotated[float, Field(gt=0, le=0.5)]
    """none, or above 0, up to 0.5: the share of the sure answers that may be wrong; the others are marked unsure (docs/serving.md)"""
