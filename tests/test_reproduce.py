"""`pipeline reproduce` on a real project: a version some commits back, after the data changed, is built again with the same bytes.

The tests share one project and run in the order in which they stand here.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.real_project import SMALL, Project, create_project
from tests.sample_images import write_class_folders

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Three versions: with 12 images per class that DVC tracks; with a seed that was not committed; with 14 and 16 images per class."""
    home = tmp_path_factory.mktemp("reproduce ü")
    project = create_project(home, SMALL | {"ingest": {"source": "data/pets"}, "train": SMALL["train"] | {"epochs": 2}})
    for version, (images, seed) in enumerate([(12, 1), (12, 2), (14, 3), (16, 4)], 1):
        write_class_folders(project.root / "data" / "pets", per_class=images)
        project.dvc("add", "data/pets")
        text = (project.root / "params.yaml").read_text(encoding="utf-8")
        (project.root / "params.yaml").write_text(text.replace(f"\nseed: {version - 1 or 1}", f"\nseed: {seed}"), encoding="utf-8")
        if version != 2:
            project.commit()
        project.dvc("repro")
        project.commit()
    return project


def said(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout + done.stderr


def test_a_version_three_commits_back_is_built_from_its_own_images(project: Project) -> None:
    before = project.shell("git status --porcelain; git rev-parse HEAD; ls data/pets/*")

    done = project.run("pipeline", "reproduce", "1")

    assert done.returncode == 0, said(done)
    assert "epochs of" in done.stdout.splitlines()[0]
    assert "The source has the same images as then" in done.stdout
    assert "Running stage 'ingest'" in done.stdout
    assert "version 1 is rebuilt from its source" in done.stdout
    assert project.shell("git status --porcelain; git rev-parse HEAD; ls data/pets/*") == before
    assert not (project.root / ".checkpoints" / "reproduce").exists()
    assert len(project.mlflow().search_model_versions()) == 4


def test_changes_that_were_not_committed_are_put_back(project: Project) -> None:
    page = project.run("pipeline", "trace", "2").stdout
    assert "with changes that were not committed" in page

    done = project.run("pipeline", "reproduce", "2")

    assert done.returncode == 0, said(done)
    assert "model.keras has the same bytes" in done.stdout


def test_without_its_source_a_version_is_built_from_the_images_as_ingested(project: Project) -> None:
    digest = next(line.split()[-1] for line in project.shell("git show HEAD~4:data/pets.dvc").splitlines() if "md5: " in line)
    directory = project.root / ".dvc" / "cache" / "files" / "md5" / digest[:2] / digest[2:]
    shutil.move(directory, directory.with_suffix(".away"))

    done = project.run("pipeline", "reproduce", "1")
    shutil.move(directory.with_suffix(".away"), directory)

    assert done.returncode == 0, said(done)
    assert "Building from the images as ingested" in done.stdout
    assert "version 1 is rebuilt from its images as ingested" in done.stdout


def test_other_bytes_are_an_error_that_names_the_first_difference(project: Project) -> None:
    versions = project.mlflow().search_model_versions("name = 'pets'")
    project.mlflow().set_model_version_tag("pets", versions[0].version, "model_sha256", "0" * 64)

    done = project.run("pipeline", "reproduce", str(versions[0].version))

    assert done.returncode == 2
    assert "came out differently: model.keras has the sha256" in done.stderr
    assert "the registered model differs from the model.keras that dvc.lock names" in done.stderr
    assert (project.root / ".checkpoints" / "reproduce" / "dvc.yaml").is_file()


def test_data_that_are_nowhere_are_said_before_anything_is_fitted(project: Project) -> None:
    for folder in ("files", "runs"):
        shutil.rmtree(Path(project.root) / ".dvc" / "cache" / folder, ignore_errors=True)

    page = project.run("pipeline", "trace", "1").stdout
    done = project.run("pipeline", "reproduce", "1")

    assert "are not in DVC's cache, and there is no DVC remote" in page
    assert done.returncode == 2
    assert "there is no remote to pull them from" in done.stderr
    assert "Running stage" not in done.stdout
