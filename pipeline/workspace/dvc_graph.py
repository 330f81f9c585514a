"""The graph in dvc.yaml: the stages, and which of them reads the outputs of another. Runs nothing."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.errors import ConfigError
from pipeline.paths import STAGES, Paths


def read_graph(paths: Paths) -> dict[str, list[str]]:
    """The stages of dvc.yaml in its order, each with those whose outs it reads. Raises ConfigError if it cannot be read."""
    advice = "Fix it, or restore it from git: `git checkout -- dvc.yaml`."
    stages = stages_in(paths.root / "dvc.yaml", advice)
    try:
        made_by = {
            _path(out): name for name, stage in stages.items() for kind in ("outs", "metrics", "plots") for out in stage.get(kind, [])
        }
        return {
            name: sorted({made_by[dep] for dep in map(_path, stage.get("deps", [])) if dep in made_by}) for name, stage in stages.items()
        }
    except (TypeError, AttributeError, StopIteration):
        raise ConfigError(f"dvc.yaml cannot be read: its stages are not as DVC writes them. {advice}") from None


def missing_inputs(stage: str, paths: Paths) -> list[str]:
    """The outputs of other stages that a stage reads, by dvc.yaml, and that do not exist; none if dvc.yaml cannot be read."""
    try:
        deps = [_path(dep) for dep in stages_in(paths.root / "dvc.yaml", "")[stage].get("deps", [])]
    except (ConfigError, KeyError, TypeError, AttributeError, StopIteration):
        return []  # a stage can run without a graph
    made_by_stages = tuple(f"data/{name}/" for name in STAGES)
    return [dep for dep in deps if dep.startswith(made_by_stages) and not (paths.root / dep).exists()]


def stages_in(file: Path, advice: str) -> dict[str, Any]:
    """The stages of dvc.yaml or dvc.lock. Raises ConfigError, which ends with `advice`, if the file cannot be read."""
    try:
        stages = YAML(typ="safe").load(file.read_text(encoding="utf-8"))["stages"]
        if isinstance(stages, dict):
            return stages
        reason = "it has no stages"
    except (OSError, ValueError, YAMLError, KeyError, TypeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        said = getattr(error, "problem", None) or getattr(error, "strerror", None) or getattr(error, "reason", None)
        reason = f"{f'line {mark.line + 1}: ' if mark else ''}{str(said).splitlines()[0]}" if said else "it has no stages"
    raise ConfigError(f"{file.name} cannot be read: {reason}. {advice}")


def _path(entry: object) -> str:
    """The path of an out or dep, written alone or as the key of its settings."""
    return str(next(iter(entry)) if isinstance(entry, dict) else entry)
