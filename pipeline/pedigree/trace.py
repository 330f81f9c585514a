"""Where a model came from: all that registry and tracker have recorded of it, in sections, as values."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.certainty.calibrated_run import CALIBRATION_TAG
from pipeline.conversion.record import ONNX_TAG
from pipeline.paths import Paths
from pipeline.pedigree.data_at import COMMIT_TAG
from pipeline.pedigree.origin import Origin
from pipeline.pedigree.rebuildable import what_is_gone
from pipeline.pedigree.stage_outcomes import PREFIX
from pipeline.registry.history import read_history
from pipeline.registry.story import events, in_order
from pipeline.tracking.run_log import Tracker

UNKNOWN = "NOT RECORDED"
Values = dict[str, Any]


def trace(tracker: Tracker, paths: Paths, origin: Origin) -> Values:
    """The sections model, verdict, data, code, parameters, machine, results, run, stages, history and gone. A value that is not known is None."""
    tags = {**(origin.run.tags if origin.run else {}), **(origin.version.tags if origin.version else {})}
    return {
        "model": _model(origin, tags),
        "verdict": _verdict(tags),
        "data": _data(origin, tags),
        "code": _code(tags),
        "parameters": _parameters(origin, tags),
        "machine": _machine(tags),
        "results": _results(origin, tags),
        "run": _run(origin),
        "stages": {
            name.removeprefix(PREFIX): text for name, text in (origin.run.tags if origin.run else {}).items() if name.startswith(PREFIX)
        },
        "history": _history(origin),
        "gone": what_is_gone(tracker, paths, origin, tags),
    }


def _model(origin: Origin, tags: Mapping[str, str]) -> Values:
    version = origin.version
    aliases = origin.registered.aliases if origin.registered else {}
    return {
        "name": version.name if version else None,
        "version": version.version if version else None,
        "aliases": in_order(alias for alias, number in aliases.items() if version and number == version.version),
        "registered_at": version.made.isoformat(timespec="seconds") if version else None,
        "sha256": origin.sha256 or None,
        "calibration_sha256": tags.get(CALIBRATION_TAG),
        "onnx_sha256": tags.get(ONNX_TAG),
    }


def _verdict(tags: Mapping[str, str]) -> Values:
    decision = _json(tags.get("decision"))
    champion = decision.get("champion")
    return {
        "promoted": decision.get("promoted"),
        "reason": decision.get("reason"),
        "decided_at": tags.get("decided_at"),
        "champion_sha256": champion.get("model_sha256") if isinstance(champion, dict) else None,
        "decision": decision or None,
    }


def _data(origin: Origin, tags: Mapping[str, str]) -> Values:
    params = origin.run.params if origin.run else {}
    names = json.loads(tags["class_names"]) if "class_names" in tags else None
    counts = {name.removeprefix("data_"): int(float(value)) for name, value in params.items() if name.startswith("data_")}
    return {
        "source": tags.get("source") or params.get("ingest.source"),
        "source_md5": tags.get("source_md5"),
        "images_sha256": tags.get("data_digest"),
        "ingested_sha256": tags.get("ingested_sha256"),
        "packed_sha256": tags.get("packed_sha256"),
        "split_md5": tags.get("split_md5"),
        "test_images_sha256": tags.get("test_sha256"),
        "counts": counts or None,
        "class_names": names,
    }


def _code(tags: Mapping[str, str]) -> Values:
    return {
        "commit": tags.get(COMMIT_TAG),
        "remote": tags.get("git_remote"),
        "differs_from_commit": {"true": True, "false": False}.get(tags.get("git_dirty", "")),
        "git_error": tags.get("git_error"),
        "dvc_lock_sha256": tags.get("dvc_lock_digest"),
    }


def _parameters(origin: Origin, tags: Mapping[str, str]) -> Values:
    params = dict(origin.run.params) if origin.run else {}
    return {
        "seed": tags.get("seed") or params.get("seed"),
        "sha256": tags.get("params_sha256"),
        "values": {name: value for name, value in params.items() if "." in name or name == "seed"} or None,
    }


def _machine(tags: Mapping[str, str]) -> Values:
    versions = {name.removeprefix("version."): value for name, value in sorted(tags.items()) if name.startswith("version.")}
    return {"device": tags.get("device"), "precision": tags.get("precision"), "versions": versions or None}


def _results(origin: Origin, tags: Mapping[str, str]) -> Values:
    metrics = dict(origin.run.metrics) if origin.run else {}
    test = _json(tags.get("test_metrics")) or {name: value for name, value in metrics.items() if name.startswith("test_")}
    folds = _json(tags.get("cv_metrics")) or {name: value for name, value in metrics.items() if name.startswith("cv_")}
    return {
        "test": test or None,
        "test_images": tags.get("test_images"),
        "cross_validation": folds or None,
        "cv_accuracy": tags.get("cv_accuracy"),
    }


def _run(origin: Origin) -> Values:
    run = origin.run
    if run is None:
        return {"id": origin.version.run_id if origin.version else None, "name": None, "page": None, "restored": None}
    return {"id": run.id, "name": run.name, "page": run.page, "restored": run.tags.get("restored") == "true"}


def _history(origin: Origin) -> Sequence[Values]:
    """The moves of aliases to and from this version."""
    if origin.version is None or origin.registered is None:
        return []
    number = origin.version.version
    found = events(read_history(origin.registered.tags), origin.registered.aliases)
    return [
        {
            "at": event.line.at if event.line else None,
            "who": event.line.who if event.line else None,
            "alias": event.alias,
            "from": event.origin,
            "to": event.target,
            "why": f"{event.line.action}: {event.line.why}" if event.line else "by hand in MLflow",
        }
        for event in found
        if number in (event.origin, event.target) and event.ended
    ]


def _json(text: str | None) -> dict[str, Any]:
    """The object in a tag; empty if there is none, or the tag is of an older project."""
    try:
        values = json.loads(text or "{}")
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}
