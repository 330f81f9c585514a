"""Register the model, and make it the champion if it passes the gate.

Idempotent by content: a registered model is not registered again and keeps its decision as long as test images, gate and champion are the same. In
a DVC experiment a candidate is registered but the alias does not move, so that a sweep never changes the served model. An alias that a person has
moved or removed stays that way.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import tee
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from pipeline.dataset.shards import read_encoded_images
from pipeline.errors import TrackingError
from pipeline.evaluation.counts import Score, count_hits
from pipeline.files import read_json, sha256_file, write_json
from pipeline.params.section import Scalar
from pipeline.paths import STAGES, Paths
from pipeline.registry.alias import NO_ALIAS, champion_of, got_alias_by_hand, is_champion, is_removed, lost_alias_by_hand
from pipeline.registry.gate import confirm, pass_gate
from pipeline.registry.moves import move, set_challenger
from pipeline.registry.recorded import lineage_tags, log_origin
from pipeline.registry.samples import keep_samples
from pipeline.registry.servable import SPEC_TAG
from pipeline.registry.story import CHAMPION
from pipeline.registry.texts import describe_model, describe_version
from pipeline.registry.versions import CLASSES_TAG, find_registered, in_tag, known_classes
from pipeline.tracking.lineage import MODEL_TAG, pipeline_run
from pipeline.tracking.provenance import code_tags, lock_digest
from pipeline.tracking.run_log import ModelVersion, Registered, Run, Tracker

if TYPE_CHECKING:
    from pipeline.params.reader import Config

UPSTREAM = STAGES[: STAGES.index("register")]
SCORE_TAGS = (
    "decision",
    "decided_at",
    "test_accuracy",
    "test_hits",
    "test_images",
    "test_sha256",
    "cv_accuracy",
    "data_digest",
    CLASSES_TAG,
)
MOVED_TAG = "moved_images"  # as in data/ingest/report.json: versions with the same value were trained and tested on the same sides
Decision = dict[str, Any]


def run(config: Config, paths: Paths, tracker: Tracker) -> Mapping[str, Scalar]:
    """Write data/register/decision.json. Reports name and version of the model, whether it is the champion, and why.

    Raises TrackingError, before anything is decided, if the registry cannot be read or the champion cannot be loaded.
    """
    log = pipeline_run(tracker, paths, config)
    tracker.log_model(log, [paths.stage("train") / "model.keras", paths.stage("preprocess") / "spec.json"])
    name = registered_name(config, paths)
    digest = sha256_file(paths.stage("train") / "model.keras")
    score = test_score(paths)
    registered = tracker.registered(name)
    version = find_registered(tracker, name, digest, _class_names(paths))
    decision = _earlier_decision(version, registered, config, paths) or _decide(score, version, registered, config, paths, tracker)
    version = _register(version, name, decision, score, log, config, paths, tracker)
    if decision["promoted"] and not lost_alias_by_hand(version, registered) and not is_champion(version, registered):
        move(tracker, version, CHAMPION, action="gate", why=decision["reason"])
    elif not in_experiment() and not lost_alias_by_hand(version, registered):
        set_challenger(tracker, version)
    outcome = _outcome(decision, version, tracker.registered(name))
    write_json(paths.stage("register") / "decision.json", {"model_name": name, "model_sha256": digest, **outcome, "decision": decision})
    _describe(tracker, log, version, score, decision, paths)
    return {"model": name, "version": version.version, "promoted": str(outcome["promoted"]).lower(), "because": outcome["reason"]}


def registered_name(config: Config, paths: Paths) -> str:
    """The name in the registry: `register.model_name`, or that of the data set."""
    if config.register_.model_name != "auto":
        return config.register_.model_name
    return str(read_json(paths.stage("preprocess") / "spec.json")["dataset_name"])


def _class_names(paths: Paths) -> list[str]:
    return list(read_json(paths.stage("preprocess") / "spec.json")["class_names"])


def in_experiment() -> bool:
    """Whether this runs in a DVC experiment."""
    return bool(os.environ.get("DVC_EXP_NAME", "").strip())


def test_score(paths: Paths) -> Score:
    """The model's score on the test images, from data/evaluate/predictions.parquet."""
    table = pq.read_table(paths.stage("evaluate") / "predictions.parquet", columns=["label", "predicted"])
    return count_hits(table["label"].to_pylist(), table["predicted"].to_pylist())


def _earlier_decision(version: ModelVersion | None, registered: Registered | None, config: Config, paths: Paths) -> Decision | None:
    """The decision on this model if it still holds: same test images, same gate, same champion or this model is the champion now.

    A decision made in an experiment holds in experiments only; one that was put off because a person had removed the alias never holds.
    """
    if version is None or "decision" not in version.tags:
        return None
    decision: Decision = json.loads(version.tags["decision"])
    same_question = (decision.get("test_sha256"), decision.get("gate")) == (_test_digest(paths), _gate(config))
    champion = champion_of(registered)
    compared = (decision.get("champion") or {}).get("model_sha256")
    same_champion = is_champion(version, registered) or compared == (champion.tags.get(MODEL_TAG) if champion else None)
    if decision.get("put_off") or not same_question or not (same_champion or lost_alias_by_hand(version, registered)):
        return None
    return decision if in_experiment() or not decision["experiment"] else None


def _gate(config: Config) -> dict[str, float]:
    """The parameters that a decision depends on."""
    return {"min_accuracy": config.register_.min_accuracy, "margin": config.register_.margin}


def _decide(
    score: Score, version: ModelVersion | None, registered: Registered | None, config: Config, paths: Paths, tracker: Tracker
) -> Decision:
    """The decision of the gate, with all it is based on: scores, test images, parameters and the champion compared with."""
    champion = champion_of(registered)
    decision: Decision = {
        "accuracy": round(score.accuracy, 6),
        "hits": score.hits,
        "images": score.images,
        "never_predicted": list(score.never_predicted),
        "test_sha256": _test_digest(paths),
        "gate": _gate(config),
        "champion": None,
        "experiment": in_experiment(),
    }
    if is_champion(version, registered):
        return {**decision, "promoted": True, "reason": confirm(score, config.register_)}
    champion_hits = None
    if champion is not None:
        champion_hits = _champion_hits(champion, score, paths, tracker)
        accuracy = round(champion_hits / score.images, 6)
        decision["champion"] = {"model_sha256": champion.tags.get(MODEL_TAG), "hits": champion_hits, "accuracy": accuracy}
    promoted, reason = pass_gate(score, champion_hits, config.register_, *_lost_classes(champion, paths))
    reason += _trained_on_test_images(champion, score, paths)
    if promoted and is_removed(registered):
        return {
            **decision,
            "put_off": True,
            "promoted": False,
            "reason": f"accuracy {score.accuracy:.4f}; it passes, {NO_ALIAS}",
        }
    if promoted and in_experiment():
        return {**decision, "promoted": False, "reason": f"{reason}; it passes, but an experiment does not move the alias"}
    return {**decision, "promoted": promoted, "reason": reason}


def _champion_hits(champion: ModelVersion, score: Score, paths: Paths, tracker: Tracker) -> int:
    """The champion's hits on today's test images: as recorded if it was scored on these, else scored now."""
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
            f"The champion cannot be scored on the new test images, so nothing was decided: {error}. Restore its files from a backup, or set the "
            f"alias champion of {champion.name} on another version (MLflow's UI, Models)."
        ) from None


def _lost_classes(champion: ModelVersion | None, paths: Paths) -> tuple[set[str], set[str]]:
    """The classes that the champion knows and this model does not: without and with a confirmed removal."""
    spec = read_json(paths.stage("preprocess") / "spec.json")
    lost = set(known_classes(champion)) - set(spec["class_names"])
    return lost - set(spec.get("removed_classes", [])), lost & set(spec.get("removed_classes", []))


def _trained_on_test_images(champion: ModelVersion | None, score: Score, paths: Paths) -> str:
    """A warning if the champion was registered before images that earlier runs had in train came to test; empty if not."""
    moved = read_json(paths.stage("ingest") / "report.json").get("moved_images")
    if champion is None or not moved or not moved["to_test"] or champion.tags.get(MOVED_TAG) == moved["digest"]:
        return ""
    return (
        f"; the champion may have been trained on {moved['to_test']:,} of the {score.images:,} test images, which earlier runs had in train, so its "
        "accuracy may be too high"
    )


def _register(
    version: ModelVersion | None, name: str, decision: Decision, score: Score, log: Run, config: Config, paths: Paths, tracker: Tracker
) -> ModelVersion:
    """The registered version of the model, created if missing, tagged with the decision and its provenance."""
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
        CLASSES_TAG: in_tag(spec["class_names"]),
        "data_digest": spec["dataset_digest"],
        **code_tags(paths.root),
    }
    if moved := read_json(paths.stage("ingest") / "report.json").get("moved_images"):
        tags[MOVED_TAG] = moved["digest"]
    if digest := lock_digest(paths.dvc_lock, UPSTREAM):
        tags["dvc_lock_digest"] = digest
        log.set_tags({"dvc_lock_digest": digest})
    if version is None:
        tags[SPEC_TAG] = sha256_file(paths.stage("preprocess") / "spec.json")
        samples = keep_samples(log, paths, read_encoded_images(paths.stage("ingest"), "test"))
        log_origin(log, paths)
        return tracker.register(name, log, tags | samples | lineage_tags(config, paths, log))
    if version.tags.get("decision") != tags["decision"]:
        return tracker.tag_version(version, {key: tags[key] for key in SCORE_TAGS})
    return version


def _outcome(decision: Decision, version: ModelVersion, registered: Registered | None) -> dict[str, Any]:
    """The state after the stage: whether this model is the champion, why, and which model is."""
    champion = champion_of(registered)
    reason = str(decision["reason"])
    promoted = is_champion(version, registered)
    if promoted and (got_alias_by_hand(registered) or not decision["promoted"]):
        reason = f"the alias was set on this version by hand; decision of the gate: {reason}"
    elif decision["promoted"] and not promoted:
        what = "set on another version by hand and stays there" if champion else "removed by hand and stays removed"
        reason = f"{reason}; but the alias champion was {what}"
    now = {"model_sha256": champion.tags.get(MODEL_TAG)} if champion else None
    return {"promoted": promoted, "reason": reason, "champion": now}


def _describe(tracker: Tracker, log: Run, version: ModelVersion, score: Score, decision: Decision, paths: Paths) -> None:
    """Write the descriptions that MLflow's UI shows."""
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
