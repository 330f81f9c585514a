"""Keras and ONNX Runtime give what the last dense layer gets, of the image and not of its mirror image, and the same notes by it."""

import hashlib
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from pipeline.certainty.calibration import Calibration
from pipeline.conversion.keras_features import features_alone, predict_with_features, with_features
from pipeline.conversion.keras_to_onnx import to_onnx
from pipeline.conversion.onnx_features import features_in
from pipeline.conversion.onnx_session import OnnxRuntime
from pipeline.conversion.verified import add_verified_onnx
from pipeline.errors import TrackingError
from pipeline.familiarity.fit import fit_familiar
from pipeline.familiarity.reference import UNLIKE
from pipeline.files import write_bytes, write_json
from pipeline.models.network import to_bytes
from pipeline.models.predict import predict
from pipeline.serving.served_model import load
from tests.test_conversion import build, small
from tests.test_models import noise

SHAPE = (12, 12, 1)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return build(SHAPE, name="tutorial", flip_average=True)


def test_the_features_are_those_of_the_image_and_the_probabilities_stay(model: keras.Model) -> None:
    images = noise(SHAPE, 40)
    both = with_features(model)
    assert both is not None

    probabilities, features = predict_with_features(both, images)

    body = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    logits = np.asarray(body(model.get_layer("standardise")(images)))
    kernel, bias = body.layers[-1].get_weights()
    assert features @ kernel + bias == pytest.approx(logits, abs=1e-4)
    assert np.array_equal(probabilities, predict(model, images))
    alone = features_alone(model)
    assert alone is not None
    assert predict(alone, images) == pytest.approx(features, abs=1e-5)


def test_an_onnx_file_gives_the_same_features_and_stays_as_it_is(model: keras.Model) -> None:
    images = noise(SHAPE, 70)
    content = to_onnx(model)
    both = with_features(model)
    assert both is not None

    probabilities, features = OnnxRuntime(content, features_in(content)).with_features(images)

    assert np.array_equal(probabilities, OnnxRuntime(content).probabilities(images))
    assert features == pytest.approx(predict_with_features(both, images)[1], abs=1e-4)
    assert [part.shape for part in OnnxRuntime(content, features_in(content)).with_features(images[:0])] == [(0, 3), (0, features.shape[1])]


def test_a_model_without_a_dense_layer_has_no_features() -> None:
    images = keras.Input((4, 4, 3), dtype="uint8")
    x = keras.layers.Conv2D(3, 4)(keras.layers.Rescaling(1 / 255)(images))
    model = keras.Model(images, keras.layers.Softmax()(keras.layers.Flatten()(x)))

    assert with_features(model) is None
    assert features_in(to_onnx(model)) == ""
    assert with_features(small()) is not None


def test_every_runtime_notes_the_same_images_and_calls_none_of_them_sure(
    model: keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = (noise(SHAPE, 400) // 8).astype(np.uint8)
    alone = features_alone(model)
    assert alone is not None
    seen = predict(alone, usual)
    fitted = fit_familiar(seen[:200], np.arange(200) % 3, seen[200:])
    far = np.sort(fitted.distances(seen[:4]))
    familiar = replace(fitted, farthest=float(far[2:].mean())).as_bytes()  # one of the four pictures is farther
    write_bytes(tmp_path / "model.keras", to_bytes(model))
    write_bytes(tmp_path / "familiar.npz", familiar)
    write_json(tmp_path / "spec.json", {"height": 12, "width": 12, "channels": 1, "resize": "pad", "class_names": ["a", "b", "c"]})
    fitted_on = {"familiar_sha256": hashlib.sha256(familiar).hexdigest()}
    write_json(tmp_path / "calibration.json", Calibration(["a", "b", "c"], max_error=0.1, sure_from=0.0, fitted_on=fitted_on).as_json())
    add_verified_onnx(tmp_path, usual[:20])
    pictures = list(usual[:4, ..., 0])

    answers = []
    for runtime in ("onnxruntime", "tensorflow"):
        monkeypatch.setenv("PIPELINE_RUNTIME", runtime)
        answers.append(load(tmp_path).predict(pictures))

    for answer in answers:
        assert answer["note"].tolist() == [UNLIKE if distance == far[3] else "" for distance in fitted.distances(seen[:4])]
        assert answer["decision"].tolist() == ["unsure" if note else "sure" for note in answer["note"]]
        assert sorted(answer["note"]) == ["", "", "", UNLIKE]
    write_bytes(tmp_path / "familiar.npz", familiar + b" ")
    with pytest.raises(TrackingError, match=r"^familiar.npz is not the one that calibration.json was written with"):
        load(tmp_path)
    (tmp_path / "familiar.npz").unlink()
    assert load(tmp_path).predict(pictures)["note"].tolist() == [""] * 4
