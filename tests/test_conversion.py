"""A Keras model and its ONNX file answer alike, layer by layer; what cannot be converted, or was changed, is an error."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest

from pipeline.conversion.faults import ExportError
from pipeline.conversion.identity import identity_of
from pipeline.conversion.keras_to_onnx import to_onnx
from pipeline.conversion.onnx_session import OnnxRuntime
from pipeline.conversion.record import check_answers, verified_onnx
from pipeline.conversion.verified import add_verified_onnx, largest_difference
from pipeline.errors import TrackingError
from pipeline.files import write_bytes
from pipeline.models.network import build_to_fit, build_to_keep, to_bytes
from pipeline.models.predict import predict
from pipeline.params.model import EFFICIENTNETS_LITE, model_names
from tests.test_models import choose, noise

ACTIVATIONS = ("relu", "leaky_relu", "elu", "selu", "gelu", "silu", "mish", "softplus", "tanh", "sigmoid")
PLAIN, WIDE = (12, 12, 1), (13, 18, 3)


def build(shape: tuple[int, int, int], **changes: object) -> keras.Model:
    """A network whose weights and statistics are drawn, so that its answers differ from image to image."""
    options = choose(**changes)
    keras.utils.set_random_seed(1)
    network = build_to_fit(shape, 3, options, "float32")
    rng = np.random.default_rng(2)
    for variable in network.variables:
        if variable.path.endswith(("gamma", "beta", "bias")):
            variable.assign(variable + rng.normal(0, 0.2, variable.shape))
    for layer in network.layers:
        if "normalization" in type(layer).__name__.lower():
            layer.momentum = 0.0  # the moving statistics become those of this batch, so that the signal does not fade
    network(noise(shape, 16).astype(np.float32) / 70 - 1.8, training=True)
    channels = shape[-1]
    return build_to_keep(network, options, [1 / 70] * channels, [-1.8] * channels)


def small(*layers: keras.layers.Layer, shape: tuple[int, int, int] = (6, 7, 3)) -> keras.Model:
    images = keras.Input(shape, dtype="uint8")
    x = keras.layers.Rescaling(1 / 255)(images)
    for layer in layers:
        x = layer(x)
    return keras.Model(images, keras.layers.Softmax()(keras.layers.Dense(3)(keras.layers.Flatten()(x))))


def assert_alike(model: keras.Model) -> None:
    images = noise(model.input_shape[1:], 5)
    expected = predict(model, images)

    found = OnnxRuntime(to_onnx(model)).probabilities(images)

    spread = np.ptp(expected, axis=0).max()
    assert spread > 1e-4, "the same for all images: nothing was compared"
    assert np.abs(found - expected).max() < max(1e-5, spread / 1000)  # deep networks with drawn weights enlarge what is rounded


@pytest.mark.parametrize("name", [*model_names(), EFFICIENTNETS_LITE[0]])
def test_each_network_answers_alike(name: str) -> None:
    assert_alike(build(PLAIN, name=name))
    assert_alike(build(WIDE, name=name, pooling="average", flip_average=True))


@pytest.mark.parametrize("name", ["MobileNetV3Small", "MobileNetV2"])
def test_networks_of_keras_answer_alike(name: str) -> None:
    assert_alike(build(WIDE, name=name))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["ConvNeXtTiny", "DenseNet121", "EfficientNetB0", "InceptionResNetV2", "InceptionV3", "NASNetMobile", "ResNet50V2", "Xception"]
)
def test_large_networks_of_keras_answer_alike(name: str) -> None:
    assert_alike(build(WIDE, name=name))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_each_activation_answers_alike(activation: str) -> None:
    assert_alike(build(PLAIN, name="tutorial", activation=activation))


@pytest.mark.parametrize(
    "layers",
    [
        [keras.layers.Conv2D(4, 3, strides=2, dilation_rate=1, padding="valid", activation="hard_silu")],
        [keras.layers.Conv2D(6, 3, dilation_rate=2, groups=3, padding="same")],
        [keras.layers.SeparableConv2D(5, 3, depth_multiplier=2, padding="same", activation="hard_sigmoid")],
        [keras.layers.DepthwiseConv2D(3, strides=2, depth_multiplier=2, padding="same")],
        [keras.layers.AveragePooling2D(3, strides=2, padding="same"), keras.layers.UpSampling2D(2)],
        [keras.layers.UpSampling2D((2, 3), interpolation="bilinear"), keras.layers.Cropping2D(((1, 2), (0, 3)))],
        [keras.layers.ZeroPadding2D(((1, 0), (2, 3))), keras.layers.MaxPooling2D(2)],
        [keras.layers.Reshape((14, -1, 1)), keras.layers.LeakyReLU(0.1), keras.layers.ELU(0.7)],
        [keras.layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[0.5, 1, 2]), keras.layers.ReLU(0.6)],
        [keras.layers.LayerNormalization(), keras.layers.GlobalMaxPooling2D(keepdims=True)],
        [keras.Sequential([keras.layers.Dense(4, activation="relu6"), keras.layers.Dropout(0.5)])],
    ],
)
def test_each_layer_answers_alike(layers: list[keras.layers.Layer]) -> None:
    keras.utils.set_random_seed(3)

    assert_alike(small(*layers))


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([keras.layers.Conv2DTranspose(2, 3, name="up")], "The layer up is a Conv2DTranspose, which cannot be converted to ONNX yet"),
        ([keras.layers.BatchNormalization(axis=1, name="odd")], "The layer odd normalises over axis 1"),
        ([keras.layers.Activation("log_softmax")], "The activation log_softmax cannot be converted"),
        ([keras.layers.ReLU(threshold=0.1)], "ReLU with a threshold of 0.1"),
        ([keras.layers.UpSampling2D(2, interpolation="bicubic", name="big")], "The layer big enlarges by bicubic"),
    ],
)
def test_what_is_not_known_is_an_error_never_a_guess(layers: list[keras.layers.Layer], words: str) -> None:
    with pytest.raises(ExportError, match=words):
        to_onnx(small(*layers))


def test_a_network_in_half_precision_is_converted_in_full_precision() -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = small(keras.layers.Conv2D(4, 3))
    finally:
        keras.config.set_dtype_policy(before)
    images = noise((6, 7, 3), 5)

    found = OnnxRuntime(to_onnx(model)).probabilities(images)

    assert np.abs(found - predict(model, images)).max() < 0.01


def renamed(content: bytes) -> bytes:
    """The same graph with other names, and its weights in another order."""
    model = onnx.load_model_from_string(content)
    for node in model.graph.node:
        node.name = f"other {node.name}"
        node.input[:] = [f"x{name}" if name else "" for name in node.input]
        node.output[:] = [f"x{name}" for name in node.output]
    tensors = sorted(model.graph.initializer, key=lambda tensor: tensor.name, reverse=True)
    for value in [*tensors, *model.graph.input, *model.graph.output]:
        value.name = f"x{value.name}"
    copies = [onnx.TensorProto.FromString(tensor.SerializeToString()) for tensor in tensors]
    del model.graph.initializer[:]
    model.graph.initializer.extend(copies)
    model.producer_name = "somebody"
    changed: bytes = model.SerializeToString()
    return changed


def with_other_weight(content: bytes) -> bytes:
    model = onnx.load_model_from_string(content)
    tensor = next(tensor for tensor in model.graph.initializer if len(tensor.dims) > 1)
    array = onnx.numpy_helper.to_array(tensor).copy()
    array.flat[0] += 1
    tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    changed: bytes = model.SerializeToString()
    return changed


def with_other_operation(content: bytes) -> bytes:
    model = onnx.load_model_from_string(content)
    next(node for node in model.graph.node if node.op_type == "Relu").op_type = "Tanh"
    changed: bytes = model.SerializeToString()
    return changed


def test_the_same_model_gives_the_same_bytes_and_its_identity_is_that_of_the_numbers() -> None:
    content = to_onnx(build(PLAIN, name="vgg"))

    assert to_onnx(build(PLAIN, name="vgg")) == content
    assert renamed(content) != content
    assert identity_of(renamed(content)) == identity_of(content)
    assert len({identity_of(content), identity_of(with_other_weight(content)), identity_of(with_other_operation(content))}) == 3


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model and its verified ONNX file."""
    folder = tmp_path_factory.mktemp("kept")
    write_bytes(folder / "model.keras", to_bytes(build(PLAIN, name="tutorial")))
    add_verified_onnx(folder, noise(PLAIN, 1000))
    return folder


def copy_of(folder: Path, to: Path) -> Path:
    for file in folder.iterdir():
        write_bytes(to / file.name, file.read_bytes())
    return to


def test_a_verified_file_is_found_and_its_record_says_on_what(kept: Path, tmp_path: Path) -> None:
    record = json.loads((kept / "onnx.json").read_text(encoding="utf-8"))

    assert verified_onnx(kept) == kept / "model.onnx"
    assert record["images"] == 500  # every second one
    assert 0 <= record["largest_difference"] < 1e-5
    assert record["identity"] == identity_of((kept / "model.onnx").read_bytes())
    assert verified_onnx(tmp_path) is None


Damage = Callable[[Path], Any]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / "model.onnx").write_bytes(b"other"), "model.onnx is not the one that onnx.json was written for"),
        (lambda folder: (folder / "model.keras").write_bytes(b"other"), "model.keras is not the one that"),
        (lambda folder: (folder / "model.onnx").unlink(), "cannot be read"),
        (lambda folder: (folder / "onnx.json").unlink(), "cannot be read"),
        (lambda folder: (folder / "onnx.json").write_text("{}", encoding="utf-8"), "cannot be read"),
    ],
)
def test_a_changed_file_is_an_error(kept: Path, tmp_path: Path, damage: Damage, words: str) -> None:
    damage(copy_of(kept, tmp_path))

    with pytest.raises(TrackingError, match=words):
        verified_onnx(tmp_path)


def test_a_file_that_lost_its_weights_is_not_kept(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bytes(tmp_path / "model.keras", (kept / "model.keras").read_bytes())
    lost = onnx.load_model_from_string((kept / "model.onnx").read_bytes())
    for tensor in [tensor for tensor in lost.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT]:
        tensor.CopyFrom(onnx.numpy_helper.from_array(np.zeros_like(onnx.numpy_helper.to_array(tensor)), tensor.name))
    monkeypatch.setattr("pipeline.conversion.keras_to_onnx.to_onnx", lambda model: lost.SerializeToString())

    with pytest.raises(ExportError, match="on 500 images the ONNX file gives probabilities that differ by up to"):
        add_verified_onnx(tmp_path, noise(PLAIN, 1000))
    assert [file.name for file in tmp_path.iterdir()] == ["model.keras"]


def test_without_images_nothing_is_verified(kept: Path, tmp_path: Path) -> None:
    write_bytes(tmp_path / "model.keras", (kept / "model.keras").read_bytes())

    with pytest.raises(ExportError, match="no images to compare"):
        add_verified_onnx(tmp_path, noise(PLAIN, 0))


def test_another_label_and_numbers_that_are_none_are_refused() -> None:
    expected = np.array([[0.500001, 0.499999]], np.float32)

    assert largest_difference(expected, expected) == 0
    with pytest.raises(ExportError, match="and 1 other labels"):
        largest_difference(expected, expected[:, ::-1])
    with pytest.raises(ExportError, match="some that are no numbers"):
        largest_difference(expected, np.full((1, 2), np.nan, np.float32))


def test_answers_of_two_runtimes_are_compared_by_class() -> None:
    check_answers([{"a": 0.7, "b": 0.3}], [{"b": 0.300005, "a": 0.699995}])
    with pytest.raises(TrackingError, match=r"on image 2 of 2 .* differ by 2.0e-05"):
        check_answers([{"a": 1.0}, {"a": 0.70002, "b": 0.3}], [{"a": 1.0}, {"a": 0.7, "b": 0.3}])
    with pytest.raises(TrackingError, match="or in the label"):
        check_answers([{"a": 0.500001, "b": 0.499999}], [{"a": 0.499999, "b": 0.500001}])
