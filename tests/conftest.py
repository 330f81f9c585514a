"""What several files of tests start from. A file that needs another project has a fixture of the same name."""

import os
import sys
import warnings
from pathlib import Path

import pytest
from filelock import FileLock

from pipeline.paths import Paths
from tests.dummy_project import copy_project, create_project
from tests.layout_trees import Tree


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """An empty folder for pictures and tables."""
    tree = Tree(tmp_path / "set")
    tree.root.mkdir()
    return tree


def pytest_runtest_setup() -> None:
    """Let absl, TensorFlow's logger, write to the real standard error: it closes any other as Prefect sets up logging, and pytest's was such a one."""
    if absl := sys.modules.get("absl.logging"):
        absl.get_absl_handler().python_handler.stream = sys.__stderr__


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dummy project to copy: making one takes longer."""
    return create_project(tmp_path_factory.mktemp("template") / "my prøject")


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Path:
    """A dummy project of one's own."""
    return copy_project(template, tmp_path / "my prøject")


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with an MLflow store in which nothing has been logged, to copy: making one takes seconds. Parallel test processes share it."""
    from pipeline.tracking.mlflow_log import MlflowLog  # takes seconds, too

    base = tmp_path_factory.getbasetemp()
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "empty store"
    with FileLock(root.with_suffix(".lock")), pytest.MonkeyPatch.context() as environment, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's and SQLAlchemy's own
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
            environment.delenv(name, raising=False)
        MlflowLog.connect(Paths(root))
    return root
