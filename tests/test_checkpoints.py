"""An interrupted fit resumes where it was and ends with the same bits; the state of another fit is never used."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from pipeline.errors import FitError
from pipeline.fitting.checkpoints import Checkpoints, FileCheckpoint, fit_key
from pipeline.fitting.fit_state import Epoch, FitState, State
from pipeline.fitting.trainer import Trainer
from pipeline.models.network import to_bytes
from tests.fit_settings import small_parameters
from tests.test_fit import configure, fit, losses, new_fitter, rows, shapes, shared_fitter

ARRAYS: dict[str, np.ndarray] = {"images": np.zeros((4, 2, 2, 1), np.uint8), "labels": np.zeros(4, np.int32)}


class KilledError(Exception):
    pass


class InMemory:
    """Keeps every state, and kills the fit after the second."""

    def __init__(self) -> None:
        self.states: list[State] = []

    def load(self) -> State | None:
        return self.states[-1] if self.states else None

    def save(self, state: Callable[[], State], *, last: bool) -> None:
        self.states.append(dict(state()))
        if len(self.states) == 2:
            raise KilledError


@pytest.mark.parametrize(
    ("train", "others"),
    [
        ({"early_stopping_epochs": 2, "optimizer": "muon"}, {}),
        ({}, {"model": {"dropout": 0.3}, "augment": {"rotation_degrees": 10.0, "mixup": 0.2, "rand_augment": 0.3}}),
    ],
    ids=["early stopping and muon", "dropout and augmentation"],
)
def test_a_fit_killed_after_two_epochs_ends_with_the_same_bytes(train: dict[str, object], others: dict[str, dict[str, object]]) -> None:
    config = configure(train={"epochs": 4, **train}, **others)
    checkpoint, resumed = InMemory(), list[int]()
    images, labels = shapes()
    labels[:16] = 1 - labels[:16]  # the watched images get worse: with early stopping, the best epoch is one before the kill
    expected = fit(config, images, labels)
    expected_bytes = to_bytes(expected.keep())
    with pytest.raises(KilledError):
        shared_fitter(config).fit(images, labels, *rows(96), checkpoint=checkpoint)

    again = new_fitter(config).fit(
        images, labels, *rows(96), checkpoint=checkpoint, on_resume=lambda history: resumed.extend(epoch.epoch for epoch in history)
    )

    assert resumed == [1, 2]
    assert to_bytes(again.keep()) == expected_bytes
    assert (losses(again), again.epoch) == (losses(expected), expected.epoch)
    assert again.margins.sums.tobytes() == expected.margins.sums.tobytes()
    assert (again.margins.counts == expected.margins.counts).all()
    assert (expected.epoch <= 2) == ("early_stopping_epochs" in train)


class Diverged:
    """A trainer with a weight that is no longer finite."""

    def state(self) -> State:
        return {"variable_0": np.array([1.0, np.inf])}


def test_a_state_that_is_no_longer_finite_does_not_replace_the_last_good_one(tmp_path: Path) -> None:
    checkpoint = FileCheckpoint(tmp_path / "fit.npz")
    checkpoint.write({"variable_0": np.ones(2)})
    run = FitState(cast(Trainer, Diverged()), patience=0, count=2)
    run.add(Epoch(1, 0.5, 0.9, 0.5, 0.9, 0.1, 1.0, 100.0))

    with pytest.raises(FitError, match=r"A weight is no longer finite after epoch 1\. Lower train\.learning_rate\."):
        checkpoint.save(run.state, last=False)

    assert (checkpoint.load() or {})["variable_0"].tolist() == [1, 1]


def test_a_file_that_was_cut_off_is_no_checkpoint(tmp_path: Path) -> None:
    checkpoint = FileCheckpoint(tmp_path / "fit.npz")
    checkpoint.write({"weights": np.arange(1000.0)})
    content = checkpoint.path.read_bytes()

    assert (checkpoint.load() or {})["weights"][7] == 7.0
    for length in (0, 10, len(content) // 2, len(content) - 1):
        checkpoint.path.write_bytes(content[:length])
        assert checkpoint.load() is None


def test_a_state_but_the_last_is_not_saved_if_that_would_take_more_than_a_fiftieth_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 1.0, 50.9, 51.1, 52.0, 52.1, 52.2])  # the first takes a second; the second is too early, and so is the last
    monkeypatch.setattr("pipeline.fitting.checkpoints.time", SimpleNamespace(monotonic=lambda: next(clock)))
    checkpoint = FileCheckpoint(tmp_path / "fit.npz")

    saved = []
    for number in range(4):
        checkpoint.save(lambda number=number: {"weights": np.full(3, number)}, last=number == 3)  # type: ignore[misc]
        saved.append((checkpoint.load() or {})["weights"][0])

    assert saved == [0, 0, 2, 3]


def test_the_key_changes_with_everything_that_the_bits_depend_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    keys = [
        fit_key("train", small_parameters(), "CPU", ARRAYS),
        fit_key("cross_validate", small_parameters(), "CPU", ARRAYS),
        fit_key("train", small_parameters(train={"weight_decay": 0.1}), "CPU", ARRAYS),
        fit_key("train", small_parameters(model={"width": 0.5}), "CPU", ARRAYS),
        fit_key("train", small_parameters(augment={"rotation_degrees": 1.0}), "CPU", ARRAYS),
        fit_key("train", small_parameters(), "GPU", ARRAYS),
        fit_key("train", small_parameters(), "CPU", {**ARRAYS, "images": ARRAYS["images"] + 1}),
        fit_key("train", small_parameters(), "CPU", {**ARRAYS, "labels": ARRAYS["labels"].astype(np.int64)}),
    ]

    assert keys[0] == fit_key("train", small_parameters(), "CPU", ARRAYS)
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "1")
    assert len({*keys, fit_key("train", small_parameters(), "CPU", ARRAYS)}) == 9


def test_a_finished_fit_leaves_nothing_and_a_failed_one_its_state(tmp_path: Path) -> None:
    def fit(key: str, fail: bool) -> bool:
        with Checkpoints.open(tmp_path, key) as checkpoints:
            checkpoints.of("train").write({"x": np.zeros(1)})
            if fail:
                raise KilledError
            return checkpoints.resumed

    assert not fit("done", fail=False)
    with pytest.raises(KilledError):
        fit("failed", fail=True)

    assert not (tmp_path / "fits" / "done").exists()
    assert fit("failed", fail=False)


def test_two_processes_at_the_same_fit_keep_apart(tmp_path: Path) -> None:
    with Checkpoints.open(tmp_path, "same") as first, Checkpoints.open(tmp_path, "same") as second:
        assert first.folder != second.folder


def test_only_files_of_fits_older_than_two_weeks_are_removed(tmp_path: Path) -> None:
    old, mixed, new = ("a" * 32, "b" * 32, "c" * 32)
    kept = {"album/cat.jpg", "album/arrays.npz", "notes.txt", f"{mixed}/cat.jpg", f"{new}/train.npz"}
    names = [*kept, f"{old}/train.npz", f"{mixed}/train.npz"]
    for name in names:
        (tmp_path / "fits" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fits" / name).touch()
    for name in ("album", "notes.txt", old, mixed):
        os.utime(tmp_path / "fits" / name, (time.time() - 15 * 86400,) * 2)

    with Checkpoints.open(tmp_path, "d" * 32):
        pass

    assert {file.relative_to(tmp_path / "fits").as_posix() for file in tmp_path.rglob("*.*") if file.suffix != ".lock"} == kept
    assert not (tmp_path / "fits" / old).exists()
