"""What a change re-runs, by DVC's own word: a copy of this project, recorded as up to date, in which something is edited."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline.paths import STAGES
from tests.dummy_project import environment

ROOT = Path(__file__).parent.parent
DVC = str(Path(sys.executable).parent / "dvc")
Edit = Callable[[Path], None]


@pytest.fixture(scope="module")
def up_to_date(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which every stage is recorded as done; its outputs are stand-ins, as what is asked is only which of them are out of date."""
    root = tmp_path_factory.mktemp("graph") / "project"
    root.mkdir()
    for name in ("pipeline", "dvc.yaml", "params.yaml", ".dvcignore", "data/splits.csv", "data/classes.json"):
        source, target = ROOT / name, root / name
        target.parent.mkdir(exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    edit("params.yaml", "source: data/fashion-mnist", "source: data/images")(root)
    stages = YAML(typ="safe").load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    outs = [out for stage in stages.values() for kind in ("outs", "metrics", "plots") for out in stage.get(kind, [])]
    for out in [next(iter(out)) if isinstance(out, dict) else out for out in outs] + ["data/images"]:
        path = root / out
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{out}\n", encoding="utf-8")
    for command in (["git", "init", "-q"], [DVC, "init", "-q"], [DVC, "commit", "--force", "-q"]):
        subprocess.run(command, cwd=root, check=True, env=environment(root))
    return root


def edit(file: str, before: str, after: str) -> Edit:
    def apply(root: Path) -> None:
        text = (root / file).read_text(encoding="utf-8")
        assert before in text
        (root / file).write_text(text.replace(before, after, 1), encoding="utf-8")

    return apply


def new_key(section: str, name: str) -> Edit:
    """Add a parameter: to the file, to the code that checks it, and to the schema that editors read."""

    def apply(root: Path) -> None:
        edit("params.yaml", f"\n{section}:\n", f"\n{section}:\n  {name}: 1  # new\n")(root)
        edit(f"pipeline/params/{section}.py", "(Section):\n", f'(Section):\n    {name}: int\n    """new"""\n')(root)
        edit("pipeline/params/params.schema.json", "{", "{ ")(root)

    return apply


def out_of_date(root: Path) -> set[str]:
    answer = subprocess.run([DVC, "status", "--json"], cwd=root, check=True, capture_output=True, text=True, env=environment(root))
    return set(json.loads(answer.stdout))


def code(file: str) -> Edit:
    return lambda root: (root / file).write_text((root / file).read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "concerned"),
    [
        (lambda root: None, set()),
        (new_key("register", "new_rule"), {"register"}),
        (new_key("evaluate", "new_measure"), {"evaluate"}),  # and then `register`, which reads what it writes
        (new_key("cross_validate", "new_option"), {"preprocess", "cross_validate", "evaluate"}),
        (new_key("ingest", "new_policy"), {"ingest"}),
        (code("pipeline/reports/data_report.py"), {"ingest", "preprocess", "evaluate"}),
        (code("pipeline/reports/templates/report.html.j2"), {"ingest", "preprocess", "evaluate"}),
        (edit("pipeline/quality/kinds.toml", "[leak]", "# changed\n[leak]"), {"ingest"}),
        (code("pipeline/registry/gate.py"), {"register"}),
        (code("pipeline/tracking/mlflow_log.py"), {"evaluate", "register"}),
        (code("pipeline/sources/tables.py"), {"ingest"}),
        (code("pipeline/dataset/ledger.py"), {"ingest", "preprocess", "register"}),
        (code("pipeline/retraining/flow.py"), set()),
        (code("pipeline/serving/served_model.py"), set()),
        (code("pipeline/fitting/fit.py"), {"train", "cross_validate"}),
        (code("pipeline/models/resnet.py"), {"train", "cross_validate", "evaluate"}),
    ],
)
def test_a_change_concerns_only_the_stages_that_depend_on_it(up_to_date: Path, tmp_path: Path, change: Edit, concerned: set[str]) -> None:
    root = tmp_path / "project"
    shutil.copytree(up_to_date, root)

    change(root)

    assert out_of_date(root) == concerned <= set(STAGES)
