"""Comparisons in words: differences of accuracy in points, which are hundredths, and the sentence of a decision. Values in, text out."""

from collections.abc import Mapping
from typing import Any

from pipeline.names import listed

NAMED = 5


def points(share: float) -> str:
    """`1.0` for 0.01, `0.69` for 0.0069."""
    text = f"{100 * share:.2f}"
    return text[:-1] if text.endswith("0") else text


def interval(difference: float, low: float, high: float) -> str:
    """A difference with its interval: `+0.4 pt [-0.2, +1.0]`, all with one decimal where that says all, else with two."""
    values = [round(100 * share, 2) + 0.0 for share in (difference, low, high)]  # + 0.0: no -0.00
    digits = 1 if all(value == round(value, 1) for value in values) else 2
    middle, start, end = (f"{value:+.{digits}f}" for value in values)
    return f"{middle} pt [{start}, {end}]"


def sentence(decision: Mapping[str, Any], version: str) -> str:
    """The decision in one line: `v7 vs champion v5: +0.4 pt [-0.2, +1.0] on 10,000 images -> promoted (not worse; margin 1.0 pt)`."""
    outcome = "promoted" if decision["promoted"] else "not promoted"
    champion = decision["champion"]
    if not champion or "comparison" not in champion:
        return f"v{version}: {decision['reason']} -> {outcome}"
    found = champion["comparison"]
    limit = "" if decision["verdict"] == "better" else f"; margin {points(decision['margin'])} pt"
    more = f"; {decision['images_needed']:,} images would tell" if decision.get("images_needed") else ""
    return (
        f"v{version} vs champion v{champion['version']}: {interval(found['difference'], *found['interval'])} on {found['n']:,} images -> {outcome} "
        f"({decision['verdict']}{limit}{_classes(decision)}{more})"
    )


def _classes(decision: Mapping[str, Any]) -> str:
    # a class may be worse than that of the champion and that of the anchor
    dropped = list(dict.fromkeys(drop["name"] for drop in decision.get("dropped_classes", ())))
    return f"; worse at {listed(dropped, NAMED)}" if dropped else ""
