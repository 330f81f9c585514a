"""Packages that are missing, or found on PYTHONPATH instead of the environment. Runs before anything else is imported: standard library only."""

import importlib.machinery
import importlib.util
import os
import sys
from pathlib import Path

CODE = Path(__file__).parent.parent
# The packages that the pipeline needs. Another `pipeline` does no harm: the project's own is put first
MODULES = (
    *("tensorflow", "keras", "numpy", "scipy", "sklearn", "pandas", "pyarrow", "PIL", "matplotlib", "mlflow", "prefect", "dvc"),
    *("pydantic", "ruamel.yaml", "sqlalchemy", "fastapi", "filelock", "psutil", "joblib", "jinja2", "fsspec", "tqdm", "yaml"),
)


def foreign_module() -> str:
    """A one-line message if PYTHONPATH has its own copy of a package that the pipeline needs, or else empty."""
    foreign = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder and not _is_own(folder)]
    if not foreign:
        return ""
    for name in MODULES:
        if file := _find(name, foreign):
            return (
                f"PYTHONPATH has another {name}, which would be used instead of the installed one: {file}. "
                "Run `unset PYTHONPATH`, or remove that folder from it."
            )
    return ""


def missing_package() -> str:
    """A one-line message if this Python lacks a package that the command line needs, or else empty."""
    for name in ("pydantic", "ruamel", "filelock", "psutil", "numpy", "PIL", "pyarrow", "jinja2"):
        if importlib.util.find_spec(name) is None:
            return f"{name} is not installed for {sys.executable}. Run `make install`, then `.venv/bin/pipeline`, or `. .venv/bin/activate` first."
    tensorflow = importlib.util.find_spec("tensorflow")
    if tensorflow is None:
        return (
            f"TensorFlow is not installed for {sys.executable}. Run `make install`, then `.venv/bin/pipeline`; or `pip install '.[cpu]'` with this "
            "Python, '.[gpu]' for an NVIDIA GPU."
        )
    if tensorflow.origin is None:  # Python imports even a folder that is nearly empty
        return (
            f"TensorFlow is broken for {sys.executable}: the packages tensorflow and tensorflow-cpu write the same files, so removing one "
            "breaks the other. Run `rm -rf .venv`, then `make install`."
        )
    return ""


def _is_own(folder: str) -> bool:
    """Whether a folder is the project's, or one of this Python environment."""
    real = os.path.realpath(folder)
    return real == os.path.realpath(CODE) or real.startswith(os.path.realpath(sys.prefix) + os.sep)


def _find(name: str, folders: list[str]) -> str:
    """The file of a module in `folders`, or empty. A folder without code hides nothing."""
    *parents, last = name.split(".")
    for parent in parents:
        folders = [os.path.join(folder, parent) for folder in folders]  # noqa: PTH118 (folders of a module search are text)
    spec = importlib.machinery.PathFinder.find_spec(last, folders)
    return (spec.origin or "") if spec else ""
