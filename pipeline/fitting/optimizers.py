"""The optimizers of `train.optimizer`: Keras's own, and Muon for convolutions."""

from collections.abc import Callable
from typing import Any

import keras

from pipeline.fitting.plan import weight_decay
from pipeline.params.recipe import FitTrain

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
NEWTON_SCHULZ_STEPS = 5
CONVOLUTION_RATE = 0.2


def build_optimizer(train: FitTrain, precision: str = "float32") -> keras.optimizers.Optimizer:
    """The optimizer with decoupled weight decay on kernels only; the learning rate is assigned before every step.

    precision: of the layers. Muon's iteration runs in bfloat16 if they do, else in float32, as emulated bfloat16 is slower.
    """
    decay = {"weight_decay": weight_decay(train) or None}
    makers: dict[str, Callable[[], keras.optimizers.Optimizer]] = {
        "sgd": lambda: keras.optimizers.SGD(0.0, momentum=train.momentum, nesterov=train.momentum > 0, **decay),
        "rmsprop": lambda: keras.optimizers.RMSprop(0.0, momentum=train.momentum, **decay),
        "adam": lambda: keras.optimizers.Adam(0.0, **decay),
        "adamw": lambda: keras.optimizers.AdamW(0.0, weight_decay=weight_decay(train)),
        "nadam": lambda: keras.optimizers.Nadam(0.0, **decay),
        "lion": lambda: keras.optimizers.Lion(0.0, **decay),
        "muon": lambda: Muon(0.0, in_bfloat16=precision == "bfloat16", momentum=train.momentum, nesterov=train.momentum > 0, **decay),
    }
    optimizer = makers[train.optimizer]()
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    return optimizer


class Muon(keras.optimizers.SGD):  # type: ignore[misc]  # Keras has no types
    """Momentum with orthogonalised steps for the kernels of convolutions: all directions of the filter space move equally far.

    All other variables move as with SGD. Keras's own Muon takes matrices only and leaves convolutions to Adam.
    Jordan et al., 2024. A kernel moves by 0.2 of the learning rate, so that a rate for SGD suits the rest.
    """

    def __init__(self, learning_rate: float, *, in_bfloat16: bool = False, **arguments: Any) -> None:
        super().__init__(learning_rate, **arguments)
        self._iteration_dtype = "bfloat16" if in_bfloat16 else "float32"

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move one variable."""
        if len(variable.shape) != 4:
            super().update_step(gradient, variable, learning_rate)
            return
        momentum = self.momentums[self._get_variable_index(variable)]
        self.assign(momentum, momentum * self.momentum + gradient)
        direction = gradient + momentum * self.momentum if self.nesterov else momentum
        self.assign_sub(variable, learning_rate * CONVOLUTION_RATE * orthogonalised(direction, self._iteration_dtype))


def orthogonalised(kernel: Any, dtype: str = "float32") -> Any:
    """Approximately the nearest (semi-)orthogonal matrix to a kernel (H, W, C, filters), viewed as a matrix (H W C, filters); same shape, float32.

    By five steps of a Newton-Schulz iteration, computed in `dtype`, whose singular values end between 0.7 and 1.2.
    """
    ops = keras.ops
    filters = kernel.shape[-1]
    matrix = ops.reshape(ops.cast(kernel, "float32"), (-1, filters))
    tall = matrix.shape[0] > filters
    x = ops.transpose(matrix) if tall else matrix
    x = ops.cast(x / (ops.norm(x) + 1e-7), dtype)
    a, b, c = NEWTON_SCHULZ
    for _ in range(NEWTON_SCHULZ_STEPS):
        square = ops.matmul(x, ops.transpose(x))
        x = a * x + ops.matmul(b * square + c * ops.matmul(square, square), x)
    x = ops.cast(x, "float32")
    return ops.reshape(ops.transpose(x) if tall else x, kernel.shape)
