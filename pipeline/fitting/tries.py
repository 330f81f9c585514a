"""Fits by several methods and takes the most accurate: on validation images, or over folds if these are few. Arrays in, a choice out; no files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pipeline.dataset.splits import stratified_folds
from pipeline.fitting.choice import (
    FEWEST_TO_COMPARE,
    FOLDS_TO_COMPARE,
    NOTHING_TO_GAIN,
    ON_VALIDATION,
    Choice,
    Tried,
    are_enough,
    best,
    reason,
    worth_comparing,
)
from pipeline.fitting.head import score
from pipeline.fitting.methods import Data, Outcome
from pipeline.params.recipe import Method


class Fit(Protocol):
    """Fits by a method to rows int64 (M,), with the rows `watched` for validation. fold: its number, None for the fit whose model may be kept."""

    def __call__(self, method: Method, rows: np.ndarray, watched: np.ndarray, fold: int | None = None) -> Outcome: ...


@dataclass(frozen=True)
class Tries:
    """The methods to try, cheapest first, and why these. `tell` gets a line about each that is compared."""

    methods: Sequence[Method]
    why_these: str
    data: Data
    seed: int
    fit: Fit
    tell: Callable[[str], None]

    def best_of(self, rows: np.ndarray, watched: np.ndarray) -> tuple[Choice, Outcome]:
        """The most accurate method on images it was not fitted to, and its fit to `rows`. None is tried after one that leaves nothing to gain."""
        methods = worth_comparing(self.methods, len(watched))
        if len(methods) > 1 and not are_enough(len(watched)):
            return self._best_over_folds(methods, rows, watched)
        outcomes: dict[Method, Outcome] = {}

        def accuracy(method: Method) -> float:
            outcomes[method] = self.fit(method, rows, watched)
            return score(outcomes[method].predict(watched), self.data.labels[watched]).accuracy

        tried = self._try(methods, accuracy)
        outcome = outcomes[best(tried)]
        return self._choice(tried, outcome, len(watched), ON_VALIDATION, len(watched)), outcome

    def _best_over_folds(self, methods: Sequence[Method], rows: np.ndarray, watched: np.ndarray) -> tuple[Choice, Outcome]:
        every = np.sort(np.concatenate([rows, watched]))
        labels, groups = self.data.labels[every], self.data.groups[every]
        count = min(FOLDS_TO_COMPARE, len(np.unique(groups)))
        folds = stratified_folds(labels, groups, count, seed=self.seed)
        self.tell(
            f"too few validation images ({len(watched)} < {FEWEST_TO_COMPARE}) to compare: by {count} folds of the training images instead"
        )

        def accuracy(method: Method) -> float:
            hits = np.zeros(len(every), bool)
            for fold in range(count):
                outcome = self.fit(method, every[folds != fold], watched[:0], fold)
                hits[folds == fold] = outcome.predict(every[folds == fold]).argmax(axis=1) == labels[folds == fold]
            return float(hits.mean())

        tried = self._try(methods, accuracy)
        outcome = self.fit(best(tried), rows, watched)
        return self._choice(tried, outcome, len(watched), f"{len(every):,} training images in {count} folds", len(every)), outcome

    def _try(self, methods: Sequence[Method], accuracy: Callable[[Method], float]) -> list[Tried]:
        tried: list[Tried] = []
        for method in methods:
            tried.append(Tried(method, accuracy(method)))
            if len(methods) > 1:
                self.tell(f"{method}: accuracy {tried[-1].accuracy:.4f}")
            if tried[-1].accuracy >= NOTHING_TO_GAIN:
                break
        return tried

    def _choice(self, tried: Sequence[Tried], outcome: Outcome, validation_count: int, compared_on: str, compared_count: int) -> Choice:
        why = reason(self.why_these, tried, self.methods, validation_count, compared_on, compared_count)
        return Choice(best(tried), outcome.strength, why, tuple(tried), compared_on)
