"""Fitting: exact to the bit, one network for all folds, and errors that say what to do."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline import models
from pipeline.errors import FitError
from pipeline.fitting.device import Compute
from pipeline.fitting.fit import Fitted, Fitter
from pipeline.fitting.fit_state import Epoch
from pipeline.models.layers import FrozenBatchNormalization, FusedBatchNormalization
from pipeline.models.network import to_bytes
from pipeline.models.predict import load_model, predict
from pipeline.params.recipe import FitConfig
from tests.fit_settings import from_scratch, parameters, small_parameters, whole

ROOT = Path(__file__).parent.parent
FLOAT32 = Compute("CPU", "float32")


def default_config(**changes: Mapping[str, object]) -> FitConfig:
    """The project's own parameters for the network from scratch, with changes."""
    return from_scratch(parameters(**changes))


def configure(**changes: Mapping[str, object]) -> FitConfig:
    """Parameters for tiny fits, independent of the project's own recipe."""
    return from_scratch(small_parameters(**changes))


def shapes(count: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """Images of two classes, with a bright row or column: uint8 (count, 8, 8, 1) and labels int32 (count,)."""
    rng = np.random.default_rng(0)
    labels = (np.arange(count) % 2).astype(np.int32)
    images = rng.integers(0, 90, (count, 8, 8, 1), dtype=np.uint8)
    images[labels == 0, 2:4] += 120
    images[labels == 1, :, 2:4] += 120
    return images, labels


def rows(count: int, start: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(rows to fit to, rows to watch): 16 from `start` on are watched."""
    watched = np.arange(start, start + 16)
    return np.setdiff1d(np.arange(count), watched), watched


_fitters: dict[tuple[FitConfig, Compute], Fitter] = {}


def new_fitter(config: FitConfig, compute: Compute = FLOAT32) -> Fitter:
    """A network for the images that `shapes` draws."""
    return Fitter(whole((8, 8, 1), 2, config), 2, config, compute)


def shared_fitter(config: FitConfig, compute: Compute = FLOAT32) -> Fitter:
    """One network for all tests with these parameters: a reused network fits like a new one, and tracing is what takes the time."""
    if (config, compute) not in _fitters:
        _fitters[config, compute] = new_fitter(config, compute)
    return _fitters[config, compute]


def fit(config: FitConfig, images: np.ndarray, labels: np.ndarray, compute: Compute = FLOAT32) -> Fitted:
    return shared_fitter(config, compute).fit(images, labels, *rows(len(labels)))


def losses(fitted: Fitted) -> list[float]:
    return [epoch.loss for epoch in fitted.history]


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    found = fit(configure(), *shapes())
    model = found.keep()  # before the network is fitted again
    return replace(found, keep=lambda: model)


def test_a_reused_network_fits_like_a_new_one(fitted: Fitted) -> None:
    images, labels = shapes()
    reused = new_fitter(configure())
    reused.fit(images, labels, *rows(96, 40))

    again = reused.fit(images, labels, *rows(96))

    assert to_bytes(again.keep()) == to_bytes(fitted.keep())
    assert losses(again) == losses(fitted)


def test_two_processes_give_the_same_bytes() -> None:
    code = (
        "import hashlib; from tests.test_fit import *; from pipeline.fitting import device;"
        "images, labels = shapes(); settings = {'rotation_degrees': 10.0, 'erase_fraction': 0.2};"
        "fitted = fit(configure(augment=settings), images, labels, device.choose_compute('cpu', 'auto'));"
        "print(hashlib.sha256(to_bytes(fitted.keep())).hexdigest())"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(2)]
    first, second = (process.communicate()[0].strip() for process in processes)

    assert first == second
    assert len(first) == 64


def test_the_file_opens_in_plain_keras_and_predicts_the_same(fitted: Fitted, tmp_path: Path) -> None:
    images = shapes()[0]
    (tmp_path / "model.keras").write_bytes(to_bytes(fitted.keep()))
    np.save(tmp_path / "images.npy", images)
    code = (
        "import sys, numpy, keras; model = keras.models.load_model('model.keras');"
        "numpy.save('out.npy', model.predict(numpy.load('images.npy'), verbose=0)); assert 'pipeline' not in sys.modules"
    )

    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, capture_output=True)

    assert np.allclose(np.load(tmp_path / "out.npy"), predict(fitted.keep(), images), atol=1e-5)


def test_the_file_has_nothing_that_changes_from_run_to_run(fitted: Fitted, tmp_path: Path) -> None:
    path, images = tmp_path / "model.keras", shapes()[0]
    path.write_bytes(to_bytes(fitted.keep()))
    with zipfile.ZipFile(path) as archive:
        assert "date_saved" not in json.loads(archive.read("metadata.json"))
        assert {info.date_time[0] for info in archive.infolist()} == {1980}
    assert (predict(load_model(path), images) == predict(fitted.keep(), images)).all()


def test_the_fused_normalisation_is_keras_own() -> None:
    x = np.random.default_rng(0).normal(3, 2, (8, 5, 5, 4)).astype(np.float32)
    ours, theirs = FusedBatchNormalization(0.9, 1e-3, "ours"), keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-3)

    assert np.allclose(ours(x, training=True), theirs(x, training=True), atol=1e-4)
    assert np.allclose(ours(x, training=False), theirs(x, training=False), atol=2e-2)  # the fused kernel's variance is the unbiased one


@pytest.mark.parametrize("has_gpu", [False, True])
def test_the_frozen_normalisation_has_the_gradients_of_keras_own(has_gpu: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models.layers, "_has_gpu", lambda: has_gpu)
    rng = np.random.default_rng(0)
    x, upstream = (tf.constant(rng.normal(3, 2, (8, 5, 5, 4)).astype(np.float32)) for _ in range(2))
    weights = [*rng.normal(1, 0.5, (3, 4)), rng.uniform(0.5, 2, 4)]  # gamma, beta, moving mean, moving variance
    layers = FrozenBatchNormalization(0.9, 1e-3, "ours"), keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-3)

    def of_layer(layer: keras.layers.Layer, training: bool) -> list[np.ndarray]:
        layer.build(x.shape)
        layer.set_weights(weights)
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer(x, training=training)
        inputs = [x, layer.gamma.value, layer.beta.value]
        return [outputs.numpy(), *(each.numpy() for each in tape.gradient(outputs, inputs, output_gradients=upstream))]

    for ours, theirs in zip(of_layer(layers[0], True), of_layer(layers[1], False), strict=True):
        assert np.allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_the_history_has_an_entry_per_epoch() -> None:
    told: list[Epoch] = []
    steps: list[int] = []

    fitted = shared_fitter(configure()).fit(*shapes(), *rows(96), on_epoch=told.append, on_steps=steps.append)

    assert [epoch.epoch for epoch in told] == [1, 2]
    assert told == fitted.history
    assert sum(steps) == 2 * 5
    assert told[-1].validation_accuracy in {i / 16 for i in range(17)}


def test_margins_are_of_the_logits_of_the_images_fitted_to_in_each_epoch() -> None:
    """Worked out from what is predicted: at this learning rate, nothing moves."""
    images, labels = shapes()
    model = {"name": "tutorial", "dropout": 0.0, "flip_average": False}
    config = configure(train={"learning_rate": 1e-12, "epochs": 3}, model=model, augment={"horizontal_flip": False})

    found = new_fitter(config).fit(images, labels, *rows(96))

    logarithms = np.log(predict(found.keep(), images))
    expected = logarithms[np.arange(96), labels] - logarithms[np.arange(96), 1 - labels]
    counts, known = found.margins.counts, found.margins.counts > 0
    assert counts[:16].tolist() == [0] * 16, "they are only watched"
    assert counts.sum() == 3 * 5 * 16, "5 steps of 16 of the 80 images"
    assert np.ptp(expected) > 0.01
    assert found.margins.mean[known] == pytest.approx(expected[known], abs=1e-4)
    assert np.isnan(found.margins.mean[~known]).all()


def test_an_image_that_mixup_has_made_mostly_another_has_no_margin() -> None:
    found = shared_fitter(configure(augment={"mixup": 1.0})).fit(*shapes(), *rows(96))

    # two classes: half of the images are mixed with one of their own class, and half of the others are mostly themselves
    assert found.margins.counts.sum() / (2 * 80) == pytest.approx(0.75, abs=0.12)
    assert np.isfinite(found.margins.sums).all()


def test_a_single_watched_image_is_scored_though_two_towers_share_a_batch() -> None:
    watched = np.array([3])

    fitted = new_fitter(configure(), replace(FLOAT32, towers=2)).fit(*shapes(), np.setdiff1d(np.arange(96), watched), watched)

    assert [epoch.validation_accuracy in (0, 1) for epoch in fitted.history] == [True, True]


def test_a_loss_that_is_no_longer_finite_stops_the_fit_with_epoch_step_and_rate() -> None:
    config = configure(train={"learning_rate": 1e30, "warmup_fraction": 0.0}, model={"name": "tutorial"})

    with pytest.raises(FitError, match=r"no longer finite in epoch 1, step [2-5] of 5, at learning rate .* Lower train.learning_rate"):
        fit(config, *shapes())


def test_running_out_of_memory_names_the_batch_size_and_the_next_smaller_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhaust(*_: object) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setitem(shared_fitter(configure())._trainer._graphs, (False, False, 1), exhaust)

    with pytest.raises(FitError, match=r"Out of memory with train\.batch_size 16\. Set train\.batch_size to 8\."):
        fit(configure(), *shapes())


def test_an_operation_without_a_kernel_for_the_device_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        message = "Graph execution error:\n\n2 root error(s) found.\n  (0) UNIMPLEMENTED:  No deterministic kernel for Turn.\n\t [[{{node turn}}]]"
        raise tf.errors.UnimplementedError(None, None, message)

    monkeypatch.setitem(shared_fitter(configure())._trainer._graphs, (False, False, 1), refuse)

    with pytest.raises(
        FitError, match=r"cannot be trained here: No deterministic kernel for Turn\. Set train\.device: cpu, or another model\.name\."
    ):
        fit(configure(), *shapes())


@pytest.mark.parametrize("memory_bytes", [0, 2**30], ids=["sent", "kept on the device"])
def test_a_memory_map_fits_like_an_array_sent_or_kept_on_the_device(memory_bytes: int, fitted: Fitted, tmp_path: Path) -> None:
    images, labels = shapes()
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")

    assert losses(fit(configure(), mapped, labels, Compute("CPU", "float32", memory_bytes=memory_bytes))) == losses(fitted)


def test_early_stopping_keeps_the_epoch_with_the_lowest_validation_loss() -> None:
    images, labels = shapes()
    labels[:16] = 1 - labels[:16]  # the watched images get worse the more is learned
    train = {"epochs": 12, "early_stopping_epochs": 3}

    fitted = fit(configure(train=train, model={"flip_average": False}), images, labels)

    validation_losses = [epoch.validation_loss for epoch in fitted.history]
    assert len(validation_losses) == fitted.epoch + 3 < 12
    assert min(validation_losses) == validation_losses[fitted.epoch - 1]
    probabilities = predict(fitted.keep(), images[:16])[np.arange(16), labels[:16]]
    assert -np.log(probabilities).mean() == pytest.approx(min(validation_losses), rel=1e-3)


def test_balanced_class_weights_find_the_rare_class() -> None:
    images, labels = shapes(400)
    keep = np.flatnonzero((labels == 0) | (np.arange(400) % 40 == 1))
    noisy = np.clip(images[keep].astype(int) + np.random.default_rng(1).integers(-120, 120, images[keep].shape), 0, 255).astype(np.uint8)
    shares = []
    for weights in ("none", "balanced"):
        config = configure(train={"class_weights": weights, "learning_rate": 0.05}, model={"name": "tutorial"})
        fitted = shared_fitter(config).fit(noisy, labels[keep], np.arange(len(keep)))
        shares.append(float(predict(fitted.keep(), noisy)[:, 1].mean()))

    assert shares[1] > 1.5 * shares[0]
