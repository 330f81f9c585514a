"""What a pretrained network says of images: by ONNX Runtime, or where that is not to be had by a runtime that is passed in. Arrays in, arrays out.

The same images give the same bits, however many there are, in whatever order and on however many cores: batches always have the same size (the
last one is filled up), and ONNX Runtime computes each in one thread. Threads over batches are also faster than threads inside one.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np

from pipeline.backbone.architecture import FEATURE_COUNT, FEATURES, Architecture, architecture, stage_input
from pipeline.backbone.weights import Weights, load_weights
from pipeline.errors import WeightsError

BATCH_SIZE = 8

Compute = Callable[[np.ndarray], np.ndarray]
"""From a batch of images uint8 (BATCH_SIZE, H, W, C) to an output (BATCH_SIZE, …); can be called by several threads at a time."""


class Runtime(Protocol):
    """Computes networks."""

    @property
    def name(self) -> str:
        """What it is, with its version, as a part of a file's name."""

    @property
    def threads(self) -> int:
        """By how many threads at a time its functions are best called."""

    def compile(self, network: Architecture, weights: Weights, shape: tuple[int, int, int], output: str) -> Compute:
        """A function from images of `shape` (H, W, C) to an output: FEATURES, or `stage_input` of a stage."""


class Backbone:
    """The network called `name`, for images of one shape (H, W, C), C 1 or 3. Raises WeightsError if it has no weights or nothing computes it.

    `fallback`: the runtime where ONNX Runtime cannot be imported. `runtime`: the name of the one in use; results of another may differ in the
    last bits.
    """

    def __init__(self, name: str, shape: tuple[int, int, int], fallback: Callable[[], Runtime] | None = None) -> None:
        self._network, self._shape = architecture(name), shape
        self._weights = load_weights(name)
        self._runtime = choose_runtime(fallback)
        self._compiled: dict[str, Compute] = {}

    @property
    def runtime(self) -> str:
        return self._runtime.name

    def features(self, images: np.ndarray, *, on_images: Callable[[int], None] = lambda count: None) -> np.ndarray:
        """float32 (N, FEATURE_COUNT) of images uint8 (N, H, W, C), an array or a memory map. `on_images` gets the number of images of each batch."""
        return self._run(images, FEATURES, np.empty((len(images), FEATURE_COUNT), np.float32), on_images)

    def stage_features(
        self, images: np.ndarray, stage: int, *, out: np.ndarray | None = None, on_images: Callable[[int], None] = lambda count: None
    ) -> np.ndarray:
        """float16 (N, *stage_shape): what goes into a stage, 2 to 7, for images as in `features`; written into `out` if it is given."""
        out = np.empty((len(images), *self.stage_shape(stage)), np.float16) if out is None else out
        return self._run(images, stage_input(stage), out, on_images)

    def stage_shape(self, stage: int) -> tuple[int, int, int]:
        """(H', W', C') of what goes into a stage."""
        return self._network.stage_shape(stage, *self._shape[:2])

    def _run(self, images: np.ndarray, output: str, out: np.ndarray, on_images: Callable[[int], None]) -> np.ndarray:
        if images.dtype != np.uint8 or images.shape[1:] != self._shape:
            raise ValueError(f"expected images uint8 (N, {', '.join(map(str, self._shape))}), received {images.dtype} {images.shape}")
        if output not in self._compiled:
            self._compiled[output] = self._runtime.compile(self._network, self._weights, self._shape, output)
        compute = self._compiled[output]

        def run(first: int) -> int:
            batch = images[first : first + BATCH_SIZE]
            count = len(batch)
            filled = np.concatenate([batch, np.zeros((BATCH_SIZE - count, *self._shape), np.uint8)])
            out[first : first + count] = compute(filled)[:count]
            return count

        threads = ThreadPoolExecutor(self._runtime.threads)
        try:
            for count in threads.map(run, range(0, len(images), BATCH_SIZE)):
                on_images(count)
        finally:
            threads.shutdown(cancel_futures=True)  # what is interrupted ends after the batches that have begun
        return out


def choose_runtime(fallback: Callable[[], Runtime] | None = None) -> Runtime:
    """ONNX Runtime, or else the fallback. Raises WeightsError if there is neither."""
    try:
        from pipeline.backbone.onnx_runtime import OnnxRuntime
    except ImportError as error:
        if fallback:
            return fallback()
        raise WeightsError(
            f"Pretrained networks need the packages onnx and onnxruntime, and they cannot be imported here: {error}. "
            "Run `make install`, or `pip install onnx onnxruntime`."
        ) from None
    return OnnxRuntime()
