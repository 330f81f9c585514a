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
    """The decision in one line, a table of what is compared first and of the images that changed, then the reason and all else.

    MLflow's page of a run shows the first lines only, and its list of versions the first words, without formatting. sentence: the decision in one line.
    """
    spec = read_json(paths.stage("preprocess") / "spec.json")
    verdict = "Promoted to champion" if decision["promoted"] else "Not promoted"
    found = (decision.get("champion") or {}).get("comparison")
    lines = [
        f"reason: {in_markdown(decision['reason'])}" if found else "",
        f"never predicted: {in_markdown(listed(score.never_predicted, NAMED))}" if score.never_predicted else "",
        f"{found['test']}, p = {found['p_value']:.4f}; with {found['n']:,} images an equal model passes with {decision['power']:.0%} chance"
        if found
        else "",
        f"these test images have judged {decision['judged']:,} {'model' if decision['judged'] == 1 else 'models'}, this one included"
        if found
        else "",
        f"data set {in_markdown(spec['dataset_name'])}: {spec['data_counts'].get('images', 0):,} images of {len(spec['class_names']):,} classes, "
        f"digest `{spec['dataset_digest'][:12]}`",
        f"[run with curves, pictures and the report]({run.page}) (Artifacts: evaluate/report.html, register/changes.html"
        f"{', register/flips.html' if found else ''})",
    ]
    told = in_markdown(sentence if found else str(decision["reason"]))
    return f"{verdict}: {told}\n\n{_numbers(score, found, paths)}\n" + "\n".join(f"- {line}" for line in lines if line)


def _numbers(score: Score, found: Mapping[str, Any] | None, paths: Paths) -> str:
    """A table of one row: accuracy with its interval, cross-validation and, after a comparison, how many images changed in each way."""
    test, folds = read_json(paths.stage("evaluate") / "metrics.json"), read_json(paths.stage("cross_validate") / "metrics.json")
    interval = read_json(paths.stage("evaluate") / "uncertainty.json")
    cells = {
        f"test accuracy on {score.images:,} images": (
            f"**{test['test_accuracy']:.4f}** [{interval['test_accuracy_low']:.4f}, {interval['test_accuracy_high']:.4f}]"
        ),
        "cross-validation": f"{folds['cv_accuracy_mean']:.4f} ± {folds['cv_accuracy_std']:.4f}",
    }
    if found:
        cells |= {
            "right → wrong": f"{found['c']:,}",
            "wrong → right": f"{found['b']:,}",
            "wrong → other wrong": f"{found['both_wrong_differently']:,}",
        }
    return "".join(f"| {' | '.join(row)} |\n" for row in (cells.keys(), ["---"] * len(cells), cells.values()))


def describe_model(paths: Paths) -> str:
    """The description of a registered model."""
    spec = read_json(paths.stage("preprocess") / "spec.json")
    names = in_markdown(listed(spec["class_names"], NAMED))
    return (
        f"Classifies images of {in_markdown(spec['dataset_name'])}: {names}. The alias `champion` marks the version that serves, `anchor` the last one "
        "that was shown to be better than the anchor before it. The description of each version has the gate's decision and its reason."
    )
