"""Which methods are tried, cheapest first, and which is taken: the first of the most accurate on the validation images."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from pipeline.dataset.arrays import write_array
from pipeline.features.embeddings import EMBEDDINGS
from pipeline.files import read_json, write_json
from pipeline.fitting.choice import (
    FEWEST_TO_COMPARE,
    NOTHING_TO_GAIN,
    ON_VALIDATION,
    Choice,
    Tried,
    best,
    reason,
    worth_comparing,
)
from pipeline.fitting.head import STRENGTHS
from pipeline.params.recipe import CLASSIFIER_ALONE, Method, methods_to_try
from pipeline.paths import Paths
from pipeline.stages import train
from tests.fakes import FakeRun, FakeTracker
from tests.fit_settings import parameters
from tests.test_train import COUNT, make_workspace

LITE = "efficientnet_lite0"
CLASSIFIER, ONE_STAGE, TWO_STAGES, ALL_OF_LITE = Method(LITE, CLASSIFIER_ALONE), Method(LITE, 1), Method(LITE, 2), Method(LITE, None)
RESNET = Method("resnet", None)


@pytest.mark.parametrize(
    ("networks", "fine_tune", "expected"),
    [
        ([LITE], "auto", [CLASSIFIER, TWO_STAGES]),
        ([LITE], "none", [CLASSIFIER]),
        ([LITE], 1, [ONE_STAGE]),
        ([LITE], 2, [TWO_STAGES]),
        ([LITE], "all", [ALL_OF_LITE]),
        (["resnet", LITE], "auto", [CLASSIFIER, TWO_STAGES, RESNET]),  # small images
        ([LITE, "resnet"], "auto", [CLASSIFIER, TWO_STAGES, RESNET]),  # grey images
        ([LITE, "resnet"], "none", [CLASSIFIER, RESNET]),
        ([LITE, "resnet"], "all", [ALL_OF_LITE, RESNET]),
        (["resnet"], "auto", [RESNET]),
        (["resnet"], 1, [RESNET]),
        (["MobileNetV2"], "auto", [Method("MobileNetV2", None)]),
    ],
)
def test_the_methods_depend_on_networks_and_fine_tuning_and_the_cheapest_comes_first(
    networks: list[str], fine_tune: str | int, expected: list[Method]
) -> None:
    assert methods_to_try(parameters(train={"fine_tune": fine_tune}), networks) == expected


@pytest.mark.parametrize(
    ("methods", "few"),
    [
        ([CLASSIFIER, TWO_STAGES, RESNET], [CLASSIFIER, TWO_STAGES]),
        ([CLASSIFIER, RESNET], [CLASSIFIER]),
        ([TWO_STAGES, RESNET], [TWO_STAGES]),
        ([RESNET, ALL_OF_LITE], [ALL_OF_LITE]),
        ([RESNET], [RESNET]),
    ],
)
def test_with_few_validation_images_only_what_starts_from_pretrained_weights_is_tried(methods: list[Method], few: list[Method]) -> None:
    assert worth_comparing(methods, FEWEST_TO_COMPARE - 1) == few
    assert worth_comparing(methods, FEWEST_TO_COMPARE) == methods


@pytest.mark.parametrize(
    ("name", "weights", "expected"),
    [
        (LITE, "none", [ALL_OF_LITE]),
        (LITE, "imagenet", [CLASSIFIER, TWO_STAGES]),
        ("MobileNetV2", "imagenet", [Method("MobileNetV2", None)]),
    ],
)
def test_a_network_that_was_asked_for_is_fitted_by_what_its_weights_allow(name: str, weights: str, expected: list[Method]) -> None:
    assert methods_to_try(parameters(model={"name": name, "weights": weights}), [name]) == expected


def tried(*accuracies: float) -> list[Tried]:
    return [Tried(method, accuracy) for method, accuracy in zip((CLASSIFIER, TWO_STAGES, RESNET), accuracies, strict=False)]


@pytest.mark.parametrize(
    ("accuracies", "expected"),
    [
        ((0.8, 0.9, 0.7), TWO_STAGES),
        ((0.8, 0.7, 0.9), RESNET),
        ((0.8, 0.8, 0.8), CLASSIFIER),
        ((0.7, 0.8, 0.8), TWO_STAGES),
        ((0.8,), CLASSIFIER),
        ((math.nan,), CLASSIFIER),
    ],
)
def test_the_most_accurate_is_taken_and_of_equals_the_first(accuracies: tuple[float, ...], expected: Method) -> None:
    assert best(tried(*accuracies)) == expected


@pytest.mark.parametrize(
    ("found", "methods", "validation_count", "expected"),
    [
        (tried(0.75), [CLASSIFIER], 100, "colour images"),
        (
            tried(0.75, 0.875),
            [CLASSIFIER, TWO_STAGES],
            104,
            "colour images; accuracy on the validation images: 0.7500 a classifier on the features of efficientnet_lite0; "
            "0.8750 efficientnet_lite0, last 2 stages fine-tuned; best by 13 of 104 images",
        ),
        (
            tried(0.75, 0.75),
            [CLASSIFIER, TWO_STAGES],
            100,
            "colour images; accuracy on the validation images: 0.7500 a classifier on the features of efficientnet_lite0; "
            "0.7500 efficientnet_lite0, last 2 stages fine-tuned; equal on 100 images: the first was taken",
        ),
        (
            tried(0.995),
            [CLASSIFIER, RESNET],
            100,
            "colour images; accuracy on the validation images: 0.9950 a classifier on the features of efficientnet_lite0; "
            "little left to gain by resnet, fitted to images, not tried",
        ),
        (
            tried(0.75),
            [CLASSIFIER, RESNET],
            14,
            "colour images; too few images to try resnet, fitted to images (14 < 50 validation images)",
        ),
    ],
)
def test_the_reason_says_what_was_compared_and_what_was_not_tried(
    found: list[Tried], methods: list[Method], validation_count: int, expected: str
) -> None:
    assert reason("colour images", found, methods, validation_count, ON_VALIDATION, validation_count) == expected


@pytest.mark.parametrize("accuracies", [(0.75,), (0.75, 0.875), (0.5, 0.5, 0.625), (math.nan,)])
def test_a_choice_is_read_as_it_was_written(accuracies: tuple[float, ...]) -> None:
    choice = Choice(TWO_STAGES, 3.0, "colour images", tuple(tried(*accuracies)))

    written = json.loads(json.dumps(choice.described(), allow_nan=False))

    assert Choice.read(written) == Choice(choice.method, choice.strength, choice.reason)
    assert written["tried"] == [
        {"network": each.method.network, "stages": each.method.stages, "accuracy": None if math.isnan(accuracy) else accuracy}
        for each, accuracy in zip(choice.tried, accuracies, strict=True)
    ]


def test_the_name_of_a_method_is_a_part_of_a_files_name() -> None:
    assert [method.name for method in (CLASSIFIER, TWO_STAGES, RESNET)] == ["efficientnet_lite0-0", "efficientnet_lite0-2", "resnet-images"]


def run_train(root: Path, embeddings: np.ndarray, shown: int) -> tuple[Paths, FakeRun]:
    """`train` with a classifier on these features and a network from scratch, which learns the two classes in an instant.

    shown: how many of the images are for validation.
    """
    paths, tracker = make_workspace(root), FakeTracker()
    folder = paths.stage("preprocess")
    write_array(folder / "train" / EMBEDDINGS, embeddings)
    write_array(folder / "train" / "validation.npy", np.arange(COUNT) < shown)
    write_json(folder / "spec.json", {**read_json(folder / "spec.json"), "networks": [LITE, "tutorial"], "networks_reason": "grey images"})
    train_options = {
        "fine_tune": "none",
        "epochs": 6,
        "min_steps": 0,
        "batch_size": 4,
        "learning_rate": 6.0,
        "device": "cpu",
        "precision": "float32",
    }
    train.run(parameters(train=train_options, model={"width": 0.125}), paths, tracker)
    (run,) = tracker.runs
    return paths, run


def features(informative: bool) -> np.ndarray:
    """float32 (COUNT, 2, 1280), from which the label can be read or not."""
    values = np.random.default_rng(0).normal(size=(COUNT, 2, 1280)).astype(np.float32)
    return values + np.float32(3 * informative) * (np.arange(COUNT) % 2)[:, None, None]


def test_train_takes_what_is_better_on_the_validation_images_and_logs_its_epochs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pipeline.fitting.choice.FEWEST_TO_COMPARE", 20)
    paths, run = run_train(tmp_path, features(informative=False), shown=20)
    choice = read_json(paths.stage("train") / "choice.json")
    printed = capsys.readouterr().out

    assert Choice.read(choice).method == Method("tutorial", None)
    assert [each["network"] for each in choice["tried"]] == [LITE, "tutorial"]
    assert choice["tried"][0]["accuracy"] < choice["tried"][1]["accuracy"]
    assert [step for step, _ in run.metrics["loss"]] == [1, 2, 3, 4, 5, 6]
    assert run.params["chosen.method"] == "tutorial, fitted to images"
    assert run.name == "lamps tutorial"  # lamps efficientnet_lite0 / tutorial while it was not known
    assert f"train: tutorial, fitted to images taken: {choice['reason']}\n" in printed
    assert choice["reason"].startswith("grey images; accuracy on the validation images: ")


def test_train_tries_no_more_after_a_method_that_leaves_nothing_to_gain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.fitting.choice.FEWEST_TO_COMPARE", 20)
    paths, run = run_train(tmp_path, features(informative=True), shown=20)
    choice = read_json(paths.stage("train") / "choice.json")

    assert Choice.read(choice).method == CLASSIFIER
    assert choice["strength"] in STRENGTHS
    (only,) = choice["tried"]
    assert only["accuracy"] >= NOTHING_TO_GAIN
    assert run.params["chosen.classifier_C"] == str(choice["strength"])
    assert [step for step, _ in run.metrics["loss"]] == [1]
    assert (paths.stage("train") / "model.keras").stat().st_size > 10_000_000


def test_train_tries_one_method_with_few_validation_images(tmp_path: Path) -> None:
    paths, _ = run_train(tmp_path, features(informative=False), shown=20)
    choice = read_json(paths.stage("train") / "choice.json")

    assert [each["network"] for each in choice["tried"]] == [LITE]
    assert choice["reason"] == "grey images; too few images to try tutorial, fitted to images (20 < 50 validation images)"
