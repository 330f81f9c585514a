"""What several files of tests start from. A file that needs another project has a fixture of the same name."""

from pathlib import Path

import pytest

from tests.dummy_project import copy_project, create_project


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dummy project to copy: making one takes longer."""
    return create_project(tmp_path_factory.mktemp("template") / "my prøject")


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Path:
    """A dummy project of one's own."""
    return copy_project(template, tmp_path / "my prøject")
