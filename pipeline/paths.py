"""Where things are: the workspace of a run and the project that it belongs to.

They differ only inside a queued DVC experiment, which runs in a copy under `.dvc/tmp/exps/`: files are read and written
in the copy (the workspace), while MLflow's store and checkpoints are those of the project.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ConfigError

STAGES = ("ingest", "preprocess", "train", "cross_validate", "evaluate", "register")
"""The stages, in the order in which they run. A contract test holds this against dvc.yaml and pipeline/stages/."""


@dataclass(frozen=True)
class Paths:
    """The folders of one workspace; `root` is an absolute path."""

    root: Path

    def stage(self, name: str) -> Path:
        """The folder that a stage writes to, and nothing else writes to."""
        return self.root / "data" / name

    @property
    def params(self) -> Path:
        return self.root / "params.yaml"

    @property
    def ledger(self) -> Path:
        """The recorded split of each image, train or test."""
        return self.root / "data" / "splits.csv"

    @property
    def classes(self) -> Path:
        """The recorded order of the classes."""
        return self.root / "data" / "classes.json"

    @property
    def known_images(self) -> Path:
        """Some images of each data set at its last run."""
        return self.root / "data" / "known_images.csv"

    @property
    def verdicts(self) -> Path:
        """What people said of single images: their right class, or that they are bad."""
        return self.root / "data" / "verdicts.csv"

    @property
    def dvc_lock(self) -> Path:
        return self.root / "dvc.lock"

    @property
    def kept_in_git(self) -> list[Path]:
        """What a run writes and git is to keep: DVC's lock, the lists that `ingest` extends, the small results of the stages."""
        results = [self.stage(name) / file for name in STAGES for file in ("metrics.json", "decision.json")]
        return [self.dvc_lock, self.ledger, self.classes, self.known_images, *results]

    @property
    def project(self) -> Path:
        """The project's own root, also from within the copy of a queued DVC experiment."""
        parts = self.root.parts
        for i in range(len(parts) - 3, 0, -1):
            if parts[i : i + 3] == (".dvc", "tmp", "exps"):
                return Path(*parts[:i])
        return self.root

    @property
    def mlruns(self) -> Path:
        return self.project / "mlruns"

    @property
    def scratch(self) -> Path:
        """Locks, checkpoints, caches: ignored by git and DVC, safe to delete when nothing runs."""
        return self.project / ".checkpoints"

    def relative(self, path: Path) -> str:
        """`path` relative to the workspace, if it is inside."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)


def find_paths(start: Path) -> Paths:
    """The workspace that contains `start`, or else the one that contains this package.

    Raises ConfigError if neither has a dvc.yaml and a params.yaml, and for a project that lacks one of them.
    """
    package_root = Path(__file__).resolve().parent.parent
    for folder in [start.resolve(), *start.resolve().parents, package_root]:
        there = [name for name in ("dvc.yaml", "params.yaml") if os.path.isfile(folder / name)]  # noqa: PTH113 (no error where one may not look)
        if len(there) == 2:
            return Paths(folder)
        if there and os.path.isdir(folder / ".dvc"):  # noqa: PTH112
            (lacking,) = {"dvc.yaml", "params.yaml"} - set(there)
            raise ConfigError(
                f"{folder / lacking} {'is not a file' if os.path.lexists(folder / lacking) else 'does not exist'}. "
                f"Restore it from git: `git checkout -- {lacking}`."
            )
    raise ConfigError(
        f"No project here: neither {start} nor a folder above it has dvc.yaml and params.yaml. Change to the project's folder."
    )
