"""Charts of the data report: bars of counts, and the number of images by width and height. Values in, values out."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ROWS_OF_A_SHORT_LIST = 6
CHART_CELLS = 24


@dataclass(frozen=True)
class Bar:
    """A row of a bar chart."""

    name: str
    count: int


@dataclass(frozen=True)
class SizeChart:
    """Number of images by width and height. Both axes have the same logarithmic scale, from 0 to CHART_CELLS.

    `cells`: column, row counted from the top, weight from 0 to 1. `ticks`: position and size in px.
    """

    cells: Sequence[tuple[int, int, float]]
    ticks: Sequence[tuple[float, int]]


def short_list(counts: Mapping[str, int], others: str) -> list[Bar]:
    """The most frequent first; if there are too many, the last row is the sum of the others."""
    bars = [Bar(name, count) for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
    if len(bars) <= ROWS_OF_A_SHORT_LIST:
        return bars
    rest = bars[ROWS_OF_A_SHORT_LIST - 1 :]
    return [*bars[: ROWS_OF_A_SHORT_LIST - 1], Bar(f"{len(rest):,} {others}", sum(bar.count for bar in rest))]


def size_chart(sizes_px: Mapping[tuple[int, int], int]) -> SizeChart:
    """The chart of two or more sizes, images by (width, height)."""
    low, high = (math.log(choose(px for size in sizes_px for px in size)) for choose in (min, max))
    counts: Counter[tuple[int, int]] = Counter()
    for (width, height), count in sizes_px.items():
        column, row = (min(int(_position(px, low, high)), CHART_CELLS - 1) for px in (width, height))
        counts[column, CHART_CELLS - 1 - row] += count
    most = max(counts.values())
    cells = [(column, row, math.sqrt(count / most)) for (column, row), count in sorted(counts.items())]
    round_px = [digit * 10**power for power in range(7) for digit in (1, 2, 5)]
    return SizeChart(cells, [(_position(px, low, high), px) for px in round_px if low <= math.log(px) <= high])


def _position(px: int, low: float, high: float) -> float:
    return CHART_CELLS * (math.log(px) - low) / (high - low)


def median_px(sizes_px: Mapping[tuple[int, int], int]) -> tuple[int, int]:
    """(median width, median height) of all images; (0, 0) if there are none."""
    return _median([(width, count) for (width, _), count in sizes_px.items()]), _median([(h, count) for (_, h), count in sizes_px.items()])


def _median(counted_values: Sequence[tuple[int, int]]) -> int:
    """The lower median of (value, count) pairs."""
    half = sum(count for _, count in counted_values) / 2
    seen = 0
    for value, count in sorted(counted_values):
        seen += count
        if seen >= half:
            return value
    return 0
