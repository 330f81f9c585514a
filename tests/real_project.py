"""A copy of this project as a clone has it, for tests that fit real networks to small images."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from mlflow.tracking import MlflowClient
from ruamel.yaml import YAML

from pipeline.paths import STAGES

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
KEPT_DATA = ("data/splits.csv", "data/classes.json", "data/verdicts.csv")
SMALL: dict[str, dict[str, object]] = {
    "preprocess": {"image_size": [24, 24]},
    "model": {"name": "resnet", "width": 0.125},
    "train": {"epochs": 12, "min_steps": 0, "batch_size": 16, "learning_rate": 1.0, "device": "cpu"},
    "cross_validate": {"folds": 2},
}


class Project:
    """A copy of this project in a folder with a space and a letter beyond ASCII, with its own Prefect home and no activated environment."""

    def __init__(self, root: Path, home: Path) -> None:
        self.root = root
        hidden = {"VIRTUAL_ENV", "MLFLOW_TRACKING_URI", "PREFECT_API_URL", "DVC_EXP_NAME", "MLFLOW_RUN_ID"}
        self.env = {key: value for key, value in os.environ.items() if key not in hidden} | {
            **{f"GIT_{role}_{what}": "t@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
            "PREFECT_HOME": str(home / "prefect"),
            "DVC_SITE_CACHE_DIR": str(home / "dvc"),
            "PATH": os.pathsep.join(part for part in os.environ["PATH"].split(os.pathsep) if part != str(BIN)),
        }

    def run(self, *command: str, cwd: Path | None = None, activated: bool = False) -> subprocess.CompletedProcess[str]:
        path = {"PATH": f"{BIN}{os.pathsep}{self.env['PATH']}"} if activated else {}
        return subprocess.run(
            [str(BIN / command[0]) if (BIN / command[0]).exists() else command[0], *command[1:]],
            cwd=cwd or self.root,
            env=self.env | path,
            capture_output=True,
            text=True,
            timeout=500,
        )

    def dvc(self, *arguments: str) -> str:
        done = self.run("dvc", *arguments, activated=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def shell(self, command: str, cwd: Path | None = None) -> str:
        return subprocess.run(command, shell=True, cwd=cwd or self.root, env=self.env, capture_output=True, text=True, check=True).stdout

    def mlflow(self) -> MlflowClient:
        return MlflowClient(f"sqlite:///{self.root / 'mlruns' / 'mlflow.db'}")

    def set_parameters(self, changes: dict[str, dict[str, object]]) -> None:
        yaml = YAML()
        values = yaml.load(self.root / "params.yaml")
        for section, keys in changes.items():
            values[section].update(keys)
        yaml.dump(values, self.root / "params.yaml")

    def commit(self) -> None:
        self.shell("git add -A && git commit -qm state")


def create_project(home: Path, changes: dict[str, dict[str, object]]) -> Project:
    """A committed copy below `home` in which nothing has run yet, with these parameters."""
    root = home / "my project"
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for name in listed.split("\0"):
        made_or_large = name.startswith(("data/", "tests/", "locks/")) and name not in KEPT_DATA
        if name and not made_or_large and name != "dvc.lock" and (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, root / name)
    project = Project(root, home)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    project.set_parameters(changes)
    project.commit()
    return project


def executed(output: str) -> list[str]:
    """The stages that DVC ran, by its own words."""
    return [stage for stage in STAGES if f"Running stage '{stage}'" in output]


def baseline_command(output: str) -> str:
    """The command that a run ends with as long as git does not have what it wrote; empty where there is none."""
    return next((line.partition("first baseline: ")[2] for line in output.splitlines() if "first baseline: " in line), "")
