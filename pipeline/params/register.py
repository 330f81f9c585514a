"""Section `register`: the name of the model, and what it takes to become champion."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.params.section import Section


class Register(Section):
    model_name: Annotated[str, Field(pattern=r"^[^/:.\s][^/:]*$")]
    """auto (the name of the source), or a name in the MLflow registry"""
    min_accuracy: Annotated[float, Field(ge=0, le=1)]
    """0 to 1: minimum test accuracy for a model to be promoted"""
    promote_when: Literal["better", "not_worse"]
    """better or not_worse: what must be shown against the champion on the same test images (docs/registry.md)"""
    margin: Literal["auto"] | Annotated[float, Field(ge=0, le=1)]
    """auto (as small as the test images allow, at most 0.01), or 0 to 1: the loss of accuracy that must be ruled out for not_worse"""
    max_class_drop: Annotated[float, Field(ge=0, le=1)]
    """0 to 1: not promoted if a class is shown to lose more than this share of its test images; 1 is off"""
