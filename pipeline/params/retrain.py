"""Section `retrain`: when a run that nobody started is worth it. No stage reads it."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.params.section import Section


class Retrain(Section):
    min_new_images: Annotated[int, Field(ge=1)]
    """1 or more: images added, removed or replaced that start a scheduled run; a run by hand always runs"""
    max_days: Literal["none"] | Annotated[float, Field(gt=0, le=3650)]
    """none, or above 0: days after which fewer images start a scheduled run, too"""
    drift: Literal["ignore", "run"]
    """ignore, or run: fewer images, but 20 or more, start a scheduled run, too, if `pipeline drift` raises an alarm for them"""
