"""Work is spread over processes, in order, with no more of it in flight than memory takes."""

import os
from collections.abc import Iterator

import joblib
import pytest

from pipeline.parallel import CHUNKS_IN_FLIGHT_PER_WORKER, parallel_map


def square(number: int) -> int:
    return number * number


def fail(number: int) -> int:
    raise ValueError(f"chunk {number}")


def process_of(number: int) -> int:
    return os.getpid()


def test_results_come_in_the_order_of_the_chunks() -> None:
    assert list(parallel_map(square, range(50))) == [i * i for i in range(50)]


def test_no_chunks_give_no_results() -> None:
    assert list(parallel_map(square, [])) == []


def test_one_chunk_starts_no_other_process() -> None:
    assert list(parallel_map(process_of, [1])) == [os.getpid()]


def test_several_chunks_go_to_other_processes() -> None:
    if joblib.effective_n_jobs(-1) > 1:
        assert os.getpid() not in set(parallel_map(process_of, range(4)))


def test_joblibs_configuration_chooses_the_workers() -> None:
    with joblib.parallel_config(backend="threading", n_jobs=2):
        assert set(parallel_map(process_of, range(4))) == {os.getpid()}


def test_chunks_are_not_drawn_far_ahead_of_the_results_that_are_taken() -> None:
    drawn = 0

    def chunks() -> Iterator[int]:
        nonlocal drawn
        for i in range(10_000):
            drawn += 1
            yield i

    with joblib.parallel_config(backend="threading"):
        results = parallel_map(square, chunks())
        assert next(results) == 0
        limit = CHUNKS_IN_FLIGHT_PER_WORKER * joblib.effective_n_jobs(-1) + 2
        results.close()  # type: ignore[attr-defined]

    assert drawn <= limit


def test_an_error_in_a_chunk_is_the_callers() -> None:
    with pytest.raises(ValueError, match="chunk"):
        list(parallel_map(fail, range(4)))
