"""Section `evaluate`: metrics on the test images."""

from typing import Annotated

from pydantic import Field

from pipeline.params.section import Section


class Evaluate(Section):
    top_k: Annotated[int, Field(ge=2)]
    """2 or more: also report top-k accuracy"""
