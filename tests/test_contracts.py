"""What holds the parts together: one name per stage, complete code deps, rooms, parameters and schema, the README's tree."""

import ast
import functools
import json
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline.fitting.checkpoints import fitting_code
from pipeline.params.model import AUTO
from pipeline.params.reader import Config, load_config, params_schema
from pipeline.paths import STAGES, Paths

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "pipeline"
DVC_STAGES = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]

ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ROOMS = sorted(folder.name for folder in PACKAGE.iterdir() if folder.is_dir() and folder.name != "__pycache__")
FITTING_STAGES = {"train", "cross_validate"}
ROOMS_OF_A_FIT = {"augmentation", "features", "fitting", "models"}
CALLED_BY_MLFLOW = "pipeline.serving.for_mlflow"
ONLY_IN = {
    "tensorflow": {"augmentation", "conversion", "explanation", "fitting", "models"},
    "keras": {"augmentation", "conversion", "explanation", "fitting", "models"},
    "mlflow": {"tracking"},
    "prefect": {"retraining"},
}


def module_name(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(file): file for file in PACKAGE.rglob("*.py")}


def room_of(module: str) -> str:
    """The room of a module; nothing for one of the top level."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in ROOMS else ""


@functools.cache
def imported_names(file: Path, *, with_types: bool = True) -> set[str]:
    """What a module imports; without what it imports for type checkers alone."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    for_types = {id(node) for block in blocks for part in block.body for node in ast.walk(part)}
    names = set()
    for node in ast.walk(tree):
        if id(node) in for_types and not with_types:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def first_party(module: str, *, with_types: bool = True) -> set[str]:
    """The modules of this project that a module imports; what an `__init__.py` holds is a docstring."""
    names = imported_names(MODULES[module], with_types=with_types)
    return {name for name in names if name in MODULES and MODULES[name].name != "__init__.py"}


def reachable(module: str) -> set[str]:
    found, waiting = set(), [module]
    while waiting:
        current = waiting.pop()
        if current not in found:
            found.add(current)
            waiting += first_party(current, with_types=False)
    return found


def code_deps(stage: str) -> set[str]:
    """Rooms, and single files of the top level, of stages/ and params/; for a stage that fits, also of rooms of which only a part decides a fit."""
    deps = set()
    for module in reachable(f"pipeline.stages.{stage}"):
        room = room_of(module)
        whole = room not in ("", "stages", "params") and (stage not in FITTING_STAGES or room in ROOMS_OF_A_FIT)
        deps.add(f"pipeline/{room}" if whole else MODULES[module].relative_to(ROOT).as_posix())
    return deps


def arrows() -> set[tuple[str, str]]:
    """The arrows of the picture in docs/architecture.md."""
    picture = ARCHITECTURE.split("```mermaid\n")[1].split("```")[0]
    return set(re.findall(r"^ *(\w+) --> (\w+)$", picture, re.MULTILINE))


def led_to(room: str, picture: set[tuple[str, str]]) -> set[str]:
    """Every room that arrows lead to from this one."""
    found: set[str] = set()
    waiting = [room]
    while waiting:
        current = waiting.pop()
        following = {end for start, end in picture if start == current} - found
        found |= following
        waiting += following
    return found


def test_a_stage_has_one_name_everywhere() -> None:
    modules = {file.stem for file in (PACKAGE / "stages").glob("*.py")} - {"__init__"}

    assert list(DVC_STAGES) == list(STAGES)
    assert modules == set(STAGES)
    assert {section for section in Config.model_json_schema()["properties"] if section in STAGES} == set(STAGES)
    for name, stage in DVC_STAGES.items():
        assert stage["cmd"] == f"python -m pipeline stage {name}"
        assert (ROOT / "tests" / f"test_{name}.py").is_file()


@pytest.mark.parametrize("stage", STAGES)
def test_the_code_deps_of_a_stage_are_the_rooms_and_files_that_it_imports(stage: str) -> None:
    declared = {dep for dep in DVC_STAGES[stage]["deps"] if dep.startswith("pipeline/")}

    assert declared == code_deps(stage)


@pytest.mark.parametrize("stage", sorted(FITTING_STAGES))
def test_the_state_of_a_fit_is_used_by_the_same_code_alone(stage: str) -> None:
    reached = {module for module in reachable(f"pipeline.stages.{stage}") if room_of(module) not in ("", "evaluation", "tracking")}

    assert {MODULES[module] for module in reached - {"pipeline.params.section"}} - set(fitting_code()) == set()


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_writes_only_to_its_own_folder(stage: str) -> None:
    outs = [out for kind in ("outs", "metrics", "plots") for out in DVC_STAGES[stage].get(kind, [])]

    assert all(path.startswith(f"data/{stage}/") for out in outs for path in (out if isinstance(out, dict) else [out]))


def params_read(module: str) -> set[str]:
    """What a module reads of the parameters: `section.key`, or the `section` where it is passed on whole."""
    sections = {name: getattr(field.annotation, "model_fields", {}) for name, field in Config.model_fields.items()}
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    parents = {id(child): node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    read = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in sections and "config" in ast.unparse(node.value):
            name, above = node.attr.rstrip("_"), parents[id(node)]
            if not isinstance(above, ast.Attribute):
                read.add(name)
            elif above.attr in sections[node.attr]:
                read.add(f"{name}.{above.attr}")
    return read


@pytest.mark.parametrize("stage", STAGES)
def test_the_params_of_a_stage_are_the_sections_that_its_code_reads(stage: str) -> None:
    declared = set(DVC_STAGES[stage]["params"])
    read = set().union(*(params_read(module) for module in reachable(f"pipeline.stages.{stage}")))
    by_key = {name.split(".")[0] for name in declared if "." in name}

    assert declared == {name if name.split(".")[0] in by_key else name.split(".")[0] for name in read}


def test_no_two_rooms_import_each_other() -> None:
    picture = arrows()

    assert [room for room in ROOMS if room in led_to(room, picture)] == []


def test_the_picture_of_the_rooms_shows_what_they_import() -> None:
    picture = arrows()
    used = {(room_of(module), room_of(name)) for module in MODULES for name in first_party(module)}
    used = {(start, end) for start, end in used if start and end not in ("", "params", start)}

    assert {(start, end) for start, end in used if end not in led_to(start, picture)} == set()
    assert picture - used == set()
    assert {(start, end) for start, end in picture if end in led_to(start, picture - {(start, end)})} == set(), "drawn twice"


def test_the_top_level_and_params_import_no_room() -> None:
    lower = {module for module in MODULES if room_of(module) in ("", "params")} - {"pipeline.__main__"}

    assert [(module, name) for module in lower for name in first_party(module) if room_of(name) not in ("", "params")] == []
    assert [(module, name) for module in lower if not room_of(module) for name in first_party(module) if room_of(name)] == []


def test_a_stage_never_imports_a_stage() -> None:
    assert [name for stage in STAGES for name in first_party(f"pipeline.stages.{stage}") if room_of(name) == "stages"] == []


def test_every_file_has_its_caption_in_its_room() -> None:
    captioned = set()
    for section in ARCHITECTURE.split("\n### ")[1:]:
        room = re.match(r"`(\w+)/`: ", section)
        folder = PACKAGE / room[1] if room else PACKAGE
        lines = re.findall(r"^- `([^`]+)`: (.+)$", section.split("\n## ")[0], re.MULTILINE)
        captioned |= {folder / name for name, _ in lines}
        assert [caption for _, caption in lines if len(caption.split()) > 8] == []

    assert captioned == {file for file in MODULES.values() if file.name != "__init__.py"}


def test_a_room_is_small_enough_to_know() -> None:
    files = {room: [file for file in (PACKAGE / room).glob("*.py") if file.name != "__init__.py"] for room in ROOMS}

    assert {room: len(inside) for room, inside in files.items() if len(inside) > 14} == {}


@pytest.mark.parametrize("package", ONLY_IN)
def test_a_heavy_package_is_imported_in_its_own_rooms_only(package: str) -> None:
    users = {module for module, file in MODULES.items() if any(re.match(rf"{package}(\.|$)", name) for name in imported_names(file))}
    users -= {CALLED_BY_MLFLOW}

    assert {room_of(module) for module in users} <= ONLY_IN[package]


@pytest.mark.parametrize("stage", ["ingest", "preprocess"])
def test_the_first_stages_load_neither_tensorflow_nor_mlflow(stage: str) -> None:
    heavy = {name for module in reachable(f"pipeline.stages.{stage}") for name in imported_names(MODULES[module])}

    assert not any(re.match(r"(tensorflow|keras|mlflow|prefect)(\.|$)", name) for name in heavy)


def test_params_yaml_says_beside_each_key_what_the_code_and_the_editor_say() -> None:
    config = load_config(ROOT / "params.yaml")
    lines = (ROOT / "params.yaml").read_text(encoding="utf-8").splitlines()

    assert config.model.name == AUTO
    sections = {"": Config} | {name: field.annotation for name, field in Config.model_fields.items() if name != "seed"}
    for key in (*config.flat(), *(f"retrain.{name}" for name in type(config.retrain).model_fields)):
        *section, name = key.split(".")[:2]  # a value of several keys, ingest.columns, has one line
        model = sections["".join(section).replace("register", "register_")]
        assert model is not None
        assert any(re.fullmatch(rf"\s*{name}: \S.*?\s+# {re.escape(str(model.model_fields[name].description))}", line) for line in lines), (
            key
        )


def test_the_editors_schema_is_the_one_of_the_code() -> None:
    assert json.loads((PACKAGE / "params" / "params.schema.json").read_text(encoding="utf-8")) == params_schema()


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

    assert len(tree.strip().splitlines()) <= 48
    written_by_a_run = {file.relative_to(ROOT).as_posix() for file in Paths(ROOT).kept_in_git}
    assert [name for name in sorted(shown - written_by_a_run) if not (ROOT / name).exists()] == []
    assert {f"pipeline/{room}/" for room in ROOMS} - shown == set()
