"""By whatever command a run is started: pictures that lie where the project writes are refused and are all there afterwards."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.sample_images import write_class_folders

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
COMMANDS = {
    "check": ["pipeline", "check"],
    "run": ["pipeline", "run"],
    "serve": ["pipeline", "serve", "--cron", "0 6 * * 1"],
    "stage ingest": ["python", "-m", "pipeline", "stage", "ingest"],
    "stage preprocess": ["python", "-m", "pipeline", "stage", "preprocess"],
    "stage train": ["python", "-m", "pipeline", "stage", "train"],
    "repro": ["dvc", "repro"],
    "exp run": ["dvc", "exp", "run"],
    "exp run --temp": ["dvc", "exp", "run", "--temp"],
}

pytestmark = pytest.mark.timeout(600)


class Project:
    """A committed copy of this project, without data."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.env = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "MLFLOW_", "DVC_", "VIRTUAL_ENV"))}
        self.env |= {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "PREFECT_HOME": str(root.parent / "prefect")}
        self.env |= {"DVC_SITE_CACHE_DIR": str(root.parent / "dvc")}

    def run(self, command: str) -> tuple[int, str]:
        done = subprocess.run(COMMANDS[command], cwd=self.root, env=self.env, capture_output=True, text=True, timeout=300)
        return done.returncode, done.stdout + done.stderr

    def use(self, source: str) -> None:
        """Set ingest.source, and commit, as `dvc exp run --temp` takes what is committed."""
        yaml = YAML()
        values = yaml.load(self.root / "params.yaml")
        values["ingest"]["source"] = source
        yaml.dump(values, self.root / "params.yaml")
        for arguments in (
            ["add", "-A"],
            ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "state", "--allow-empty"],
        ):
            subprocess.run(["git", *arguments], cwd=self.root, check=True, capture_output=True)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("template") / "project"
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.split("\0"):
        is_data = name.startswith("data/") and name.count("/") > 1
        if name and not is_data and not name.startswith(("tests/", "locks/", "docs/")) and name != "dvc.lock" and (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, root / name)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    return root


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Project:
    return Project(shutil.copytree(template, tmp_path / "project", symlinks=True))


def relative(project: Project) -> str:
    return str(write_class_folders(project.root / "data" / "ingest" / "photos", per_class=3).relative_to(project.root))


def absolute(project: Project) -> str:
    return str(write_class_folders(project.root / "data" / "preprocess" / "photos", per_class=3))


def linked(project: Project) -> str:
    photos = write_class_folders(project.root / "data" / "register" / "photos", per_class=3)
    (project.root.parent / "link").symlink_to(photos)
    return str(project.root.parent / "link")


def stage_folder(project: Project) -> str:
    write_class_folders(project.root / "data" / "ingest", per_class=3)
    return "data/ingest"


def contents(root: Path) -> dict[str, bytes]:
    return {str(file.relative_to(root)): file.read_bytes() for file in root.glob("data/**/*.jpg")}


@pytest.mark.parametrize("place", [relative, absolute, linked, stage_folder])
@pytest.mark.parametrize("command", COMMANDS)
def test_no_picture_is_lost_and_the_source_is_refused(project: Project, command: str, place: Callable[[Project], str]) -> None:
    project.use(place(project))
    before = contents(project.root)

    code, output = project.run(command)

    assert code != 0
    assert "Traceback" not in output
    assert contents(project.root) == before
    assert len(before) == 9
    told_by_dvc = (command.startswith(("repro", "exp")) and place is stage_folder) or (command == "exp run --temp" and place is relative)
    assert told_by_dvc or "where the pipeline and its tools write and remove files" in output


@pytest.mark.parametrize("command", ["check", "run", "stage ingest", "repro"])
def test_pictures_beside_the_files_of_a_stage_stop_a_run_that_reads_others(project: Project, command: str) -> None:
    write_class_folders(project.root / "data" / "ingest" / "mine", per_class=3)
    project.use(str(write_class_folders(project.root.parent / "photos", per_class=3)))
    before = contents(project.root)

    code, output = project.run(command)

    assert code != 0
    assert "there is something else in it: data/ingest/mine. It was left as it is." in output
    assert contents(project.root) == before


@pytest.mark.parametrize("command", ["check", "run", "stage train", "repro"])
def test_a_stage_folder_that_is_a_link_is_told_before_anything_is_spent(project: Project, command: str) -> None:
    write_class_folders(project.root.parent / "disk", per_class=3)
    (project.root / "data" / "train").symlink_to(project.root.parent / "disk")
    project.use(str(write_class_folders(project.root.parent / "photos", per_class=3)))

    code, output = project.run(command)

    assert code != 0
    assert "data/train is a link to" in output
    assert len(list((project.root.parent / "disk").rglob("*.jpg"))) == 9


def test_a_folder_of_pictures_where_a_stage_writes_a_file_is_told_before_anything_is_spent(project: Project) -> None:
    write_class_folders(project.root / "data" / "train" / "model.keras", per_class=3)
    project.use(str(write_class_folders(project.root.parent / "photos", per_class=3)))

    for command in ("check", "run", "stage train"):
        code, output = project.run(command)
        assert code == 2
        assert "data/train/model.keras is a folder, where stage train writes a file of that name" in output
    assert len(contents(project.root)) == 9


def test_an_unfinished_merge_is_told_before_anything_starts(project: Project) -> None:
    project.use(str(write_class_folders(project.root.parent / "photos", per_class=3)))
    (project.root / "dvc.lock").write_text("<<<<<<< HEAD\nschema: '2.0'\n=======\n>>>>>>> other\n", encoding="utf-8")

    for command in ("check", "run", "stage ingest"):
        code, output = project.run(command)
        assert code == 2
        assert "dvc.lock:1: an unfinished merge" in output


def test_a_source_that_git_ignores_is_said_to_be_missing_in_the_copy_of_an_experiment(project: Project) -> None:
    write_class_folders(project.root / "data" / "photos", per_class=3)
    project.use("data/photos")
    copy = project.root / ".dvc" / "tmp" / "exps" / "standalone" / "tmpx"
    subprocess.run(["git", "clone", "-q", str(project.root), str(copy)], check=True)

    code, output = Project(copy).run("stage ingest")

    assert code == 2
    assert "data/photos is in the project, but not in the copy that this experiment runs in, since git ignores it" in output
    assert "Run `dvc add data/photos`" in output
