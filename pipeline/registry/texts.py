"""Descriptions of runs, versions and models for MLflow's UI: Markdown made from the outputs of the stages."""

from collections.abc import Mapping
from typing import Any

from pipeline.evaluation.counts import Score
from pipeline.files import read_json
from pipeline.names import in_markdown, listed
from pipeline.paths import Paths
from pipeline.tracking.run_log import Run

NAMED = 12


def describe_version(score: Score, decision: Mapping[str, Any], run: Run, paths: Paths) -> str:
    """The decision and its reason, the accuracy with its interval, the data set, and a link to the run."""
    test, folds = read_json(paths.stage("evaluate") / "metrics.json"), read_json(paths.stage("cross_validate") / "metrics.json")
    interval = read_json(paths.stage("evaluate") / "uncertainty.json")
    spec = read_json(paths.stage("preprocess") / "spec.json")
    verdict = "Promoted to champion" if decision["promoted"] else "Not promoted"
    never = f"\n\n**Never predicted:** {in_markdown(listed(score.never_predicted, NAMED))}" if score.never_predicted else ""
    return (
        f"**{verdict}:** {in_markdown(decision['reason'])}.{never}\n\n"
        f"- test accuracy **{test['test_accuracy']:.4f}**, 95 % interval {interval['test_accuracy_low']:.4f} to {interval['test_accuracy_high']:.4f}, "
        f"on {score.images:,} images\n"
        f"- cross-validation {folds['cv_accuracy_mean']:.4f} ± {folds['cv_accuracy_std']:.4f}\n"
        f"- data set {in_markdown(spec['dataset_name'])}: {spec['data_counts'].get('images', 0):,} images of {len(spec['class_names']):,} classes, "
        f"digest `{spec['dataset_digest'][:12]}`\n"
        f"- [run with curves, pictures and the report (Artifacts, evaluate/report.html)]({run.page})"
    )


def describe_model(paths: Paths) -> str:
    """The description of a registered model."""
    spec = read_json(paths.stage("preprocess") / "spec.json")
    names = in_markdown(listed(spec["class_names"], NAMED))
    return (
        f"Classifies images of {in_markdown(spec['dataset_name'])}: {names}. The alias `champion` marks the version that serves. The description of each "
        "version has the gate's decision and its reason."
    )
