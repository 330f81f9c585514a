"""A command finds its project from anywhere, and a queued experiment finds the project that it is a copy of."""

from pathlib import Path

import pytest

from pipeline.paths import Paths, find_paths


def make_project(root: Path) -> Path:
    root.mkdir(parents=True)
    (root / "dvc.yaml").touch()
    (root / "params.yaml").touch()
    return root.resolve()


@pytest.mark.parametrize("name", ["plain", "with space and ümläut"])
def test_the_project_is_found_from_a_folder_inside_it(tmp_path: Path, name: str) -> None:
    root = make_project(tmp_path / name)
    (root / "a" / "b").mkdir(parents=True)

    assert find_paths(root / "a" / "b").root == root


def test_outside_of_any_project_it_is_the_one_of_this_package(tmp_path: Path) -> None:
    assert find_paths(tmp_path).root == Path(__file__).parent.parent


def test_a_queued_experiment_logs_to_the_project_it_belongs_to(tmp_path: Path) -> None:
    root = make_project(tmp_path / "project")
    copy = make_project(root / ".dvc" / "tmp" / "exps" / "tmpa1b2c3")

    paths = find_paths(copy)

    assert paths.stage("train") == copy / "data" / "train"
    assert paths.mlruns == root / "mlruns"
    assert paths.scratch == root / ".checkpoints"


def test_paths_are_shown_relative_to_the_project() -> None:
    paths = Paths(Path("/somewhere"))

    assert paths.relative(Path("/somewhere/data/x")) == "data/x"
    assert paths.relative(Path("/else/x")) == "/else/x"
