"""One way to spread work: a function mapped over chunks by joblib, on local processes or whatever backend joblib is told to use."""

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import TypeVar

import joblib

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")


def core_count() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def parallel_map(function: Callable[[Chunk], Result], chunks: Iterable[Chunk]) -> Iterator[Result]:
    """The results in the order of the chunks. A few chunks are in flight at a time, so memory stays bounded; one alone runs right here."""
    waiting = iter(chunks)
    first = list(islice(waiting, 2))
    if len(first) < 2 or core_count() == 1:
        yield from map(function, chain(first, waiting))
        return
    parallel = joblib.Parallel(n_jobs=core_count(), return_as="generator", pre_dispatch="2*n_jobs", batch_size=1)
    yield from parallel(joblib.delayed(function)(chunk) for chunk in chain(first, waiting))
