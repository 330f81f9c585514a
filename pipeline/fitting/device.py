"""The device and precision of a fit. Asks TensorFlow for GPUs, and the CPU for its instructions."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.client import device_lib  # TensorFlow's only way to ask for a GPU's memory
from tensorflow.python.eager import context

from pipeline.errors import DeviceError
from pipeline.params.train import Device, Precision

BFLOAT16_INSTRUCTIONS = {"avx512_bf16", "amx_bf16", "bf16"}
SHARE_FOR_IMAGES = 0.25
TOWERS = 2


@dataclass(frozen=True)
class Compute:
    """`device`: its name, for people. `precision`: of the layers, float32, bfloat16 or float16.

    `replicas`: TensorFlow's names of the devices that share each step, if there are several. `memory_bytes`: of one device, if it has its own
    memory: what was free at the start, so it is no part of what identifies the processors. `towers`: number of parts of a batch that are processed
    in parallel.
    """

    device: str
    precision: str
    replicas: tuple[str, ...] = ()
    memory_bytes: int = field(default=0, repr=False)
    towers: int = 1

    @property
    def dtype_policy(self) -> str:
        """Keras's name for the precision; variables stay float32."""
        return "float32" if self.precision == "float32" else f"mixed_{self.precision}"

    def strategy(self) -> tf.distribute.Strategy:
        """Mirrors variables on the replicas and sums their gradients; on one device it does nothing.

        Sums are computed on the first replica: TensorFlow's collective operations mix up the gradients of several variables in a loop over steps.
        """
        if not self.replicas:
            return tf.distribute.get_strategy()
        return tf.distribute.MirroredStrategy(list(self.replicas), tf.distribute.ReductionToOneDevice())

    def holds(self, images: np.ndarray) -> bool:
        """Whether all images fit on the device for the whole fit, with room for the fit itself."""
        return not self.replicas and images.nbytes <= self.memory_bytes * SHARE_FOR_IMAGES


def choose_compute(device: Device, precision: Precision, share: tuple[int, int] = (0, 1)) -> Compute:
    """The device and precision to fit with; for `cpu`, GPUs are hidden from TensorFlow.

    share: (i, n) for the i-th of n processes that run at a time on this machine: it gets an n-th of the cores, and one GPU. Must be called before
    TensorFlow is used. Raises DeviceError for `gpu` if TensorFlow sees none, and for a GPU that cannot be used.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if device == "gpu" and not gpus:
        raise DeviceError(
            "train.device is gpu, but TensorFlow sees no GPU. Install with `make run EXTRA=gpu` and check `nvidia-smi`, or set train.device: auto."
        )
    if share[1] > 1:
        gpus = [gpus[share[0] % len(gpus)]] if gpus else []
    if device == "cpu" or not gpus:
        tf.config.set_visible_devices([], "GPU")
        cores = max(1, (os.cpu_count() or 1) // share[1])
        towers = min(TOWERS, cores)
        _use_threads(cores // towers, towers)
        return Compute("CPU", _cpu_precision() if precision == "auto" else precision, towers=towers)
    tf.config.set_visible_devices(gpus, "GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    return describe_gpus([tf.config.experimental.get_device_details(gpu) for gpu in gpus], _gpu_memory_bytes(), precision)


def describe_gpus(details: Sequence[Mapping[str, Any]], memory_bytes: int, precision: Precision) -> Compute:
    """The compute of the GPUs that TensorFlow describes: they share each step, in a precision that all of them support."""
    name = str(details[0].get("device_name", "GPU"))
    capability = min(each.get("compute_capability", (0, 0)) for each in details)
    chosen = gpu_precision(capability) if precision == "auto" else precision
    if len(details) == 1:
        return Compute(f"GPU {name}", chosen, memory_bytes=memory_bytes)
    return Compute(f"{len(details)} GPUs {name}", chosen, tuple(f"GPU:{i}" for i in range(len(details))), memory_bytes)


def gpu_precision(compute_capability: tuple[int, int]) -> str:
    """bfloat16 from compute capability 8, float16 on 7, which needs loss scaling, else float32."""
    major = compute_capability[0]
    if major >= 8:
        return "bfloat16"
    return "float16" if major == 7 else "float32"


def _use_threads(per_operation: int, operations: int) -> None:
    """Set how many threads share an operation and how many operations run at a time; has no effect once TensorFlow has started."""
    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(per_operation)
        tf.config.threading.set_inter_op_parallelism_threads(operations)


def _gpu_memory_bytes() -> int:
    """Memory that TensorFlow may use of the smallest visible GPU. Listing the devices opens them: without TensorFlow's options it takes all memory."""
    try:
        devices = device_lib.list_local_devices(context.context().config)
    except (RuntimeError, tf.errors.OpError) as error:
        raise DeviceError(
            f"TensorFlow cannot use the GPU: {str(error).splitlines()[0].rstrip('.')}. See `nvidia-smi` for processes that use its memory, "
            "or set train.device: cpu."
        ) from None
    return min((device.memory_limit for device in devices if device.device_type == "GPU"), default=0)


def _cpu_precision() -> str:
    """bfloat16 if the processor multiplies it in hardware: otherwise it is emulated, and slow."""
    try:
        flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    except OSError:
        return "float32"
    return "bfloat16" if flags & BFLOAT16_INSTRUCTIONS else "float32"
