"""What changed since the champion, as a page. Values in, text out."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from pipeline.changes.found import Changes
from pipeline.reports.flips_page import Flip
from pipeline.reports.page import render_page

CLASSES_SHOWN_AT_ONCE = 15


@dataclass(frozen=True)
class NewImage:
    """An image that is new since the champion. `thumbnail`: PNG or JPEG; None if it cannot be drawn."""

    thumbnail: bytes | None
    path: str
    label: str


@dataclass(frozen=True)
class Relabelled:
    """An image with another label. `thumbnail`: PNG or JPEG; None if it cannot be drawn."""

    thumbnail: bytes | None
    path: str
    before: str
    now: str


def render_changes(
    found: Changes | None,
    decision: Mapping[str, Any],
    sentence: str,
    kinds: Mapping[str, tuple[int, Sequence[Flip]]],
    newest: Sequence[NewImage],
    relabelled: Sequence[Relabelled],
) -> str:
    """The page. found: None if there was no champion to compare with."""
    return render_page(
        "changes.html.j2",
        {"points": points, "with_code": with_code},
        found=found,
        decision=decision,
        sentence=sentence.replace(" -> ", " → "),
        kinds=kinds,
        newest=newest,
        relabelled=relabelled,
        shown_at_once=CLASSES_SHOWN_AT_ONCE,
    )


def points(share: float) -> str:
    """A difference of shares in points, hundredths, with its sign: `+1.2`."""
    return f"{100 * share + 0.0:+.1f}"


def with_code(text: str) -> Markup:
    """Text whose parts between backticks are shown as code."""
    return Markup(re.sub("`([^`]*)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 (escaped before)
