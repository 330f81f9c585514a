"""A model at work: `load` one, then `predict`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.serving.answering import Prediction
    from pipeline.serving.classifier import Classifier, load

__all__ = ["Classifier", "Prediction", "load"]


def __getattr__(name: str) -> Any:
    """What this room offers, imported when it is asked for: the registered model, which is below, needs nothing of it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pipeline.serving import answering, classifier

    return getattr(answering if name == "Prediction" else classifier, name)
