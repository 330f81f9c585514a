"""A few test images with the model's answers, kept with a registered version: what it must answer wherever it is served."""

import base64
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.errors import TrackingError
from pipeline.files import sha256_file, write_json
from pipeline.paths import Paths
from pipeline.tracking.run_log import ModelVersion, Run, Tracker

SAMPLES_TAG = "samples_sha256"
FILE, FOLDER = "samples.json", "register"
MOST = 16
MOST_BYTES = 1_000_000
"""Of one image: larger ones are not kept."""


class ChangedSamplesError(TrackingError):
    """The sample images are not those that were kept with the version."""


@dataclass(frozen=True)
class Sample:
    """An encoded image, the class that the model gave it when it was evaluated, and the probability of that class, 0 to 1."""

    image: bytes
    label: str
    probability: float


def keep_samples(run: Run, paths: Paths, images_at: Callable[[Sequence[int]], Sequence[bytes]]) -> dict[str, str]:
    """Log sample images with a run; returns the tag with their digest for the version. Nothing, {}, if all images are large.

    images_at: the encoded images at these positions in data/evaluate/predictions.parquet.
    """
    table = pq.read_table(paths.stage("evaluate") / "predictions.parquet", columns=["predicted", "probability"])
    predicted, probabilities = table["predicted"].to_pylist(), table["probability"].to_pylist()
    wanted = sorted(_chosen(predicted, probabilities))
    samples = [
        {"image": base64.b64encode(image).decode(), "label": predicted[row], "probability": round(probabilities[row], 6)}
        for row, image in zip(wanted, images_at(wanted), strict=True)
        if len(image) <= MOST_BYTES
    ]
    if not samples:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / FILE
        write_json(file, {"samples": samples})
        run.log_file(file, FOLDER)
        run.settle()
        return {SAMPLES_TAG: sha256_file(file)}


def read_samples(tracker: Tracker, version: ModelVersion) -> list[Sample]:
    """The samples kept with a version; none if it was registered without, or they are gone. Raises ChangedSamplesError."""
    digest = version.tags.get(SAMPLES_TAG)
    if not digest or not version.run_id:
        return []
    with tempfile.TemporaryDirectory() as folder:
        file = tracker.fetch_file(version.run_id, f"{FOLDER}/{FILE}", Path(folder))
        if file is None:
            return []
        if sha256_file(file) != digest:
            raise ChangedSamplesError(
                f"the sample images kept with it ({FOLDER}/{FILE} of its run) were changed: they are not those of the tag {SAMPLES_TAG}"
            )
        kept = json.loads(file.read_text(encoding="utf-8"))["samples"]
    return [Sample(base64.b64decode(sample["image"]), sample["label"], sample["probability"]) for sample in kept]


def _chosen(predicted: Sequence[str], probabilities: Sequence[float]) -> set[int]:
    """At most MOST rows: the clearest answer for each class, then the second clearest, and so on. The same for the same answers."""
    ranks: dict[str, int] = {}
    ranked = []
    for row in sorted(range(len(predicted)), key=lambda row: (-probabilities[row], row)):
        ranks[predicted[row]] = ranks.get(predicted[row], 0) + 1
        ranked.append((ranks[predicted[row]], -probabilities[row], row))
    return {row for _, _, row in sorted(ranked)[:MOST]}
