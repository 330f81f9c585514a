"""Register the model, and make it the champion if it passes the gate.

Idempotent by content: a registered model is not registered again and keeps its decision as long as test images, gate, champion and anchor are the
same. In a DVC experiment a candidate is registered but no alias moves, so that a sweep never changes the served model. An alias that a person has
moved or removed stays that way.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pipeline.certainty.calibrated_run import CALIBRATION_TAG, calibrated_run
from pipeline.changes.image_list import log_images
from pipeline.changes.keep import PAGE, keep_changes
from pipeline.errors import TrackingError
from pipeline.evaluation.counts import Score, count_hits
from pipeline.familiarity.reference import FAMILIAR_FILE
from pipeline.files import read_json, sha256_file, write_json
from pipeline.judging.carrying_out import carry_out, still_holds
from pipeline.judging.deciding import MOVED_TAG, Decided, Decision, decide, gate_params, in_experiment
from pipeline.judging.evidence import keep_evidence
from pipeline.judging.rivals import TestImages, keep_own_answers, read_encoded, read_test_images
from pipeline.judging.sentences import sentence
from pipeline.params.section import Scalar
from pipeline.paths import STAGES, Paths
from pipeline.registry.alias import champion_of, got_alias_by_hand, is_champion
from pipeline.registry.decision import committed_decision
from pipeline.registry.history import LONGEST_REASON
from pipeline.registry.recorded import lineage_tags, log_origin
from pipeline.registry.samples import keep_samples
from pipeline.registry.servable import CALIBRATION_FILE, SPEC_TAG
from pipeline.registry.texts import describe_model, describe_version
from pipeline.registry.versions import CLASSES_TAG, find_registered, in_tag
from pipeline.tracking.lineage import MODEL_TAG
from pipeline.tracking.provenance import code_tags, lock_digest
from pipeline.tracking.run_log import ModelVersion, Registered, Run, Tracker
from pipeline.tracking.tracking_server import registry_at

if TYPE_CHECKING:
    from pipeline.params.reader import Config

FILES = (("train", "model.keras"), ("preprocess", "spec.json"), ("evaluate", CALIBRATION_FILE), ("evaluate", FAMILIAR_FILE))
"""What the registered model is made of."""
UPSTREAM = STAGES[: STAGES.index("register")]
TEST_TAG = "test_sha256"
VERDICT_TAG = "verdict"
MOST_TRIES = 5
"""How often a decision is made anew because somebody else has moved champion or anchor in the meantime."""
SCORE_TAGS = (
    "decision",
    "decided_at",
    "test_accuracy",
    "test_hits",
    "test_images",
    TEST_TAG,
    "cv_accuracy",
    "data_digest",
    CLASSES_TAG,
)


def run(config: Config, paths: Paths, tracker: Tracker) -> Mapping[str, Scalar]:
    """Write data/register/: decision.json, changes.html, changes.json. Reports name and version of the model, whether it is the champion, and why.

    Raises TrackingError, before anything is decided, if the registry cannot be read or the champion cannot be loaded.
    """
    log = calibrated_run(tracker, paths, config)
    tracker.log_model(log, [paths.stage(stage) / name for stage, name in FILES])
    name = registered_name(config, paths)
    images = read_test_images(paths)
    score = count_hits(images.labels.tolist(), images.predicted.tolist())
    _tell_empty(name, tracker.registered(name), paths)
    decision, version = _settle(log, images, name, score, config, paths, tracker)
    line = sentence(decision, version.version)
    outcome = _outcome(decision, version, tracker.registered(name))
    said = {"model_name": name, "model_sha256": _model_sha256(paths), **outcome, "sentence": line, "decision": decision}
    write_json(paths.stage("register") / "decision.json", said)
    keep_changes(decision, line, version, log, images, paths, tracker)
    _log_comparison(log, decision, line)
    _describe(tracker, log, version, describe_version(score, decision | {"reason": _numbered(decision, version)}, line, log, paths), paths)
    promoted, page = str(outcome["promoted"]).lower(), paths.relative(paths.stage("register") / PAGE)
    return {"model": name, "version": version.version, "promoted": promoted, "because": outcome["reason"], "changes": page}


def _settle(
    log: Run, images: TestImages, name: str, score: Score, config: Config, paths: Paths, tracker: Tracker
) -> tuple[Decision, ModelVersion]:
    """The decision and the version, with the aliases as decided; made anew if somebody else registers or promotes a model in the meantime."""
    for _ in range(MOST_TRIES):
        registered = tracker.registered(name)
        calibration = sha256_file(paths.stage("evaluate") / CALIBRATION_FILE)
        version = find_registered(tracker, name, _model_sha256(paths), _class_names(paths), calibration)
        earlier = _earlier_decision(version, registered, images, config)
        decision = earlier or _decide(log, images, version, registered, config, paths, tracker)
        version = _register(version, name, decision, images, score, log, config, paths, tracker)
        if carry_out(tracker, version, decision, sentence(decision, version.version)[:LONGEST_REASON]):
            return decision, version
        print(f"{name}: the champion or the anchor has changed in the meantime, so the model is compared again", flush=True)
    raise TrackingError(f"The champion of {name} changed {MOST_TRIES} times while this model was compared with it. Run this stage again.")


def registered_name(config: Config, paths: Paths) -> str:
    """The name in the registry: `register.model_name`, or that of the data set."""
    if config.register_.model_name != "auto":
        return config.register_.model_name
    return str(read_json(paths.stage("preprocess") / "spec.json")["dataset_name"])


def _tell_empty(name: str, registered: Registered | None, paths: Paths) -> None:
    """Warn where the registry has no model of this name, but by the last commit some registry has a champion: its address may be wrong."""
    if registered is None and (said := committed_decision(paths)).get("model_name") == name and said.get("champion"):
        address, variable = registry_at(paths)
        print(
            f"warning: the registry at {address} has no model {name}, but data/register/decision.json in git names a champion, so "
            f"this registry is new, or not the one of earlier runs. If it is not, set {variable} and run again",
            file=sys.stderr,
        )


def _model_sha256(paths: Paths) -> str:
    return sha256_file(paths.stage("train") / "model.keras")


def _class_names(paths: Paths) -> list[str]:
    return list(read_json(paths.stage("preprocess") / "spec.json")["class_names"])


def _earlier_decision(version: ModelVersion | None, registered: Registered | None, images: TestImages, config: Config) -> Decision | None:
    """The decision on this model if it still holds: same test images and gate, and same champion and anchor or this model is the champion now.

    A decision made in an experiment holds in experiments only; one that was put off because a person had removed the alias never holds.
    """
    if version is None or "decision" not in version.tags:
        return None
    decision: Decision = json.loads(version.tags["decision"])
    if decision.get("put_off") or (decision.get(TEST_TAG), decision.get("gate")) != (images.digest, gate_params(config)):
        return None
    if not still_holds(decision, version, registered):
        return None
    return decision if in_experiment() or not decision["experiment"] else None


def _decide(
    log: Run,
    images: TestImages,
    version: ModelVersion | None,
    registered: Registered | None,
    config: Config,
    paths: Paths,
    tracker: Tracker,
) -> Decision:
    """A new decision. What it rests on is kept before the decision is, so that a decision that can be read is never without it."""
    decided: Decided = decide(images, version, registered, config, paths, tracker)
    keep_own_answers(images, _model_sha256(paths), in_tag(_class_names(paths)), paths)
    decision = {**decided.decision, "judged": _judged(version, registered, images, _model_sha256(paths), tracker)}
    if decided.champion_answers is not None:
        keep_evidence(log, images, decided.champion_answers, decision, paths)
    return decision


def _judged(version: ModelVersion | None, registered: Registered | None, images: TestImages, model_sha256: str, tracker: Tracker) -> int:
    """How many models these test images have judged, this one included: the more there are, the likelier one is good on these images alone."""
    known = tracker.all_versions(registered.name) if registered else []
    judged = [
        found for found in known if found.tags.get(TEST_TAG) == images.digest and (version is None or found.version != version.version)
    ]
    return len({model_sha256} | {found.tags.get(MODEL_TAG, found.version) for found in judged})


def _register(
    version: ModelVersion | None,
    name: str,
    decision: Decision,
    images: TestImages,
    score: Score,
    log: Run,
    config: Config,
    paths: Paths,
    tracker: Tracker,
) -> ModelVersion:
    """The registered version of the model, created if missing, tagged with the decision and its provenance."""
    folds = read_json(paths.stage("cross_validate") / "metrics.json")
    spec = read_json(paths.stage("preprocess") / "spec.json")
    tags = {
        MODEL_TAG: _model_sha256(paths),
        "decision": json.dumps(decision),
        "decided_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "test_accuracy": f"{score.accuracy:.6f}",
        "test_hits": str(score.hits),
        "test_images": str(score.images),
        TEST_TAG: decision[TEST_TAG],
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
        tags[CALIBRATION_TAG] = sha256_file(paths.stage("evaluate") / CALIBRATION_FILE)
        samples = keep_samples(log, paths, lambda positions: read_encoded(paths, images.rows[positions]))
        log_origin(log, paths)
        log_images(log, paths)
        return tracker.register(name, log, tags | samples | lineage_tags(config, paths, log))
    if version.tags.get("decision") != tags["decision"]:
        return tracker.tag_version(version, {key: tags[key] for key in SCORE_TAGS})
    return version


def _numbered(decision: Decision, version: ModelVersion) -> str:
    """The reason, with the number of the version in the command that it gives: the decision is made before the version has one."""
    return str(decision["reason"]).replace("`pipeline promote VERSION ", f"`pipeline promote {version.version} ")


def _outcome(decision: Decision, version: ModelVersion, registered: Registered | None) -> dict[str, Any]:
    """The state after the stage: whether this model is the champion, why, and which model is."""
    champion = champion_of(registered)
    reason = _numbered(decision, version)
    promoted = is_champion(version, registered)
    if promoted and (got_alias_by_hand(registered) or not decision["promoted"]):
        reason = f"a person has set the alias on this version; decision of the gate: {reason}"
    elif decision["promoted"] and not promoted:
        what = (
            "has set the alias champion on another version, where it stays"
            if champion
            else "has removed the alias champion, and it stays removed"
        )
        reason = f"{reason}; but a person {what}"
    elif champion and not promoted and (compared := (decision["champion"] or {}).get("version")) not in (None, champion.version):
        reason = (
            f"{reason}. That was decided against version {compared}; version {champion.version} is champion now, and this one is left alone, as a person "
            "has taken the alias from it"
        )
    now = {"model_sha256": champion.tags.get(MODEL_TAG)} if champion else None
    return {"promoted": promoted, "reason": reason, "champion": now}


def _log_comparison(log: Run, decision: Decision, line: str) -> None:
    """Log the sentence and the difference in accuracy, with its interval, to the run, where runs are compared."""
    log.set_tags({VERDICT_TAG: line})
    if found := (decision["champion"] or {}).get("comparison"):
        low, high = found["interval"]
        log.log_metrics({"vs_champion": found["difference"], "vs_champion_low": low, "vs_champion_high": high})


def _describe(tracker: Tracker, log: Run, version: ModelVersion, text: str, paths: Paths) -> None:
    """Write the descriptions that MLflow's UI shows."""
    log.describe(text)
    log.settle()
    tracker.describe_version(version, text)
    tracker.describe_model(version.name, describe_model(paths))
