"""New images beside those that a model knows, as a page. Values in, text out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.drift.words import Line
from pipeline.reports.page import render_page


@dataclass(frozen=True)
class Newest:
    """An image that looks new, and the answer of the model. `thumbnail`: PNG or JPEG."""

    thumbnail: bytes
    path: str
    label: str
    probability: float


def render_drift(verdict: str, lines: Sequence[Line], facts: Mapping[str, str], newest: Sequence[Newest]) -> str:
    """The page."""
    return render_page("drift.html.j2", {}, verdict=verdict, lines=lines, facts=facts, newest=newest)
