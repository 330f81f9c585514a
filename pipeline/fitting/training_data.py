"""The training images of data/preprocess with their features, opened for a fit. Nothing is loaded before it is read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.dataset.arrays import TrainingSet, read_array, read_training_set
from pipeline.features.embeddings import EMBEDDINGS
from pipeline.features.extractor import stage_extractor
from pipeline.features.stage_rows import stage_rows
from pipeline.files import read_json
from pipeline.fitting.methods import Data
from pipeline.models.efficientnet_lite import LAST_STAGE


@dataclass(frozen=True)
class TrainingData:
    """images: the folder data/preprocess. kept: the folder of what goes into the stages of networks."""

    images: Path
    kept: Path

    def __reduce__(self) -> tuple[type[TrainingData], tuple[Path, Path]]:
        """What is sent to another process is where the images are, not the images."""
        return TrainingData, (self.images, self.kept)

    @cached_property
    def spec(self) -> dict[str, Any]:
        """The content of spec.json."""
        return read_json(self.images / "spec.json")

    @cached_property
    def training(self) -> TrainingSet:
        return read_training_set(self.images)

    @cached_property
    def data(self) -> Data:
        training = self.training
        embeddings = read_array(self.images / "train" / EMBEDDINGS)
        return Data(training.images, training.labels, len(training.class_names), training.groups, embeddings, self._stage_rows)

    def _stage_rows(self, stages: int) -> Any:
        shape = self.training.images.shape[1:]
        extractor = stage_extractor(self.spec["backbone"]["name"], shape, LAST_STAGE + 1 - stages)
        return stage_rows(self.images / "train" / "images.npy", self.data.views, extractor, self.kept)
