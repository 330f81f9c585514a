"""The one way to fit a network, for `train` and for every fold.

Arrays in, a model and its history out; no files, no MLflow. Everything random is drawn from (seed, epoch) with NumPy, so that the state of a
fit is its weights, the optimizer's variables and the number of the epoch. There is no tf.data: a thread gathers the next steps' images while
TensorFlow runs the present ones, which it does many to a call, since a call costs more than a millisecond.
"""

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from pipeline.config import Augment, Config, Train
from pipeline.errors import FitError
from pipeline.ml.augment import sample_boxes, sample_transforms
from pipeline.ml.device import Compute
from pipeline.ml.network import build_to_fit, build_to_keep, channel_standardisation
from pipeline.ml.warp import augment_images

SMALLEST_BATCH = 16
FEWEST_STEPS_PER_EPOCH = 32
BATCH_OF_LEARNING_RATE = 256
FINAL_LEARNING_RATE = 0.01
STEPS_PER_CALL = 16
BYTES_PER_CALL = 64 * 2**20
STANDARDISATION_SAMPLE = 10_000


@dataclass(frozen=True)
class Epoch:
    """One line of a history. `seconds` is for people: it differs from run to run and is no part of what is stored."""

    epoch: int
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float
    learning_rate: float
    seconds: float
    images_per_second: float


@dataclass(frozen=True)
class Fitted:
    """`model`: uint8 images (N, H, W, C) to probabilities float32 (N, K), in plain float32 Keras layers."""

    model: keras.Model
    history: list[Epoch]


@dataclass(frozen=True)
class Plan:
    """How long a fit is: `batch_size` images a step, `epochs` of `steps_per_epoch` steps, up to `peak_learning_rate`."""

    batch_size: int
    steps_per_epoch: int
    epochs: int
    peak_learning_rate: float
    warmup_fraction: float

    @property
    def steps(self) -> int:
        return self.epochs * self.steps_per_epoch

    def learning_rates(self, first_step: int, count: int) -> np.ndarray:
        """float32 (count,): a linear rise over the warm-up, then a linear fall to 1 % of the peak."""
        step = np.arange(first_step, first_step + count, dtype=np.float64) + 0.5
        warmup = self.warmup_fraction * self.steps
        rise = step / max(warmup, 1e-9)
        fall = 1 - (1 - FINAL_LEARNING_RATE) * (step - warmup) / max(self.steps - warmup, 1e-9)
        return (self.peak_learning_rate * np.minimum(rise, fall)).astype(np.float32)


def plan_fit(image_count: int, train: Train) -> Plan:
    """The length of a fit on `image_count` images: a small set gets smaller batches and more epochs."""
    batch_size = min(train.batch_size, image_count)
    while batch_size // 2 >= SMALLEST_BATCH and image_count // batch_size < FEWEST_STEPS_PER_EPOCH:
        batch_size //= 2
    steps_per_epoch = max(1, image_count // batch_size)
    epochs = max(train.epochs, math.ceil(train.min_steps / steps_per_epoch))
    return Plan(batch_size, steps_per_epoch, epochs, train.learning_rate * batch_size / BATCH_OF_LEARNING_RATE, train.warmup_fraction)


def fit_notice(label: str, plan: Plan, compute: Compute) -> str:
    """What is about to be fitted, on which device: for the person who waits."""
    return (
        f"{label}: {plan.epochs} epochs of {plan.steps_per_epoch} steps of {plan.batch_size} images, "
        f"on {compute.device} in {compute.precision}"
    )


def prepare(seed: int) -> None:
    """Seed everything that TensorFlow and Keras draw from, and let the same inputs give the same bits."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


class Fitter:
    """Fits one architecture, as often as asked, each time as if it were the first: the graph is traced once, all variables are set back.

    shape: (H, W, C) of the images. Building it sets TensorFlow's seeds and its switch for deterministic operations.
    """

    def __init__(self, shape: tuple[int, int, int], class_count: int, config: Config, compute: Compute) -> None:
        prepare(config.seed)
        self._config = config
        self._network = build_to_fit(shape, class_count, config.model, compute.dtype_policy)
        self._trainer = _Trainer(self._network, config, compute)

    def fit(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        held_out: np.ndarray,
        *,
        on_epoch: Callable[[Epoch], None],
        on_steps: Callable[[int], None] = lambda count: None,
        watch: bool = True,
    ) -> Fitted:
        """A model fitted to the images that are not held out, and its history.

        images: uint8 (N, H, W, C), an array or a memory map. labels: int32 (N,), from 0. held_out: bool (N,).
        `on_epoch` is told each epoch, `on_steps` how many steps were done since it was last called. With `watch` the held-out images are
        scored after every epoch, else not at all. Raises FitError where the loss is no longer finite or memory runs out.
        """
        rows, watched = np.flatnonzero(~held_out), np.flatnonzero(held_out)
        plan = plan_fit(len(rows), self._config.train)
        scale, offset = channel_standardisation(images[rows[:: max(1, len(rows) // STANDARDISATION_SAMPLE)]])
        self._trainer.reset(scale, offset)
        history: list[Epoch] = []
        for epoch in range(plan.epochs):
            started = time.monotonic()
            sums = np.zeros(2)
            first_step = epoch * plan.steps_per_epoch
            for batches in _gather_ahead(images, labels, rows, plan, epoch, self._config):
                sums += self._trainer.train(batches, plan, first_step)
                first_step += len(batches[0])
                on_steps(len(batches[0]))
            seconds = time.monotonic() - started
            validation = self._trainer.score(images, labels, watched) if watch and len(watched) else (math.nan, math.nan)
            history.append(_describe_epoch(epoch, plan, sums, validation, seconds))
            on_epoch(history[-1])
        return Fitted(build_to_keep(self._network, self._config.model, scale, offset), history)


def _describe_epoch(epoch: int, plan: Plan, sums: np.ndarray, validation: tuple[float, float], seconds: float) -> Epoch:
    image_count = plan.steps_per_epoch * plan.batch_size
    rate = float(plan.learning_rates((epoch + 1) * plan.steps_per_epoch - 1, 1)[0])
    loss, accuracy = (float(total / image_count) for total in sums)
    return Epoch(epoch + 1, loss, accuracy, *validation, rate, seconds, image_count / seconds)


class _Trainer:
    """A network, its optimizer and the graph functions that run many steps at a time."""

    def __init__(self, network: keras.Model, config: Config, compute: Compute) -> None:
        self.network = network
        self.optimizer = _optimizer(network, config.train, compute)
        self._augment = config.augment
        self._smoothing = config.train.label_smoothing
        self._class_count = network.output_shape[-1]
        self._variables = [*network.variables, *self.optimizer.variables]
        self._initial = [variable.numpy() for variable in self._variables]
        self._scale, self._offset = (tf.Variable(tf.zeros(network.input_shape[-1]), trainable=False) for _ in range(2))
        self._run_steps, self._score_batch = self._compile(network.input_shape[1:])

    def reset(self, scale: list[float], offset: list[float]) -> None:
        """Set everything back to what it was when built, and standardise images by `scale` and `offset` from now on."""
        for variable, value in zip(self._variables, self._initial, strict=True):
            variable.assign(value)
        self._scale.assign(scale)
        self._offset.assign(offset)

    def train(self, batches: tuple[np.ndarray, ...], plan: Plan, first_step: int) -> np.ndarray:
        """The sums of loss and of hits over some steps. Raises FitError."""
        rates = plan.learning_rates(first_step, len(batches[0]))
        try:
            sums: np.ndarray = self._run_steps(*batches, rates).numpy()
        except tf.errors.ResourceExhaustedError:
            raise FitError(f"Out of memory with train.batch_size {plan.batch_size}. Try {max(1, plan.batch_size // 2)}.") from None
        if not np.isfinite(sums[0]):
            epoch = first_step // plan.steps_per_epoch + 1
            raise FitError(
                f"The loss is no longer finite in epoch {epoch}, steps {first_step + 1} to {first_step + len(rates)}, "
                f"learning rate {rates[-1]:.4g}. Lower train.learning_rate."
            )
        return sums

    def score(self, images: np.ndarray, labels: np.ndarray, rows: np.ndarray, batch_size: int = 1000) -> tuple[float, float]:
        """(mean cross-entropy, accuracy) of the network on some rows of images, without augmentation."""
        sums = np.zeros(2)
        for i in range(0, len(rows), batch_size):
            batch = rows[i : i + batch_size]
            sums += self._score_batch(images[batch], labels[batch]).numpy()
        return float(sums[0] / len(rows)), float(sums[1] / len(rows))

    def _compile(self, shape: tuple[int, ...]) -> tuple[Callable[..., tf.Tensor], ...]:
        """The graph functions, each traced once: how many steps, and images in a step, is left open."""
        steps = tf.function(
            self._steps,
            input_signature=[
                tf.TensorSpec((None, None, *shape), tf.uint8),
                tf.TensorSpec((None, None), tf.int32),
                tf.TensorSpec((None, None, 8), tf.float32),
                tf.TensorSpec((None, None, 4), tf.int32),
                tf.TensorSpec((None,), tf.float32),
            ],
        )
        score = tf.function(self._score, input_signature=[tf.TensorSpec((None, *shape), tf.uint8), tf.TensorSpec((None,), tf.int32)])
        return steps, score

    def _steps(self, images: tf.Tensor, labels: tf.Tensor, transforms: tf.Tensor, boxes: tf.Tensor, rates: tf.Tensor) -> tf.Tensor:
        """float32 (2,), the sums of loss and of hits over steps of images uint8 (S, B, H, W, C) with labels int32 (S, B)."""
        sums = tf.zeros(2)
        variables = self.network.trainable_variables
        for i in tf.range(tf.shape(images)[0]):
            x = augment_images(images[i], transforms[i], boxes[i], self._scale, self._offset, self._augment)
            self.optimizer.learning_rate.assign(rates[i])
            with tf.GradientTape() as tape:
                logits = tf.cast(self.network(x, training=True), tf.float32)
                losses = self._losses(labels[i], logits)
                scaled = self.optimizer.scale_loss(tf.reduce_mean(losses))
            self.optimizer.apply(tape.gradient(scaled, variables), variables)
            sums += tf.stack([tf.reduce_sum(losses), _hits(labels[i], logits)])
        return sums

    def _losses(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        targets = tf.one_hot(labels, self._class_count, 1 - self._smoothing, 0.0) + self._smoothing / self._class_count
        return tf.nn.softmax_cross_entropy_with_logits(targets, logits)

    def _score(self, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        logits = tf.cast(self.network(tf.cast(images, tf.float32) * self._scale + self._offset, training=False), tf.float32)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        return tf.stack([tf.reduce_sum(losses), _hits(labels, logits)])


def _gather_ahead(
    images: np.ndarray, labels: np.ndarray, rows: np.ndarray, plan: Plan, epoch: int, config: Config
) -> Iterator[tuple[np.ndarray, ...]]:
    """The steps of an epoch, several at a time, gathered by a thread while the ones before are run."""
    order = np.random.default_rng([config.seed, epoch, 0]).permutation(rows)[: plan.steps_per_epoch * plan.batch_size]
    order = order.reshape(plan.steps_per_epoch, plan.batch_size)
    per_call = max(1, min(STEPS_PER_CALL, BYTES_PER_CALL // max(1, plan.batch_size * images[0].nbytes)))
    chunks = [(i, order[i : i + per_call]) for i in range(0, len(order), per_call)]

    def gather(first: int, chunk: np.ndarray) -> tuple[np.ndarray, ...]:
        rng = np.random.default_rng([config.seed, epoch, 1, first])
        return images[chunk], labels[chunk], *_draw_augmentation(config.augment, chunk.shape, images.shape[1:3], rng)

    with ThreadPoolExecutor(1) as thread:
        ahead = thread.submit(gather, *chunks[0])
        for i in range(len(chunks)):
            batches = ahead.result()
            if i + 1 < len(chunks):
                ahead = thread.submit(gather, *chunks[i + 1])
            yield batches


def _draw_augmentation(augment: Augment, steps: tuple[int, ...], size: tuple[int, ...], rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Transforms float32 (S, B, 8) and boxes int32 (S, B, 4) for images of `size` (height, width)."""
    count = math.prod(steps)
    transforms = sample_transforms(augment, count, size[0], size[1], rng)
    boxes = sample_boxes(augment, count, size[0], size[1], rng)
    return transforms.reshape(*steps, 8), boxes.reshape(*steps, 4)


def _optimizer(network: keras.Model, train: Train, compute: Compute) -> keras.optimizers.Optimizer:
    """Stochastic gradient descent with Nesterov momentum; weight decay on kernels only."""
    optimizer = keras.optimizers.SGD(0.0, momentum=train.momentum, nesterov=train.momentum > 0, weight_decay=train.weight_decay or None)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    if compute.precision == "float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(network.trainable_variables)
    return optimizer


def _hits(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.cast(tf.equal(tf.argmax(logits, axis=-1, output_type=labels.dtype), labels), tf.float32))
