"""The served model of a model's files, made by the code that was registered with it."""

import importlib
import os
import sys
from pathlib import Path
from typing import Any

from pipeline.conversion.record import MODEL_FILE
from pipeline.errors import TrackingError
from pipeline.serving import served_model
from pipeline.travelling_code import ENTRY, PACKAGE, PREFIX, entry_of, pack_code


def open_served(folder: Path, shown: str) -> Any:
    """The served model in a folder, by the code that lies there, else by today's: a ServedModel, or its like of an earlier version.

    The code is put on the path for modules, where it stays: its name is that of nothing else. Raises TrackingError if it cannot be loaded.
    """
    files = next((file.parent for file in sorted(folder.rglob(MODEL_FILE)) if "code" not in file.relative_to(folder).parts), None)
    if files is None:
        raise TrackingError(f"{shown} cannot be loaded: its files have no {MODEL_FILE}.")
    try:
        return _module_of(folder).load(files)
    except Exception as error:  # Keras and a damaged file raise nearly any exception
        reason = (str(error).splitlines() or [""])[0].rstrip(".") or type(error).__name__
        raise TrackingError(f"{shown} cannot be loaded: {reason}.") from error


def _module_of(folder: Path) -> Any:
    code = folder / "code"
    package = next((found.name for found in sorted(code.glob(f"{PREFIX}*"))), "")
    if not package and (code / PACKAGE).is_dir():  # registered when the code still had this name, which is taken here
        if not (code / PACKAGE / f"{ENTRY.replace('.', '/')}.py").is_file():
            raise TrackingError("its code is laid out as in an earlier version of this project. Load it with mlflow.pyfunc.load_model")
        package = pack_code(code / PACKAGE, code)
    if not package:
        return served_model
    sys.path.append(os.fspath(code))
    importlib.invalidate_caches()
    served_model.find_also_in(code, package)
    return importlib.import_module(entry_of(package))
