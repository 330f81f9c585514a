"""Every optimizer moves a network; Muon's step for a convolution is orthogonal."""

from typing import get_args

import keras
import numpy as np
import pytest

from pipeline.fitting.optimizers import build_optimizer, orthogonalised
from pipeline.params.train import Optimizer
from tests.test_fit import configure, fit, shapes

RATES = {"sgd": 0.4, "rmsprop": 0.02, "adam": 0.05, "adamw": 0.05, "nadam": 0.05, "lion": 0.05, "muon": 1.0}


@pytest.mark.parametrize("name", get_args(Optimizer))
def test_every_optimizer_lowers_the_loss(name: str) -> None:
    config = configure(train={"optimizer": name, "learning_rate": RATES[name], "epochs": 6}, model={"name": "tutorial"})

    history = fit(config, *shapes()).history

    assert history[-1].loss < 0.7 * history[0].loss


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("shape", [(3, 3, 8, 16), (1, 1, 32, 16), (3, 3, 1, 8)])
def test_the_direction_of_a_kernel_is_nearly_orthogonal(shape: tuple[int, ...], dtype: str) -> None:
    kernel = np.random.default_rng(0).normal(size=shape).astype(np.float32)

    matrix = np.asarray(orthogonalised(kernel, dtype)).reshape(-1, shape[-1])

    values = np.linalg.svd(matrix, compute_uv=False)
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_weight_decay_leaves_biases_and_normalisation_alone() -> None:
    optimizer = build_optimizer(configure(train={"momentum": 0.0, "weight_decay": 0.5}).train)
    variables = [keras.Variable(np.ones((2, 2), np.float32), name=name) for name in ("kernel", "bias", "gamma", "beta")]
    optimizer.build(variables)
    optimizer.learning_rate.assign(0.1)

    optimizer.apply([np.zeros((2, 2), np.float32)] * 4, variables)

    assert [float(np.asarray(variable).mean()) for variable in variables] == pytest.approx([0.95, 1.0, 1.0, 1.0])
