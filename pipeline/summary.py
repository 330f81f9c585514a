"""What a run came to, for people: the verdict at the end of a run in plain text, and the same with its stages as Markdown.

Reads the stages' small result files; one that is missing or broken leaves its line out. Pure text out; knows nothing of Prefect or MLflow.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.data_report import KINDS, counted
from pipeline.ml.split_names import SPLITS
from pipeline.paths import Paths
from pipeline.stores.tracking_server import tracking_uri


@dataclass(frozen=True)
class StageResult:
    """How one stage ended, and how long it took."""

    stage: str
    state: str
    seconds: float


def verdict(paths: Paths, model_version: str | None = None) -> str:
    """The lines that a run ends with: accuracy, cross-validation, registry, report, MLflow. Empty where no stage has written a result."""
    facts = _facts(paths, model_version)
    if not facts:
        return ""
    facts["compare runs"] = mlflow_command(paths)
    width = max(map(len, facts))
    return "\n".join(f"  {name:<{width}}  {value}" for name, value in facts.items())


def markdown(paths: Paths, results: Sequence[StageResult], model_version: str | None = None) -> str:
    """The summary that the Prefect UI shows: a table of the stages, a table of what came out, the MLflow command."""
    stages = "\n".join(f"| {result.stage} | {result.state} | {_duration(result.seconds)} |" for result in results)
    facts = "\n".join(f"| {name} | {value} |" for name, value in _facts(paths, model_version).items())
    outcome = f"\n\n| result | |\n|---|---|\n{facts}" if facts else ""
    return (
        f"| stage | state | time |\n|---|---|---|\n{stages}{outcome}\n\n"
        f"Compare runs in MLflow, on the machine that ran them:\n\n```\n{mlflow_command(paths)}\n```\n"
    )


def data_markdown(paths: Paths) -> str:
    """What `ingest` found in the images, for the Prefect UI: two tables, images by class and split, findings by kind. Empty where it has not run."""
    report = _read(paths.stage("ingest") / "report.json")
    if not {"name", "counts", "class_names", "findings", "images", "rejected"} <= report.keys():
        return ""
    splits = [split for split in SPLITS if any(report["counts"][split].values())]
    classes = [_row(name, *(f"{report['counts'][split][name]:,}" for split in splits)) for name in report["class_names"]]
    findings = [_row(KINDS[kind].title, f"{count:,}") for kind, count in report["findings"].items()]
    found = "\n".join(["| found | |", "|---|---|", *findings]) if findings else "Nothing to look at was found."
    table = "\n".join([_row("class", *splits), "|---" * (1 + len(splits)) + "|", *classes])
    page = paths.relative(paths.stage("ingest") / "report.html")
    return f"{_cell(report['name'])}: {_images(report)}. With pictures: `{page}`\n\n{found}\n\n{table}\n"


def mlflow_command(paths: Paths) -> str:
    """The whole command that shows the runs, or the address of the tracking server in use."""
    server = os.environ.get("MLFLOW_TRACKING_URI")
    if server and server.startswith("http"):
        return server
    return f"mlflow ui --backend-store-uri {_quoted(tracking_uri(paths))}"


def _facts(paths: Paths, model_version: str | None) -> dict[str, str]:
    evaluation = _read(paths.stage("evaluate") / "metrics.json")
    folds = _read(paths.stage("cross_validate") / "metrics.json")
    decision = _read(paths.stage("register") / "decision.json")
    report = paths.stage("evaluate") / "report.html"
    data, data_page = _read(paths.stage("ingest") / "report.json"), paths.stage("ingest") / "report.html"
    facts = {
        "data": _data(data, paths.relative(data_page)) if data_page.is_file() else "",
        "test accuracy": _number(evaluation, "accuracy"),
        "macro F1": _number(evaluation, "macro_f1"),
        "cross-validation": _mean_and_deviation(folds),
        "model": model_version or "",
        "registry": _registry(decision),
        "report": paths.relative(report) if report.is_file() else "",
    }
    return {name: value for name, value in facts.items() if value}


def _data(report: Mapping[str, Any], page: str) -> str:
    if not {"images", "rejected", "findings", "class_names"} <= report.keys():
        return ""
    found = ", ".join(counted(count, KINDS[kind].one, KINDS[kind].many) for kind, count in report["findings"].items())
    return f"{_images(report)}{f', found {found}' if found else ''}: {page}"


def _images(report: Mapping[str, Any]) -> str:
    left_out = f", {report['rejected']:,} left out" if report["rejected"] else ""
    return f"{report['images']:,} images of {len(report['class_names']):,} classes{left_out}"


def _registry(decision: Mapping[str, Any]) -> str:
    if "promoted" not in decision:
        return ""
    outcome = "champion" if decision["promoted"] else "not promoted"
    return f"{outcome}: {decision['reason']}" if decision.get("reason") else outcome


def _number(metrics: Mapping[str, Any], name: str) -> str:
    value = metrics.get(name)
    return f"{value:.4f}" if isinstance(value, int | float) else ""


def _mean_and_deviation(folds: Mapping[str, Any]) -> str:
    mean, deviation = _number(folds, "accuracy_mean"), _number(folds, "accuracy_std")
    return f"{mean} ± {deviation}" if mean and deviation else mean


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def _row(*cells: str) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    """Text that does not break a table."""
    return " ".join(text.replace("|", "\\|").split())


def _quoted(text: str) -> str:
    return f'"{text}"' if " " in text else text
