"""What is fitted and how: the parameters with every `auto` replaced by the value that suits it. Numbers and words only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.params.augment import FitAugment, augmented
from pipeline.params.model import AUTO, FitModel, concrete_weights
from pipeline.params.train import Optimizer, Schedule, Train

if TYPE_CHECKING:
    from pipeline.params.reader import Config

CLASSIFIER_ALONE = 0


@dataclass(frozen=True)
class Method:
    """A network, and what of it is fitted: the last `stages` and the classifier (CLASSIFIER_ALONE: no stage), or all of it to images if None."""

    network: str
    stages: int | None

    @property
    def name(self) -> str:
        """As a part of a file's name."""
        return f"{self.network}-{'images' if self.stages is None else self.stages}"

    def __str__(self) -> str:
        if self.stages is None:
            return f"{self.network}, fitted to images"
        if self.stages == CLASSIFIER_ALONE:
            return f"a classifier on the features of {self.network}"
        return f"{self.network}, last {'stage' if self.stages == 1 else f'{self.stages} stages'} fine-tuned"


class FitTrain(Train):
    """Section `train` without `auto`, but for the learning rate and weight decay. most_images: a bound of epochs times images, 0 for none."""

    epochs: int
    min_steps: int
    batch_size: int
    optimizer: Optimizer
    schedule: Schedule
    warmup_fraction: float
    momentum: float
    label_smoothing: float
    most_images: int


@dataclass(frozen=True)
class FitConfig:
    """The parameters of a fit by one method."""

    seed: int
    augment: FitAugment
    model: FitModel
    train: FitTrain


TO_IMAGES = {
    "epochs": 7,
    "min_steps": 600,
    "batch_size": 256,
    "optimizer": "sgd",
    "schedule": "linear",
    "warmup_fraction": 0.2,
    "label_smoothing": 0.0,
    "most_images": 0,
}
COLOUR = {"epochs": 8, "min_steps": 900, "optimizer": "muon", "label_smoothing": 0.1}
"""What differs from TO_IMAGES for colour images and RESIDUAL networks: a wider network, and more and better steps for it."""
RESIDUAL = ("resnet", "se_resnet")
OF_LAST_STAGES = {
    "epochs": 10,
    "min_steps": 0,
    "batch_size": 32,
    "optimizer": "adamw",
    "schedule": "cosine",
    "warmup_fraction": 0.05,
    "label_smoothing": 0.1,
    "most_images": 10_500,
}
"""A view of an image counts as an image."""
DROPOUT = {"images": 0.0, "last_stages": 0.2}
WIDTH = {"grey": 0.5, "colour": 1.0}
MOMENTUM_OF_MUON, MOMENTUM = 0.85, 0.9

CHOSEN_BY_METHOD = tuple(TO_IMAGES)
"""The parameters whose `auto` depends on the method."""


def resolved(config: Config, method: Method, channels: int) -> FitConfig:
    """The parameters by which a method is fitted to images of so many channels."""
    whole, kind = method.stages is None, "grey" if channels == 1 else "colour"
    weights = concrete_weights(config.model.weights, method.network)
    model = config.model.model_dump() | {"name": method.network, "weights": weights}
    model["dropout"] = _or(model["dropout"], DROPOUT["images" if whole else "last_stages"])
    model["width"] = _or(model["width"], WIDTH[kind])
    if not whole:
        model["flip_average"] = config.model.flip_average and config.augment.horizontal_flip
    train = config.train.model_dump()
    usual = OF_LAST_STAGES if not whole else TO_IMAGES
    if whole and kind == "colour" and method.network in RESIDUAL:
        usual = usual | COLOUR
    train |= {name: _or(train.get(name, AUTO), value) for name, value in usual.items()}
    train["momentum"] = _or(train["momentum"], MOMENTUM_OF_MUON if train["optimizer"] == "muon" else MOMENTUM)
    if config.train.epochs != AUTO:
        train["most_images"] = 0
    if not whole:
        train["frozen_epochs"] = 0
    return FitConfig(config.seed, augmented(config.augment, channels), FitModel(**model), FitTrain(**train))


def _or(value: Any, by_default: Any) -> Any:
    return by_default if value == AUTO else value
