"""By whatever command a run is started: pictures that lie where the project writes are refused and are all there afterwards."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.sample_images import write_class_folders

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
OWN = ["check", "run", "serve --cron 0_6_*_*_1", "stage ingest", "stage preprocess", "stage train"]
ALL_IN_ONE_PROCESS = """\
import sys
from pipeline.__main__ import main
for command in sys.argv[1:]:
    print(f"=== {main([word.replace('_', ' ') for word in command.split()])} {command}", flush=True)
"""
REFUSED = "where the pipeline and its tools write and remove files"

pytestmark = pytest.mark.timeout(600)


class Project:
    """A committed copy of this project, without data."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.env = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "MLFLOW_", "DVC_", "VIRTUAL_ENV"))}
        self.env |= {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "PREFECT_HOME": str(root.parent / "prefect")}
        self.env |= {"DVC_SITE_CACHE_DIR": str(root.parent / "dvc")}

    def run(self, *command: str) -> tuple[int, str]:
        done = subprocess.run(
            command, cwd=self.root, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300
        )
        assert "Traceback" not in done.stdout
        return done.returncode, done.stdout

    def refusals(self, *commands: str) -> dict[str, str]:
        """What the pipeline's own commands say, one after the other; each must end with exit code 2."""
        _, output = self.run("python", "-u", "-c", ALL_IN_ONE_PROCESS, *commands)
        said: dict[str, str] = {}
        text = ""
        for line in output.splitlines():
            if line.startswith("=== "):
                assert line.startswith("=== 2 "), output
                said[line.removeprefix("=== 2 ")], text = text, ""
            text += line + "\n"
        assert list(said) == list(commands), output
        return said

    def use(self, source: Path | str) -> None:
        """Set ingest.source, and commit, as `dvc exp run --temp` takes what is committed."""
        yaml = YAML()
        values = yaml.load(self.root / "params.yaml")
        values["ingest"]["source"] = str(source)
        yaml.dump(values, self.root / "params.yaml")
        for arguments in (
            ["add", "-A"],
            ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "state", "--allow-empty"],
        ):
            subprocess.run(["git", *arguments], cwd=self.root, check=True, capture_output=True)

    def photos(self, place: str) -> Path:
        return write_class_folders(self.root / place, per_class=1)

    def pictures(self) -> dict[str, bytes]:
        return {os.path.relpath(file, self.root): file.read_bytes() for file in self.root.parent.rglob("*.jpg")}


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


def place_pictures(project: Project, place: str) -> str:
    """Pictures in three places that are written to, the path of which is the source, as it is asked for."""
    for folder in ("data/ingest/photos", "data/preprocess/photos", "data/register/photos"):
        project.photos(folder)
    (project.root.parent / "link").symlink_to(project.root / "data" / "register" / "photos")
    if place == "a stage's own folder":
        project.photos("data/ingest")
    return {
        "relative": "data/ingest/photos",
        "absolute": str(project.root / "data" / "preprocess" / "photos"),
        "linked": str(project.root.parent / "link"),
        "a stage's own folder": "data/ingest",
    }[place]


@pytest.mark.parametrize("place", ["relative", "absolute", "linked", "a stage's own folder"])
def test_no_picture_is_lost_and_the_source_is_refused(project: Project, place: str) -> None:
    project.use(place_pictures(project, place))
    before = project.pictures()

    said = project.refusals(*OWN)

    assert [command for command, text in said.items() if REFUSED not in text] == []
    assert project.pictures() == before
    assert len(before) == (9 if place != "a stage's own folder" else 12)


@pytest.mark.parametrize(
    ("command", "place"),
    [
        ("repro", "relative"),
        ("exp run", "absolute"),
        ("exp run --temp", "linked"),
        ("repro", "a stage's own folder"),
        ("exp run --temp", "a stage's own folder"),
    ],
)
def test_no_picture_is_lost_in_a_run_by_dvc(project: Project, command: str, place: str) -> None:
    project.use(place_pictures(project, place))
    before = project.pictures()

    code, output = project.run("dvc", *command.split())

    assert code != 0
    assert project.pictures() == before
    assert place == "a stage's own folder" or REFUSED in output  # a dependency that is an output is refused by DVC itself


def test_pictures_beside_the_files_of_a_stage_stop_a_run_that_reads_others(project: Project) -> None:
    project.photos("data/ingest/mine")
    project.use(project.photos("../photos"))
    before = project.pictures()

    said = project.refusals("check", "run", "stage ingest")
    code, output = project.run("dvc", "repro")

    assert code != 0
    told = "data/ingest contains files that stage ingest did not create: data/ingest/mine. Nothing was deleted."
    assert all(told in text for text in [*said.values(), output])
    assert project.pictures() == before


def test_a_stage_folder_that_is_a_link_is_told_before_anything_is_spent(project: Project) -> None:
    project.photos("../disk")
    (project.root / "data" / "train").symlink_to(project.root.parent / "disk")
    project.use(project.photos("../photos"))
    before = project.pictures()

    said = project.refusals("check", "run", "stage train")
    code, output = project.run("dvc", "repro")

    assert code != 0
    assert all("data/train is a link to" in text for text in [*said.values(), output])
    assert project.pictures() == before


def test_a_folder_of_pictures_in_the_place_of_an_output_and_an_unfinished_merge_are_told_first(project: Project) -> None:
    project.photos("data/train/model.keras")
    project.use(project.photos("../photos"))
    before = project.pictures()

    told = "data/train/model.keras is a folder, where stage train writes a file of that name"
    assert all(told in text for text in project.refusals("check", "run", "stage train").values())
    assert project.pictures() == before

    (project.root / "dvc.lock").write_text("<<<<<<< HEAD\nschema: '2.0'\n=======\n>>>>>>> other\n", encoding="utf-8")
    assert all("dvc.lock:1: an unfinished merge" in text for text in project.refusals("check", "run", "stage ingest").values())


def test_a_source_that_git_ignores_is_said_to_be_missing_in_the_copy_of_an_experiment(project: Project) -> None:
    project.photos("data/photos")
    project.use("data/photos")
    copy = project.root / ".dvc" / "tmp" / "exps" / "standalone" / "tmpx"
    subprocess.run(["git", "clone", "-q", str(project.root), str(copy)], check=True)

    code, output = Project(copy).run("python", "-m", "pipeline", "stage", "ingest")

    assert code == 2
    assert "data/photos is in the project, but not in the copy that this experiment runs in, since git ignores it" in output
    assert "Run `dvc add data/photos`" in output
