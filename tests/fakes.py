"""A log book in memory: the Protocols of pipeline/stores/run_log.py, complete, for tests that must not load MLflow.

It keeps what it is told in plain attributes, and refuses what MLflow refuses: a parameter logged twice with another value.
"""

import itertools
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import TrackingError
from pipeline.stores.run_log import Dataset, ModelVersion, Predictor, Run, Scalar, Status


class FakeRun:
    """One run. `metrics` holds (step, value) pairs per name, `files` the bytes of each artifact by its path in the run."""

    def __init__(self, run_id: str, name: str, tags: Mapping[str, str], parent: "FakeRun | None" = None) -> None:
        self.run_id = run_id
        self.name = name
        self.tags = dict(tags)
        self.parent = parent
        self.params: dict[str, Scalar] = {}
        self.metrics: dict[str, list[tuple[int, float]]] = {}
        self.files: dict[str, bytes] = {}
        self.datasets: list[Dataset] = []
        self.status = "RUNNING"
        self.logged: set[tuple[str, int]] = set()

    @property
    def id(self) -> str:
        return self.run_id

    def log_params(self, params: Mapping[str, Scalar]) -> None:
        for key, value in params.items():
            if self.params.setdefault(key, value) != value:
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

    def finish(self, status: Status = "FINISHED") -> None:
        self.status = status

    def last(self, metric: str) -> float:
        """The value logged last under a name."""
        return self.metrics[metric][-1][1]


class FakeTracker:
    """A log book of runs and a registry. A test may look at all of it, and set `predictors`, by version number, as models to be loaded."""

    def __init__(self) -> None:
        self.runs: list[FakeRun] = []
        self.deleted: list[FakeRun] = []
        self.versions: list[ModelVersion] = []
        self.champions: dict[str, ModelVersion] = {}
        self.predictors: dict[str, Predictor] = {}
        self._ids = itertools.count(1)

    def start_run(self, name: str, tags: Mapping[str, str], parent: Run | None = None) -> FakeRun:
        run = FakeRun(f"run-{next(self._ids)}", name, tags, self._own(parent) if parent else None)
        self.runs.append(run)
        return run

    def resume_run(self, tags: Mapping[str, str], parent: Run | None = None, *, finished: bool = False) -> FakeRun | None:
        candidates = self.children(parent) if parent else self.runs
        states = {"FAILED", "KILLED", "FINISHED"} if finished else {"FAILED", "KILLED"}
        for run in map(self._own, reversed(candidates)):
            if tags.items() <= run.tags.items() and run.status in states:
                run.status = "RUNNING"
                run.logged = {(name, step) for name, values in run.metrics.items() for step, _ in values}
                return run
        return None

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

    def champion(self, model_name: str) -> ModelVersion | None:
        return self.champions.get(model_name)

    def log_model(self, run: Run, files: list[Path]) -> None:
        own = self._own(run)
        if not any(path.startswith("model/") for path in own.files):
            for file in files:
                own.log_file(file, "model")

    def register(self, model_name: str, run: Run, tags: Mapping[str, str]) -> ModelVersion:
        if not any(path.startswith("model/") for path in self._own(run).files):
            raise ValueError(f"{run.id} has no model to register")
        number = 1 + sum(version.name == model_name for version in self.versions)
        self.versions.append(ModelVersion(model_name, str(number), dict(tags)))
        return self.versions[-1]

    def promote(self, version: ModelVersion) -> None:
        self.champions[version.name] = version

    def tag_version(self, version: ModelVersion, tags: Mapping[str, str]) -> ModelVersion:
        tagged = ModelVersion(version.name, version.version, {**version.tags, **tags})
        self.versions = [tagged if known == version else known for known in self.versions]
        self.champions = {name: tagged if known == version else known for name, known in self.champions.items()}
        return tagged

    def load_predictor(self, version: ModelVersion) -> Predictor:
        if version.version not in self.predictors:
            raise TrackingError(f"{version.name} version {version.version} cannot be loaded")
        return self.predictors[version.version]

    def _own(self, run: Run) -> FakeRun:
        return next(own for own in self.runs if own.id == run.id)
