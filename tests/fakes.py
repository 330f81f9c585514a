"""A tracker in memory: the Protocols of pipeline/tracking/run_log.py, complete, for tests that must not load MLflow.

It keeps everything in plain attributes and refuses, as MLflow does, a parameter that is logged again with another value.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.errors import ModelError, TrackingError
from pipeline.tracking.run_log import Dataset, ModelVersion, Registered, Run, RunRecord, Scalar, Status

Predictor = Callable[[Sequence[bytes]], list[str]]
Answer = Callable[[bytes], dict[str, float]]


class FakeRun:
    """One run. `metrics` holds (step, value) pairs per name, `files` the bytes of each artifact by its path in the run."""

    def __init__(self, run_id: str, name: str, tags: Mapping[str, str], parent: "FakeRun | None" = None) -> None:
        self.run_id = run_id
        self.name = name
        self.tags = dict(tags)
        self.parent = parent
        self.params: dict[str, str] = {}
        self.metrics: dict[str, list[tuple[int, float]]] = {}
        self.files: dict[str, bytes] = {}
        self.datasets: list[Dataset] = []
        self.status = "RUNNING"
        self.logged: set[tuple[str, int]] = set()
        self.description = ""
        self.owed: list[str] = []

    @property
    def page(self) -> str:
        return f"#/runs/{self.run_id}"

    @property
    def id(self) -> str:
        return self.run_id

    def log_params(self, params: Mapping[str, Scalar]) -> None:
        for key, value in params.items():
            if self.params.setdefault(key, str(value)) != str(value):
                raise ValueError(f"{key} was logged as {self.params[key]!r}, now as {value!r}")

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        for key, value in metrics.items():
            if (key, step) not in self.logged:
                self.metrics.setdefault(key, []).append((step, float(value)))

    def log_file(self, path: Path, folder: str = "") -> None:
        self.files[f"{folder}/{path.name}".lstrip("/")] = path.read_bytes()

    def log_dataset(self, dataset: Dataset) -> None:
        self.datasets.append(dataset)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        self.tags.update(tags)

    def describe(self, text: str) -> None:
        self.description = text

    def rename(self, name: str) -> None:
        self.name = name

    def check_artifacts(self, file: Path) -> None:
        pass

    def owe(self, reason: str) -> None:
        self.owed.append(reason)

    def settle(self) -> None:
        if self.owed:
            raise TrackingError(f"owed: {self.owed[0]}")

    def finish(self, status: Status = "FINISHED") -> None:
        self.status = status
        if status == "FINISHED":
            self.settle()

    def last(self, metric: str) -> float:
        """The value logged last under a name."""
        return self.metrics[metric][-1][1]


class FakeTracker:
    """Runs and a registry. Tests may read all attributes, and set by version number what MLflow would have: `predictors` and `answers` (probabilities by
    class name for an image) of models that can be loaded, and `files`, by path.
    """

    def __init__(self) -> None:
        self.runs: list[FakeRun] = []
        self.deleted: list[FakeRun] = []
        self.versions: list[ModelVersion] = []
        self.champions: dict[str, ModelVersion] = {}
        self.model_tags: dict[str, dict[str, str]] = {}
        self.descriptions: dict[str, str] = {}
        self.aliases: dict[str, dict[str, str]] = {}
        self.predictors: dict[str, Predictor] = {}
        self.answers: dict[str, Answer] = {}
        self.files: dict[str, dict[str, bytes]] = {}
        self._ids = itertools.count(1)

    def start_run(self, name: str, tags: Mapping[str, str], parent: Run | None = None) -> FakeRun:
        run = FakeRun(f"run-{next(self._ids)}", name, tags, self._own(parent) if parent else None)
        self.runs.append(run)
        return run

    def resume_run(
        self, tags: Mapping[str, str], parent: Run | None = None, *, finished: bool = False, known: str | None = None
    ) -> FakeRun | None:
        candidates = self.children(parent) if parent else self.runs
        states = {"FAILED", "KILLED", "FINISHED"} if finished else {"FAILED", "KILLED"}
        for run in map(self._own, reversed(candidates)):
            if tags.items() <= run.tags.items() and (run.status in states or run.id == known):
                run.status = "RUNNING"
                run.logged = {(name, step) for name, values in run.metrics.items() for step, _ in values}
                return run
        return None

    def reopen(self, run: Run) -> FakeRun:
        own = self._own(run)
        own.status = "RUNNING"
        return own

    def find_runs(self, tags: Mapping[str, str]) -> list[Run]:
        return [run for run in reversed(self.runs) if tags.items() <= run.tags.items()]

    def children(self, run: Run) -> list[Run]:
        return [child for child in self.runs if child.parent and child.parent.id == run.id]

    def adopt(self, child: Run, parent: Run) -> None:
        self._own(child).parent = self._own(parent)

    def delete(self, run: Run) -> None:
        own = self._own(run)
        self.runs.remove(own)
        self.deleted.append(own)

    def find_version(self, model_name: str, tags: Mapping[str, str]) -> ModelVersion | None:
        matches = [v for v in self.versions if v.name == model_name and tags.items() <= v.tags.items()]
        return matches[-1] if matches else None

    def registered(self, model_name: str) -> Registered | None:
        if not any(version.name == model_name for version in self.versions):
            return None
        champion = self.champions.get(model_name)
        aliases = {**self.aliases.get(model_name, {}), **({"champion": champion.version} if champion else {})}
        return Registered(model_name, champion, dict(self.model_tags.get(model_name, {})), aliases)

    def tag_model(self, model_name: str, tags: Mapping[str, str]) -> None:
        self.model_tags.setdefault(model_name, {}).update(tags)

    def untag_model(self, model_name: str, key: str) -> None:
        self.model_tags.get(model_name, {}).pop(key, None)

    def set_alias(self, model_name: str, alias: str, version: str | None) -> None:
        others = self.aliases.setdefault(model_name, {})
        if alias == "champion":
            self.champions.pop(model_name, None)
            if found := self.version(model_name, version or ""):
                self.champions[model_name] = found
        elif version is None:
            others.pop(alias, None)
        else:
            others[alias] = version

    def version(self, model_name: str, number: str) -> ModelVersion | None:
        return next((version for version in self.all_versions(model_name) if version.version == number), None)

    def all_versions(self, model_name: str) -> list[ModelVersion]:
        return [version for version in self.versions if version.name == model_name]

    def versions_of_run(self, run_id: str) -> list[ModelVersion]:
        return [version for version in self.versions if version.run_id == run_id]

    def read_run(self, run_id: str) -> RunRecord | None:
        run = next((run for run in self.runs if run.id == run_id), None)
        if run is None:
            return None
        last = {name: values[-1] for name, values in run.metrics.items()}
        metrics, steps = {name: value for name, (_, value) in last.items()}, {name: step for name, (step, _) in last.items()}
        return RunRecord(run.id, run.name, run.status, run.tags, run.params, metrics, steps, run.page)

    def model_names(self) -> list[str]:
        return sorted({version.name for version in self.versions})

    def log_model(self, run: Run, files: list[Path], *, to_serve: bool = True) -> None:
        own = self._own(run)
        for file in files:
            own.log_file(file, "model")

    def register(self, model_name: str, run: Run, tags: Mapping[str, str]) -> ModelVersion:
        if not any(path.startswith("model/") for path in self._own(run).files):
            raise ValueError(f"{run.id} has no model to register")
        number = 1 + sum(version.name == model_name for version in self.versions)
        self.versions.append(ModelVersion(model_name, str(number), dict(tags), run_id=run.id))
        return self.versions[-1]

    def tag_version(self, version: ModelVersion, tags: Mapping[str, str]) -> ModelVersion:
        tagged = replace(version, tags={**version.tags, **tags})
        self.versions = [tagged if known == version else known for known in self.versions]
        self.champions = {name: tagged if known == version else known for name, known in self.champions.items()}
        return tagged

    def describe_version(self, version: ModelVersion, text: str) -> None:
        self.descriptions[version.version] = text

    def describe_model(self, model_name: str, text: str) -> None:
        self.descriptions[model_name] = text

    def has_files(self, version: ModelVersion) -> bool:
        return True

    def fetch(self, version: ModelVersion, folder: Path) -> Path:
        for name, content in self._files(version).items():
            if name.startswith("code/"):
                continue
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        return folder

    def fetch_file(self, run_id: str, name: str, folder: Path) -> Path | None:
        run = next((run for run in self.runs if run.id == run_id), None)
        if run is None or name not in run.files:
            return None
        (folder / Path(name).name).write_bytes(run.files[name])
        return folder / Path(name).name

    def answer(self, version: ModelVersion, images: Sequence[bytes]) -> list[dict[str, float]]:
        if version.version not in self.answers:
            raise ModelError(f"{version.name} version {version.version} cannot be loaded")
        return list(map(self.answers[version.version], images))

    def predict(self, version: ModelVersion, batches: Iterable[Sequence[bytes]]) -> Iterator[list[str]]:
        if version.version not in self.predictors:
            raise ModelError(f"{version.name} version {version.version} cannot be loaded")
        yield from map(self.predictors[version.version], batches)

    def _files(self, version: ModelVersion) -> dict[str, bytes]:
        """Those that a test has set, else those of the model that the run logged."""
        logged = next((run.files for run in self.runs if run.id == version.run_id), {})
        return self.files.get(version.version) or {name: content for name, content in logged.items() if name.startswith("model/")}

    def _own(self, run: Run) -> FakeRun:
        return next(own for own in self.runs if own.id == run.id)
