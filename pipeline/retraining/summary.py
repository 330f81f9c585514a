"""The results of a run, for people: the verdict at the end of a run as plain text, and the same with its stages as Markdown.

Reads the stages' small result files, of which one that is missing or broken leaves its line out, and asks git whether it has them. Pure text out;
knows nothing of Prefect or MLflow.
"""

import json
import os
import shlex
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.dataset.split_names import SPLITS
from pipeline.git import ask_git
from pipeline.names import in_markdown, listed, shown
from pipeline.paths import Paths
from pipeline.quality.kinds import counted, kinds
from pipeline.tracking.run_log import RegistryState
from pipeline.tracking.tracking_server import given_uri, is_server


@dataclass(frozen=True)
class StageResult:
    """How one stage ended, how long it took, and when that was (UTC)."""

    stage: str
    state: str
    seconds: float
    ended: datetime


def verdict(paths: Paths, registry: RegistryState | None = None, columns: int = 0) -> str:
    """The lines that a run ends with: accuracy, cross-validation, registry, report, MLflow. Empty if no stage has written a result.

    columns: of the terminal, at which lines are broken between words; 0: not at all.
    """
    facts = _facts(paths, registry)
    if not facts:
        return ""
    facts["compare runs"] = runs_address(registry)
    width = max(map(len, facts))
    return "\n".join(_wrapped(f"  {name:<{width}}  ", value, columns) for name, value in facts.items())


def first_baseline(paths: Paths, here: Path) -> str:
    """The command, for a shell in `here`, that commits what a run wrote, with params.yaml where that has been edited.

    Empty once git knows all of these files that it does not ignore, and where git cannot say.
    """
    files = [paths.relative(file) for file in paths.kept_in_git]
    new = ask_git(paths.root, "ls-files", "--others", "--exclude-standard", "--", *files)
    changed = ask_git(paths.root, "diff", "--name-only", "--relative", "HEAD", "--", paths.relative(paths.params), *files)
    if not new.text or changed.fault:
        return ""
    folder = os.path.relpath(paths.root, here) if here.is_relative_to(paths.root) else str(paths.root)
    git = ["git"] if folder == os.curdir else ["git", "-C", folder]
    added = shlex.join([*git, "add", *changed.text.splitlines(), *new.text.splitlines()])
    return f"{added} && {shlex.join([*git, 'commit', '-m', 'First baseline'])}"


def markdown(paths: Paths, results: Sequence[StageResult], registry: RegistryState | None = None) -> str:
    """The summary that the Prefect UI shows: a table of the stages, a table of results, and where to compare runs."""
    stages = "\n".join(f"| {result.stage} | {result.state} | {_duration(result.seconds)} |" for result in results)
    facts = "\n".join(_row(name, value) for name, value in _facts(paths, registry).items())
    outcome = f"\n\n| result | |\n|---|---|\n{facts}" if facts else ""
    return (
        f"| stage | state | time |\n|---|---|---|\n{stages}{outcome}\n\n"
        f"Compare runs in MLflow, on the machine that ran them:\n\n```\n{runs_address(registry)}\n```\n"
    )


def data_markdown(paths: Paths) -> str:
    """What `ingest` found in the images, for the Prefect UI: two tables, images by class and split, findings by kind. Empty if it has not run."""
    report = _read(paths.stage("ingest") / "report.json")
    if not {"name", "counts", "class_names", "findings", "images", "rejected"} <= report.keys():
        return ""
    splits = [split for split in SPLITS if any(report["counts"][split].values())]
    classes = [_row(shown(name), *(f"{report['counts'][split][name]:,}" for split in splits)) for name in report["class_names"]]
    findings = [_row(kinds()[kind].title, f"{count:,}") for kind, count in report["findings"].items()]
    found = "\n".join(["| found | |", "|---|---|", *findings]) if findings else "No problems found."
    table = "\n".join([_row("class", *splits), "|---" * (1 + len(splits)) + "|", *classes])
    page = paths.relative(paths.stage("ingest") / "report.html")
    return f"{in_markdown(report['name'])}: {_images(report)}. With pictures: `{page}`\n\n{found}\n\n{table}\n"


def stage_markdown(stage: str, paths: Paths, links: Mapping[str, str]) -> str:
    """What a stage has found and made, for its page in the Prefect UI: its numbers, its report, and links. Empty if there is nothing to show."""
    if stage == "ingest":
        return data_markdown(paths)
    folder = paths.stage(stage)
    numbers = {name: value for name, value in _read(folder / "metrics.json").items() if isinstance(value, int | float)}
    rows = [_row(name.replace("_", " "), f"{value:g}") for name, value in numbers.items()]
    parts = ["\n".join(["| result | |", "|---|---|", *rows])] if rows else []
    if reason := _read(folder / "decision.json").get("reason"):
        parts.append(in_markdown(str(reason)))
    if (folder / "report.html").is_file():
        parts.append(f"With pictures: `{paths.relative(folder / 'report.html')}`")
    parts += [f"MLflow: [{in_markdown(name)}]({address})" for name, address in links.items()]
    return "\n\n".join(parts)


def runs_address(registry: RegistryState | None) -> str:
    """Where the runs are compared: a page of the tracking server, or the command that shows the project's own store."""
    uri = given_uri()
    if registry and is_server(uri):
        return registry.page
    return f"pipeline ui   ({registry.page})" if registry else "pipeline ui"


def _facts(paths: Paths, registry: RegistryState | None) -> dict[str, str]:
    evaluation = _read(paths.stage("evaluate") / "metrics.json")
    uncertainty = _read(paths.stage("evaluate") / "uncertainty.json")
    folds = _read(paths.stage("cross_validate") / "metrics.json")
    report, changes = paths.stage("evaluate") / "report.html", paths.stage("register") / "changes.html"
    data, data_page = _read(paths.stage("ingest") / "report.json"), paths.stage("ingest") / "report.html"
    facts = {
        "data": _data(data, paths.relative(data_page)) if data_page.is_file() else "",
        "method": str(_read(paths.stage("train") / "choice.json").get("chosen", {}).get("method", "")),
        "test accuracy": _test_accuracy(evaluation, uncertainty, data),
        "macro F1": _number(evaluation, "test_macro_f1"),
        "cross-validation": _mean_and_deviation(folds),
        "warning": "; ".join(filter(None, (_not_better(evaluation, uncertainty, data), _never_predicted(paths)))),
        "model": registry.model if registry else "",
        "registry": registry.verdict if registry else "",
        "report": paths.relative(report) if report.is_file() else "",
        "what changed": paths.relative(changes) if changes.is_file() else "",
    }
    return {name: value for name, value in facts.items() if value}


def _data(report: Mapping[str, Any], page: str) -> str:
    if not {"images", "rejected", "findings", "class_names"} <= report.keys():
        return ""
    found = ", ".join(counted(count, kinds()[kind].one, kinds()[kind].many) for kind, count in report["findings"].items())
    return f"{_images(report)}{f', found {found}' if found else ''}: {page}"


def _images(report: Mapping[str, Any]) -> str:
    left_out = f", {report['rejected']:,} left out" if report["rejected"] else ""
    return f"{report['images']:,} images of {len(report['class_names']):,} classes{left_out}"


def _not_better(evaluation: Mapping[str, Any], uncertainty: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """That the model is not shown to be better than always guessing the class with the most test images; empty if it is, or if that is not known."""
    accuracy, low = evaluation.get("test_accuracy"), uncertainty.get("test_accuracy_low")
    counts = report.get("counts", {}).get("test", {})
    if not (isinstance(accuracy, int | float) and isinstance(low, int | float) and any(counts.values())):
        return ""
    name, most = min(counts.items(), key=lambda item: (-item[1], item[0]))
    images = sum(counts.values())
    if low > most / images:
        return ""
    known = "not shown to be" if round(accuracy * images) > most else "no"
    return f"{known} better than always guessing {shown(name)} ({most / images:.4f})"


def _never_predicted(paths: Paths) -> str:
    """The classes that have test images and that the model never predicts."""
    decision = _read(paths.stage("register") / "decision.json").get("decision")
    names = decision.get("never_predicted") if isinstance(decision, dict) else None
    return f"never predicted: {listed(names)}" if names else ""


def _number(metrics: Mapping[str, Any], name: str) -> str:
    value = metrics.get(name)
    return f"{value:.4f}" if isinstance(value, int | float) else ""


def _test_accuracy(evaluation: Mapping[str, Any], uncertainty: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """The accuracy with its interval, and of how many images it is."""
    accuracy = _number(evaluation, "test_accuracy")
    ends = [uncertainty.get(f"test_accuracy_{end}") for end in ("low", "high")]
    said = [f"95 % interval {ends[0]:.3f} to {ends[1]:.3f}"] if all(isinstance(end, int | float) for end in ends) else []
    if images := sum(report.get("counts", {}).get("test", {}).values()):
        said.append(f"{images:,} test image{'' if images == 1 else 's'}")
    return f"{accuracy}   ({', '.join(said)})" if accuracy and said else accuracy


def _mean_and_deviation(folds: Mapping[str, Any]) -> str:
    mean, deviation = _number(folds, "cv_accuracy_mean"), _number(folds, "cv_accuracy_std")
    return f"{mean} ± {deviation}" if mean and deviation else mean


def _wrapped(start: str, value: str, columns: int) -> str:
    if not columns:
        return start + value
    room = max(columns - len(start), 20)
    return start + f"\n{' ' * len(start)}".join(textwrap.wrap(value, room, break_long_words=False, break_on_hyphens=False))


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
    return f"| {' | '.join(map(in_markdown, cells))} |"
