"""The images on which an export is made and measured: those that the model was trained and tested on, as packed by `preprocess`."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import ConfigError
from pipeline.paths import Paths

CALIBRATION_IMAGES = 500


@dataclass(frozen=True)
class Images:
    """test: uint8 (N, H, W, C). labels: int (N,), positions in the class names. training: uint8 (M, H, W, C), some, for calibration."""

    test: np.ndarray
    labels: np.ndarray
    training: np.ndarray


def read_images(paths: Paths, spec_file: Path, shown: str) -> Images:
    """The images of the model whose spec.json is `spec_file`. Raises ConfigError if data/preprocess has none, or those of another data set or split."""
    folder = paths.stage("preprocess")
    try:
        own = (folder / "spec.json").read_bytes()
        test, training = (np.load(folder / part / "images.npy", mmap_mode="r") for part in ("test", "train"))
        labels = np.load(folder / "test" / "labels.npy")
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"An export is measured on the test images in {paths.relative(folder)}, which cannot be read: {error}. `dvc repro preprocess` makes them."
        ) from None
    if own != spec_file.read_bytes():
        raise ConfigError(
            f"{paths.relative(folder)} has other images or classes than {shown} was trained on, so its export cannot be measured. Check out the commit "
            "of that version and run `dvc repro preprocess`, or export the current model."
        )
    if not len(test):
        raise ConfigError("There are no test images, so an export cannot be measured.")
    return Images(test, labels, np.ascontiguousarray(training[:: -(-len(training) // CALIBRATION_IMAGES)]))
