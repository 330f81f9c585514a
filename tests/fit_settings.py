"""Parameters and parts of networks for tests that fit: what `train` resolves for one method, and small fits."""

from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline.fitting.part import Part, WholeNetwork
from pipeline.params.model import AUTO
from pipeline.params.reader import Config, load_config
from pipeline.params.recipe import FitConfig, Method, resolved

PARAMS = Path(__file__).parent.parent / "params.yaml"
SMALL: Mapping[str, Mapping[str, object]] = {
    "train": {
        "epochs": 2,
        "min_steps": 0,
        "batch_size": 16,
        "optimizer": "sgd",
        "learning_rate": 0.8,
        "schedule": "linear",
        "warmup_fraction": 0.2,
        "label_smoothing": 0.0,
        "device": "cpu",
    },
    "model": {"name": "resnet", "width": 0.125},
}
"""A tiny fit, independent of the project's own recipe."""


def parameters(**changes: Mapping[str, object]) -> Config:
    """The project's own parameters, with changes in some sections."""
    values = load_config(PARAMS).model_dump(by_alias=True)
    for section, keys in changes.items():
        values[section] |= keys
    return Config.model_validate(values)


def small_parameters(**changes: Mapping[str, object]) -> Config:
    """The parameters of a tiny fit, with changes."""
    return parameters(**{**changes, **{section: {**keys, **changes.get(section, {})} for section, keys in SMALL.items()}})


def from_scratch(config: Config, channels: int = 1) -> FitConfig:
    """What the parameters mean for a whole network that is fitted to images of so many channels: resnet for `auto`."""
    return resolved(config, Method("resnet" if config.model.name == AUTO else config.model.name, None), channels)


def whole(shape: tuple[int, int, int], class_count: int, config: FitConfig) -> Callable[[], Part]:
    """Makes what a fit of a whole network to images (N, *shape) is about."""
    return lambda: WholeNetwork(shape, class_count, config.model, config.augment)
