"""Which device and precision are chosen, and several devices that share each step."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.client import device_lib
from tensorflow.python.eager import context

from pipeline.errors import DeviceError
from pipeline.fitting.device import Compute, choose_compute, describe_gpus
from tests.test_fit import configure, fit, losses, shapes

ROOT = Path(__file__).parent.parent
TWO_DEVICES = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from tests.test_device import *
for precision, config in (("float32", TUTORIAL), ("float16", TUTORIAL), ("float32", configure())):
    fitted = fit(config, *shapes(), Compute("devices", precision, ("CPU:0", "CPU:1")))
    print(*losses(fitted), *fitted.margins.mean[-8:])
"""
TUTORIAL = configure(model={"name": "tutorial"}, train={"learning_rate": 0.4})


def test_a_missing_gpu_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])

    with pytest.raises(DeviceError, match=r"train\.device is gpu, but TensorFlow sees no GPU"):
        choose_compute("gpu", "auto")


@pytest.mark.parametrize(
    ("capabilities", "precision", "expected"),
    [
        ([(9, 0)], "auto", "bfloat16"),
        ([(8, 6)], "auto", "bfloat16"),
        ([(7, 5)], "auto", "float16"),
        ([(6, 1)], "auto", "float32"),
        ([(9, 0), (7, 0)], "auto", "float16"),
        ([(9, 0)], "float32", "float32"),
    ],
)
def test_the_precision_is_one_that_all_gpus_have(capabilities: list[tuple[int, int]], precision: str, expected: str) -> None:
    details = [{"device_name": "Test", "compute_capability": capability} for capability in capabilities]

    compute = describe_gpus(details, 2**30, precision)  # type: ignore[arg-type]

    assert compute.precision == expected
    assert compute.dtype_policy == ("float32" if expected == "float32" else f"mixed_{expected}")


def test_several_gpus_share_each_step_and_the_name_says_so() -> None:
    compute = describe_gpus([{"device_name": "Test", "compute_capability": (8, 0)}] * 4, 2**30, "auto")

    assert compute.device == "4 GPUs Test"
    assert compute.replicas == ("GPU:0", "GPU:1", "GPU:2", "GPU:3")


def test_what_identifies_a_gpu_is_not_how_much_of_its_memory_is_free() -> None:
    details = [{"device_name": "Test", "compute_capability": (9, 0)}]

    assert str(describe_gpus(details, 2**30, "auto")) == str(describe_gpus(details, 2**36, "auto"))


def test_a_gpu_is_opened_with_the_options_of_the_fit(gpu: list[object]) -> None:
    assert choose_compute("auto", "auto") == Compute("GPU Test", "bfloat16", memory_bytes=2**30)
    assert gpu == [context.context().config]


def test_a_gpu_that_cannot_be_used_is_an_error(gpu: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("cudaSetDevice() on GPU:0 failed. Status: out of memory")

    monkeypatch.setattr(device_lib, "list_local_devices", fail)

    with pytest.raises(
        DeviceError, match=r"cannot use the GPU: cudaSetDevice\(\) on GPU:0 failed\. Status: out of memory\. See `nvidia-smi`"
    ):
        choose_compute("auto", "auto")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """A GPU of 1 GiB that TensorFlow describes; gets the options with which devices are listed."""
    opened: list[object] = []

    def listed(options: object) -> list[SimpleNamespace]:
        opened.append(options)
        return [SimpleNamespace(device_type="CPU", memory_limit=2**28), SimpleNamespace(device_type="GPU", memory_limit=2**30)]

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a GPU"])
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda devices, kind: None)
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda device, growth: None)
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda device: {"device_name": "Test", "compute_capability": (9, 0)})
    monkeypatch.setattr(device_lib, "list_local_devices", listed)
    return opened


def test_images_are_kept_on_a_gpu_if_they_take_up_at_most_a_quarter_of_its_memory() -> None:
    images = np.zeros((1000, 10, 10, 1), np.uint8)

    assert Compute("GPU", "float32", memory_bytes=400_000).holds(images)
    assert not Compute("GPU", "float32", memory_bytes=399_999).holds(images)
    assert not Compute("CPU", "float32").holds(images)


@pytest.fixture(scope="module")
def expected() -> list[float]:
    """The loss of each epoch on one device in float32, and the margins of the last images."""
    fitted = fit(TUTORIAL, *shapes())
    return [*losses(fitted), *fitted.margins.mean[-8:].tolist()]


def test_two_devices_share_each_step_also_in_float16_with_loss_scaling(expected: list[float]) -> None:
    done = subprocess.run([sys.executable, "-c", TWO_DEVICES], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    float32, float16, normalised = ([float(number) for number in line.split()] for line in done.stdout.splitlines()[-3:])

    assert float32 == pytest.approx(expected, abs=2e-3)
    assert float16 == pytest.approx(expected, abs=2e-3)
    assert normalised[1] < normalised[0]  # each device normalises by its own part of the batch


@pytest.mark.parametrize("compute", [Compute("CPU", "float16"), Compute("CPU", "float32", towers=2)], ids=["float16", "two towers"])
def test_one_device_in_float16_or_with_two_towers_fits_like_one_in_float32(
    compute: Compute, expected: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.fitting.part.WholeNetwork.smallest_tower", 8)

    fitted = fit(TUTORIAL, *shapes(), compute)

    assert [*losses(fitted), *fitted.margins.mean[-8:].tolist()] == pytest.approx(expected, abs=2e-3)
