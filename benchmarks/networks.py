"""What each network costs: parameters, and the time of a training step relative to the default network's.

    python benchmarks/networks.py [NAME ...]

Sections `model` and `train.precision` of params.yaml hold, with `model.name` replaced; noise for images, ten classes, a batch of 128; the median
of the timed steps. Networks of keras.applications without pretrained weights.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from pipeline.fitting.device import choose_compute
from pipeline.models.network import build_to_fit
from pipeline.params.model import model_names
from pipeline.params.reader import load_config
from pipeline.params.recipe import Method, resolved

SHAPES = ((28, 28, 1), (64, 64, 3))
STEPS = 7
BATCH_SIZE = 128


def main() -> None:
    """Print a line per network."""
    config = load_config(Path("params.yaml"))
    policy = choose_compute(config.train.device, config.train.precision).dtype_policy
    reference: dict[tuple[int, int, int], float] = {}
    for name in ["resnet", *(sys.argv[1:] or [name for name in model_names() if name != "resnet"])]:
        cells = []
        for shape in SHAPES:
            network = build_to_fit(shape, 10, resolved(config, Method(name, None), shape[-1]).model, policy)
            seconds = _time_step(_step(network), shape)
            cells.append(f"{network.count_params():>11,} {seconds / reference.setdefault(shape, seconds):>6.2f}")
        print(f"{name:<18}", *cells, flush=True)


def _step(network: keras.Model) -> Callable[..., None]:
    optimizer = keras.optimizers.SGD(0.001, momentum=0.9, nesterov=True)
    optimizer.build(network.trainable_variables)

    @tf.function
    def step(images: tf.Tensor, labels: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, tf.cast(network(images, training=True), tf.float32))
            loss = tf.reduce_mean(losses)
        optimizer.apply(tape.gradient(loss, network.trainable_variables), network.trainable_variables)

    return step


def _time_step(step: Callable[..., None], shape: tuple[int, int, int]) -> float:
    rng = np.random.default_rng(0)
    images = tf.constant(rng.normal(size=(BATCH_SIZE, *shape)), tf.float32)
    labels = tf.constant(rng.integers(0, 10, BATCH_SIZE), tf.int32)
    seconds = []
    for _ in range(STEPS + 2):
        started = time.perf_counter()
        step(images, labels)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[2:])


if __name__ == "__main__":
    main()
