"""Descriptions of runs, versions and models for MLflow's UI: Markdown made from the outputs of the stages."""

from collections.abc import Mapping
from typing import Any

from pipeline.evaluation.counts import Score
from pipeline.files import read_json
from pipeline.names import in_markdown, listed
from pipeline.paths import Paths
from pipeline.tracking.run_log import Run

NAMED = 12


def describe_version(score: Score, decision: Mapping[str, Any], sentence: str, run: Run, paths: Paths) -> str:
    """The decision and its reason, what changed against the champion, the accuracy with its interval, the data set, and a link to the run.

    sentence: the decision in one line.
    """
    test, folds = read_json(paths.stage("evaluate") / "metrics.json"), read_json(paths.stage("cross_validate") / "metrics.json")
    interval = read_json(paths.stage("evaluate") / "uncertainty.json")
    spec = read_json(paths.stage("preprocess") / "spec.json")
    verdict = "Promoted to champion" if decision["promoted"] else "Not promoted"
    never = f"\n\n**Never predicted:** {in_markdown(listed(score.never_predicted, NAMED))}" if score.never_predicted else ""
    return (
        f"**{verdict}:** {in_markdown(decision['reason'])}.{never}\n\n"
        f"{_comparison(decision, sentence)}"
        f"- test accuracy **{test['test_accuracy']:.4f}**, 95 % interval {interval['test_accuracy_low']:.4f} to {interval['test_accuracy_high']:.4f}, "
        f"on {score.images:,} images\n"
        f"- cross-validation {folds['cv_accuracy_mean']:.4f} ± {folds['cv_accuracy_std']:.4f}\n"
        f"- data set {in_markdown(spec['dataset_name'])}: {spec['data_counts'].get('images', 0):,} images of {len(spec['class_names']):,} classes, "
        f"digest `{spec['dataset_digest'][:12]}`\n"
        f"- [run with curves, pictures and the report (Artifacts: evaluate/report.html, register/flips.html)]({run.page})"
    )


def _comparison(decision: Mapping[str, Any], sentence: str) -> str:
    """The sentence, and a table of the images that changed; empty if there was no comparison."""
    found = (decision.get("champion") or {}).get("comparison")
    if not found:
        return ""
    return (
        f"{in_markdown(sentence)}\n\n"
        f"| against the champion | of {found['n']:,} images |\n|---|---|\n| right → wrong | {found['c']:,} |\n| wrong → right | {found['b']:,} |\n"
        f"| wrong → other wrong | {found['both_wrong_differently']:,} |\n\n"
        f"- {found['test']}, p = {found['p_value']:.4f}; with {found['n']:,} images an equal model passes with {decision['power']:.0%} chance\n"
        f"- these test images have judged {decision['judged']:,} models, this one included\n"
    )


def describe_model(paths: Paths) -> str:
    """The description of a registered model."""
    spec = read_json(paths.stage("preprocess") / "spec.json")
    names = in_markdown(listed(spec["class_names"], NAMED))
    return (
        f"Classifies images of {in_markdown(spec['dataset_name'])}: {names}. The alias `champion` marks the version that serves, `anchor` the last one "
        "that was shown to be better than the anchor before it. The description of each version has the gate's decision and its reason."
    )
