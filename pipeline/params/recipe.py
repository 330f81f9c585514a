"""From parameters to a recipe for one network: what is `auto` by the network gets its value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.params.model import AUTO, concrete_weights

if TYPE_CHECKING:
    from pipeline.params.reader import Config


def resolved(config: Config, network: str) -> Config:
    """The parameters for `network`, one of those that `preprocess` names: `model.name` and `model.weights` are concrete. A name that is set stays."""
    name = network if config.model.name == AUTO else config.model.name
    model = config.model.model_copy(update={"name": name, "weights": concrete_weights(config.model.weights, name)})
    return config.model_copy(update={"model": model})
