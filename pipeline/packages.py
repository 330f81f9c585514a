"""What is installed, by the packages' own metadata: nothing of them is imported. Standard library only."""

import sys
from collections.abc import Sequence
from importlib.metadata import Distribution, version

TENSORFLOW = ("tensorflow", "tensorflow-cpu")  # packages of the same module: they write the same files, so an environment has one of them


def version_of(name: str) -> str:
    """The version of a package; of TensorFlow under whichever name it is there. Raises PackageNotFoundError."""
    return version((tensorflow_packages() or [name])[0] if name == TENSORFLOW[0] else name)


def tensorflow_packages(folders: Sequence[str] | None = None) -> list[str]:
    """Those of TENSORFLOW that are installed: in `folders`, or else where this Python looks."""
    path = list(sys.path if folders is None else folders)
    return [name for name in TENSORFLOW if any(Distribution.discover(name=name, path=path))]
