"""Put the model into the registry, and make it the champion if it passes the gate.

Idempotent by content: a model that is registered already keeps the decision it got, and nothing new is registered. In a DVC experiment a candidate
is registered but no alias moves, so that a sweep never changes what is served. An alias that a person has removed stays removed.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import tee
from typing import Any

import pyarrow.parquet as pq

from pipeline.config import Config, Scalar
from pipeline.errors import TrackingError
from pipeline.gate import pass_gate
from pipeline.ml.counts import Score, count_hits
from pipeline.paths import STAGES, Paths
from pipeline.stores.files import read_json, sha256_file, write_json
from pipeline.stores.lineage import MODEL_TAG, pipeline_run
from pipeline.stores.provenance import code_tags, lock_digest
from pipeline.stores.registry_texts import describe_model, describe_version
from pipeline.stores.run_log import ModelVersion, Registered, Run, Tracker
from pipeline.stores.shards import read_encoded_images

UPSTREAM = STAGES[: STAGES.index("register")]
WAS_CHAMPION = "champion_since_decision"
CHAMPION_TAG = "champion"
"""On the registered model: the version that was made champion last. Where it stands and the alias is gone, a person has removed the alias."""
Decision = dict[str, Any]


def run(config: Config, paths: Paths, tracker: Tracker) -> Mapping[str, Scalar]:
    """Write data/register/decision.json. Reports the model's name and version, whether it is the champion, and why.

    Raises TrackingError where the registry cannot be read or the champion cannot be loaded: then nothing is decided.
    """
    log = pipeline_run(tracker, paths, config)
    name = registered_name(config, paths)
    digest = sha256_file(paths.stage("train") / "model.keras")
    score = test_score(paths)
    registered = tracker.registered(name)
    version = tracker.find_version(name, {MODEL_TAG: digest})
    decision = _earlier_decision(version, registered) or _decide(score, digest, registered, config, paths, tracker)
    version = _register(version, name, decision, score, log, paths, tracker)
    if decision["promoted"] and WAS_CHAMPION not in version.tags and not _is_removed(registered):
        tracker.promote(version, {CHAMPION_TAG: version.version})
        version = tracker.tag_version(version, {WAS_CHAMPION: "true"})
    outcome = _outcome(decision, version, tracker.registered(name))
    write_json(paths.stage("register") / "decision.json", {"model_name": name, "model_sha256": digest, **outcome, "decision": decision})
    _describe(tracker, log, version, score, decision, paths)
    return {"model": name, "version": version.version, "promoted": str(outcome["promoted"]).lower(), "because": outcome["reason"]}


def registered_name(config: Config, paths: Paths) -> str:
    """The name in the registry: as given, or that of the data set."""
    if config.register_.model_name != "auto":
        return config.register_.model_name
    return str(read_json(paths.stage("preprocess") / "spec.json")["dataset_name"])


def in_experiment() -> bool:
    """Whether DVC runs this as an experiment."""
    return bool(os.environ.get("DVC_EXP_NAME", "").strip())


def test_score(paths: Paths) -> Score:
    """The model's score on the test images, from data/evaluate/predictions.parquet."""
    table = pq.read_table(paths.stage("evaluate") / "predictions.parquet", columns=["label", "predicted"])
    return count_hits(table["label"].to_pylist(), table["predicted"].to_pylist())


def _earlier_decision(version: ModelVersion | None, registered: Registered | None) -> Decision | None:
    """What was decided when this model was registered.

    A decision made in an experiment holds in experiments only. One that was put off, since a person had removed the alias, does not hold, nor
    one that was never carried out and was made against another champion than today's.
    """
    if version is None or "decision" not in version.tags:
        return None
    decision: Decision = json.loads(version.tags["decision"])
    champion = registered.champion if registered else None
    same_champion = (decision["champion"] or {}).get("model_sha256") == (champion.tags.get(MODEL_TAG) if champion else None)
    open_still = decision["promoted"] and WAS_CHAMPION not in version.tags and not same_champion
    if decision.get("put_off") or open_still or (decision["experiment"] and not in_experiment()):
        return None
    return decision


def _is_removed(registered: Registered | None) -> bool:
    """Whether there has been a champion and a person has removed the alias."""
    return registered is not None and registered.champion is None and CHAMPION_TAG in registered.tags


def _decide(score: Score, digest: str, registered: Registered | None, config: Config, paths: Paths, tracker: Tracker) -> Decision:
    """What the gate says, and of what: the scores, the test images, the champion that it was compared with."""
    champion = registered.champion if registered else None
    decision: Decision = {
        "accuracy": round(score.accuracy, 6),
        "hits": score.hits,
        "images": score.images,
        "never_predicted": list(score.never_predicted),
        "test_sha256": _test_digest(paths),
        "champion": None,
        "experiment": in_experiment(),
    }
    champion_hits = None
    if champion is not None:
        champion_hits = _champion_hits(champion, score, paths, tracker)
        decision["champion"] = {
            "model_sha256": champion.tags.get(MODEL_TAG),
            "hits": champion_hits,
            "accuracy": round(champion_hits / score.images, 6),
        }
    promoted, reason = pass_gate(score, champion_hits, config.register_, *_lost_classes(champion, paths))
    if promoted and _is_removed(registered):
        return {
            **decision,
            "put_off": True,
            "promoted": False,
            "reason": f"{reason}; it passes, but the alias champion was removed by hand",
        }
    if promoted and in_experiment():
        return {**decision, "promoted": False, "reason": f"{reason}; it passes, but an experiment moves no alias"}
    return {**decision, "promoted": promoted, "reason": reason}


def _champion_hits(champion: ModelVersion, score: Score, paths: Paths, tracker: Tracker) -> int:
    """How many of the present test images the champion gets right: as recorded where it was scored on these, else scored now."""
    if champion.tags.get("test_sha256") == _test_digest(paths):
        return int(champion.tags.get("test_hits") or round(float(champion.tags["test_accuracy"]) * score.images))
    batches, asked = tee(batch for batch in read_encoded_images(paths.stage("ingest"), "test") if batch)
    predicted = tracker.predict(champion, ([image for image, _ in batch] for batch in asked))
    try:
        return sum(
            guess == label
            for batch, guesses in zip(batches, predicted, strict=True)
            for (_, label), guess in zip(batch, guesses, strict=True)
        )
    except TrackingError as error:
        raise TrackingError(
            f"The champion cannot be scored on the new test images, so nothing was decided: {error}. Put its files back from a backup, or take the "
            f"alias champion off {champion.name} (MLflow's UI, Models) and set it on the version that shall serve."
        ) from None


def _lost_classes(champion: ModelVersion | None, paths: Paths) -> tuple[set[str], set[str]]:
    """The classes that the champion knows and this model does not: those that nobody has confirmed as removed, and those that somebody has."""
    known = json.loads(champion.tags.get("class_names", "[]")) if champion else []
    spec = read_json(paths.stage("preprocess") / "spec.json")
    lost = set(known) - set(spec["class_names"])
    return lost - set(spec.get("removed_classes", [])), lost & set(spec.get("removed_classes", []))


def _register(
    version: ModelVersion | None, name: str, decision: Decision, score: Score, log: Run, paths: Paths, tracker: Tracker
) -> ModelVersion:
    """The registered version of the model, made where there is none, with the decision and where it came from as its tags."""
    folds = read_json(paths.stage("cross_validate") / "metrics.json")
    spec = read_json(paths.stage("preprocess") / "spec.json")
    tags = {
        MODEL_TAG: sha256_file(paths.stage("train") / "model.keras"),
        "decision": json.dumps(decision),
        "decided_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "test_accuracy": f"{score.accuracy:.6f}",
        "test_hits": str(score.hits),
        "test_images": str(score.images),
        "test_sha256": decision["test_sha256"],
        "cv_accuracy": f"{folds['cv_accuracy_mean']:.4f} ± {folds['cv_accuracy_std']:.4f}",
        "class_names": json.dumps(spec["class_names"], ensure_ascii=False),
        "data_digest": log.tags.get("data_digest", ""),
        **code_tags(paths.root),
    }
    if digest := lock_digest(paths.dvc_lock, UPSTREAM):
        tags["dvc_lock_digest"] = digest
        log.set_tags({"dvc_lock_digest": digest})
    if version is None:
        return tracker.register(name, log, tags)
    if version.tags.get("decision") != tags["decision"]:
        return tracker.tag_version(version, {key: tags[key] for key in ("decision", "decided_at")})
    return version


def _outcome(decision: Decision, version: ModelVersion, registered: Registered | None) -> dict[str, Any]:
    """What is true now, whatever was decided when: whether this model is the champion, why, and which one is."""
    champion = registered.champion if registered else None
    now = {"model_sha256": champion.tags.get(MODEL_TAG)} if champion else None
    if champion and champion.version == version.version:
        by_hand = "" if decision["promoted"] else "; the alias champion was set on it by hand"
        return {"promoted": True, "reason": decision["reason"] + by_hand, "champion": now}
    if decision["promoted"]:
        since = "another model has become champion since" if champion else "the alias champion was removed by hand, and stays removed"
        return {"promoted": False, "reason": f"it was promoted earlier ({decision['reason']}), but {since}", "champion": now}
    return {"promoted": False, "reason": decision["reason"], "champion": now}


def _describe(tracker: Tracker, log: Run, version: ModelVersion, score: Score, decision: Decision, paths: Paths) -> None:
    """Write the descriptions that people read in MLflow's UI."""
    text = describe_version(score, decision, log, paths)
    log.describe(text)
    log.settle()
    tracker.describe_version(version, text)
    tracker.describe_model(version.name, describe_model(paths))


def _test_digest(paths: Paths) -> str:
    """sha256 over content and label of every test image, in order of content."""
    table = pq.read_table(paths.stage("evaluate") / "predictions.parquet", columns=["sha256", "label"])
    rows = sorted(zip(table["sha256"].to_pylist(), table["label"].to_pylist(), strict=True))
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()
