"""Fitting: it learns, it is exact to the bit, one network serves for all folds, and what goes wrong is told."""

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.errors import FitError
from pipeline.fitting.device import Compute
from pipeline.fitting.fit import Epoch, Fitted, Fitter
from pipeline.models.network import to_bytes
from pipeline.models.predict import load_model, predict
from pipeline.params.reader import Config, load_config

ROOT = Path(__file__).parent.parent
FLOAT32 = Compute("CPU", "float32")


def default_config(**changes: Mapping[str, object]) -> Config:
    """The project's own parameters, with changes."""
    values = load_config(ROOT / "params.yaml").model_dump(by_alias=True)
    for section, keys in changes.items():
        values[section] |= keys
    return Config.model_validate(values)


def configure(**changes: Mapping[str, object]) -> Config:
    """Parameters for tiny fits that do not depend on what the project's own recipe is."""
    train = {
        "epochs": 2,
        "min_steps": 0,
        "batch_size": 16,
        "optimizer": "sgd",
        "learning_rate": 0.8,
        "schedule": "linear",
        "warmup_fraction": 0.2,
        "label_smoothing": 0.0,
        "device": "cpu",
    }
    small = {"train": train, "model": {"name": "resnet", "width": 0.25}}
    return default_config(**{**changes, **{section: {**small[section], **changes.get(section, {})} for section in small}})


def shapes(count: int = 96, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images of two classes, bright on the left or above: uint8 (count, 12, 12, 1) and labels int32 (count,)."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(count) % 2).astype(np.int32)
    images = rng.integers(0, 90, (count, 12, 12, 1), dtype=np.uint8)
    images[labels == 0, 2:5] += 120
    images[labels == 1, :, 2:5] += 120
    return images, labels


def rows(count: int, start: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(rows to fit to, rows to watch): 16 from `start` on are watched."""
    watched = np.arange(start, start + 16)
    return np.setdiff1d(np.arange(count), watched), watched


def fit(config: Config, images: np.ndarray, labels: np.ndarray, compute: Compute = FLOAT32) -> Fitted:
    return Fitter(images.shape[1:], 2, config, compute).fit(images, labels, *rows(len(labels)))


def test_a_reused_network_fits_as_a_new_one(tmp_path: Path) -> None:
    images, labels = shapes()
    config = configure()
    fitter = Fitter(images.shape[1:], 2, config, FLOAT32)
    fitter.fit(images, labels, *rows(96, 40))

    again = fitter.fit(images, labels, *rows(96))

    assert [epoch.loss for epoch in again.history] == [epoch.loss for epoch in fit(config, images, labels).history]


def test_two_processes_give_the_same_bytes(tmp_path: Path) -> None:
    code = (
        "import hashlib; from tests.test_fit import *; from pipeline.fitting import device;"
        "images, labels = shapes(); settings = {'rotation_degrees': 10.0, 'erase_fraction': 0.2};"
        "fitted = fit(configure(augment=settings), images, labels, device.choose_compute('cpu', 'auto'));"
        "print(hashlib.sha256(to_bytes(fitted.model)).hexdigest())"
    )
    digests = {subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout for _ in range(2)}

    assert len(digests) == 1
    assert len(digests.pop().strip()) == 64


def test_the_kept_model_opens_in_plain_keras_and_predicts_the_same(tmp_path: Path) -> None:
    images, labels = shapes()
    fitted = fit(configure(), images, labels)
    path = tmp_path / "model.keras"
    path.write_bytes(to_bytes(fitted.model))
    code = (
        "import sys, numpy, keras; model = keras.models.load_model(sys.argv[1]);"
        "numpy.save(sys.argv[2], model.predict(numpy.load(sys.argv[3]), verbose=0)); assert 'pipeline' not in sys.modules"
    )
    np.save(tmp_path / "images.npy", images)
    command = [sys.executable, "-c", code, str(path), str(tmp_path / "out.npy"), str(tmp_path / "images.npy")]
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)

    assert np.allclose(np.load(tmp_path / "out.npy"), predict(fitted.model, images), atol=1e-5)
    assert (predict(load_model(path), images) == predict(fitted.model, images)).all()


def test_the_flip_average_does_not_know_left_from_right() -> None:
    images, labels = shapes()
    unsure = {"learning_rate": 0.01}
    averaged = fit(configure(model={"flip_average": True}, train=unsure), images, labels).model
    plain = fit(configure(model={"flip_average": False}, train=unsure), images, labels).model

    assert np.allclose(predict(averaged, images), predict(averaged, images[:, :, ::-1]), atol=1e-5)
    assert not np.allclose(predict(plain, images), predict(plain, images[:, :, ::-1]), atol=1e-5)


def test_the_fused_normalisation_is_keras_own() -> None:
    from pipeline.models.layers import FusedBatchNormalization

    x = np.random.default_rng(0).normal(3, 2, (8, 5, 5, 4)).astype(np.float32)
    ours, theirs = FusedBatchNormalization(0.9, 1e-3, "ours"), keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-3)

    assert np.allclose(ours(x, training=True), theirs(x, training=True), atol=1e-4)
    assert np.allclose(ours(x, training=False), theirs(x, training=False), atol=2e-2)  # the fused kernel's variance is the unbiased one


def test_the_history_has_a_line_per_epoch() -> None:
    images, labels = shapes()
    told: list[Epoch] = []
    steps: list[int] = []
    fitter = Fitter(images.shape[1:], 2, configure(train={"epochs": 3}), FLOAT32)

    fitted = fitter.fit(images, labels, *rows(96), on_epoch=told.append, on_steps=steps.append)

    assert [epoch.epoch for epoch in told] == [1, 2, 3]
    assert told == fitted.history
    assert sum(steps) == 3 * 5
    assert 0 <= told[-1].validation_accuracy <= 1


def test_a_loss_that_is_no_longer_finite_is_told_with_epoch_step_and_rate() -> None:
    images, labels = shapes()

    with pytest.raises(FitError, match=r"no longer finite in epoch 1, step [2-5] of 5, at learning rate .* Lower train.learning_rate"):
        fit(configure(train={"learning_rate": 1e30, "warmup_fraction": 0.0}, model={"name": "tutorial"}), images, labels)


@pytest.fixture
def mapped(tmp_path: Path) -> tuple[np.ndarray, np.ndarray]:
    images, labels = shapes()
    np.save(tmp_path / "images.npy", images)
    return np.load(tmp_path / "images.npy", mmap_mode="r"), labels


def test_a_memory_map_fits_as_an_array(mapped: tuple[np.ndarray, np.ndarray]) -> None:
    images, labels = shapes()

    assert [e.loss for e in fit(configure(), *mapped).history] == [e.loss for e in fit(configure(), images, labels).history]


def test_the_file_holds_nothing_of_the_moment() -> None:
    images, labels = shapes()
    with zipfile.ZipFile(io.BytesIO(to_bytes(fit(configure(train={"epochs": 1}), images, labels).model))) as archive:
        assert "date_saved" not in json.loads(archive.read("metadata.json"))
        assert {info.date_time[0] for info in archive.infolist()} == {1980}


def test_early_stopping_keeps_the_epoch_with_the_lowest_validation_loss() -> None:
    images, labels = shapes()
    labels[:16] = 1 - labels[:16]  # what is watched gets worse the more is learned
    config = configure(train={"epochs": 12, "early_stopping_epochs": 3})

    fitted = fit(config, images, labels)

    losses = [epoch.validation_loss for epoch in fitted.history]
    assert len(losses) == fitted.epoch + 3 < 12
    assert min(losses) == losses[fitted.epoch - 1]
    probabilities = predict(fitted.model, images[:16])[np.arange(16), labels[:16]]
    plain = fit(configure(train={"epochs": 12}), images, labels)
    assert -np.log(probabilities).mean() < plain.history[-1].validation_loss


def test_balanced_class_weights_find_the_rare_class() -> None:
    images, labels = shapes(400)
    keep = np.flatnonzero((labels == 0) | (np.arange(400) % 40 == 1))
    noisy = np.clip(images[keep].astype(int) + np.random.default_rng(1).integers(-120, 120, images[keep].shape), 0, 255).astype(np.uint8)
    shares = []
    for weights in ("none", "balanced"):
        config = configure(train={"class_weights": weights, "learning_rate": 0.05, "epochs": 2}, model={"name": "tutorial"})
        fitted = Fitter(images.shape[1:], 2, config, FLOAT32).fit(noisy, labels[keep], np.arange(len(keep)))
        shares.append(float(predict(fitted.model, noisy)[:, 1].mean()))

    assert shares[1] > 1.5 * shares[0]


def test_running_out_of_memory_names_the_batch_size_and_the_next_one_down(monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = shapes()
    fitter = Fitter(images.shape[1:], 2, configure(), FLOAT32)

    def exhaust(*_: object) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setitem(fitter._trainer._graphs, (False, False, 1), exhaust)

    with pytest.raises(FitError, match=r"Out of memory with train\.batch_size 16\. Set train\.batch_size to 8\."):
        fitter.fit(images, labels, *rows(96))


def test_images_that_lie_on_the_device_fit_as_those_that_are_sent() -> None:
    images, labels = shapes()
    sent = fit(configure(), images, labels)
    placed = fit(configure(), images, labels, Compute("CPU", "float32", memory_bytes=2**30))

    assert [epoch.loss for epoch in placed.history] == [epoch.loss for epoch in sent.history]
