"""Which device a fit uses and in which precision. Asks TensorFlow for GPUs and the CPU for its instructions."""

from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from pipeline.config import Device, Precision
from pipeline.errors import DeviceError

BFLOAT16_INSTRUCTIONS = {"avx512_bf16", "amx_bf16", "bf16"}


@dataclass(frozen=True)
class Compute:
    """`device`: what a person calls it. `precision`: float32, bfloat16 or float16, what the layers compute in."""

    device: str
    precision: str

    @property
    def dtype_policy(self) -> str:
        """Keras's name for the precision; variables stay float32."""
        return "float32" if self.precision == "float32" else f"mixed_{self.precision}"


def choose_compute(device: Device, precision: Precision) -> Compute:
    """The device and precision to fit with; GPUs are hidden from TensorFlow where the CPU is asked for.

    Raises DeviceError for `gpu` where TensorFlow sees none.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if device == "gpu" and not gpus:
        raise DeviceError(
            "train.device is gpu, but TensorFlow sees no GPU. Install with `make run EXTRA=gpu` and check `nvidia-smi`, or set train.device: auto."
        )
    if device == "cpu" or not gpus:
        tf.config.set_visible_devices([], "GPU")
        return Compute("CPU", _cpu_precision() if precision == "auto" else precision)
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    details = tf.config.experimental.get_device_details(gpus[0])
    name = details.get("device_name", "GPU")
    return Compute(f"GPU {name}", _gpu_precision(details.get("compute_capability")) if precision == "auto" else precision)


def _cpu_precision() -> str:
    """bfloat16 where the processor multiplies it in hardware: elsewhere it is emulated, and slow."""
    try:
        flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    except OSError:
        return "float32"
    return "bfloat16" if flags & BFLOAT16_INSTRUCTIONS else "float32"


def _gpu_precision(compute_capability: tuple[int, int] | None) -> str:
    major = compute_capability[0] if compute_capability else 0
    if major >= 8:
        return "bfloat16"
    return "float16" if major == 7 else "float32"
