"""EfficientNet-Lite in Keras: what its authors' implementation gives, kept as it was fitted, split where asked, and fine-tuned."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest

from pipeline.backbone.architecture import architecture
from pipeline.backbone.runtime import Backbone
from pipeline.backbone.weights import load_weights
from pipeline.errors import ConfigError, WeightsError
from pipeline.fitting.fit import Fitter
from pipeline.models.efficientnet_lite import stage_starts
from pipeline.models.network import (
    build_last_stages,
    build_to_fit,
    build_to_keep,
    input_standardisation,
    last_stages_to_fit,
    split_head,
    to_bytes,
)
from pipeline.models.predict import load_model, predict
from pipeline.params.model import EFFICIENTNETS_LITE, FitModel
from pipeline.params.reader import load_config
from tests.fit_settings import whole
from tests.test_fit import FLOAT32, configure, shapes
from tests.test_models import assert_kept_as_fitted, choose, noise, standardise

ROOT = Path(__file__).parent.parent
LITE0 = EFFICIENTNETS_LITE[0]
REFERENCE = np.load(Path(__file__).parent / "efficientnet_lite0_reference.npz")
PRETRAINED: FitModel = choose(name=LITE0, weights="imagenet", flip_average=False)


def build(shape: tuple[int, int, int], class_count: int = 3, options: FitModel = PRETRAINED) -> keras.Model:
    keras.utils.set_random_seed(1)
    return build_to_fit(shape, class_count, options, "float32")


@pytest.mark.parametrize("letters", ["ab", "c"])
def test_features_and_logits_are_those_of_the_reference(letters: str) -> None:
    images, features, logits = (np.stack([REFERENCE[f"{kind}_{letter}"] for letter in letters]) for kind in ("image", "features", "logits"))
    network = build(images.shape[1:], 1000)
    network.get_layer("logits").set_weights(load_weights(LITE0).classifier)
    body, head = split_head(network)

    found = np.asarray(body(standardise(images, PRETRAINED), training=False))

    assert np.abs(found - features).max() < 1e-4
    assert np.abs(np.asarray(head(found)) - logits).max() < 1e-3
    assert body.count_params() == 3_413_024


def test_pretrained_weights_get_images_in_their_own_range() -> None:
    images = np.array([0, 127, 255], np.uint8).reshape(3, 1, 1, 1)

    assert standardise(images, PRETRAINED).ravel().tolist() == [-127 / 128, 0, 1]
    assert input_standardisation(images.repeat(3, axis=-1), PRETRAINED) == ([1 / 128] * 3, [-127 / 128] * 3)


def test_the_kept_model_is_plain_keras_and_has_the_pretrained_weights(tmp_path: Path) -> None:
    network, images = build((40, 33, 1)), noise((40, 33, 1))
    kept = build_to_keep(network, PRETRAINED, *input_standardisation(images, PRETRAINED))
    path = tmp_path / "model.keras"
    path.write_bytes(to_bytes(kept))
    opened = load_model(path)
    features = Backbone(LITE0, (40, 33, 1)).features(images)
    kernel, bias = network.get_layer("logits").get_weights()

    logits = features @ kernel + bias
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)

    layers = [*opened.layers, *opened.get_layer(LITE0).layers]
    assert {type(layer).__module__.partition(".")[0] for layer in layers} == {"keras"}
    assert np.abs(predict(opened, images) - expected).max() < 1e-4


@pytest.mark.parametrize("name", EFFICIENTNETS_LITE)
def test_a_network_can_be_split_before_each_stage(name: str) -> None:
    shape = (43, 30, 3)
    network, starts = build(shape, 3, choose(name=name)), stage_starts(name)

    assert list(starts) == [2, 3, 4, 5, 6, 7]
    for stage, layer in starts.items():
        assert network.get_layer(layer).output.shape[1:] == architecture(name).stage_shape(stage, *shape[:2])


def test_a_network_without_weights_is_the_same_when_built_again_or_kept(tmp_path: Path) -> None:
    options, shape = choose(name=LITE0, flip_average=False, dropout=0.2), (43, 30, 3)
    network, again = build(shape, 3, options), build(shape, 3, options)

    assert [operation.get_config() for operation in again.operations] == [operation.get_config() for operation in network.operations]
    assert_kept_as_fitted(network, options, noise(shape), tmp_path / "model.keras")


@pytest.mark.parametrize("stage", [6, 7])
def test_the_last_stages_go_on_from_what_the_backbone_keeps_of_an_image(stage: int) -> None:
    shape = (64, 64, 3)
    images, network = noise(shape), build(shape)
    start = network.get_layer(stage_starts(LITE0)[stage]).output
    last = keras.Model(start, network.output)

    logits = last(Backbone(LITE0, shape).stage_features(images, stage).astype(np.float32), training=False)

    expected = np.asarray(network(standardise(images, PRETRAINED), training=False))
    assert np.allclose(logits, expected, atol=0.01 * np.ptp(expected))


def test_it_computes_in_bfloat16() -> None:
    network = build_to_fit((16, 16, 1), 3, PRETRAINED, "mixed_bfloat16")
    images = noise((16, 16, 1))

    logits = network(standardise(images, PRETRAINED), training=False)

    assert logits.dtype == "bfloat16"
    assert {weight.dtype for weight in network.weights} == {"float32"}


def test_last_stages_multiply_in_bfloat16_during_training_alone() -> None:
    options = choose(name=LITE0, weights="imagenet", flip_average=False, dropout=0.0)
    _, last = build_last_stages((64, 64, 3), 3, options, 1)
    inputs = np.random.default_rng(0).normal(size=(2, *last.input_shape[1:])).astype(np.float32)

    in_bfloat16, in_float32 = (last_stages_to_fit(last, policy) for policy in ("mixed_bfloat16", "float32"))

    expected = last(inputs, training=True)
    assert np.array_equal(in_bfloat16(inputs, training=False), last(inputs, training=False))
    assert np.array_equal(in_float32(inputs, training=True), expected)
    assert 1e-5 < np.abs(in_bfloat16(inputs, training=True) - expected).max() < 0.05 * np.abs(expected).max()


def test_it_is_fine_tuned_in_two_phases() -> None:
    images, labels = shapes(32)
    train = {"epochs": 10, "frozen_epochs": 9, "optimizer": "adam", "learning_rate": 0.02, "fine_tune_rate": 0.01}
    config = configure(train=train, model={"name": LITE0, "weights": "imagenet"})

    fitted = Fitter(whole((8, 8, 1), 2, config), 2, config, FLOAT32).fit(images, labels, np.arange(32))

    body = fitted.keep().get_layer(LITE0)
    stem, _ = load_weights(LITE0).convolution("_conv_stem", "_bn0")[:2]
    moved = np.abs(body.get_layer("stem_convolution").get_weights()[0] - stem.transpose(2, 3, 1, 0))
    assert 0 < moved.max() < 0.01
    assert fitted.history[0].accuracy < 0.7
    assert fitted.history[8].accuracy > 0.9
    assert np.isfinite(fitted.history[9].loss)


def test_weights_that_are_not_installed_stop_a_fit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.path", [str(tmp_path)])

    with pytest.raises(WeightsError, match="efficientnet_lite2 are not installed"):
        build((32, 32, 3), 3, choose(name="efficientnet_lite2", weights="imagenet"))


@pytest.mark.parametrize("weights", ["none", "imagenet"])
def test_params_name_it_with_and_without_weights(weights: str, tmp_path: Path) -> None:
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    file = tmp_path / "params.yaml"
    file.write_text(
        re.sub("weights: auto", f"weights: {weights}", re.sub("name: auto ", f"name: {LITE0} ", text, count=1), count=1), encoding="utf-8"
    )

    assert (load_config(file).model.name, load_config(file).model.weights) == (LITE0, weights)


def test_a_misspelt_name_is_explained(tmp_path: Path) -> None:
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    (tmp_path / "params.yaml").write_text(re.sub("name: auto ", "name: efficientnet_lite ", text, count=1), encoding="utf-8")

    with pytest.raises(ConfigError, match=r"efficientnet_lite0, efficientnet_lite1, .*Did you mean efficientnet_lite[012]\?"):
        load_config(tmp_path / "params.yaml")
