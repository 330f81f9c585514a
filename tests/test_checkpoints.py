"""A fit that is broken off goes on where it was and ends with the same bits; what belongs to another fit is never used."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import FitError
from pipeline.fitting.checkpoints import Checkpoints, FileCheckpoint, fit_key
from pipeline.fitting.fit import Fitter, State
from pipeline.models.network import to_bytes
from tests.test_fit import FLOAT32, configure, rows, shapes

ARRAYS: dict[str, np.ndarray] = {"images": np.zeros((4, 2, 2, 1), np.uint8), "labels": np.zeros(4, np.int32)}


class BrokenOffError(Exception):
    pass


class InMemory:
    """Keeps every state, and breaks the fit off after `last` of them."""

    def __init__(self, last: int) -> None:
        self.states: list[State] = []
        self.last = last

    def load(self) -> State | None:
        return self.states[-1] if self.states else None

    def save(self, state: Callable[[], State]) -> None:
        self.states.append(dict(state()))
        if len(self.states) == self.last:
            raise BrokenOffError


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"train": {"early_stopping_epochs": 2, "epochs": 5}},
        {"train": {"optimizer": "muon", "epochs": 5}},
        {"model": {"dropout": 0.3}, "augment": {"rotation_degrees": 10.0, "mixup": 0.2, "rand_augment": 0.3}},
    ],
)
def test_a_fit_broken_off_after_two_epochs_ends_with_the_same_bytes(changes: dict[str, dict[str, object]]) -> None:
    images, labels = shapes()
    config = configure(**{**changes, "train": {"epochs": 4, **changes.get("train", {})}})
    checkpoint = InMemory(last=2)
    fitter = Fitter(images.shape[1:], 2, config, FLOAT32)
    expected = fitter.fit(images, labels, *rows(96))
    with pytest.raises(BrokenOffError):
        Fitter(images.shape[1:], 2, config, FLOAT32).fit(images, labels, *rows(96), checkpoint=checkpoint)

    resumed: list[int] = []
    again = Fitter(images.shape[1:], 2, config, FLOAT32)
    fitted = again.fit(
        images, labels, *rows(96), checkpoint=checkpoint, on_resume=lambda history: resumed.extend(epoch.epoch for epoch in history)
    )

    assert resumed == [1, 2]
    assert to_bytes(fitted.model) == to_bytes(expected.model)
    assert [epoch.loss for epoch in fitted.history] == [epoch.loss for epoch in expected.history]


def test_a_state_that_is_no_longer_finite_does_not_replace_the_last_good_one(tmp_path: Path) -> None:
    images, labels = shapes()
    config = configure(train={"learning_rate": 1e18, "warmup_fraction": 0.0, "epochs": 20}, model={"name": "tutorial"})
    checkpoint = FileCheckpoint(tmp_path / "fit.npz")

    with pytest.raises(FitError, match="no longer finite"):
        Fitter(images.shape[1:], 2, config, FLOAT32).fit(images, labels, *rows(96), checkpoint=checkpoint)

    kept = checkpoint.load()
    assert kept is None or all(np.isfinite(value).all() for name, value in kept.items() if name.startswith("variable"))


def test_a_file_that_was_cut_off_is_no_checkpoint(tmp_path: Path) -> None:
    checkpoint = FileCheckpoint(tmp_path / "fit.npz")
    checkpoint.write({"weights": np.arange(1000.0)})
    content = checkpoint.path.read_bytes()

    assert (checkpoint.load() or {})["weights"][7] == 7.0
    for length in (0, 10, len(content) // 2, len(content) - 1):
        checkpoint.path.write_bytes(content[:length])
        assert checkpoint.load() is None


def test_saving_is_left_out_where_it_would_take_more_than_a_fiftieth_of_the_time(tmp_path: Path) -> None:
    checkpoint = FileCheckpoint(tmp_path / "fit.npz")

    def slow_state() -> State:
        time.sleep(0.05)
        return {"weights": np.zeros(3)}

    checkpoint.save(slow_state)
    first = checkpoint.path.stat().st_mtime_ns
    checkpoint.save(slow_state)

    assert checkpoint.path.stat().st_mtime_ns == first


def test_the_key_changes_with_everything_that_the_bits_depend_on() -> None:
    base = fit_key("train", configure(), "CPU", ARRAYS)
    changed = [
        fit_key("cross_validate", configure(), "CPU", ARRAYS),
        fit_key("train", configure(train={"weight_decay": 0.1}), "CPU", ARRAYS),
        fit_key("train", configure(model={"width": 0.5}), "CPU", ARRAYS),
        fit_key("train", configure(augment={"rotation_degrees": 1.0}), "CPU", ARRAYS),
        fit_key("train", configure(), "GPU", ARRAYS),
        fit_key("train", configure(), "CPU", {**ARRAYS, "images": ARRAYS["images"] + 1}),
        fit_key("train", configure(), "CPU", {**ARRAYS, "labels": ARRAYS["labels"].astype(np.int64)}),
    ]

    assert len({base, *changed}) == 8
    assert base == fit_key("train", configure(), "CPU", ARRAYS)


def test_the_key_changes_with_the_kernels_that_tensorflow_is_told_to_use(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = []
    for choice in ("0", "1"):
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", choice)
        keys.append(fit_key("train", configure(), "CPU", ARRAYS))

    assert keys[0] != keys[1]


def test_a_finished_fit_leaves_nothing_and_a_failed_one_its_state(tmp_path: Path) -> None:
    def fit(key: str, fail: bool) -> bool:
        with Checkpoints.open(tmp_path, key) as checkpoints:
            checkpoints.of("train").write({"x": np.zeros(1)})
            if fail:
                raise BrokenOffError
            return checkpoints.resumed

    assert not fit("done", fail=False)
    with pytest.raises(BrokenOffError):
        fit("failed", fail=True)

    assert not (tmp_path / "fits" / "done").exists()
    assert fit("failed", fail=False)


def test_what_is_older_than_two_weeks_goes(tmp_path: Path) -> None:
    old, new = tmp_path / "fits" / ("a" * 32), tmp_path / "fits" / ("b" * 32)
    for folder in (old, new):
        folder.mkdir(parents=True)
    os.utime(old, (time.time() - 15 * 86400,) * 2)

    with Checkpoints.open(tmp_path, "other"):
        pass

    assert not old.exists()
    assert new.exists()


def test_two_processes_at_the_same_fit_keep_apart(tmp_path: Path) -> None:
    with Checkpoints.open(tmp_path, "same") as first, Checkpoints.open(tmp_path, "same") as second:
        assert first.folder != second.folder


def test_what_is_no_fit_is_left_alone_however_old_it_is(tmp_path: Path) -> None:
    album, fit = tmp_path / "fits" / "album", tmp_path / "fits" / ("a" * 32)
    for path in (album / "cat.jpg", album / "arrays.npz", fit / "cat.jpg", fit / "train.npz"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "fits" / "notes.txt").touch()
    for path in (album, fit, tmp_path / "fits" / "notes.txt"):
        os.utime(path, (time.time() - 15 * 86400,) * 2)

    with Checkpoints.open(tmp_path, "b" * 32):
        pass

    kept = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"}
    assert kept == {"fits/album/cat.jpg", "fits/album/arrays.npz", f"fits/{'a' * 32}/cat.jpg", "fits/notes.txt"}
