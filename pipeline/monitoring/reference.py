"""The images that a model knows, as this project has them, and its answers to test images."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow.parquet as pq

from pipeline.backbone.candidates import PRETRAINED
from pipeline.certainty.calibration import CALIBRATION_FILE
from pipeline.certainty.kept_answers import TEST as TEST_ANSWERS
from pipeline.certainty.kept_answers import read_kept_answers
from pipeline.changes.image_list import Placed, images_of
from pipeline.dataset.arrays import read_array
from pipeline.dataset.shards import read_properties, read_rows, shard_files
from pipeline.drift import FEWEST
from pipeline.drift.verdict import Side, sample
from pipeline.errors import ConfigError, SourceError, StageError, StorageError
from pipeline.files import read_json, sha256_file
from pipeline.images.decoding import ImageSpec
from pipeline.monitoring.embedding import Embedding
from pipeline.monitoring.opened import Opened
from pipeline.paths import Paths

TRAINING, TEST = ("train", "validation"), "test"


@dataclass(frozen=True)
class KnownImages:
    """The project's data and how images are prepared. placed: the images of the model's data set by content; None if all of them are these."""

    image_spec: ImageSpec
    pretrained: str
    placed: Mapping[str, Placed] | None = None

    def was_trained_on(self, sha256: Sequence[str]) -> np.ndarray:
        """bool (N,): whether the model was fitted to each of the training images that the project has now."""
        if self.placed is None:
            return np.ones(len(sha256), bool)
        return np.array([key in self.placed and self.placed[key].split != TEST for key in sha256], bool)


def known_images(opened: Opened, paths: Paths) -> KnownImages:
    """The project's data. Raises ConfigError if they do not have the images that the model was trained on, StorageError if they are not there."""
    file = paths.stage("preprocess") / "spec.json"
    if not file.is_file():
        raise StorageError(
            f"{paths.relative(file)} does not exist: the images that the model knows are the reference. `dvc repro` makes it."
        )
    spec = read_json(file)
    backbone = spec.get("backbone") or {}
    known = KnownImages(ImageSpec.read(spec), backbone.get("name", PRETRAINED))
    if spec["dataset_digest"] == opened.spec.get("dataset_digest"):
        return known
    known = replace(known, placed=_recorded(opened, paths))
    _, here = rows_of(paths, TRAINING)
    if known.placed is None or (left := int(known.was_trained_on(here).sum())) < FEWEST:
        still = f"and {left:,} of these are left" if known.placed is not None else "and which they were is not recorded with it"
        raise ConfigError(
            f"{opened.classifier.shown} was trained on other images than those in data/ now, {still}, so there is nothing to compare with. Choose a "
            "model of these images (`--model data/train/model.keras`), or work in a clone at the commit of this one, after `dvc pull` (`pipeline trace` "
            "names the commit)."
        )
    return known


def _recorded(opened: Opened, paths: Paths) -> Mapping[str, Placed] | None:
    """The images of a registered version, as kept with it; None if they are not. Raises TrackingError if the registry cannot be asked."""
    if not opened.classifier.name:
        return None
    from pipeline.tracking.mlflow_log import MlflowLog  # MLflow takes a second to import

    tracker = MlflowLog.connect(paths)
    version = tracker.version(opened.classifier.name, opened.classifier.version)
    return images_of(tracker, version) if version else None


def training_images(known: KnownImages, paths: Paths) -> Set[str]:
    """The sha256 of the images that the model was fitted to, of those that the project has now."""
    _, sha256 = rows_of(paths, TRAINING)
    return {key for key, fitted in zip(sha256, known.was_trained_on(sha256).tolist(), strict=True) if fitted}


def read_reference(known: KnownImages, embedding: Embedding, opened: Opened, paths: Paths, seed: int = 0) -> Side:
    """Training images for features and properties, and answers to held-out images."""
    rows, sha256 = rows_of(paths, TRAINING)
    index = pq.read_table(paths.stage("preprocess") / "train" / "index.parquet", columns=["sha256"])["sha256"].to_pylist()
    if sha256 != index:
        raise StageError(
            "data/preprocess is not of the images in data/ingest. They are from different runs: `dvc repro` re-runs what is out of date."
        )
    trained = np.flatnonzero(known.was_trained_on(sha256))
    chosen = trained[sample(len(trained), seed)]
    probabilities, labels = _held_out(opened, known, paths, seed)
    if len(labels) < FEWEST:
        raise SourceError(
            f"{len(labels):,} test images have classes that {opened.classifier.shown} knows; with fewer than {FEWEST} nothing can be said."
        )
    groups = np.load(paths.stage("preprocess") / "train" / "groups.npy")[chosen]
    features = _features(embedding, paths, chosen)
    return Side(
        features,
        np.stack([values[rows[chosen]] for values in read_properties(paths.stage("ingest")).values()], axis=1),
        groups,
        probabilities,
        labels,
    )


def _features(embedding: Embedding, paths: Paths, chosen: np.ndarray) -> np.ndarray:
    """float32 (M, F), as `preprocess` has computed them, else now."""
    folder = paths.stage("preprocess") / "train"
    embedded = read_array(folder / "embeddings.npy")
    if len(embedded):
        return np.asarray(embedded[chosen, 0])
    return embedding.rows(np.asarray(read_array(folder / "images.npy")[chosen]))


def rows_of(paths: Paths, splits: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """(rows in data/ingest, int (N,), and sha256) of the images of some splits."""
    table = pq.read_table(paths.stage("ingest") / "index.parquet", columns=["sha256", "split"])
    inside = np.isin(np.array([split or "" for split in table["split"].to_pylist()]), splits)
    return np.flatnonzero(inside), table["sha256"].filter(inside).to_pylist()


def _held_out(opened: Opened, known: KnownImages, paths: Paths, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(probabilities float (N, K), labels int (N,)) of test images: this project's last model has answered them, another one is asked now."""
    own = paths.stage("evaluate") / CALIBRATION_FILE
    if not (own.is_file() and opened.has_file(CALIBRATION_FILE, sha256_file(own))):
        return _asked(opened, known, paths, seed)
    tests = len(np.load(paths.stage("preprocess") / TEST / "labels.npy", mmap_mode="r"))
    tested = read_kept_answers(paths, TEST_ANSWERS, opened.classifier.class_names, tests)
    return tested.probabilities, tested.labels


def _asked(opened: Opened, known: KnownImages, paths: Paths, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """What the model answers to test images of classes that it knows, without those that it was fitted to."""
    rows, sha256 = rows_of(paths, (TEST,))
    if known.placed is not None:
        rows = rows[~known.was_trained_on(sha256)]
    shards = shard_files(paths.stage("ingest") / "images.parquet")
    lengths = [pq.ParquetFile(shard).metadata.num_rows for shard in shards]
    wanted = rows[sample(len(rows), seed)].tolist()
    labels = read_rows(shards, lengths, wanted, "label")
    encoded = read_rows(shards, lengths, wanted, "bytes")
    place = {name: k for k, name in enumerate(opened.classifier.class_names)}
    images: list[Callable[[], bytes]] = [partial(bytes, encoded[row]) for row in wanted]
    answers = list(opened.classifier.stream(images))
    usable = [i for i, row in enumerate(wanted) if not answers[i].error and labels[row] in place]
    probabilities = np.array([answers[i].probabilities for i in usable]).reshape(-1, len(place))
    return probabilities, np.array([place[str(labels[wanted[i]])] for i in usable], np.int64)
