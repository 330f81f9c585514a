"""Put the model into the registry, and make it the champion if it passes the gate.

Idempotent by content: a model that is registered already gets the decision it got, and nothing new is registered. In a DVC experiment a candidate
is registered but no alias moves, so that a sweep never changes what is served.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

import pyarrow.parquet as pq

from pipeline.config import Config, Register
from pipeline.errors import PipelineError
from pipeline.paths import STAGES, Paths
from pipeline.stores.files import read_json, sha256_file, write_json
from pipeline.stores.lineage import MODEL_TAG, pipeline_run
from pipeline.stores.provenance import code_tags, lock_digest
from pipeline.stores.run_log import ModelVersion, Run, Scalar, Tracker
from pipeline.stores.shards import read_encoded_images

UPSTREAM = STAGES[: STAGES.index("register")]
Decision = dict[str, Any]


def run(config: Config, paths: Paths, tracker: Tracker) -> Mapping[str, Scalar]:
    """Write data/register/decision.json. Reports the model's name, version and whether it is the champion."""
    log = pipeline_run(tracker, paths, config)
    metrics = read_json(paths.stage("evaluate") / "metrics.json")
    name = registered_name(config, paths)
    digest = sha256_file(paths.stage("train") / "model.keras")
    version = tracker.find_version(name, {MODEL_TAG: digest})
    decision = _earlier_decision(version) or {
        "model_name": name,
        **_decide(metrics, digest, tracker.champion(name), config.register_, paths, tracker),
    }
    version = _register(version, name, decision, metrics, log, paths, tracker)
    if decision["promoted"] and ("champion_since_decision" not in version.tags or tracker.champion(name) is None):
        tracker.promote(version)
        tracker.tag_version(version, {"champion_since_decision": "true"})
    write_json(paths.stage("register") / "decision.json", decision)
    return {"model": name, "version": version.version, "promoted": str(decision["promoted"]).lower(), "because": decision["reason"]}


def registered_name(config: Config, paths: Paths) -> str:
    """The name in the registry: as given, or that of the data set."""
    if config.register_.model_name != "auto":
        return config.register_.model_name
    return str(read_json(paths.stage("preprocess") / "spec.json")["dataset_name"])


def in_experiment() -> bool:
    """Whether DVC runs this as an experiment."""
    return "DVC_EXP_NAME" in os.environ


def pass_gate(accuracy: float, champion_accuracy: float | None, majority_share: float, gate: Register) -> tuple[bool, str]:
    """(promoted, reason) for a test accuracy, against the champion's on the same images, if there is a champion.

    majority_share: the accuracy of always guessing the commonest class, which a model must beat.
    """
    if accuracy <= majority_share:
        return False, f"accuracy {accuracy:.4f} is no better than always guessing the commonest class, {majority_share:.4f}"
    if accuracy < gate.min_accuracy:
        return False, f"accuracy {accuracy:.4f} is below register.min_accuracy {gate.min_accuracy:g}"
    if champion_accuracy is None:
        return True, f"accuracy {accuracy:.4f}, and there is no champion yet"
    if accuracy < champion_accuracy + gate.margin:
        return (
            False,
            f"accuracy {accuracy:.4f} against the champion's {champion_accuracy:.4f}, on the same images, with a margin of {gate.margin:g}",
        )
    return True, f"accuracy {accuracy:.4f} against the champion's {champion_accuracy:.4f}, on the same images"


def _earlier_decision(version: ModelVersion | None) -> Decision | None:
    """What was decided when this model was registered; a decision made in an experiment holds in experiments only."""
    if version is None:
        return None
    decision: Decision = json.loads(version.tags["decision"])
    return decision if in_experiment() or not decision["experiment"] else None


def _decide(
    metrics: Mapping[str, Any], digest: str, champion: ModelVersion | None, gate: Register, paths: Paths, tracker: Tracker
) -> Decision:
    supports = [scores["support"] for scores in metrics["per_class"].values()]
    decision: Decision = {
        "model_sha256": digest,
        "accuracy": metrics["accuracy"],
        "test_sha256": _test_digest(paths),
        "champion": None,
        "experiment": in_experiment(),
    }
    try:
        champion_accuracy = _champion_accuracy(champion, paths, tracker)
    except PipelineError as error:
        return {**decision, "promoted": False, "reason": f"the champion cannot be scored: {error}"}
    if champion is not None:
        decision["champion"] = {"model_sha256": champion.tags.get(MODEL_TAG), "accuracy": champion_accuracy}
    promoted, reason = pass_gate(metrics["accuracy"], champion_accuracy, max(supports) / sum(supports), gate)
    if promoted and in_experiment():
        return {**decision, "promoted": False, "reason": f"{reason}; passes, but an experiment moves no alias"}
    return {**decision, "promoted": promoted, "reason": reason}


def _champion_accuracy(champion: ModelVersion | None, paths: Paths, tracker: Tracker) -> float | None:
    """The champion's accuracy on the present test images: as recorded where it was scored on these, else scored now."""
    if champion is None:
        return None
    if champion.tags.get("test_sha256") == _test_digest(paths):
        return float(champion.tags["test_accuracy"])
    predict = tracker.load_predictor(champion)
    hits = total = 0
    for batch in read_encoded_images(paths.stage("ingest"), "test"):
        predicted = predict([image for image, _ in batch])
        hits += sum(guess == label for guess, (_, label) in zip(predicted, batch, strict=True))
        total += len(batch)
    return round(hits / total, 6)


def _register(
    version: ModelVersion | None, name: str, decision: Decision, metrics: Mapping[str, Any], log: Run, paths: Paths, tracker: Tracker
) -> ModelVersion:
    """The registered version of the model, made where there is none, with the decision and where it came from as its tags."""
    cross_validation = read_json(paths.stage("cross_validate") / "metrics.json")
    tags = {
        MODEL_TAG: decision["model_sha256"],
        "decision": json.dumps(decision),
        "test_accuracy": str(metrics["accuracy"]),
        "test_sha256": decision["test_sha256"],
        "cv_accuracy": f"{cross_validation['accuracy_mean']:.4f} ± {cross_validation['accuracy_std']:.4f}",
        "data_digest": log.tags.get("data_digest", ""),
        **code_tags(paths.root),
    }
    if digest := lock_digest(paths.dvc_lock, UPSTREAM):
        tags["dvc_lock_digest"] = digest
        log.set_tags({"dvc_lock_digest": digest})
    if version is None:
        return tracker.register(name, log, tags)
    if version.tags["decision"] != tags["decision"]:
        return tracker.tag_version(version, {"decision": tags["decision"]})
    return version


def _test_digest(paths: Paths) -> str:
    """sha256 over content and label of every test image, in order of content."""
    table = pq.read_table(paths.stage("evaluate") / "predictions.parquet", columns=["sha256", "label"])
    rows = sorted(zip(table["sha256"].to_pylist(), table["label"].to_pylist(), strict=True))
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()
