"""A simulated year of weekly runs: every week ends well, and what the project keeps grows no faster than its data."""

from pathlib import Path

import pytest

from benchmarks.year import CLEANED_EVERY, HEAD, main

WEEKS, GROWTH = 52, 0.02


@pytest.mark.long
@pytest.mark.timeout(5 * 3600)
def test_a_year_keeps_disk_and_memory_within_the_growth_of_the_data(tmp_path: Path) -> None:
    main(tmp_path, WEEKS, GROWTH, per_class=40)

    rows = (tmp_path / "weeks.md").read_text(encoding="utf-8").splitlines()[len(HEAD.splitlines()) :]
    weeks = [[float(cell) for cell in row.strip("| ").split(" | ")] for row in rows]
    assert [row[0] for row in weeks] == list(range(1, WEEKS + 1))
    cleaned = [row for row in weeks if row[0] % CLEANED_EVERY == 0]
    quarter, last = cleaned[3], cleaned[-1]  # runs of 90 days are deleted from week 13 on
    data = last[1] / quarter[1]
    for column in (5, 6, 7, 8):  # memory, DVC's cache, mlruns, .checkpoints
        assert last[column] <= 1.3 * data * quarter[column]
