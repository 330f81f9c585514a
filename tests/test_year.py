"""A simulated year of weekly runs: every week ends well, and what a version takes grows no faster than the data."""

from pathlib import Path

import pytest

from benchmarks.year import CLEANED_EVERY, HEAD, main

WEEKS, GROWTH = 52, 0.02
WEEK, IMAGES, MEMORY, CACHE, STORE, SCRATCH = 0, 1, 4, 5, 6, 7
"""Columns of the table."""
SPARE = 1.3


@pytest.mark.long
@pytest.mark.timeout(5 * 3600)
def test_in_a_year_memory_and_the_disk_of_a_version_grow_no_faster_than_the_data(tmp_path: Path) -> None:
    main(tmp_path, WEEKS, GROWTH, per_class=40)

    rows = (tmp_path / "weeks.md").read_text(encoding="utf-8").splitlines()[len(HEAD.splitlines()) :]
    weeks = [[float(cell) for cell in row.strip("| ").split(" | ")] for row in rows]
    assert [row[WEEK] for row in weeks] == list(range(1, WEEKS + 1))
    cleaned = [row for row in weeks if row[WEEK] % CLEANED_EVERY == 0]
    first, spring, autumn, last = cleaned[1], cleaned[4], cleaned[-4], cleaned[-1]
    growth = last[IMAGES] / first[IMAGES]
    for column in (MEMORY, SCRATCH):
        assert last[column] <= SPARE * growth * first[column]
    for column in (CACHE, STORE):  # each registered version keeps its own
        early, late = (spring[column] - first[column]) / 12, (last[column] - autumn[column]) / 12
        assert late <= SPARE * growth * early
