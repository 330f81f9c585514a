"""One way to spread work: a function mapped over chunks by joblib, on local processes or whatever backend joblib is told to use."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import TypeVar

import joblib
from joblib.externals.loky import get_reusable_executor

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")

CHUNKS_IN_FLIGHT_PER_WORKER = 8


def parallel_map(function: Callable[[Chunk], Result], chunks: Iterable[Chunk], workers: int = -1) -> Iterator[Result]:
    """The results in the order of the chunks, by `workers` at a time (-1: all cores that this process may use); one chunk alone is worked on right here.

    `joblib.parallel_config` chooses other workers than local processes. Chunks go out in waves of 8 for each worker, and a wave waits until the
    results of the one before are taken: joblib alone would go on however slowly they are, and memory would grow.
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
    get_reusable_executor().shutdown(kill_workers=True)  # joblib's local processes: idle ones would keep their memory
