"""Section `cross_validate`: how many folds, and how many at a time."""

from typing import Annotated

from pydantic import Field

from pipeline.params.section import Section


class CrossValidate(Section):
    folds: Annotated[int, Field(ge=2, le=20)]
    """2 to 20: number of folds"""
    workers: Annotated[int, Field(ge=1, le=20)]
    """1 to 20: folds fitted in parallel, sharing the cores, or one per GPU; benchmarks/folds.py finds the best"""
