"""Every method predicts what the model that it keeps predicts, resumes after a kill, and serves train and all folds alike."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.dataset.arrays import write_array
from pipeline.features.embeddings import write_embeddings, write_no_embeddings
from pipeline.features.extractor import embedder
from pipeline.files import write_json
from pipeline.fitting.choice import Choice
from pipeline.fitting.device import Compute
from pipeline.fitting.fit_state import Epoch, State
from pipeline.fitting.folds import FoldJob, fit_fold
from pipeline.fitting.head import STRENGTHS, fit_head
from pipeline.fitting.methods import MethodFitter, Outcome, Watcher, method_notice, plan_method
from pipeline.fitting.training_data import TrainingData
from pipeline.models.network import to_bytes
from pipeline.models.predict import load_model, predict
from pipeline.params.reader import Config
from pipeline.params.recipe import CLASSIFIER_ALONE, Method
from tests.fit_settings import parameters

LITE = "efficientnet_lite0"
CLASSIFIER, LAST_STAGE, LAST_STAGES, FROM_SCRATCH = (
    Method(LITE, CLASSIFIER_ALONE),
    Method(LITE, 1),
    Method(LITE, 2),
    Method("tutorial", None),
)
FLOAT32 = Compute("CPU", "float32")
COUNT, CLASSES = 48, 3
ROUNDED = 5e-4
"""What goes into a stage is kept with 11 bits; 1.5e-4 was measured."""
ROWS, WATCHED = np.arange(12, COUNT), np.arange(12)


def pictures(shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (COUNT, *shape) and labels: noise with a faint bar, upright, level or slanting; hard enough that no prediction is certain."""
    rng = np.random.default_rng(0)
    labels = (np.arange(COUNT) % CLASSES).astype(np.int32)
    y, x = np.mgrid[: shape[0], : shape[1]]
    bars = np.stack([np.abs(line) < 4 for line in (x - shape[1] // 2, y - shape[0] // 2, x - y)])
    return (rng.integers(0, 200, (COUNT, *shape)) + 50 * bars[labels][..., None]).astype(np.uint8), labels


def prepare(root: Path, shape: tuple[int, int, int] = (32, 32, 3), views: int = 2, pretrained: bool = True) -> TrainingData:
    """The outputs of `preprocess`, as far as a fit reads them, with the features of the real network."""
    folder = root / "train"
    images, labels = pictures(shape)
    write_array(folder / "images.npy", images)
    write_array(folder / "labels.npy", labels)
    write_array(folder / "groups.npy", np.arange(COUNT, dtype=np.int32))
    write_array(folder / "validation.npy", np.zeros(COUNT, bool))
    write_json(root / "spec.json", {"class_names": ["upright", "level", "slanting"], "backbone": {"name": LITE}})
    if pretrained:
        write_embeddings([folder], views, embedder(LITE, shape), root / "kept")
    else:
        write_no_embeddings([folder], views)
    return TrainingData(root, root / "stage-rows")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    return prepare(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def opened_without_mirror_images(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    return prepare(tmp_path_factory.mktemp("images"), views=1)


def configure(**changes: dict[str, object]) -> Config:
    """Few steps, whatever the method."""
    train = {"epochs": 2, "min_steps": 0, "batch_size": 16, "device": "cpu", "precision": "float32"}
    return parameters(**{**changes, "train": train | changes.get("train", {}), "model": {"width": 0.125} | changes.get("model", {})})


_fitters: dict[tuple[Method, str, TrainingData], MethodFitter] = {}


def fit(method: Method, opened: TrainingData, config: Config | None = None, strength: float | None = 3.0, **watcher: object) -> Outcome:
    """By one network for all tests with the same method and parameters; what it gives holds until the next fit."""
    config = config or configure()
    key = method, config.model_dump_json(), opened
    if key not in _fitters:
        _fitters[key] = MethodFitter(method, config, opened.data, FLOAT32)
    return _fitters[key].fit(ROWS, WATCHED, Watcher(**watcher), strength)  # type: ignore[arg-type]


def assert_kept_as_predicted(outcome: Outcome, opened: TrainingData, tolerance: float) -> None:
    found = outcome.predict(WATCHED)

    assert (found.shape, found.dtype.name) == ((len(WATCHED), CLASSES), "float32")
    assert np.allclose(found.sum(axis=1), 1, atol=1e-5)
    assert np.ptp(found, axis=0).min() > 0.05
    assert np.abs(predict(outcome.keep(), opened.training.images[WATCHED]) - found).max() < tolerance


@pytest.mark.parametrize(("method", "tolerance"), [(CLASSIFIER, 1e-5), (LAST_STAGES, ROUNDED)])
def test_the_kept_model_predicts_what_was_predicted_from_features(method: Method, tolerance: float, opened: TrainingData) -> None:
    assert_kept_as_predicted(fit(method, opened), opened, tolerance)


@pytest.mark.parametrize(("method", "tolerance"), [(CLASSIFIER, 1e-5), (LAST_STAGE, ROUNDED)])
def test_mirror_images_that_are_fitted_to_need_not_be_averaged(method: Method, tolerance: float, opened: TrainingData) -> None:
    averaged = fit(method, opened).predict(WATCHED)
    outcome = fit(method, opened, configure(model={"flip_average": False}))

    assert np.abs(outcome.predict(WATCHED) - averaged).max() > 0.01
    assert_kept_as_predicted(outcome, opened, tolerance)


@pytest.mark.parametrize(("method", "tolerance"), [(CLASSIFIER, 1e-5), (LAST_STAGE, ROUNDED)])
def test_without_mirror_images_the_kept_model_averages_none(
    method: Method, tolerance: float, opened_without_mirror_images: TrainingData
) -> None:
    outcome = fit(method, opened_without_mirror_images, configure(augment={"horizontal_flip": False}))

    assert_kept_as_predicted(outcome, opened_without_mirror_images, tolerance)


def test_grey_images_of_odd_size_are_kept_and_read_by_plain_keras(tmp_path: Path) -> None:
    opened = prepare(tmp_path, (41, 30, 1))
    outcome = fit(LAST_STAGE, opened)
    (tmp_path / "model.keras").write_bytes(to_bytes(outcome.keep()))

    loaded = predict(load_model(tmp_path / "model.keras"), opened.training.images[WATCHED])

    assert np.abs(loaded - outcome.predict(WATCHED)).max() < ROUNDED


def test_a_whole_network_predicts_what_is_kept(tmp_path: Path) -> None:
    opened = prepare(tmp_path, pretrained=False)
    outcome = fit(FROM_SCRATCH, opened, configure(train={"epochs": 20, "learning_rate": 0.8}))

    assert_kept_as_predicted(outcome, opened, 1e-6)
    assert outcome.strength is None


def test_the_classifier_is_fitted_to_all_views_with_the_strength_that_is_given_or_chosen(opened: TrainingData) -> None:
    given, chosen = fit(CLASSIFIER, opened, strength=0.3), fit(CLASSIFIER, opened, strength=None)
    data = opened.data
    expected = fit_head(data.embeddings[ROWS], data.labels[ROWS], CLASSES, 0.3).probabilities(data.embeddings[WATCHED])

    assert given.predict(WATCHED).tobytes() == expected.tobytes()
    assert given.strength == 0.3
    assert chosen.strength in STRENGTHS


@pytest.mark.parametrize("method", [CLASSIFIER, LAST_STAGE])
def test_a_fit_tells_epochs_and_as_many_steps_as_planned(method: Method, opened: TrainingData) -> None:
    told: list[Epoch] = []
    steps: list[int] = []

    outcome = fit(method, opened, on_epoch=told.append, on_steps=steps.append)

    plan = plan_method(method, len(ROWS), configure(), opened.data)
    assert told == outcome.history
    assert [epoch.epoch for epoch in told] == list(range(1, plan.epochs + 1))
    assert sum(steps) == plan.steps == (1 if method == CLASSIFIER else 2 * (2 * len(ROWS) // 16))


def test_last_stages_begin_with_the_classifier_and_learn_from_there(opened: TrainingData) -> None:
    classifier = fit(CLASSIFIER, opened).predict(WATCHED)
    barely = fit(LAST_STAGE, opened, configure(train={"learning_rate": 1e-12})).predict(WATCHED)
    tuned = fit(LAST_STAGE, opened)

    assert np.abs(barely - classifier).max() < ROUNDED
    assert np.abs(tuned.predict(WATCHED) - classifier).max() > 0.01
    assert tuned.history[-1].loss < 0.9 * tuned.history[0].loss


def test_a_margin_is_of_an_image_and_its_mirror_image_and_a_classifier_alone_has_none(opened: TrainingData) -> None:
    outcome = fit(LAST_STAGE, opened)

    assert outcome.margins is not None
    assert not outcome.margins.counts[WATCHED].any()
    assert outcome.margins.counts[ROWS].sum() == 2 * 4 * 16, "two epochs of 4 steps of 16 of the 72 views"
    assert np.isfinite(outcome.margins.mean[ROWS]).all()
    assert fit(CLASSIFIER, opened).margins is None


class KilledError(Exception):
    pass


class InMemory:
    """Keeps every state, and kills the fit after the second."""

    def __init__(self) -> None:
        self.states: list[State] = []

    def load(self) -> State | None:
        return self.states[-1] if self.states else None

    def save(self, state: Callable[[], State], *, last: bool) -> None:
        self.states.append(dict(state()))
        if len(self.states) == 2:
            raise KilledError


def test_a_killed_fit_of_last_stages_ends_with_the_same_bytes(opened: TrainingData) -> None:
    config = configure(train={"epochs": 4, "learning_rate": 0.01, "early_stopping_epochs": 3})
    checkpoint, resumed = InMemory(), list[int]()
    expected = fit(LAST_STAGE, opened, config)
    history, best, kept = [epoch.loss for epoch in expected.history], expected.epoch, to_bytes(expected.keep())
    with pytest.raises(KilledError):
        fit(LAST_STAGE, opened, config, checkpoint=checkpoint)

    watcher = Watcher(checkpoint, on_resume=lambda history: resumed.extend(epoch.epoch for epoch in history))
    again = MethodFitter(LAST_STAGE, config, opened.data, FLOAT32).fit(ROWS, WATCHED, watcher, 3.0)

    assert resumed == [1, 2]
    assert ([epoch.loss for epoch in again.history], again.epoch) == (history, best)
    assert to_bytes(again.keep()) == kept


@pytest.mark.parametrize("method", [CLASSIFIER, LAST_STAGE])
def test_a_reused_network_fits_like_a_new_one_and_what_it_takes_is_computed_once(method: Method, opened: TrainingData) -> None:
    computed: list[int] = []

    def stage_rows(stages: int) -> object:
        computed.append(stages)
        return opened.data.stage_rows(stages)

    reused = MethodFitter(method, configure(), replace(opened.data, stage_rows=stage_rows), FLOAT32)
    new = reused.fit(ROWS, WATCHED, Watcher(), 3.0).predict(WATCHED)
    reused.fit(ROWS[::-2], WATCHED, Watcher(), 30.0)

    again = reused.fit(ROWS, WATCHED, Watcher(), 3.0).predict(WATCHED)

    assert again.tobytes() == new.tobytes()
    assert computed == ([] if method == CLASSIFIER else [1])


def test_a_classifier_with_balanced_class_weights_finds_the_rare_class(opened: TrainingData) -> None:
    is_rare = opened.training.labels == 0
    fitted = ~is_rare | (np.arange(COUNT) % 12 == 0)
    found = []
    for weights in ("none", "balanced"):
        config = configure(train={"class_weights": weights})
        outcome = MethodFitter(CLASSIFIER, config, opened.data, FLOAT32).fit(np.flatnonzero(fitted), WATCHED, Watcher(), 0.3)
        found.append(float(outcome.predict(np.flatnonzero(~fitted))[:, 0].mean()))

    assert found[1] > 1.5 * found[0]


def test_the_loss_of_last_stages_counts_images_by_their_class(opened_without_mirror_images: TrainingData) -> None:
    """Worked out from what is predicted: at this learning rate, nothing moves."""
    data = opened_without_mirror_images.data
    rows = np.flatnonzero((data.labels != 0) | (np.arange(COUNT) % 12 == 0))
    train = {"class_weights": "balanced", "learning_rate": 1e-12, "label_smoothing": 0.0, "batch_size": 12, "epochs": 1}
    config = configure(train=train, model={"dropout": 0.0}, augment={"horizontal_flip": False})

    outcome = MethodFitter(LAST_STAGE, config, data, FLOAT32).fit(rows, rows[:0], Watcher(), 0.3)

    of_label = outcome.predict(rows)[np.arange(len(rows)), data.labels[rows]]
    weights = np.array([36 / 3 / 4, 36 / 3 / 16, 36 / 3 / 16])[data.labels[rows]]
    assert len(rows) == 36
    assert outcome.history[0].loss == pytest.approx(float(-(weights * np.log(of_label)).mean()), rel=1e-4)
    assert outcome.history[0].loss != pytest.approx(float(-np.log(of_label).mean()), rel=0.01)


@pytest.mark.parametrize(("method", "strength"), [(CLASSIFIER, 3.0), (LAST_STAGE, 3.0), (FROM_SCRATCH, None)])
def test_the_folds_predict_every_image_by_a_model_that_has_not_seen_it(
    method: Method, strength: float | None, opened: TrainingData, tmp_path: Path
) -> None:
    folds, choice = np.arange(COUNT) % 2, Choice(method, strength, "because")
    probabilities = np.full((COUNT, CLASSES), np.nan, np.float32)

    for fold in (0, 1):
        probabilities[folds == fold] = fit_fold(FoldJob(fold, folds, configure(), choice, opened, tmp_path, workers=1)).probabilities

    compute, rows, held_out = Compute("CPU", "float32", towers=2), np.flatnonzero(folds != 1), np.flatnonzero(folds == 1)
    alone = MethodFitter(method, configure(), opened.data, compute).fit(rows, rows[:0], Watcher(), strength)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert np.allclose(alone.predict(held_out), probabilities[held_out], atol=1e-5)


def test_another_process_is_told_where_the_images_are(opened: TrainingData) -> None:
    assert len(opened.data.labels) == COUNT  # read before it is sent

    sent = pickle.dumps(opened)

    assert len(sent) < 1000
    assert pickle.loads(sent).data.embeddings.tobytes() == opened.data.embeddings.tobytes()


def test_the_notice_says_what_is_fitted_and_for_how_long(opened: TrainingData) -> None:
    config = configure(train={"epochs": "auto", "batch_size": "auto"})
    notices = [
        method_notice("train", method, plan_method(method, 1000, config, opened.data), Compute("CPU", "bfloat16"))
        for method in (CLASSIFIER, LAST_STAGE, FROM_SCRATCH)
    ]

    assert notices == [
        "train: a classifier on the features of efficientnet_lite0, 1,000 images",
        "train: efficientnet_lite0, last stage fine-tuned: 5 epochs of 62 steps of 32 images, learning rate up to 0.00025, on CPU in float32, "
        "1 x 1 convolutions in bfloat16",
        "train: tutorial, fitted to images: 7 epochs of 62 steps of 16 images, learning rate up to 0.00187, on CPU in bfloat16",
    ]
