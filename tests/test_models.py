"""Every network learns, takes any image size, is the same when built again, and follows its options."""

import re
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from pipeline.errors import ConfigError, WeightsError
from pipeline.models.layers import FusedBatchNormalization, Parts, linear_classifier
from pipeline.models.network import build_to_fit, build_to_keep, input_standardisation, split_head, to_bytes
from pipeline.models.predict import load_model, predict
from pipeline.params.model import APPLICATIONS, FitModel, model_names
from pipeline.params.reader import load_config
from tests.test_fit import configure, default_config, new_fitter, shapes

ROOT = Path(__file__).parent.parent
SMALLEST = "MobileNetV3Small"
SLOW = [
    *("ConvNeXtTiny", "DenseNet121", "EfficientNetB0", "EfficientNetV2B0", "InceptionV3"),
    *("MobileNetV2", "NASNetMobile", "ResNet50", "VGG16"),
]


def choose(**changes: object) -> FitModel:
    return FitModel.model_validate(default_config().model.model_dump() | {"width": 0.0625} | changes)


def noise(shape: tuple[int, int, int], count: int = 4) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)


def build_both(options: FitModel, images: np.ndarray) -> tuple[keras.Model, keras.Model]:
    """The network to be fitted, with three classes, and the one to be kept."""
    keras.utils.set_random_seed(1)
    network = build_to_fit(images.shape[1:], 3, options, "float32")
    return network, build_to_keep(network, options, *input_standardisation(images, options))


def standardise(images: np.ndarray, options: FitModel) -> np.ndarray:
    scale, offset = input_standardisation(images, options)
    standardised: np.ndarray = images.astype(np.float32) * np.array(scale, np.float32) + np.array(offset, np.float32)
    return standardised


def kinds(network: keras.Model) -> set[str]:
    return {type(layer).__name__ for layer in network.layers}


def assert_kept_as_fitted(network: keras.Model, options: FitModel, images: np.ndarray, path: Path) -> None:
    for layer in network.layers:
        if "normalization" in type(layer).__name__.lower():
            layer.momentum = 0.0  # the moving statistics become those of this batch, so that the signal does not fade
    network(standardise(images, options), training=True)
    kept = build_to_keep(network, options, *input_standardisation(images, options))
    path.write_bytes(to_bytes(kept))

    expected = np.asarray(keras.ops.softmax(network(standardise(images, options), training=False)))

    assert np.ptp(expected, axis=0).max() > 1e-5
    assert np.allclose(predict(kept, images), expected, atol=0.01 * np.ptp(expected))
    assert (predict(load_model(path), images) == predict(kept, images)).all()


@pytest.mark.parametrize("name", model_names())
def test_every_network_memorises_32_images_of_8_px(name: str) -> None:
    config = configure(train={"epochs": 30, "learning_rate": 1.5 if name == "tutorial" else 0.8}, model={"name": name, "width": 0.25})
    images, labels = shapes(32)

    fitted = new_fitter(config).fit(images, labels, np.arange(32))

    assert (predict(fitted.keep(), images).argmax(axis=1) == labels).all()


@pytest.mark.parametrize("name", model_names())
def test_every_network_takes_large_images_of_odd_size_and_is_kept_as_it_was_fitted(name: str, tmp_path: Path) -> None:
    options, shape = choose(name=name, flip_average=False), (90, 43, 3)
    keras.utils.set_random_seed(1)
    network = build_to_fit(shape, 3, options, "float32")
    in_bfloat16 = build_to_fit(shape, 3, options, "mixed_bfloat16")

    assert_kept_as_fitted(network, options, noise(shape), tmp_path / "model.keras")
    assert in_bfloat16(standardise(noise(shape), options), training=True).dtype == "bfloat16"
    assert {weight.dtype for weight in in_bfloat16.weights} == {"float32"}
    assert [operation.name for operation in network.operations] == [operation.name for operation in in_bfloat16.operations]


@pytest.mark.parametrize("name", [SMALLEST, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_a_network_of_keras_takes_small_images_and_is_the_same_when_built_again_or_kept(name: str, tmp_path: Path) -> None:
    options, shape = choose(name=name, flip_average=False, dropout=0.2), (28, 28, 1)
    keras.utils.set_random_seed(1)
    network, again = (build_to_fit(shape, 3, options, "float32") for _ in range(2))

    assert [operation.get_config() for operation in again.operations] == [operation.get_config() for operation in network.operations]
    assert_kept_as_fitted(network, options, noise(shape), tmp_path / "model.keras")


def test_a_network_of_keras_computes_in_bfloat16() -> None:
    network = build_to_fit((16, 16, 1), 3, choose(name=SMALLEST, dropout=0.5), "mixed_bfloat16")

    assert network(standardise(noise((16, 16, 1)), choose()), training=True).dtype == "bfloat16"
    assert {weight.dtype for weight in network.weights} == {"float32"}


def test_the_bytes_of_a_model_do_not_depend_on_what_was_built_before() -> None:
    options, images = choose(dropout=0.5), noise((16, 16, 1))
    first = to_bytes(build_both(options, images)[1])
    keras.Sequential([keras.layers.Dense(3), keras.layers.ReLU(), keras.layers.Activation("relu"), keras.layers.Add()])

    assert to_bytes(build_both(options, images)[1]) == first


def test_the_flip_average_does_not_know_left_from_right() -> None:
    images = noise((16, 16, 1))
    network, averaged = build_both(choose(flip_average=True), images)
    plain = build_to_keep(network, choose(flip_average=False), *input_standardisation(images, choose()))
    one, mirrored = predict(plain, images), predict(plain, images[:, :, ::-1])

    assert np.abs(one - mirrored).max() > 1e-3
    assert np.allclose(predict(averaged, images), (one + mirrored) / 2, atol=1e-6)


def test_the_default_network_is_unchanged() -> None:
    network, _ = build_both(choose(name="resnet", width=0.5), noise((28, 28, 1)))

    assert network.count_params() == 116_755
    assert [layer.name for layer in network.layers][:5] == [
        *("images", "stem_convolution", "stem_normalization", "stem_relu", "stage1_pool")
    ]
    assert [layer.name for layer in network.layers][-3:] == ["stage2_residual_add", "global_pool", "logits"]


@pytest.mark.parametrize("name", sorted(set(model_names()) - {"tutorial"}))
def test_the_options_change_every_network_of_our_own(name: str) -> None:
    plain = choose(name=name)
    changed = plain.model_copy(update={"pooling": "average", "activation": "gelu", "dropout": 0.5})

    first, second = (build_to_fit((8, 8, 1), 3, options, "float32") for options in (plain, changed))

    assert {"ReLU", "GlobalMaxPooling2D"} <= kinds(first)
    assert {"Activation", "GlobalAveragePooling2D", "Dropout"} <= kinds(second)
    assert not {"GlobalMaxPooling2D", "ReLU", "MaxPooling2D"} & kinds(second)
    assert "Dropout" not in kinds(first)


def test_the_kernel_size_and_the_width_are_those_of_the_convolutions() -> None:
    network, _ = build_both(choose(name="vgg", kernel_size=5, width=2.0), noise((16, 16, 1)))

    assert network.get_layer("stem_convolution").kernel.shape == (5, 5, 1, 64)


def test_pooling_before_a_rising_activation_gives_the_same_as_after_it() -> None:
    inputs = keras.Input((8, 8, 3))
    parts = Parts(choose(activation="tanh", width=1.0), FusedBatchNormalization)
    pooled = keras.Model(inputs, parts.convolve_and_pool(inputs, 8, "early"))
    whole = keras.Model(inputs, pooled.get_layer("early_normalization").output)
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)

    expected = np.tanh(whole(x)).reshape(2, 4, 2, 4, 2, 8).max(axis=(2, 4))

    assert [layer.name for layer in pooled.layers][-2:] == ["early_pool", "early_tanh"]
    assert np.allclose(pooled(x), expected, atol=1e-6)


def test_dropout_is_drawn_anew_at_each_step_and_the_same_in_each_build() -> None:
    features = keras.Input((64,))
    networks = [keras.Model(features, linear_classifier(features, 3, 0.5)) for _ in range(2)]
    first, second = ([np.asarray(network.get_layer("dropout")(np.ones((1, 64)), training=True)) for _ in range(2)] for network in networks)

    assert (first[0] != first[1]).any()
    assert (np.stack(first) == np.stack(second)).all()


def test_the_names_of_keras_networks_are_those_that_keras_has() -> None:
    functions = (name for name in dir(keras.applications) if callable(getattr(keras.applications, name)))

    assert [name for name in sorted(functions) if name[0].isupper()] == sorted(APPLICATIONS)


@pytest.mark.parametrize(("weights", "black_alone"), [("imagenet", -1), ("none", 0)])
def test_pretrained_weights_get_images_from_minus_1_to_1_others_standardised_ones(weights: str, black_alone: int) -> None:
    images = np.array([0, 255], np.uint8).reshape(2, 1, 1, 1).repeat(3, axis=-1)
    options = choose(name=SMALLEST, weights=weights)

    assert np.allclose(standardise(images, options)[:, 0, 0, 0], [-1, 1])  # by chance the same: mean 127.5, deviation 127.5
    assert np.allclose(standardise(images[:1], options)[0, 0, 0, 0], black_alone)


def pretend_to_download(name: str, folder: Path) -> tuple[keras.Model, keras.Model]:
    """A network of Keras's, and ours, for which `weights: imagenet` has found the same file of drawn weights."""
    keras.utils.set_random_seed(7)
    original = getattr(keras.applications, name)(include_top=False, weights=None, input_shape=(96, 96, 3))
    original.set_weights([weight + 0.01 * (weight.ndim < 2) for weight in original.get_weights()])
    original.save(folder / "weights.h5")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        patch.setattr("keras.src.utils.file_utils.get_file", lambda *args, **kwargs: str(folder / "weights.h5"))
        original = getattr(keras.applications, name)(include_top=False, weights="imagenet", input_shape=(96, 96, 3))
        return original, build_to_fit((96, 96, 3), 3, choose(name=name, weights="imagenet"), "float32")


@pytest.fixture(scope="module")
def smallest(tmp_path_factory: pytest.TempPathFactory) -> tuple[keras.Model, keras.Model]:
    return pretend_to_download(SMALLEST, tmp_path_factory.mktemp("download"))


PREPROCESS = {
    "MobileNet": keras.applications.mobilenet.preprocess_input,
    "DenseNet121": keras.applications.densenet.preprocess_input,
    "ResNet50": keras.applications.resnet.preprocess_input,
}
"""The others of those tried below bring the range of bytes to their own by themselves."""


def assert_same_features(name: str, original: keras.Model, network: keras.Model) -> None:
    images = noise((96, 96, 3), 2)
    preprocess = PREPROCESS.get(name, lambda x: x)

    expected = np.asarray(original(preprocess(images.astype(np.float32)), training=False)).mean(axis=(1, 2))
    features = split_head(network)[0](standardise(images, choose(name=name, weights="imagenet")), training=False)

    assert np.allclose(features, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def test_pretrained_weights_see_the_images_as_they_did_before(smallest: tuple[keras.Model, keras.Model]) -> None:
    assert_same_features(SMALLEST, *smallest)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*PREPROCESS, "EfficientNetB0", "EfficientNetV2B0", "EfficientNetV2S", "ConvNeXtTiny"])
def test_all_pretrained_weights_see_the_images_as_they_did_before(name: str, tmp_path: Path) -> None:
    assert_same_features(name, *pretend_to_download(name, tmp_path))


def test_the_head_is_the_new_part(smallest: tuple[keras.Model, keras.Model]) -> None:
    network, images = smallest[1], standardise(noise((96, 96, 3)), choose(weights="none"))
    before = [np.asarray(variable) for variable in network.non_trainable_variables]

    body, head = split_head(network)
    logits = head(body(images, training=False), training=True)

    assert np.allclose(logits, network(images, training=False), atol=1e-5)
    assert [variable.path for variable in head.trainable_variables] == ["logits/kernel", "logits/bias"]
    assert len(body.trainable_variables) + 2 == len(network.trainable_variables)
    assert all((a == np.asarray(b)).all() for a, b in zip(before, network.non_trainable_variables, strict=True))


def test_the_kept_model_has_the_pretrained_weights(smallest: tuple[keras.Model, keras.Model], tmp_path: Path) -> None:
    options = choose(name=SMALLEST, weights="imagenet", flip_average=False)

    assert_kept_as_fitted(smallest[1], options, noise((96, 96, 3)), tmp_path / "model.keras")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            Exception("URL fetch failure on https://host/small_v3.h5: None -- no route"),
            r"downloaded: no route\. Put small_v3.h5 from .* into",
        ),
        (OSError("truncated file"), r"read: truncated file\. Delete the file in"),
    ],
)
def test_pretrained_weights_that_cannot_be_loaded_are_an_error_of_one_line(
    error: Exception, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> str:
        raise error

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", fail)

    start = "^The pretrained weights of MobileNetV3Small cannot be"
    with pytest.raises(WeightsError, match=rf"{start} {words} .*models.*, or set model.weights: none\.$") as caught:
        build_to_fit((32, 32, 3), 3, choose(name=SMALLEST, weights="imagenet"), "float32")

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            (r"name: auto .*\n  weights: auto", "name: resnet\n  weights: imagenet"),
            "weights should be auto or none with model.name resnet: only efficientnet_lite0, .* and networks of keras.applications",
        ),
        (("  weights: auto", "  weights: mine"), "weights should be one of auto, none, imagenet; found 'mine'"),
        (("\n  name: auto", "\n  name: ResNet51"), "should be auto, one of convnext, .*, or a network of keras.*Did you mean ResNet50?"),
        (("dropout: auto", "dropout: 1.0"), "dropout should be auto or a number of at least 0 and below 1"),
    ],
)
def test_a_wrong_choice_is_explained(change: tuple[str, str], words: str, tmp_path: Path) -> None:
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    (tmp_path / "params.yaml").write_text(re.sub(*change, text, count=1), encoding="utf-8")

    with pytest.raises(ConfigError, match=rf"params.yaml:\d+: model\.(name )?{words}"):
        load_config(tmp_path / "params.yaml")
