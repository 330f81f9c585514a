"""What a change re-runs, by DVC's own word: a copy of this project, recorded as up to date, in which something is edited and put back."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from dvc.repo import Repo
from ruamel.yaml import YAML

from pipeline.paths import STAGES
from tests.dummy_project import environment, within

ROOT = Path(__file__).parent.parent
DVC = str(Path(sys.executable).parent / "dvc")

pytestmark = pytest.mark.filterwarnings("ignore")  # DVC's own


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which every stage is recorded as done; its outputs are stand-ins, as what is asked is only which of them are out of date."""
    root = tmp_path_factory.mktemp("graph") / "project"
    shutil.copytree(ROOT / "pipeline", root / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "data").mkdir()
    for name in ("dvc.yaml", "params.yaml", ".dvcignore", "data/splits.csv", "data/classes.json", "data/verdicts.csv"):
        shutil.copy(ROOT / name, root / name)
    replace(root / "params.yaml", "source: data/fashion-mnist", "source: data/images")
    stages = YAML(typ="safe").load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    outs = [out for stage in stages.values() for kind in ("outs", "metrics", "plots") for out in stage.get(kind, [])]
    for out in [next(iter(out)) if isinstance(out, dict) else out for out in outs] + ["data/images"]:
        (root / out).parent.mkdir(parents=True, exist_ok=True)
        (root / out).write_text(f"{out}\n", encoding="utf-8")
    for command in (["git", "init", "-q"], [DVC, "init", "-q"], [DVC, "commit", "--force", "-q"]):
        subprocess.run(command, cwd=root, check=True, env=environment(root))
    return root


def replace(file: Path, before: str, after: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert before in text
    file.write_text(text.replace(before, after, 1), encoding="utf-8")


def out_of_date(root: Path) -> set[str]:
    with within(root), Repo(os.fspath(root)) as repo:
        return set(repo.status())


@contextlib.contextmanager
def edited(root: Path, change: str) -> Iterator[None]:
    """With a line added to the file named; or with a parameter `SECTION.NAME`, in params.yaml, the code that checks it, and the editors' schema."""
    section, _, name = change.partition(".")
    files = [change] if "/" in change else ["params.yaml", f"pipeline/params/{section}.py", "pipeline/params/params.schema.json"]
    kept = {root / file: (root / file).read_bytes() for file in files}
    if "/" in change:
        (root / change).write_bytes(kept[root / change] + b"# changed\n")
    else:
        replace(root / files[0], f"\n{section}:\n", f"\n{section}:\n  {name}: 1  # new\n")
        replace(root / files[1], "(Section):\n", f'(Section):\n    {name}: int\n    """new"""\n')
        replace(root / files[2], "{", "{ ")
    yield
    for file, content in kept.items():
        file.write_bytes(content)


@pytest.mark.parametrize(
    ("change", "concerned"),
    [
        ("register.new_rule", {"register"}),
        ("evaluate.new_measure", {"evaluate"}),  # and then `register`, which reads what it writes
        ("cross_validate.new_option", {"preprocess", "cross_validate", "evaluate"}),
        ("ingest.new_policy", {"ingest"}),
        ("pipeline/reports/data_report.py", {"ingest", "preprocess", "evaluate", "register"}),
        ("pipeline/reports/templates/report.html.j2", {"ingest", "preprocess", "evaluate", "register"}),
        ("pipeline/quality/kinds.toml", {"ingest"}),
        ("pipeline/judging/gate.py", {"register"}),
        ("pipeline/tracking/mlflow_log.py", {"evaluate", "register"}),
        ("pipeline/listing/split_words.py", {"ingest"}),
        ("pipeline/tables/labels.py", {"ingest"}),
        ("pipeline/folders/doubtful_names.toml", {"ingest"}),
        ("pipeline/containers/idx.py", {"ingest"}),
        ("pipeline/dataset/ledger.py", {"ingest", "preprocess", "evaluate", "register"}),
        ("pipeline/retraining/flow.py", set()),
        ("pipeline/serving/served_model.py", set()),
        ("pipeline/fitting/fit.py", {"train", "cross_validate"}),
        ("pipeline/features/extractor.py", {"preprocess", "train", "cross_validate"}),
        ("pipeline/backbone/candidates.py", {"preprocess"}),
        ("pipeline/models/resnet.py", {"train", "cross_validate", "evaluate"}),
    ],
)
def test_a_change_concerns_only_the_stages_that_depend_on_it(project: Path, change: str, concerned: set[str]) -> None:
    with edited(project, change):
        found = out_of_date(project)

    assert found == concerned <= set(STAGES)


def test_what_is_put_back_concerns_no_stage(project: Path) -> None:
    with edited(project, "pipeline/fitting/fit.py"):
        pass

    assert out_of_date(project) == set()
