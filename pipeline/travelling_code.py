"""The code that travels with a registered model: what of this package the served model reaches, under a name that nothing else has.

The name has a digest of the code, so no file of a user's hides it, and models of different versions, each with its own code, fit into one process.
Knows nothing of images or models; reads and writes source files, and imports none.
"""

import ast
import hashlib
import re
from pathlib import Path

PREFIX = "image_classifier_pipeline_code_"
ENTRY = "serving.served_model"
"""What MLflow loads, below the package."""
PACKAGE = "pipeline"
OWN_IMPORT = re.compile(rf"^(\s*(?:from|import)\s+){PACKAGE}(?=[.\s])", re.MULTILINE)
DIGITS = 12


def pack_code(source: Path, target: Path) -> str:
    """Copy the part of the package in folder `source` that the served model reaches into the folder `target`; returns its name there.

    The same code gives the same name. An `__init__.py` comes along without its content: it must not import what does not travel.
    """
    files = _reached(source)
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}\0{files[name]}\0".encode())
    package = PREFIX + digest.hexdigest()[:DIGITS]
    for name, text in files.items():
        file = target.joinpath(package, *name.split(".")).with_suffix(".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(OWN_IMPORT.sub(rf"\g<1>{package}", text), encoding="utf-8")
        (file.parent / "__init__.py").touch()
    (target / package / "__init__.py").touch()
    return package


def entry_of(package: str) -> str:
    """The module of a package of travelling code that MLflow loads."""
    return f"{package}.{ENTRY}"


def _reached(source: Path) -> dict[str, str]:
    """The source code of ENTRY and all that it imports of its package, by name below the package."""
    found: dict[str, str] = {}
    waiting = [ENTRY]
    while waiting:
        name = waiting.pop()
        file = source.joinpath(*name.split(".")).with_suffix(".py")
        if name not in found and file.is_file():
            found[name] = file.read_text(encoding="utf-8")
            waiting += _imported(found[name])
    return found


def _imported(code: str) -> list[str]:
    """Names below the package that a module imports, and some that are no modules."""
    names = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [name.removeprefix(f"{PACKAGE}.") for name in names if name.startswith(f"{PACKAGE}.")]
