"""The origin of a model as a page of text for a terminal. Pure functions of what `trace` found."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.names import listed, shown
from pipeline.pedigree.trace import UNKNOWN, Values

LABELS = 22
NAMED = 12


def as_page(found: Values, columns: int = 0) -> str:
    """Sections with a line per fact; what cannot be rebuilt stands last. columns: of the terminal, 0 for no limit."""
    lines = [_title(found["model"]), ""]
    for heading, rows in (
        ("Model", _model(found)),
        ("Data", _data(found["data"])),
        ("Code", _code(found["code"])),
        ("Training", _training(found)),
        ("Results", _results(found["results"])),
        ("Last pipeline run", iter(found["stages"].items())),
        ("History", _history(found["history"])),
    ):
        if fitted := list(_fitted(rows, columns)):
            lines += [heading, *fitted, ""]
    return "\n".join([*lines, *_gone(found["gone"], columns)])


def _title(model: Mapping[str, Any]) -> str:
    if model["version"] is None:
        return "A model that is in no registry"
    aliases = f": {', '.join(model['aliases'])}" if model["aliases"] else ""
    return f"{shown(model['name'])} version {model['version']}{aliases}"


def _model(found: Values) -> Iterator[tuple[str, str]]:
    model, verdict, run = found["model"], found["verdict"], found["run"]
    yield "sha256", model["sha256"] or UNKNOWN
    for name in ("calibration", "onnx"):
        if digest := model[f"{name}_sha256"]:
            yield f"{name} sha256", digest
    yield "registered", _time(model["registered_at"]) if model["registered_at"] else "no"
    if verdict["reason"]:
        word = "promoted" if verdict["promoted"] else "not promoted"
        yield "verdict", f"{word}: {verdict['reason']}"
        if verdict["decided_at"]:
            yield "decided", _time(verdict["decided_at"])
        yield "compared with", _short(verdict["champion_sha256"]) if verdict["champion_sha256"] else "no champion"
    yield "run", f"{run['id'] or UNKNOWN} ({run['name']})" if run["name"] else run["id"] or UNKNOWN
    if run["restored"]:
        yield "", "made from the files of a run that this tracking server does not know"


def _data(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    counts = data["counts"] or {}
    images = f", {counts['images']:,} images" if "images" in counts else ""
    yield "source", f"{data['source'] or UNKNOWN}{images}"
    yield "source, md5", data["source_md5"] or UNKNOWN
    yield "images, labels", data["images_sha256"] or UNKNOWN
    yield "as ingested", data["ingested_sha256"] or UNKNOWN
    yield "as packed", data["packed_sha256"] or UNKNOWN
    yield "split, md5", data["split_md5"] or UNKNOWN
    yield "test images", data["test_images_sha256"] or UNKNOWN
    if data["class_names"]:
        yield "classes", f"{len(data['class_names']):,}: {listed(data['class_names'], NAMED)}"


def _code(code: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if code["commit"]:
        differs = {True: ", with changes that were not committed", False: "", None: ", and it is not known whether there were changes"}
        yield "commit", f"{code['commit']}{differs[code['differs_from_commit']]}"
    else:
        yield "commit", f"{UNKNOWN}: {code['git_error'] or 'git was not asked'}"
    yield "repository", code["remote"] or UNKNOWN
    yield "dvc.lock", code["dvc_lock_sha256"] or UNKNOWN


def _training(found: Values) -> Iterator[tuple[str, str]]:
    params, machine = found["parameters"], found["machine"]
    values = params["values"] or {}
    yield "parameters", params["sha256"] or UNKNOWN
    network = [f"{name} {values[f'{name}']}" for name in ("model.name", "train.epochs", "train.batch_size") if name in values]
    yield "seed", ", ".join([str(params["seed"] or UNKNOWN), *network])
    yield "device", f"{machine['device'] or UNKNOWN}, {machine['precision'] or 'precision not recorded'}"
    if machine["versions"]:
        yield "packages", ", ".join(f"{name} {version}" for name, version in machine["versions"].items())


def _results(results: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    test, folds = results["test"] or {}, results["cross_validation"] or {}
    on = f" on {int(results['test_images']):,} images" if results["test_images"] else ""
    if "test_accuracy" in test:
        interval = f" [{test['test_accuracy_low']:.4f}, {test['test_accuracy_high']:.4f}]" if "test_accuracy_low" in test else ""
        yield "test accuracy", f"{test['test_accuracy']:.4f}{interval}{on}"
    for name, value in test.items():
        if name not in ("test_accuracy", "test_accuracy_low", "test_accuracy_high") and isinstance(value, int | float):
            yield name.removeprefix("test_").replace("_", " "), f"{value:.4f}"
    if "cv_accuracy_mean" in folds:
        low, high = folds.get("cv_accuracy_low"), folds.get("cv_accuracy_high")
        interval = f" [{low:.4f}, {high:.4f}]" if low is not None and high is not None else ""
        yield "cross-validation", f"{folds['cv_accuracy_mean']:.4f} ± {folds.get('cv_accuracy_std', 0):.4f}{interval}"
    if not test and not folds:
        yield "test accuracy", UNKNOWN


def _history(events: list[Values]) -> Iterator[tuple[str, str]]:
    for event in events:
        moved = f"{event['alias']} from {event['from'] or 'none'} to {event['to'] or 'none'}"
        by = f", {event['who']}" if event["who"] else ""
        yield _time(event["at"]) if event["at"] else "?", f"{moved}{by}: {event['why']}"
    if not events:
        yield "", "no alias was moved to or from it"


def _gone(gone: list[str], columns: int) -> list[str]:
    if not gone:
        return ["Everything that it was made from is there: `pipeline reproduce` can build it again."]
    return ["Cannot be rebuilt, or not exactly", *_fitted(iter(("", fault) for fault in gone), columns)]


def _fitted(rows: Iterator[tuple[str, str]], columns: int) -> Iterator[str]:
    every = list(rows)
    width = max([LABELS, *(len(label) + 2 for label, _ in every)])
    for label, value in every:
        start = f"  {label:<{width}}" if label else "  "
        wide = textwrap.wrap(value, max(columns - len(start), 30), break_long_words=False, break_on_hyphens=False) if columns else [value]
        yield (start + f"\n{' ' * len(start)}".join(wide)).rstrip()


def _time(text: str) -> str:
    return f"{text[:16].replace('T', ' ')} UTC"


def _short(digest: str) -> str:
    return f"the champion with sha256 {digest[:12]}…"
