"""Layers, and the building blocks of networks. Knows nothing of files, MLflow or a particular architecture.

A network has two forms: one to train, with the fused batch normalisation below, in mixed precision; and one to save, in float32 with Keras's
own layers, so that `model.keras` opens wherever Keras is installed.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from pipeline.params.model import FitModel

LARGE_IMAGE_PX = 40
MOMENTUM = 0.9
DROPOUT_SEED = 1
FEATURES = "features"
"""Name of the last layer of the part of a network that can have pretrained weights: the new classifier follows."""
LOGITS = "logits"
"""Name of the last layer, the linear classifier."""
RISING_ACTIVATIONS = {"relu", "leaky_relu", "elu", "selu", "softplus", "tanh", "sigmoid"}

BatchNormalization = Callable[..., keras.layers.Layer]
"""Makes a batch normalisation layer: `(momentum, epsilon, name) -> layer`."""


class FusedBatchNormalization(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Batch normalisation over (N, H, W, C) by TensorFlow's fused kernel, statistics in float32.

    Same variables and result as keras.layers.BatchNormalization, which is made of separate operations: a training step of a small network
    takes 1.4 times as long with it. Ioffe and Szegedy, 2015.
    """

    def __init__(self, momentum: float, epsilon: float, name: str) -> None:
        super().__init__(name=name)
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create gamma, beta and the moving statistics, each float32 (C,)."""

        def weight(name: str, initializer: str, trainable: bool) -> keras.Variable:
            return self.add_weight(
                shape=(input_shape[-1],), initializer=initializer, name=name, trainable=trainable, dtype="float32", autocast=False
            )

        self.gamma = weight("gamma", "ones", True)
        self.beta = weight("beta", "zeros", True)
        self.moving_mean = weight("moving_mean", "zeros", False)
        self.moving_variance = weight("moving_variance", "ones", False)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Inputs normalised by the batch's statistics during training, else by the moving ones."""
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=self.gamma.value,
            offset=self.beta.value,
            mean=[] if training else self.moving_mean.value,
            variance=[] if training else self.moving_variance.value,
            epsilon=self.epsilon,
            is_training=training,
        )
        if training:
            self.moving_mean.assign(self.moving_mean.value * self.momentum + mean * (1 - self.momentum))
            self.moving_variance.assign(self.moving_variance.value * self.momentum + variance * (1 - self.momentum))
        return outputs


class FrozenBatchNormalization(FusedBatchNormalization):
    """Batch normalisation by the moving statistics, which do not change, during training too: for fine-tuning on few images.

    Where there are GPUs, the gradient is written out: TensorFlow's own has no deterministic kernel for them. On CPUs that would take 1.1 to 1.7 times
    as long. Inputs are float32.
    """

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Inputs normalised by the moving statistics."""
        if not _has_gpu():
            return super().call(inputs, training=False)
        weights = (self.gamma, self.beta, self.moving_mean, self.moving_variance)
        return _normalize_by(inputs, *(tf.convert_to_tensor(weight.value) for weight in weights), epsilon=self.epsilon)


def _has_gpu() -> bool:
    """Whether TensorFlow sees a GPU that is not hidden from it."""
    return bool(tf.config.get_visible_devices("GPU"))


def _normalize_by(inputs: Any, gamma: Any, beta: Any, mean: Any, variance: Any, *, epsilon: float) -> Any:
    """Inputs float32 (N, H, W, C) normalised by these statistics, (C,), with gradients for inputs, gamma and beta."""

    @tf.custom_gradient  # type: ignore[untyped-decorator]  # TensorFlow has no types
    def normalized(x: Any, gamma: Any, beta: Any) -> tuple[Any, Callable[[Any], tuple[Any, Any, Any]]]:
        def gradient(upstream: Any) -> tuple[Any, Any, Any]:
            inverse = tf.math.rsqrt(variance + epsilon)
            of_gamma = tf.reduce_sum(upstream * (x - mean), axis=(0, 1, 2)) * inverse
            return upstream * (gamma * inverse), of_gamma, tf.reduce_sum(upstream, axis=(0, 1, 2))

        outputs, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x, scale=gamma, offset=beta, mean=mean, variance=variance, epsilon=epsilon, is_training=False
        )
        return outputs, gradient

    return normalized(inputs, gamma, beta)


class PointwiseConvolution(keras.layers.Conv2D):  # type: ignore[misc]  # Keras has no types
    """A 1 x 1 convolution that multiplies in bfloat16 during training, and in float32 otherwise; inputs and outputs are float32.

    For processors with instructions for it. Depthwise convolutions are slower in bfloat16, so a policy for the whole network would cost time.
    """

    def call(self, inputs: Any, training: bool = False) -> Any:
        """The convolution of (N, H, W, C)."""
        if not training:
            return super().call(inputs)
        products = tf.nn.conv2d(tf.cast(inputs, tf.bfloat16), tf.cast(self.kernel.value, tf.bfloat16), self.strides, self.padding.upper())
        return tf.cast(products, tf.float32)


class Parts:
    """Building blocks of the project's own networks, according to the options in section `model`."""

    def __init__(self, options: FitModel, batch_normalization: BatchNormalization) -> None:
        self._options = options
        self._batch_normalization = batch_normalization

    def filters(self, base: int) -> int:
        """`base` times `model.width`, rounded to a multiple of 8 (of 4 below 8): sizes that suit vector units."""
        step = 8 if base * self._options.width >= 8 else 4
        return max(step, round(base * self._options.width / step) * step)

    def stem(self, images: Any, filters: int) -> Any:
        """The first convolution: (N, H, W, C) to (N, H, W, filters), at half the resolution for images of more than 40 px."""
        return self.convolve(images, filters, "stem", strides=2 if max(images.shape[1:3]) > LARGE_IMAGE_PX else 1)

    def convolve(self, x: Any, filters: int, name: str, *, kernel: int | None = None, strides: int = 1) -> Any:
        """Convolution, batch normalisation, activation: (N, H, W, C) to (N, H / strides, W / strides, filters)."""
        return self.activate(self.project(x, filters, name, kernel=kernel, strides=strides), name)

    def convolve_and_pool(self, x: Any, filters: int, name: str) -> Any:
        """Convolution, batch normalisation, activation, pooling: (N, H, W, C) to (N, H / 2, W / 2, filters)."""
        return self.activate_and_pool(self.project(x, filters, name), name)

    def activate_and_pool(self, x: Any, name: str) -> Any:
        """Activation, then pooling: (N, H, W, C) to (N, H / 2, W / 2, C).

        If the activation is monotonic, max pooling comes first: the same result with a quarter of the work.
        """
        if self._options.pooling == "max" and self._options.activation in RISING_ACTIVATIONS:
            return self.activate(self.pool(x, f"{name}_pool"), name)
        return self.pool(self.activate(x, name), f"{name}_pool")

    def project(self, x: Any, filters: int, name: str, *, kernel: int | None = None, strides: int = 1) -> Any:
        """Convolution and batch normalisation, without activation."""
        return self.normalize(self.convolve_alone(x, filters, name, kernel=kernel, strides=strides), name)

    def convolve_alone(self, x: Any, filters: int, name: str, *, kernel: int | None = None, strides: int = 1) -> Any:
        """Convolution without bias, `model.kernel_size` wide unless `kernel` is given."""
        kernel = kernel or self._options.kernel_size
        return keras.layers.Conv2D(
            filters, kernel, strides=strides, padding="same", use_bias=False, kernel_initializer="he_normal", name=f"{name}_convolution"
        )(x)

    def normalize(self, x: Any, name: str) -> Any:
        """Batch normalisation."""
        return self._batch_normalization(momentum=MOMENTUM, epsilon=1e-3, name=f"{name}_normalization")(x)

    def activate(self, x: Any, name: str) -> Any:
        """`model.activation` of every value."""
        activation = self._options.activation
        if activation == "relu":
            return keras.layers.ReLU(name=f"{name}_relu")(x)
        return keras.layers.Activation(activation, name=f"{name}_{activation}")(x)

    def pool(self, x: Any, name: str, *, size: int = 2, strides: int = 2) -> Any:
        """The maximum or mean of each square, according to `model.pooling`: (N, H, W, C) to (N, H / strides, W / strides, C)."""
        layer = keras.layers.MaxPooling2D if self._options.pooling == "max" else keras.layers.AveragePooling2D
        return layer(size, strides=strides, padding="same", name=name)(x)

    def classify(self, x: Any, class_count: int) -> Any:
        """Global pooling, dropout, a linear classifier: (N, H, W, C) to logits (N, class_count)."""
        layer = keras.layers.GlobalMaxPooling2D if self._options.pooling == "max" else keras.layers.GlobalAveragePooling2D
        return linear_classifier(layer(name="global_pool")(x), class_count, self._options.dropout)


def copy_network(network: keras.Model, make: Callable[[keras.layers.Layer], keras.layers.Layer], *, renumber: bool = False) -> keras.Model:
    """The same network with the same weights, with each layer replaced by `make(layer)`.

    Nested networks are flattened. With `renumber`, names that Keras numbered by what was built before in this process are numbered from 1.
    """
    copies: dict[int, keras.layers.Layer] = {}
    counts: Counter[str] = Counter()

    def copy(operation: Any) -> Any:
        if isinstance(operation, keras.layers.Layer):
            result = copies[id(operation)] = make(operation)
        else:
            result = type(operation).from_config(operation.get_config())
        kind = type(operation).__name__.lower()
        counts[kind] += 1
        numbered = renumber and operation.name.rstrip("0123456789").replace("_", "") == kind
        result.name = f"{kind}_number{counts[kind]}" if numbered else operation.name
        return result

    def call(operation: Any, *inputs: Any, **arguments: Any) -> Any:
        arguments = {name: value for name, value in arguments.items() if name != "training" and value is not None}
        if not isinstance(operation, keras.Sequential):
            return operation(*inputs, **arguments)
        (x,) = inputs
        for layer in operation.layers:
            x = layer(x)
        return x

    result = keras.models.clone_model(network, clone_function=copy, call_function=call)
    for layer in network.layers:
        if layer.weights:
            copies[id(layer)].set_weights(layer.get_weights())
        if isinstance(layer, keras.layers.Normalization):
            copies[id(layer)].finalize_state()  # recomputes the values it normalises with
    return result


def linear_classifier(features: Any, class_count: int, dropout: float) -> Any:
    """Logits (N, class_count) of features (N, F), with dropout during training."""
    if dropout:
        features = keras.layers.Dropout(dropout, seed=DROPOUT_SEED, name="dropout")(features)
    return keras.layers.Dense(class_count, name=LOGITS)(features)


def stage_count(shape: tuple[int, int, int]) -> int:
    """How often images of `shape` (H, W, C) are halved after the stem, until at most 8 px are left; at least twice."""
    side_px = max(shape[:2])
    if side_px > LARGE_IMAGE_PX:
        side_px //= 2
    count = 0
    while side_px > 8 or count < 2:
        side_px = (side_px + 1) // 2
        count += 1
    return count
