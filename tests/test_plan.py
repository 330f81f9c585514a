"""Length and learning rates of a fit."""

import numpy as np
import pytest

from pipeline.fitting.plan import peak_learning_rate, plan_fit, weight_decay
from tests.test_fit import configure, default_config


@pytest.mark.parametrize(
    ("images", "batch_size", "steps_per_epoch", "epochs"),
    [(54_000, 256, 210, 7), (600, 16, 37, 17), (8_192, 256, 32, 19), (10, 10, 1, 600)],
)
def test_a_small_data_set_gets_smaller_batches_and_more_epochs(images: int, batch_size: int, steps_per_epoch: int, epochs: int) -> None:
    config = default_config(train={"epochs": 7, "min_steps": 600, "batch_size": 256, "learning_rate": 0.3})
    plan = plan_fit(images, config)

    assert (plan.batch_size, plan.steps_per_epoch, plan.epochs) == (batch_size, steps_per_epoch, epochs)
    assert plan.learning_rates(0, plan.steps).max() == pytest.approx(0.3 * batch_size / 256, rel=0.05)


@pytest.mark.parametrize(
    ("schedule", "quarter", "half"),
    [("linear", 0.7525, 0.505), ("cosine", 0.01 + 0.99 * (0.5 + 0.125**0.5), 0.505), ("constant", 1.0, 1.0)],
)
def test_the_learning_rate_rises_and_then_falls_to_a_hundredth(schedule: str, quarter: float, half: float) -> None:
    settings = {"epochs": 1, "batch_size": 16, "learning_rate": 1.6, "warmup_fraction": 0.2, "schedule": schedule}
    rates = plan_fit(16 * 1000, configure(train=settings)).learning_rates(0, 1000)

    assert rates[99] == pytest.approx(0.1 * 99.5 / 200)
    assert rates.max() == pytest.approx(0.1, rel=0.01)
    assert rates[[400, 600]] == pytest.approx([0.1 * quarter, 0.1 * half], rel=0.01)
    assert rates[-1] == pytest.approx(0.1 if schedule == "constant" else 0.001, rel=0.1)


def test_pretrained_weights_are_tuned_in_two_phases() -> None:
    train = {"epochs": 5, "frozen_epochs": 2, "fine_tune_rate": 0.1, "batch_size": 16, "learning_rate": 1.6, "warmup_fraction": 0.0}
    plan = plan_fit(1600, configure(model={"name": "MobileNetV3Small", "weights": "imagenet"}, train=train))
    rates = np.concatenate([plan.learning_rates(step, 100) for step in range(0, 500, 100)])

    assert plan.frozen_epochs == 2
    assert plan_fit(1600, configure(train=train)).frozen_epochs == 0  # without pretrained weights
    assert rates[0] == pytest.approx(0.1, rel=0.01)
    assert rates[199] < 0.002
    assert rates[200] == pytest.approx(0.01, rel=0.01)
    assert rates[499] == pytest.approx(0.0001, rel=0.2)


@pytest.mark.parametrize(
    ("optimizer", "network", "auto"),
    [
        ("sgd", "resnet", (0.3, 0.0005)),
        ("adamw", "resnet", (0.002, 0.05)),
        ("sgd", "tutorial", (0.03, 0.0005)),
        ("adamw", "tutorial", (0.002, 0.05)),
    ],
)
def test_auto_depends_on_the_optimizer_and_the_network(optimizer: str, network: str, auto: tuple[float, float]) -> None:
    by_itself, given = (
        configure(model={"name": network}, train={"optimizer": optimizer, "learning_rate": rate, "weight_decay": decay})
        for rate, decay in (("auto", "auto"), (0.2, 0.0))
    )

    assert (peak_learning_rate(by_itself), weight_decay(by_itself.train)) == pytest.approx(auto)
    assert (peak_learning_rate(given), weight_decay(given.train)) == (0.2, 0.0)
