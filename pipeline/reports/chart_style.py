"""The style that all charts share: a light theme, and a dark one without background; the same PNG bytes for the same input.

Uses matplotlib's Figure, never pyplot, so charts share no state; a user's own matplotlibrc has no effect.
"""

import functools
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec

from matplotlib import style
from matplotlib.figure import Figure

DOTS_PER_INCH = 144

P = ParamSpec("P")


@dataclass(frozen=True)
class Theme:
    """Colours of a chart. `paper` is the colour of low values in the confusion matrix; `background` may be "none"."""

    background: str
    paper: str
    text: str
    grid: str
    first: str
    second: str


LIGHT = Theme("#ffffff", "#ffffff", "#1f2937", "#e2e6ec", "#2563eb", "#ea580c")
DARK = Theme("none", "#1a1f29", "#d5dbe5", "#333b49", "#6ea8fe", "#fb923c")


def drawn_as_png(draw: Callable[P, Figure]) -> Callable[P, bytes]:
    """Decorator: a function that draws a Figure returns its PNG, in matplotlib's defaults and the theme, without metadata."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> bytes:
        theme = kwargs.get("theme", LIGHT)
        assert isinstance(theme, Theme)
        buffer = io.BytesIO()
        with style.context(["default", _style(theme)]), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
            draw(*args, **kwargs).savefig(buffer, format="png", metadata={"Software": None})
        return buffer.getvalue()

    return drawn


def _style(theme: Theme) -> dict[str, object]:
    """matplotlib's parameters. Dollar signs in class names are not parsed as formulas."""
    coloured = dict.fromkeys(("text.color", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color"), theme.text)
    return coloured | {
        "figure.facecolor": theme.background,
        "savefig.facecolor": theme.background,
        "savefig.dpi": DOTS_PER_INCH,
        "savefig.bbox": "tight",
        "axes.facecolor": "none",
        "axes.edgecolor": theme.grid,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.titlesize": 11,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.titlepad": 10,
        "grid.color": theme.grid,
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "font.size": 9.5,
        "lines.linewidth": 2,
        "legend.frameon": False,
        "text.parse_math": False,
    }
