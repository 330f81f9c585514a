"""The command `pipeline`: it runs the code of the project of the current folder, or else of the installed one.

Under a name that nobody else has: a `pipeline.py` on PYTHONPATH, or a package of that name, would be found before the project's own. So `load` is
here, too: as in `pipeline.serving`, from a folder that has such a module.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.serving import Classifier


def main() -> int:
    """The exit code of the command line."""
    try:
        here = Path.cwd()
    except OSError:
        print("error: The current folder no longer exists. Change to the project's folder.", file=sys.stderr)
        return 2
    sys.path.insert(0, str(code_of(here)))
    from pipeline.python_path import foreign_module, missing_package

    if fault := foreign_module() or missing_package():
        print(f"error: {fault}", file=sys.stderr)
        return 2
    from pipeline.__main__ import main as run_command_line

    return run_command_line()


def load(model: str | os.PathLike[str] = "champion", project: str | os.PathLike[str] | None = None) -> "Classifier":
    """As `pipeline.serving.load`, whatever else is called `pipeline` in the current folder. Raises ImportError if that has been imported already."""
    code = code_of(Path(project) if project is not None else Path.cwd())
    other = sys.modules.get("pipeline")
    if other is not None and Path(other.__file__ or "").resolve().parent != code / "pipeline":
        raise ImportError(
            f"Another module called pipeline is imported already: {other.__file__}. Load the model with mlflow.pyfunc.load_model instead."
        )
    sys.path.insert(0, str(code))
    from pipeline.serving import load as load_here

    return load_here(model, project)


def code_of(start: Path) -> Path:
    """The project that contains `start`, if it has the code, or else the one that contains this file."""
    for folder in (start, *start.parents):
        try:
            if all((folder / name).is_file() for name in ("dvc.yaml", "params.yaml", "pipeline/__main__.py")):
                return folder
        except OSError:  # a folder that may not be looked into
            continue
    return Path(__file__).resolve().parent
