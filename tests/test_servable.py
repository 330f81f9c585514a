"""A version may serve only if its files are those that were registered and, started as it is served, it answers as it did then."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.certainty.calibrated_run import CALIBRATION_TAG
from pipeline.errors import TrackingError
from pipeline.registry.samples import SAMPLES_TAG, _chosen, keep_samples
from pipeline.registry.servable import SPEC_TAG, check_servable
from pipeline.tracking.run_log import ModelVersion
from tests.fakes import FakeTracker
from tests.finished_stages import write_finished_stages, write_test_images

CALIBRATION = b"{}"
SPEC = json.dumps({"width": 8, "height": 6, "class_names": ["a", "b"]}).encode()
Damage = Callable[[FakeTracker], None]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def answer(image: bytes) -> dict[str, float]:
    """What the model gives to the image with this number: as the predictions of the finished stages have it."""
    probability = 0.9 - (int(image) - 1) / 100 if image.isdigit() else 0.5
    return {"a": probability, "b": 1 - probability}


def registered(root: Path, *, samples: bool = True) -> FakeTracker:
    """A registry with one version of pets, which takes all ten test images for a."""
    tracker = FakeTracker()
    run = tracker.start_run("run", {})
    paths = write_finished_stages(root, hits=5)
    write_test_images(paths)
    kept = keep_samples(run, paths, lambda rows: [str(row + 1).encode() for row in rows]) if samples else {}
    tags = {
        "model_sha256": sha256(b"weights"),
        SPEC_TAG: sha256(SPEC),
        CALIBRATION_TAG: sha256(CALIBRATION),
        "class_names": '["a", "b"]',
        **kept,
    }
    tracker.versions = [ModelVersion("pets", "1", tags, run_id=run.id)]
    tracker.files["1"] = {
        "data/model/model.keras": b"weights",
        "data/model/spec.json": SPEC,
        "data/model/calibration.json": CALIBRATION,
        "code/pipeline/spec.json": b"{}",
    }
    tracker.answers["1"] = answer
    return tracker


def check(tracker: FakeTracker) -> str:
    return check_servable(tracker, tracker.versions[0])


@pytest.fixture
def tracker(tmp_path: Path) -> FakeTracker:
    return registered(tmp_path)


def test_samples_are_the_clearest_answers_of_each_class(tmp_path: Path) -> None:
    """Seven of twenty rows are b: with 16 in all, every b is kept, and the nine clearest of a."""
    predicted = ["b" if row in (1, 3, 5, 7, 9, 11, 13) else "a" for row in range(20)]

    chosen = _chosen(predicted, [1 - row / 100 for row in range(20)])

    assert sorted(row for row in chosen if predicted[row] == "b") == [1, 3, 5, 7, 9, 11, 13]
    assert sorted(row for row in chosen if predicted[row] == "a") == [0, 2, 4, 6, 8, 10, 12, 14, 15]


def test_a_version_that_answers_as_recorded_can_serve(tracker: FakeTracker) -> None:
    assert check(tracker) == "it answers 10 sample images as recorded"


def test_rounding_is_no_other_answer_and_other_preprocessing_is(tracker: FakeTracker) -> None:
    tracker.answers["1"] = lambda image: {"a": answer(image)["a"] + 0.01, "b": 0.1}
    assert check(tracker) == "it answers 10 sample images as recorded"

    tracker.answers["1"] = lambda image: {"a": answer(image)["a"] - 0.1, "b": 0.2}
    with pytest.raises(TrackingError, match=r"image 1 of 10 was a with probability 0.9000 when it was registered; now .* gives 0.8000"):
        check(tracker)


def change_model(tracker: FakeTracker) -> None:
    tracker.files["1"]["data/model/model.keras"] = b"other"


def change_spec(tracker: FakeTracker) -> None:
    tracker.files["1"]["data/model/spec.json"] = SPEC + b" "


def change_calibration(tracker: FakeTracker) -> None:
    tracker.files["1"]["data/model/calibration.json"] = b"{} "


def lose_model(tracker: FakeTracker) -> None:
    del tracker.files["1"]["data/model/model.keras"]


def lose_all(tracker: FakeTracker) -> None:
    tracker.has_files = lambda version: False  # type: ignore[method-assign]


def cannot_load(tracker: FakeTracker) -> None:
    tracker.answers.clear()


def change_samples(tracker: FakeTracker) -> None:
    tracker.runs[0].files["register/samples.json"] += b" "


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (change_model, r"its model.keras has the sha256 d9298a10d1b0…, but .* was registered: the file was changed"),
        (change_spec, r"its spec.json has the sha256 .*the file was changed"),
        (change_calibration, r"its calibration.json has the sha256 .*the file was changed"),
        (lose_model, "its files have no model.keras, expected one"),
        (lose_all, "its files are gone"),
        (cannot_load, "pets version 1 cannot be loaded"),
        (change_samples, "were changed"),
    ],
)
def test_a_version_cannot_serve_if(tracker: FakeTracker, damage: Damage, said: str) -> None:
    damage(tracker)

    with pytest.raises(TrackingError, match=rf"pets version 1 cannot serve, so no alias was moved: .*{said}.*Restore its files"):
        check(tracker)


def test_without_samples_it_must_load_and_answer_with_its_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tracker = registered(tmp_path, samples=False)

    assert check(tracker) == "it loads and answers"
    assert "no sample images are kept with pets version 1" in capsys.readouterr().err

    tracker.answers["1"] = lambda _: {"a": 0.5, "c": 0.5}
    with pytest.raises(TrackingError, match="it answers with other classes than were registered: a, c"):
        check(tracker)


def test_samples_that_are_gone_are_said(tracker: FakeTracker, capsys: pytest.CaptureFixture[str]) -> None:
    del tracker.runs[0].files["register/samples.json"]

    assert tracker.versions[0].tags[SAMPLES_TAG]
    assert check(tracker) == "it loads and answers"
    assert "no sample images are kept" in capsys.readouterr().err


def test_a_registry_that_fails_says_nothing_about_the_version(tracker: FakeTracker, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> Path:
        raise TrackingError("MLflow's tracking server failed: it answered with status 503.")

    for call in ("answer", "fetch"):
        monkeypatch.setattr(tracker, call, fails)
        with pytest.raises(TrackingError, match=r"^MLflow's tracking server failed: it answered with status 503\.$"):
            check(tracker)
