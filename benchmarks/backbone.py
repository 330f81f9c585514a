"""Images per second of the pretrained network by ONNX Runtime, beside TensorFlow, another network of its kind, and the machine's peak, in one run.

    python benchmarks/backbone.py [--name efficientnet_lite0] [--image-size 224] [--rounds 5]

Each round measures every row once, so that other load on the machine meets all of them; the table holds medians over the rounds, of times and of
their ratios. CPU time is that of all threads: on a machine with other work, its ratio is the one to trust. Noise for images, float32. Peak: of a
product of two matrices.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from pipeline.backbone.architecture import COEFFICIENTS, FEATURE_COUNT, FEATURES, STEM_FILTERS, Architecture, architecture
from pipeline.backbone.runtime import Backbone
from pipeline.backbone.weights import load_weights
from pipeline.models.keras_backbone import KerasRuntime

IMAGES, BATCH_SIZE, PEAK_SIZE = 128, 32, 2048
TENSORFLOW = "Keras, a graph of TensorFlow"
OTHER = "MobileNetV2 of keras.applications"
PEAK = "peak"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", choices=COEFFICIENTS, default="efficientnet_lite0")
    parser.add_argument(
        "--image-size", type=int, metavar="PX", help="of the square images; by default, the size that the network was trained with"
    )
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    network = architecture(options.name)
    size_px = options.image_size or network.image_size_px
    images = np.random.default_rng(0).integers(0, 256, (IMAGES, size_px, size_px, 3), dtype=np.uint8)
    rows = measurements(network, images)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in rows}
    for compute in rows.values():
        compute()
    for _ in range(options.rounds):
        for name, compute in rows.items():
            started = time.perf_counter(), time.process_time()
            compute()
            times[name].append((time.perf_counter() - started[0], time.process_time() - started[1]))
    report(network, size_px, times)


def measurements(network: Architecture, images: np.ndarray) -> dict[str, Callable[[], object]]:
    """What is measured, by name: each goes over all images once."""
    shape = images.shape[1:]
    backbone = Backbone(network.name, shape)
    in_keras = KerasRuntime().compile(network, load_weights(network.name), shape, FEATURES)
    other = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=shape, pooling="avg")
    other_graph = tf.function(lambda batch: other(tf.cast(batch, tf.float32) / 127.5 - 1, training=False))
    matrix = np.random.default_rng(0).normal(size=(PEAK_SIZE, PEAK_SIZE)).astype(np.float32)
    difference = np.abs(backbone.features(images[:BATCH_SIZE]) - in_keras(images[:BATCH_SIZE])).max()
    print(f"largest difference of a feature: {difference:.1e}")
    return {
        backbone.runtime: lambda: backbone.features(images),
        TENSORFLOW: lambda: [in_keras(batch) for batch in batches(images)],
        OTHER: lambda: [other_graph(batch).numpy() for batch in batches(images)],
        PEAK: lambda: matrix @ matrix,
    }


def batches(images: np.ndarray) -> list[np.ndarray]:
    """The images, BATCH_SIZE at a time."""
    return [images[i : i + BATCH_SIZE] for i in range(0, len(images), BATCH_SIZE)]


def report(network: Architecture, size_px: int, times: dict[str, list[tuple[float, float]]]) -> None:
    """Print a line per row of (seconds, CPU seconds), one per round; the share of the peak where the work is known."""
    work = 2 * multiply_adds(network, size_px)
    peak = 2 * PEAK_SIZE**3 / statistics.median(seconds for seconds, _ in times.pop(PEAK))
    print(f"{network.name}, {size_px} px, {work / 1e6:,.0f} MFLOP per image; peak {peak / 1e9:,.0f} GFLOP/s")
    print(f"{'':<36} images/s  times TensorFlow  per CPU s  times TensorFlow  of the peak")
    for name, values in times.items():
        cells = []
        for own, others in zip(zip(*values, strict=True), zip(*times[TENSORFLOW], strict=True), strict=True):
            cells += [IMAGES / statistics.median(own), statistics.median(b / a for a, b in zip(own, others, strict=True))]
        share = "" if name == OTHER else f"{cells[0] * work / peak:>12.0%}"
        print(f"{name:<36} {cells[0]:>8.0f}  {cells[1]:>16.2f}  {cells[2]:>9.0f}  {cells[3]:>16.2f}  {share}")


def multiply_adds(network: Architecture, size_px: int) -> int:
    """How many multiplications the convolutions take for an image, those at its edges counted in full."""
    size_px = -(-size_px // 2)
    total = size_px**2 * 9 * 3 * STEM_FILTERS
    for block in network.blocks:
        if block.expansion > 1:
            total += size_px**2 * block.filters_in * block.filters_inside
        size_px = -(-size_px // block.strides)
        total += size_px**2 * block.filters_inside * (block.kernel**2 + block.filters_out)
    return total + size_px**2 * network.blocks[-1].filters_out * FEATURE_COUNT


if __name__ == "__main__":
    main()
