"""Section `register`: the name of the model, and what it takes to become champion."""

from typing import Annotated

from pydantic import Field

from pipeline.params.section import Section


class Register(Section):
    model_name: Annotated[str, Field(pattern=r"^[^/:.\s][^/:]*$")]
    """auto (the name of the source), or a name in the MLflow registry"""
    min_accuracy: Annotated[float, Field(ge=0, le=1)]
    """0 to 1: minimum test accuracy for a model to be promoted"""
    margin: Annotated[float, Field(ge=0, le=1)]
    """0 to 1: by how much a model must be better than the champion"""
