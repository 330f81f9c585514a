"""The registered model takes encoded images or arrays and prepares them as `preprocess` does."""

import base64
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.certainty.calibration import Calibration
from pipeline.errors import ConfigError, SourceError
from pipeline.files import write_bytes, write_json
from pipeline.images.decoding import ImageSpec, encode_png, encoded_to_input
from pipeline.models.network import to_bytes
from pipeline.models.predict import load_model, predict
from pipeline.serving.served_model import load
from tests.test_fit import configure, fit, shapes

SPEC = ImageSpec(8, 8, 1, "pad")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    write_bytes(folder / "model.keras", to_bytes(fit(configure(), *shapes()).keep()))
    write_json(folder / "spec.json", {"height": 8, "width": 8, "channels": 1, "resize": "pad", "class_names": ["rows", "columns"]})
    return folder


@pytest.fixture
def pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, shape, dtype=np.uint8) for shape in ((12, 12), (40, 25), (7, 9, 3))]


def test_it_predicts_what_the_network_predicts_for_the_prepared_array(folder: Path, pictures: list[np.ndarray]) -> None:
    encoded = [encode_png(picture) for picture in pictures]
    packed = np.stack([encoded_to_input(content, SPEC) for content in encoded])

    answer = load(folder).predict(pd.DataFrame({"image": encoded}))

    expected = predict(load_model(folder / "model.keras"), packed)
    assert np.allclose([list(row.values()) for row in answer["probabilities"]], expected)
    assert answer["label"].tolist() == [("rows", "columns")[i] for i in expected.argmax(axis=1)]
    assert answer["probability"].tolist() == pytest.approx(expected.max(axis=1).tolist())


def test_bytes_base64_text_and_arrays_give_the_same_answer(folder: Path, pictures: list[np.ndarray]) -> None:
    model = load(folder)
    encoded = [encode_png(picture) for picture in pictures]
    answers = [
        model.predict(pd.DataFrame({"image": encoded})),
        model.predict(pd.DataFrame({"image": [base64.b64encode(content).decode() for content in encoded]})),
        model.predict(pd.DataFrame({"image": pictures})),
        model.predict(encoded),
    ]

    assert all(answer["probabilities"].tolist() == answers[0]["probabilities"].tolist() for answer in answers)


@pytest.mark.parametrize("wrong", [b"hello", "not base64!", np.zeros((3, 3), np.float32)])
def test_something_that_is_no_image_is_an_error_with_its_row(folder: Path, wrong: object, pictures: list[np.ndarray]) -> None:
    with pytest.raises(SourceError, match=r"^image 1: "):
        load(folder).predict([pictures[0], wrong])


def test_another_column_is_an_error(folder: Path) -> None:
    with pytest.raises(SourceError, match="expected a column named image, found picture"):
        load(folder).predict(pd.DataFrame({"picture": [b""]}))


def test_the_calibration_beside_the_model_is_applied_and_one_of_other_classes_refused(folder: Path, pictures: list[np.ndarray]) -> None:
    """At T = 2 the odds of two classes become their square roots."""
    plain = load(folder).predict(pictures)
    write_json(folder / "calibration.json", Calibration(["rows", "columns"], 2.0, max_error=0.1).as_json())

    found = load(folder).predict(pictures)

    assert found["label"].tolist() == plain["label"].tolist()
    assert found["decision"].tolist() == ["unsure"] * 3
    odds = [p["rows"] / p["columns"] for p in plain["probabilities"]]
    assert [p["rows"] / p["columns"] for p in found["probabilities"]] == pytest.approx([ratio**0.5 for ratio in odds], rel=1e-4)
    write_json(folder / "calibration.json", Calibration(["rows", "columns", "dots"]).as_json())
    with pytest.raises(ConfigError, match="of a model with other classes"):
        load(folder)
    (folder / "calibration.json").unlink()


def test_no_answer_to_an_image_unlike_the_training_images_is_sure(folder: Path) -> None:
    write_json(folder / "calibration.json", Calibration(["rows", "columns"], max_error=0.1, sure_from=0.0).as_json())
    write_json(folder / "training_images.json", {"sizes_px": {"width": [8, 8, 12], "height": [8, 8, 10]}, "modes": {"L": 40}})
    pictures = [encode_png(np.zeros((side, side), np.uint8)) for side in (8, 80)]

    answer = load(folder).predict(pictures)

    assert [bool(note) for note in answer["note"]] == [False, True]
    assert answer["decision"].tolist() == ["sure", "unsure"]
    (folder / "calibration.json").unlink()
    (folder / "training_images.json").unlink()


def test_without_a_calibration_nothing_is_said_of_how_sure_an_answer_is(folder: Path, pictures: list[np.ndarray]) -> None:
    answer = load(folder).predict(pictures)

    assert (answer["decision"].tolist(), answer["one_of"].tolist()) == ([""] * 3, [[]] * 3)


def test_no_images_give_no_rows(folder: Path) -> None:
    assert len(load(folder).predict(pd.DataFrame({"image": []}))) == 0
