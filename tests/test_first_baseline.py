"""A first clone, its first run, its first commit: git sees new files only, and what is discarded afterwards comes back without a fit.

The data set is one as the default one: with a test split and an order of classes of its own. The tests share one project and run in the order in
which they stand here.
"""

import struct
from pathlib import Path

import numpy as np
import pytest

from pipeline.paths import STAGES
from tests.real_project import SMALL, Project, baseline_command, create_project, executed
from tests.sample_images import CLASSES, draw

SIDE_PX = 16
WRITTEN = [
    "data/cross_validate/metrics.json",
    "data/evaluate/metrics.json",
    "data/known_images.csv",
    "data/register/decision.json",
    "data/train/metrics.json",
    "dvc.lock",
]

QUICK = {**SMALL["train"], "epochs": 1}

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(600)]


def write_idx(folder: Path, part: str, per_class: int) -> None:
    rng = np.random.default_rng(per_class)
    labels = [label for label in range(3) for _ in range(per_class)]
    pixels = b"".join(draw(CLASSES[label], rng, colour=False).resize((SIDE_PX, SIDE_PX)).tobytes() for label in labels)
    (folder / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 0x803, len(labels), SIDE_PX, SIDE_PX) + pixels)
    (folder / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, len(labels)) + bytes(labels))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    home = tmp_path_factory.mktemp("first baseline")
    shapes = home / "shapes"
    shapes.mkdir()
    write_idx(shapes, "train", per_class=24)
    write_idx(shapes, "t10k", per_class=8)
    (shapes / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES[:3]), encoding="utf-8")
    return create_project(home, SMALL | {"ingest": {"source": str(shapes)}, "preprocess": {}, "train": QUICK})


@pytest.fixture(scope="module")
def first_run(project: Project) -> str:
    """What the first `pipeline run` prints."""
    done = project.run("pipeline", "run")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def baseline(project: Project, first_run: str) -> list[str]:
    """The files that the command at the end of the first run has committed."""
    project.shell(baseline_command(first_run))
    return project.shell("git show --name-only --format= HEAD").splitlines()


def status(project: Project) -> list[str]:
    return project.shell("git status --porcelain --untracked-files=all").splitlines()


def test_before_the_first_run_nothing_is_amiss(project: Project) -> None:
    checked = project.run("pipeline", "check")

    assert checked.returncode == 0, checked.stdout
    assert "set up, no run yet" in checked.stdout
    assert "nothing registered by this project yet" in checked.stdout
    for command in (["params", "diff"], ["metrics", "diff"], ["exp", "show", "--csv"], ["status"]):
        project.dvc(*command)
    assert status(project) == []


def test_a_first_run_leaves_new_files_only(project: Project, first_run: str) -> None:
    assert status(project) == [f"?? {name}" for name in WRITTEN]


def test_what_git_stashes_before_the_first_commit_comes_back_without_a_fit(project: Project, first_run: str) -> None:
    project.shell("git stash --include-untracked")
    assert not (project.root / "dvc.lock").exists()

    output = project.dvc("repro")

    assert set(executed(output)) <= {"register"}
    assert [name for name in WRITTEN if f"?? {name}" not in status(project)] == ["data/known_images.csv"]
    assert project.dvc("status").startswith("Data and pipelines are up to date")
    project.shell("git clean -fdq data dvc.lock && git stash pop")
    assert project.dvc("status").startswith("Data and pipelines are up to date")


def test_the_command_commits_exactly_what_the_run_wrote(project: Project, baseline: list[str]) -> None:
    assert baseline == WRITTEN
    assert status(project) == []


def test_a_later_run_says_nothing_of_it_and_changes_nothing(project: Project, baseline: list[str]) -> None:
    again = project.run("pipeline", "run")

    assert again.returncode == 0, again.stdout + again.stderr
    assert "test accuracy" in again.stdout
    assert baseline_command(again.stdout) == ""
    assert status(project) == []


@pytest.mark.parametrize("discard", ["git checkout .", "git stash", "git reset --hard"])
def test_a_change_that_is_discarded_costs_no_fit(project: Project, baseline: list[str], discard: str) -> None:
    project.set_parameters({"train": {"learning_rate": 0.5}})
    project.dvc("repro")
    assert "train.learning_rate" in project.dvc("params", "diff")
    assert "accuracy" in project.dvc("metrics", "diff", "--all")

    project.shell(discard)
    output = project.dvc("repro")

    assert executed(output) == []
    assert [stage for stage in STAGES if f"Stage '{stage}' is cached" in output] == ["train", "cross_validate", "evaluate"]
    assert project.dvc("metrics", "diff") == ""
    assert status(project) == []
