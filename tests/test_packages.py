"""TensorFlow is found under either of its packages' names; two of them, or none, are told."""

import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from pipeline.packages import tensorflow_packages, version_of
from pipeline.paths import Paths
from pipeline.workspace.check import _check_packages
from pipeline.workspace.surroundings import Finding


def install(folder: Path, **versions: str) -> None:
    for name, version in versions.items():
        metadata = folder / f"{name}-{version}.dist-info" / "METADATA"
        metadata.parent.mkdir(parents=True)
        metadata.write_text(f"Metadata-Version: 2.4\nName: {name.replace('_', '-')}\nVersion: {version}\n", encoding="utf-8")


@pytest.mark.parametrize("name", ["tensorflow", "tensorflow_cpu"])
def test_the_version_of_tensorflow_is_that_of_the_package_which_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    install(tmp_path, **{name: "2.21.5", "tensorflow_datasets": "4.9.9", "keras": "3.15.1"})
    monkeypatch.setattr(sys, "path", [str(tmp_path)])

    assert tensorflow_packages() == [name.replace("_", "-")]
    assert version_of("tensorflow") == "2.21.5"
    assert version_of("keras") == "3.15.1"


def test_a_package_that_is_not_there_has_no_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, tensorflow_datasets="4.9.9")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])

    for name in ("tensorflow", "keras"):
        with pytest.raises(PackageNotFoundError):
            version_of(name)


def packages_finding(root: Path, monkeypatch: pytest.MonkeyPatch) -> Finding:
    found = dict.fromkeys(("keras", "mlflow", "dvc", "prefect", "scikit_learn"), "1.0")
    install(root, **found)
    monkeypatch.setattr(sys, "path", [str(root)])
    return _check_packages(Paths(root))


def test_the_check_names_the_package_that_tensorflow_came_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, tensorflow_cpu="2.21.0")

    finding = packages_finding(tmp_path, monkeypatch)

    assert finding == Finding("packages", "tensorflow-cpu 2.21.0, keras 1.0, mlflow 1.0, dvc 1.0, prefect 1.0, scikit-learn 1.0")


def test_the_check_tells_two_tensorflows_and_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "two", tensorflow="2.21.0", tensorflow_cpu="2.21.0")

    two, none = (packages_finding(tmp_path / name, monkeypatch) for name in ("two", "none"))

    assert two.fix == "run `rm -rf .venv`, then `make install`: tensorflow and tensorflow-cpu write the same files"
    assert none.fix == "run `make install`: missing tensorflow"
