"""The command `pipeline`: it runs the code of the project of the current folder, or else of the installed one.

Under a name that nobody else has: a `pipeline.py` on PYTHONPATH, or a package of that name, would be found before the project's own.
"""

import sys
from pathlib import Path


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


def code_of(start: Path) -> Path:
    """The project that contains `start`, if it has the code, or else the one that contains this file."""
    for folder in (start, *start.parents):
        try:
            if all((folder / name).is_file() for name in ("dvc.yaml", "params.yaml", "pipeline/__main__.py")):
                return folder
        except OSError:  # a folder that may not be looked into
            continue
    return Path(__file__).resolve().parent
