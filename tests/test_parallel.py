"""Work is spread over processes, in order, with no more of it in flight than memory takes."""

import os
from collections.abc import Iterator

import joblib
import pytest

from pipeline.parallel import CHUNKS_IN_FLIGHT_PER_WORKER, parallel_map


def square(number: int) -> int:
    return number * number


def square_and_process(number: int) -> tuple[int, int]:
    return number * number, os.getpid()


def fail(number: int) -> int:
    raise ValueError(f"chunk {number}")


def test_several_chunks_go_to_other_processes_and_their_results_come_in_order() -> None:
    squares, processes = zip(*parallel_map(square_and_process, range(50), workers=2), strict=True)

    assert list(squares) == [i * i for i in range(50)]
    assert os.getpid() not in processes


@pytest.mark.parametrize(("chunks", "workers"), [([], 2), ([7], 2), ([7, 8], 1)])
def test_no_chunks_one_chunk_or_one_worker_start_no_other_process(chunks: list[int], workers: int) -> None:
    assert list(parallel_map(square_and_process, chunks, workers)) == [(chunk * chunk, os.getpid()) for chunk in chunks]


def test_joblibs_configuration_chooses_the_workers() -> None:
    with joblib.parallel_config(backend="threading", n_jobs=2):
        assert {process for _, process in parallel_map(square_and_process, range(4))} == {os.getpid()}


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
        list(parallel_map(fail, range(4), workers=2))
