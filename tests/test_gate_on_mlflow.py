"""The stage `register` on a real MLflow store, with networks made by hand: a threshold of brightness tells dark from bright.

No network is fitted, so each one's answers are known: it gets wrong what lies between its threshold and the middle.
"""

import io
import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mlflow.tracking import MlflowClient
from PIL import Image

from pipeline.errors import TrackingError
from pipeline.params.reader import load_config
from pipeline.paths import Paths
from pipeline.stages import register
from pipeline.tracking.mlflow_log import MlflowLog
from pipeline.tracking.tracking_server import tracking_uri
from tests.finished_stages import write_finished_stages

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.slow,
]  # MLflow's own warnings; each model is started in a process of its own

CONFIG = load_config(Path(__file__).parent.parent / "params.yaml")
CLASSES = ["dark", "bright"]
IMAGES = 1000


def png(brightness: int, side: int = 8) -> bytes:
    encoded = io.BytesIO()
    Image.new("L", (side, side), brightness).save(encoded, "PNG")
    return encoded.getvalue()


BRIGHTNESS = [round(255 * i / (IMAGES - 1)) for i in range(IMAGES)]
LABELS = [CLASSES[value > 127] for value in BRIGHTNESS]


def network(threshold: float, side: int) -> keras.Model:
    """Images uint8 (N, side, side, 1) to the probabilities of dark and bright."""
    images = keras.Input((side, side, 1), dtype="uint8")
    mean = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(images))
    dense = keras.layers.Dense(2, activation="softmax")
    model = keras.Model(images, dense(mean))
    dense.set_weights([np.array([[-40.0, 40.0]]), np.array([40.0, -40.0]) * threshold])
    return model


class Registry:
    """A project on a real store, whose stages before `register` are written by hand."""

    def __init__(self, root: Path) -> None:
        self.paths = Paths(root)

    def register(self, threshold: float, side: int = 8, seen: str = "i") -> str:
        """Run the stage on the network of a threshold; the reason of its decision. seen: which test images these are."""
        write_finished_stages(self.paths.root, classes=tuple(CLASSES))
        train, evaluate, ingest = (self.paths.stage(name) for name in ("train", "evaluate", "ingest"))
        model = network(threshold, side)
        model.save(train / "model.keras")
        spec = {
            "height": side,
            "width": side,
            "channels": 1,
            "resize": "pad",
            "class_names": CLASSES,
            "dataset_name": "flowers",
            "networks": ["resnet"],
        }
        file = self.paths.stage("preprocess") / "spec.json"
        file.write_text(json.dumps({**spec, "dataset_digest": "d1", "data_counts": {"images": IMAGES}}), encoding="utf-8")
        shown = np.broadcast_to(np.array(BRIGHTNESS, np.uint8)[:, None, None, None], (IMAGES, side, side, 1))
        probabilities = np.asarray(model.predict_on_batch(shown))
        known = {"sha256": [f"{seen}{i}" for i in range(IMAGES)], "label": LABELS}
        answers = {"predicted": [CLASSES[k] for k in probabilities.argmax(axis=1)], "probability": probabilities.max(axis=1)}
        pq.write_table(pa.table({"path": [f"{i}.png" for i in range(IMAGES)], **known, **answers}), evaluate / "predictions.parquet")
        pq.write_table(pa.table({"bytes": [png(value) for value in BRIGHTNESS]}), ingest / "images.parquet" / "00000.parquet")
        places = {"split": ["test"] * IMAGES, "group": pa.array(range(IMAGES), pa.int32())}
        pq.write_table(pa.table({**known, **places}), ingest / "index.parquet")
        report = register.run(CONFIG, self.paths, MlflowLog.connect(self.paths, "register"))
        return str(report["because"])

    @property
    def aliases(self) -> dict[str, str]:
        return {alias: str(version) for alias, version in self.client.get_registered_model("flowers").aliases.items()}

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(tracking_uri(self.paths))


def test_a_year_on_a_real_store(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "DVC_EXP_NAME"):
        monkeypatch.delenv(name, raising=False)
    registry = Registry(Path(shutil.copytree(empty_store, tmp_path / "project")))

    # wrong: brightness 115 to 127, images 449 to 499
    assert registry.register(0.45) == "accuracy 0.9490; there was no champion before"
    assert registry.aliases == {"champion": "1", "anchor": "1"}

    assert ": worse (margin 1.0 pt)" in registry.register(0.35)
    assert registry.aliases == {"champion": "1", "anchor": "1", "challenger": "2"}

    shutil.rmtree(registry.paths.scratch / "predictions")  # so that the champion is asked, at the image size that is its own
    assert "+5.10 pt [+3.90, +6.64] against the champion on the same 1,000 images: better" in registry.register(0.5, side=16)
    assert {alias: registry.aliases[alias] for alias in ("champion", "anchor", "previous")} == {
        "champion": "3",
        "anchor": "3",
        "previous": "1",
    }

    version = registry.client.get_model_version("flowers", "3")
    assert "v3 vs champion v1: +5.10 pt" in str(version.description)
    kept = {file.path for file in registry.client.list_artifacts(str(version.run_id), "register")}
    assert {"register/flips.csv", "register/flips.html", "register/champion_answers.parquet"} <= kept
    page = Path(registry.client.download_artifacts(str(version.run_id), "register/flips.html", str(tmp_path))).read_text(encoding="utf-8")
    assert page.count("<figure>") == 24

    model_id = str(version.source).removeprefix("models:/")
    shutil.rmtree(registry.paths.mlruns / "artifacts" / "models" / model_id)
    with pytest.raises(TrackingError, match=r"The champion cannot be scored on the test images, so nothing was decided: .*version 3"):
        registry.register(0.49, seen="j")
    assert registry.aliases["champion"] == "3"
    assert len(registry.client.search_model_versions("name = 'flowers'")) == 3
