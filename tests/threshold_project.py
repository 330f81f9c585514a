"""A project whose networks are made by hand: a threshold of brightness tells dark from bright, so each one's answers are known.

No network is fitted. Each gets wrong what lies between its threshold and the middle.
"""

import functools
import io
import json
from pathlib import Path

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from mlflow.tracking import MlflowClient
from PIL import Image

from pipeline.params.reader import Config, load_config
from pipeline.paths import Paths
from pipeline.stages import register
from pipeline.tracking.mlflow_log import MlflowLog
from pipeline.tracking.tracking_server import tracking_uri
from tests.finished_stages import write_finished_stages

ROOT = Path(__file__).parent.parent
CONFIG = load_config(ROOT / "params.yaml")
CLASSES = ["dark", "bright"]
IMAGES = 1000
BRIGHTNESS = [round(255 * i / (IMAGES - 1)) for i in range(IMAGES)]
LABELS = [CLASSES[value > 127] for value in BRIGHTNESS]


def named(model_name: str) -> Config:
    """The usual parameters, with this name in the registry."""
    return CONFIG.model_copy(update={"register_": CONFIG.register_.model_copy(update={"model_name": model_name})})


@functools.cache
def png(brightness: int, side: int = 8) -> bytes:
    encoded = io.BytesIO()
    Image.new("L", (side, side), brightness).save(encoded, "PNG")
    return encoded.getvalue()


def network(threshold: float, side: int) -> keras.Model:
    """Images uint8 (N, side, side, 1) to the probabilities of dark and bright."""
    images = keras.Input((side, side, 1), dtype="uint8")
    mean = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(images))
    dense = keras.layers.Dense(2, activation="softmax")
    model = keras.Model(images, dense(mean))
    dense.set_weights([np.array([[-40.0, 40.0]]), np.array([40.0, -40.0]) * threshold])
    return model


class ThresholdProject:
    """A project on a real store, whose stages before `register` are written by hand."""

    def __init__(self, root: Path) -> None:
        self.paths = Paths(root)

    def write_stages(self, threshold: float, side: int = 8, seen: str = "i") -> np.ndarray:
        """Let the stages before `register` have made the network of a threshold; its probabilities, float (N, 2).

        seen: which test images these are.
        """
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
        return probabilities

    def run_register(self, config: Config = CONFIG) -> str:
        """Run the stage on what the stages before have made; the reason of its decision."""
        return str(register.run(config, self.paths, MlflowLog.connect(self.paths, "register"))["because"])

    def register(self, threshold: float, side: int = 8, seen: str = "i") -> str:
        """Run the stage on the network of a threshold; the reason of its decision."""
        self.write_stages(threshold, side, seen)
        return self.run_register()

    @property
    def aliases(self) -> dict[str, str]:
        return {alias: str(version) for alias, version in self.client.get_registered_model("flowers").aliases.items()}

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(tracking_uri(self.paths))
