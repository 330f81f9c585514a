"""Which device and precision are chosen, and several devices that share each step."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pipeline.errors import DeviceError
from pipeline.fitting.device import Compute, choose_compute, describe_gpus

ROOT = Path(__file__).parent.parent
TWO_DEVICES = """
import sys
import numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from pipeline.fitting.device import Compute
from tests.test_fit import configure, fit, shapes
images, labels = shapes()
config = configure(train={"epochs": 3}, model={"name": "tutorial"})
for precision in ("float32", "float16"):
    for replicas in ((), ("CPU:0", "CPU:1")):
        print(*(f"{epoch.loss:.4f}" for epoch in fit(config, images, labels, Compute("devices", precision, replicas)).history))
resnet = fit(configure(train={"epochs": 3}), images, labels, Compute("devices", "float32", ("CPU:0", "CPU:1"))).history
print(resnet[-1].loss < resnet[0].loss, all(np.isfinite(epoch.validation_loss) for epoch in resnet))
"""


def test_a_gpu_that_is_asked_for_and_not_there_is_an_error() -> None:
    if tf.config.list_physical_devices("GPU"):
        pytest.skip("there is a GPU here")

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


def test_images_lie_on_a_gpu_where_they_take_no_more_than_a_quarter_of_its_memory() -> None:
    images = np.zeros((1000, 10, 10, 1), np.uint8)

    assert Compute("GPU", "float32", memory_bytes=400_000).holds(images)
    assert not Compute("GPU", "float32", memory_bytes=399_999).holds(images)
    assert not Compute("CPU", "float32").holds(images)


def test_two_devices_and_float16_with_loss_scaling_fit_as_one_device_in_float32_does() -> None:
    done = subprocess.run([sys.executable, "-c", TWO_DEVICES], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    *fits, resnet = done.stdout.splitlines()[-5:]
    losses = np.array([[float(loss) for loss in line.split()] for line in fits])

    assert losses[0, -1] < 0.1
    assert np.allclose(losses, losses[0], atol=2e-3)
    assert resnet == "True True"
