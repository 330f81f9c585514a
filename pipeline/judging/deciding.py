"""The decision on a model: the gate's ruling with all it is based on, as it is kept in data/register/decision.json and with the version.

Champion and anchor answer the same current test images. Anything that cannot be read or scored is an error, and then nothing is decided.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import ModelError, TrackingError
from pipeline.evaluation.comparison import Comparison, Pair, class_drops, compare, untested
from pipeline.evaluation.counts import Score, count_hits
from pipeline.files import read_json, sha256_file
from pipeline.judging.gate import confirm, judge
from pipeline.judging.rivals import TestImages, answers_of
from pipeline.judging.ruling import ClassChanges, Evidence, Ruling
from pipeline.judging.same_network import Recalibrated, judge_recalibrated
from pipeline.registry.alias import NO_ALIAS, champion_of, is_champion, is_removed
from pipeline.registry.story import ANCHOR, CHAMPION
from pipeline.registry.versions import in_tag, known_classes
from pipeline.tracking.lineage import MODEL_TAG
from pipeline.tracking.run_log import ModelVersion, Registered, Tracker

if TYPE_CHECKING:
    from pipeline.params.reader import Config
    from pipeline.paths import Paths

DECIMALS = 6
EXPERIMENT = "; it passes, but an experiment does not move the alias"
MOVED_TAG = "moved_images"  # as in data/ingest/report.json: versions with the same value were trained and tested on the same sides
Decision = dict[str, Any]


@dataclass(frozen=True)
class Decided:
    """A decision, and the champion's answers, text (N,), that it rests on; None if no champion was asked."""

    decision: Decision
    champion_answers: np.ndarray | None = None


def anchor_number(version: ModelVersion | None, registered: Registered | None) -> str | None:
    """The number of the version with the alias `anchor`; None if there is none, if there is no champion, or if it is the champion or `version`."""
    champion = champion_of(registered)
    number = registered.aliases.get(ANCHOR) if registered else None
    return None if champion is None or number in (champion.version, version.version if version else None) else number


def in_experiment() -> bool:
    """Whether this runs in a DVC experiment."""
    return bool(os.environ.get("DVC_EXP_NAME", "").strip())


def gate_params(config: Config) -> dict[str, float | str]:
    """The parameters that a decision depends on."""
    gate = config.register_
    return {
        "min_accuracy": gate.min_accuracy,
        "promote_when": gate.promote_when,
        "margin": gate.margin,
        "max_class_drop": gate.max_class_drop,
    }


def decide(
    images: TestImages, version: ModelVersion | None, registered: Registered | None, config: Config, paths: Paths, tracker: Tracker
) -> Decided:
    """The decision on the model in data/train, which is `version` if it is registered. Raises TrackingError if champion or anchor cannot be scored."""
    score = count_hits(images.labels.tolist(), images.predicted.tolist())
    decision = _question(score, images, config)
    if is_champion(version, registered):
        return Decided({**decision, "promoted": True, "reason": confirm(score, config.register_)})
    champion = champion_of(registered)
    if recalibrated := _recalibrated(version, registered, paths, tracker):
        held_back = recalibrated.promoted and in_experiment()
        reason = f"{_accuracy(score)}; {recalibrated.reason}{EXPERIMENT if held_back else ''}"
        promoted = recalibrated.promoted and not held_back
        return Decided({**decision, "promoted": promoted, "reason": reason, "recalibrated_beside": champion.version if champion else None})
    number = anchor_number(version, registered)
    anchor = tracker.version(registered.name, number) if registered and number else None
    answers = _answers(CHAMPION, champion, images, paths, tracker) if champion else None
    anchor_answers = _answers(ANCHOR, anchor, images, paths, tracker) if anchor else None
    spec = read_json(paths.stage("preprocess") / "spec.json")
    pair = _pair(CHAMPION, champion, answers, images, spec["class_names"])
    anchor_pair = _pair(ANCHOR, anchor, anchor_answers, images, spec["class_names"])
    evidence = _evidence(champion, pair, anchor_pair, config.register_.max_class_drop, spec)
    ruling = judge(score, evidence, config.register_)
    reason = ruling.reason + _trained_on_test_images(champion, score, paths)
    decision |= {
        "champion": _rival(champion, answers, evidence.champion, images),
        "anchor": _rival(anchor, anchor_answers, evidence.anchor, images),
        **_ruled(ruling, evidence),
    }
    if ruling.promoted and is_removed(registered):
        return Decided({**decision, "put_off": True, "promoted": False, "reason": f"{_accuracy(score)}; it passes, {NO_ALIAS}"}, answers)
    if ruling.promoted and in_experiment():
        return Decided({**decision, "promoted": False, "reason": f"{reason}{EXPERIMENT}"}, answers)
    return Decided({**decision, "promoted": ruling.promoted, "reason": reason}, answers)


def _recalibrated(version: ModelVersion | None, registered: Registered | None, paths: Paths, tracker: Tracker) -> Recalibrated | None:
    if registered is None:
        return None
    class_names = in_tag(read_json(paths.stage("preprocess") / "spec.json")["class_names"])
    digest = sha256_file(paths.stage("train") / "model.keras")
    return judge_recalibrated(version, registered, tracker.all_versions(registered.name), digest, class_names)


def _question(score: Score, images: TestImages, config: Config) -> Decision:
    """What is decided on: the model's score, the test images and the parameters."""
    return {
        "accuracy": round(score.accuracy, DECIMALS),
        "hits": score.hits,
        "images": score.images,
        "never_predicted": list(score.never_predicted),
        "test_sha256": images.digest,
        "gate": gate_params(config),
        "champion": None,
        "anchor": None,
        "experiment": in_experiment(),
    }


def _accuracy(score: Score) -> str:
    return f"accuracy {score.accuracy:.4f}"


def _answers(alias: str, version: ModelVersion, images: TestImages, paths: Paths, tracker: Tracker) -> np.ndarray:
    print(f"Comparing with the {alias}, {version.name} version {version.version}, on {len(images.labels):,} test images", flush=True)
    try:
        return answers_of(version, images, paths, tracker)
    except ModelError as error:
        raise ModelError(
            f"The {alias} cannot be scored on the test images, so nothing was decided: {error}. Restore its files from a backup, or set the alias "
            f"{alias} of {version.name} on another version (MLflow's UI, Models)."
        ) from None
    except TrackingError as error:
        again = " Run the same command again when it answers." if error.may_pass else ""
        raise type(error)(f"The {alias} could not be scored on the test images, so nothing was decided: {error}{again}") from None


def _pair(alias: str, version: ModelVersion | None, answers: np.ndarray | None, images: TestImages, class_names: list[str]) -> Pair | None:
    """The answers to the images of the classes that both know; None without a version."""
    if version is None or answers is None:
        return None
    theirs = known_classes(version)
    common = [name for name in class_names if name in theirs or not theirs]
    shared = np.isin(images.labels, np.array(common, dtype=object))
    return Pair(alias, images.labels[shared], images.predicted[shared], answers[shared], images.groups[shared], common)


def _evidence(champion: ModelVersion | None, pair: Pair | None, anchor: Pair | None, limit: float, spec: Mapping[str, Any]) -> Evidence:
    """What the gate is told."""
    if champion is None or pair is None:
        return Evidence()
    ours, confirmed = spec["class_names"], set(spec.get("removed_classes", []))
    lost = set(known_classes(champion)) - set(ours)
    return Evidence(
        has_champion=True,
        champion=compare(pair) if len(pair.labels) else None,
        anchor=compare(anchor) if anchor and len(anchor.labels) else None,
        classes=ClassChanges(lost - confirmed, lost & confirmed, [name for name in ours if name not in pair.class_names]),
        drops=class_drops([pair, *([anchor] if anchor else [])], limit) if limit < 1 else (),
        untested=untested(pair),
    )


def _ruled(ruling: Ruling, evidence: Evidence) -> Decision:
    """The ruling without its outcome and reason."""
    compared = evidence.champion if ruling.margin is not None else None
    return {
        "verdict": ruling.verdict,
        "margin": None if ruling.margin is None else round(ruling.margin, DECIMALS),
        "power": round(compared.power(ruling.margin), 4) if compared and ruling.margin is not None else None,
        "images_needed": ruling.images_needed,
        "dropped_classes": [asdict(drop) for drop in evidence.drops],
        "untested_classes": list(evidence.untested),
        "moves_anchor": ruling.moves_anchor,
    }


def _rival(version: ModelVersion | None, answers: np.ndarray | None, comparison: Comparison | None, images: TestImages) -> Decision | None:
    """A version that the model was compared with, by content and number, its score on all test images, and the comparison."""
    if version is None or answers is None:
        return None
    hits = int((answers == images.labels).sum())
    found: Decision = {
        "model_sha256": version.tags.get(MODEL_TAG),
        "version": version.version,
        "hits": hits,
        "accuracy": round(hits / len(answers), DECIMALS),
    }
    return found | ({"comparison": _in_numbers(comparison)} if comparison else {})


def _in_numbers(found: Comparison) -> Mapping[str, Any]:
    """n images of so many groups; b: only the new model is right; c: only the old one is; both wrong with other answers; shares from -1 to 1."""
    return {
        "test": f"{found.test}, McNemar mid-p",
        "n": found.images,
        "groups": found.groups,
        "b": found.gained,
        "c": found.lost,
        "both_wrong_differently": found.changed,
        "difference": round(found.difference, DECIMALS),
        "interval": [round(found.low, DECIMALS), round(found.high, DECIMALS)],
        "p_value": round(found.p_value, DECIMALS),
    }


def _trained_on_test_images(champion: ModelVersion | None, score: Score, paths: Paths) -> str:
    """A warning if the champion was registered before images that earlier runs had in train came to test; empty if not."""
    moved = read_json(paths.stage("ingest") / "report.json").get("moved_images")
    if champion is None or not moved or not moved["to_test"] or champion.tags.get(MOVED_TAG) == moved["digest"]:
        return ""
    return (
        f"; the champion may have been trained on {moved['to_test']:,} of the {score.images:,} test images, which earlier runs had in train, so its "
        "accuracy may be too high"
    )
