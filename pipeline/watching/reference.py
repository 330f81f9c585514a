"""The images that a model knows, as this project has them, and its answers to test images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from pipeline.backbone.candidates import PRETRAINED
from pipeline.certainty.calibration import CALIBRATION_FILE
from pipeline.dataset.arrays import read_array
from pipeline.dataset.shards import read_properties, read_rows, shard_files
from pipeline.drift.verdict import Side
from pipeline.errors import ConfigError, StageError, StorageError
from pipeline.files import read_json, sha256_file
from pipeline.images.decoding import ImageSpec
from pipeline.paths import Paths
from pipeline.watching.embedding import Embedding
from pipeline.watching.opened import Opened

MOST_IMAGES = 2000
"""Of a side; more would hardly narrow an interval."""


@dataclass(frozen=True)
class KnownImages:
    """The project's data: `spec`, the content of spec.json, and how its images are prepared."""

    spec: dict[str, Any]
    image_spec: ImageSpec
    pretrained: str


def known_images(opened: Opened, paths: Paths) -> KnownImages:
    """The project's data. Raises ConfigError if the model was not trained on them, StorageError if they are not there."""
    file = paths.stage("preprocess") / "spec.json"
    if not file.is_file():
        raise StorageError(
            f"{paths.relative(file)} does not exist: the images that the model knows are the reference. `dvc repro` makes it."
        )
    spec = read_json(file)
    if spec["dataset_digest"] != opened.spec.get("dataset_digest"):
        raise ConfigError(
            f"{opened.classifier.shown} was trained on other images than those in data/ now (digest {str(opened.spec.get('dataset_digest'))[:12]}, "
            f"here {spec['dataset_digest'][:12]}), so there is nothing to compare with. Choose a model of these images (`--model "
            "data/train/model.keras`), or work in a clone at the commit of this one, after `dvc pull` (`pipeline trace` names the commit)."
        )
    backbone = spec.get("backbone") or {}
    return KnownImages(spec, ImageSpec.read(spec), backbone.get("name", PRETRAINED))


def read_reference(known: KnownImages, embedding: Embedding, opened: Opened, paths: Paths, seed: int = 0) -> Side:
    """Training images for features and properties, and answers to held-out images."""
    rows, sha256 = _rows_of(paths, ("train", "validation"))
    index = pq.read_table(paths.stage("preprocess") / "train" / "index.parquet", columns=["sha256"])["sha256"].to_pylist()
    if sha256 != index:
        raise StageError(
            "data/preprocess is not of the images in data/ingest. They are from different runs: `dvc repro` re-runs what is out of date."
        )
    chosen = sample(len(rows), seed)
    probabilities, labels = _held_out(opened, paths, seed)
    groups = np.load(paths.stage("preprocess") / "train" / "groups.npy")[chosen]
    features = _features(embedding, paths, chosen)
    return Side(
        features,
        np.stack([values[rows[chosen]] for values in read_properties(paths.stage("ingest")).values()], axis=1),
        groups,
        probabilities,
        labels,
    )


def sample(count: int, seed: int) -> np.ndarray:
    """int (M,): at most MOST_IMAGES of so many, ascending, the same each time."""
    return np.sort(np.random.default_rng(seed).permutation(count)[:MOST_IMAGES])


def _features(embedding: Embedding, paths: Paths, chosen: np.ndarray) -> np.ndarray:
    """float32 (M, F), as `preprocess` has computed them, else now."""
    folder = paths.stage("preprocess") / "train"
    embedded = read_array(folder / "embeddings.npy")
    if len(embedded):
        return np.asarray(embedded[chosen, 0])
    return embedding.rows(np.asarray(read_array(folder / "images.npy")[chosen]))


def _rows_of(paths: Paths, splits: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """(rows in data/ingest, int (N,), and sha256) of the images of some splits."""
    table = pq.read_table(paths.stage("ingest") / "index.parquet", columns=["sha256", "split"])
    inside = np.isin(np.array([split or "" for split in table["split"].to_pylist()]), splits)
    return np.flatnonzero(inside), table["sha256"].filter(inside).to_pylist()


def _held_out(opened: Opened, paths: Paths, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(probabilities float (N, K), labels int (N,)) of test images: this project's last model has answered them, another one is asked now."""
    own = paths.stage("evaluate") / CALIBRATION_FILE
    if not (own.is_file() and opened.has_file(CALIBRATION_FILE, sha256_file(own))):
        return _asked(opened, paths, seed)
    names = opened.classifier.class_names
    tested = pq.read_table(paths.stage("evaluate") / "predictions.parquet")
    place = {name: k for k, name in enumerate(names)}
    labels = np.array([place[name] for name in tested["label"].to_pylist()])
    return np.stack([tested[f"probability {name}"].to_numpy() for name in names], axis=1), labels


def _asked(opened: Opened, paths: Paths, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """What the model answers to test images of classes that it knows."""
    rows, _ = _rows_of(paths, ("test",))
    shards = shard_files(paths.stage("ingest") / "images.parquet")
    lengths = [pq.ParquetFile(shard).metadata.num_rows for shard in shards]
    wanted = rows[sample(len(rows), seed)].tolist()
    labels = read_rows(shards, lengths, wanted, "label")
    encoded = read_rows(shards, lengths, wanted, "bytes")
    place = {name: k for k, name in enumerate(opened.classifier.class_names)}
    images: list[Callable[[], bytes]] = [partial(bytes, encoded[row]) for row in wanted]
    answers = list(opened.classifier.stream(images))
    known = [i for i, row in enumerate(wanted) if not answers[i].error and labels[row] in place]
    return np.stack([answers[i].probabilities for i in known]), np.array([place[str(labels[wanted[i]])] for i in known])
