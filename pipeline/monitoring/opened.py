"""A model at work together with its files: what it says of its own training images."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.files import read_json, sha256_file
from pipeline.paths import Paths
from pipeline.serving.classifier import Classifier
from pipeline.serving.located import locate
from pipeline.serving.own_code import open_served
from pipeline.serving.served_model import SPEC_FILE
from pipeline.terminal import greetings_kept_back


@dataclass(frozen=True)
class Opened:
    """A loaded model. spec: the content of its spec.json. folder: its files."""

    classifier: Classifier
    spec: dict[str, Any]
    folder: Path

    def has_file(self, name: str, sha256: str) -> bool:
        """Whether it has a file with this content."""
        file = self.folder / name
        return file.is_file() and sha256_file(file) == sha256


@contextlib.contextmanager
def opened(reference: str, paths: Paths) -> Iterator[Opened]:
    """The model that a reference names. Raises ConfigError if there is none, TrackingError if it cannot be read or loaded."""
    with tempfile.TemporaryDirectory(prefix="classifier-") as folder:
        located = locate(reference, paths, Path(folder))
        with greetings_kept_back():
            classifier = Classifier(open_served(located.folder, located.shown), located.name, located.version, located.shown)
        yield Opened(classifier, read_json(located.files / SPEC_FILE), located.files)
