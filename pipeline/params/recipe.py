"""What is fitted and how: the parameters with every `auto` replaced by the value that suits it. Numbers and words only."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.params.augment import FitAugment, augmented
from pipeline.params.model import APPLICATIONS, AUTO, EFFICIENTNETS_LITE, FitModel, concrete_weights, is_fitted_whole
from pipeline.params.train import Optimizer, Schedule, Train

if TYPE_CHECKING:
    from pipeline.params.reader import Config

CLASSIFIER_ALONE = 0
STAGES_BY_DEFAULT = 2


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


def methods_to_try(config: Config, networks: Sequence[str]) -> list[Method]:
    """The methods for some networks, the one that costs least first."""
    methods = [method for network in networks for method in _methods(config, network)]
    return sorted(methods, key=lambda method: (method.stages is None, method.stages or 0))


def _methods(config: Config, network: str) -> list[Method]:
    if is_fitted_whole(network, config.model.weights, config.train.fine_tune):
        return [Method(network, None)]
    if config.train.fine_tune == AUTO:
        return [Method(network, CLASSIFIER_ALONE), Method(network, STAGES_BY_DEFAULT)]
    return [Method(network, CLASSIFIER_ALONE if config.train.fine_tune == "none" else int(config.train.fine_tune))]


OF_STEPS = ("epochs", "min_steps", "batch_size", "optimizer", "learning_rate", "schedule", "warmup_fraction", "momentum", "weight_decay")
OF_BUILT_IN = ("model.width", "model.activation", "model.pooling", "model.kernel_size")
OF_WARPS = ("rotation_degrees", "shift_fraction", "shear_degrees", "zoom_fraction")
WITH_MOMENTUM = ("sgd", "rmsprop", "muon")


def unused(written: Collection[str], config: Config, method: Method, channels: int) -> list[str]:
    """Which of some parameters, by their dotted names, a fit by a method to images of so many channels does not use, in the same order."""
    whole, fitted = method.stages is None, resolved(config, method, channels)
    ignored: set[str] = set()
    if not whole:
        ignored |= {f"augment.{name}" for name in FitAugment.model_fields if name != "horizontal_flip"}
    if method.stages == CLASSIFIER_ALONE:
        ignored |= {f"train.{name}" for name in (*OF_STEPS, "label_smoothing", "early_stopping_epochs", "precision")} | {"model.dropout"}
    if whole and config.train.fine_tune not in (AUTO, "all", "none"):
        ignored.add("train.fine_tune")
    if not whole or fitted.model.weights == "none":
        ignored.add("train.frozen_epochs")
    if not fitted.train.frozen_epochs or fitted.model.weights == "none" or fitted.train.frozen_epochs >= fitted.train.epochs:
        ignored.add("train.fine_tune_rate")
    if method.network in (*EFFICIENTNETS_LITE, *APPLICATIONS):
        ignored |= set(OF_BUILT_IN)
    if fitted.train.optimizer not in WITH_MOMENTUM:
        ignored.add("train.momentum")
    if channels == 1:
        ignored |= {"augment.saturation", "augment.hue"}
    if not any(getattr(fitted.augment, name) for name in OF_WARPS):
        ignored.add("augment.fill")
    return [name for name in written if name in ignored]


def unused_notice(written: Collection[str], config: Config, methods: Sequence[Method], channels: int) -> str:
    """A sentence on parameters that were written for nothing: by which of some methods they are not used, and by which they are; empty if all are used."""
    idle = {method: unused(written, config, method, channels) for method in methods}
    by_methods: dict[tuple[Method, ...], list[str]] = {}
    for name in written:
        if without := tuple(method for method in methods if name in idle[method]):
            by_methods.setdefault(without, []).append(name)
    return " ".join(f"Not used by {_named(without)}{_but(without, methods)}: {', '.join(names)}." for without, names in by_methods.items())


def _named(methods: Sequence[Method]) -> str:
    return " nor by ".join(map(str, methods))


def _but(without: Sequence[Method], methods: Sequence[Method]) -> str:
    users = [method for method in methods if method not in without]
    return f", only by {' and '.join(map(str, users))}" if users else ""


def contradictions(config: Config) -> list[tuple[tuple[str, str], str]]:
    """What cannot be meant: (section and name, what to do) of each parameter that another one forbids."""
    name, weights, stages = config.model.name, config.model.weights, config.train.fine_tune
    lite, pretrained = EFFICIENTNETS_LITE[0], concrete_weights(weights, name) != "none" if name != AUTO else weights != "none"
    if stages in (AUTO, "all") or (pretrained and name in (AUTO, *EFFICIENTNETS_LITE)) or (stages == "none" and not pretrained):
        return []
    is_other = name not in (AUTO, *EFFICIENTNETS_LITE)
    kept, other = (f"model.name: {name}", f"model.name: {lite}") if is_other else (f"model.weights: {weights}", "model.weights: auto")
    what = "only the classifier" if stages == "none" else "only last stages"
    words = f"is {stages}: {what} can be fitted of a pretrained efficientnet_lite, not with {kept}. Set train.fine_tune: auto, or {other}."
    return [(("train", "fine_tune"), words)]


def _or(value: Any, by_default: Any) -> Any:
    return by_default if value == AUTO else value
