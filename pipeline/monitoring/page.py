"""New images beside those that a model knows, as a page. Values in, text out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.reports.page import render_page


class Answered(Protocol):
    """A question, its answer in a sentence, and whether it is an alarm."""

    @property
    def question(self) -> str: ...
    @property
    def answer(self) -> str: ...
    @property
    def is_alarm(self) -> bool: ...


@dataclass(frozen=True)
class Newest:
    """An image that looks new, and the answer of the model. `thumbnail`: PNG or JPEG."""

    thumbnail: bytes
    path: str
    label: str
    probability: float


def render_drift(verdict: str, lines: Sequence[Answered], facts: Mapping[str, str], newest: Sequence[Newest]) -> str:
    """The page."""
    return render_page("drift.html.j2", {}, verdict=verdict, lines=lines, facts=facts, newest=newest)
