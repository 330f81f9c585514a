"""What holds the parts together: one name per stage, complete code deps, layers, parameters and schema, the README's tree."""

import ast
import json
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline.config import Config, load_config, model_names, params_schema
from pipeline.paths import STAGES

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "pipeline"
DVC_STAGES = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]

LAYERS = {
    "pipeline.errors": 1,
    "pipeline.environment": 1,
    "pipeline.python_path": 1,
    "pipeline.terminal": 1,
    "pipeline.installation": 1,
    "pipeline.git": 1,
    "pipeline.packages": 1,
    "pipeline.field_words": 1,
    "pipeline.yaml_file": 2,
    "pipeline.config_messages": 2,
    "pipeline.network": 2,
    "pipeline.timezones": 2,
    "pipeline.config": 2,
    "pipeline.paths": 2,
    "pipeline.parallel": 2,
    "pipeline.processes": 2,
    "pipeline.progress": 2,
    "pipeline.page": 2,
    "pipeline.ml": 3,
    "pipeline.stores": 3,
    "pipeline.report": 3,
    "pipeline.data_report": 4,
    "pipeline.gate": 4,
    "pipeline.findings": 5,
    "pipeline.earlier_runs": 5,
    "pipeline.served_model": 4,
    "pipeline.fold_fits": 4,
    "pipeline.stages": 6,
    "pipeline.command_line": 3,
    "pipeline.surroundings": 4,
    "pipeline.summary": 6,
    "pipeline.check": 6,
    "pipeline.ui": 6,
    "pipeline.project_name": 2,
    "pipeline.prefect_home": 3,
    "pipeline.prefect_server": 3,
    "pipeline.deployment": 3,
    "pipeline.runner_log": 3,
    "pipeline.screen": 3,
    "pipeline.flow": 7,
    "pipeline.single_run": 8,
    "pipeline.schedule": 8,
    "pipeline.serve": 8,
    "pipeline.__main__": 8,
}
ONLY_IN = {
    "tensorflow": r"pipeline\.ml\.(augmenter|rand_augment|device|fit|trainer|layers|warp)",
    "keras": r"pipeline\.(ml\.(augmenter|fit|trainer|optimizers|layers|network|predict|models\..*)|served_model)",
    "mlflow": r"pipeline\.stores\.(mlflow_(client|log|model|run|store)|champion_process)",
    "prefect": r"pipeline\.(flow|single_run|schedule|deployment|prefect_home|prefect_server)",
}


def module_name(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(file): file for file in PACKAGE.rglob("*.py")}


def imported_names(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def first_party(module: str) -> set[str]:
    return {name for name in imported_names(MODULES[module]) if name in MODULES and MODULES[name].stat().st_size}


def reachable(module: str) -> set[str]:
    found, waiting = set(), [module]
    while waiting:
        current = waiting.pop()
        if current not in found:
            found.add(current)
            waiting += first_party(current)
    return found


def code_deps(stage: str) -> set[str]:
    modules = reachable(f"pipeline.stages.{stage}")
    files = {MODULES[name].relative_to(ROOT).as_posix() for name in modules}
    if "pipeline.ml.network" in modules:  # loads the architecture by its name
        files.add("pipeline/ml/models")
    pages = {"base" if name == "pipeline.page" else name.rpartition(".")[2] for name in modules}
    files |= {
        file.relative_to(ROOT).as_posix() for file in (PACKAGE / "templates").iterdir() if file.name.removesuffix(".html.j2") in pages
    }
    return files


def test_a_stage_has_one_name_everywhere() -> None:
    modules = {file.stem for file in (PACKAGE / "stages").glob("*.py")} - {"__init__"}

    assert list(DVC_STAGES) == list(STAGES)
    assert modules == set(STAGES)
    assert {section for section in Config.model_json_schema()["properties"] if section in STAGES} == set(STAGES)
    for name, stage in DVC_STAGES.items():
        assert stage["cmd"] == f"python -m pipeline stage {name}"
        assert (ROOT / "tests" / f"test_{name}.py").is_file()


@pytest.mark.parametrize("stage", STAGES)
def test_the_code_deps_of_a_stage_are_all_that_it_imports(stage: str) -> None:
    declared = {dep for dep in DVC_STAGES[stage]["deps"] if dep.startswith("pipeline/")}

    assert declared == code_deps(stage)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_writes_only_to_its_own_folder(stage: str) -> None:
    outs = [
        next(iter(out)) if isinstance(out, dict) else out
        for kind in ("outs", "metrics", "plots")
        for out in DVC_STAGES[stage].get(kind, [])
    ]

    assert all(out.startswith(f"data/{stage}/") for out in outs)


@pytest.mark.parametrize("stage", STAGES)
def test_the_params_of_a_stage_are_the_sections_that_its_code_reads(stage: str) -> None:
    sections = {"seed", "ingest", "preprocess", "augment", "model", "train", "cross_validate", "evaluate", "register_"}
    read = set()
    for module in reachable(f"pipeline.stages.{stage}") - {"pipeline.config"}:
        for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in sections and "config" in ast.unparse(node.value):
                read.add(node.attr.rstrip("_"))

    assert set(DVC_STAGES[stage]["params"]) == read


def test_imports_only_go_down() -> None:
    def layer(module: str) -> int:
        return next((LAYERS[name] for name in (module, ".".join(module.split(".")[:2])) if name in LAYERS), 0)

    upward = [
        (module, name)
        for module in MODULES
        for name in first_party(module)
        if layer(name) > layer(module) or (module.startswith("pipeline.stages.") and name.startswith("pipeline.stages."))
    ]

    assert upward == []


@pytest.mark.parametrize("package", ONLY_IN)
def test_a_heavy_package_is_imported_in_its_own_places_only(package: str) -> None:
    users = {module for module, file in MODULES.items() if any(re.match(rf"{package}(\.|$)", name) for name in imported_names(file))}

    assert all(re.fullmatch(ONLY_IN[package], module) for module in users), users


@pytest.mark.parametrize("stage", ["ingest", "preprocess"])
def test_the_first_stages_load_neither_tensorflow_nor_mlflow(stage: str) -> None:
    heavy = {name for module in reachable(f"pipeline.stages.{stage}") for name in imported_names(MODULES[module])}

    assert not any(re.match(r"(tensorflow|keras|mlflow|prefect)(\.|$)", name) for name in heavy)


def test_params_yaml_has_the_keys_of_the_schema_each_with_a_comment() -> None:
    config = load_config(ROOT / "params.yaml")
    lines = (ROOT / "params.yaml").read_text(encoding="utf-8").splitlines()

    assert config.model.name in model_names()
    for key in config.flat():
        assert any(re.match(rf"\s*{key.split('.')[-1]}: \S+.*\s# \S", line) for line in lines), key


def test_the_editors_schema_is_the_one_of_the_code() -> None:
    assert json.loads((PACKAGE / "params.schema.json").read_text(encoding="utf-8")) == params_schema()


def test_the_tree_in_the_readme_is_the_disk() -> None:
    tree = (ROOT / "README.md").read_text(encoding="utf-8").split("```tree\n")[1].split("```")[0]
    shown: set[str] = set()
    folders: list[str] = []
    for line in tree.strip().splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name = line.split()[0]
        folders[depth:] = [name]
        shown.add("".join(folders))
        assert len(line.split()) - 1 <= 9, f"a caption of more than eight words: {line}"

    assert [name for name in sorted(shown) if not (ROOT / name).exists()] == []
    modules = {file.relative_to(ROOT).as_posix() for file in PACKAGE.rglob("*.py") if file.stat().st_size and file.name != "__init__.py"}
    assert modules - shown == set()


def test_every_first_party_file_of_a_dvc_stage_exists() -> None:
    assert all(
        (ROOT / dep).exists() for stage in STAGES for dep in DVC_STAGES[stage]["deps"] if dep.startswith("pipeline/") and "$" not in dep
    )
