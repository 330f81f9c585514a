"""Each project has its own name in Prefect."""

import re
from pathlib import Path

import pytest

from pipeline.unattended.project_name import project_name


def test_the_folders_name_tells_and_its_place_sets_apart(tmp_path: Path) -> None:
    names = {project_name(tmp_path / "a" / "flowers"), project_name(tmp_path / "b" / "flowers")}

    assert len(names) == 2
    assert all(re.fullmatch(r"flowers-[0-9a-f]{8}", name) for name in names)


def test_the_same_folder_on_another_machine_is_another_project(tmp_path: Path) -> None:
    assert project_name(tmp_path, "one") != project_name(tmp_path, "two")


def test_a_link_to_a_project_is_the_project(tmp_path: Path) -> None:
    (tmp_path / "flowers").mkdir()
    (tmp_path / "link").symlink_to("flowers")

    assert project_name(tmp_path / "link") == project_name(tmp_path / "flowers")


@pytest.mark.parametrize(("folder", "start"), [("My Prøject!", "my-prject-"), ("日本", "project-"), ("a" * 300, "a" * 40 + "-")])
def test_any_folder_gives_a_name_that_prefect_takes(folder: str, start: str) -> None:
    name = project_name(Path("/work") / folder, "here")

    assert name.startswith(start)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
