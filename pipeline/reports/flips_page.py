"""The images whose answer changed from champion to challenger, as a page. Values in, text out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.reports.page import render_page


@dataclass(frozen=True)
class Flip:
    """A test image that two models answer differently. `thumbnail`: PNG or JPEG; None if it cannot be drawn."""

    thumbnail: bytes | None
    path: str
    label: str
    champion: str
    challenger: str


def render_flips(decision: Mapping[str, Any], kinds: Mapping[str, tuple[int, Sequence[Flip]]]) -> str:
    """The page. kinds: how many images changed in each way, and some of them."""
    return render_page("flips.html.j2", {}, decision=decision, kinds=kinds)
