"""A model at work: `load` one, then `predict`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.serving.classifier import Classifier, Prediction, load

__all__ = ["Classifier", "Prediction", "load"]


def __getattr__(name: str) -> Any:
    """What this room offers, imported when it is asked for: the registered model, which is below, needs nothing of it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pipeline.serving import classifier

    return getattr(classifier, name)
