"""Parallel work: a function mapped over chunks by joblib, on local processes or any other joblib backend."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import TypeVar

import joblib
from joblib.externals.loky import get_reusable_executor

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")

CHUNKS_IN_FLIGHT_PER_WORKER = 8


def parallel_map(function: Callable[[Chunk], Result], chunks: Iterable[Chunk], workers: int = -1) -> Iterator[Result]:
    """The results in the order of the chunks, using `workers` processes (-1: all available cores). A single chunk is processed in this process.

    `joblib.parallel_config` selects other workers than local processes. Chunks are sent in waves of 8 per worker, and a wave starts only after
    the results of the previous one were consumed: joblib alone would run ahead of a slow consumer, and memory would grow.
    """
    waiting = iter(chunks)
    first = list(islice(waiting, 2))
    workers = joblib.effective_n_jobs(workers)
    if len(first) < 2 or workers == 1:
        yield from map(function, chain(first, waiting))
        return
    waiting = chain(first, waiting)
    with joblib.Parallel(n_jobs=workers, return_as="generator", pre_dispatch="2*n_jobs", batch_size=1) as parallel:
        for chunk in waiting:
            wave = chain([chunk], islice(waiting, workers * CHUNKS_IN_FLIGHT_PER_WORKER - 1))
            yield from parallel(joblib.delayed(function)(each) for each in wave)
    get_reusable_executor().shutdown(kill_workers=True)  # idle worker processes would keep their memory
