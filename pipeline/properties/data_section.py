"""The part of the data report on continuous properties: what gives classes away, and which images are unusual. From `ingest`'s facts to values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import pyarrow.parquet as pq

from pipeline.dataset.intake import PROPERTY_NAMES
from pipeline.dataset.judged import Judged
from pipeline.properties.class_clues import Clue, find_clues
from pipeline.properties.unusual import ODD, find_unusual
from pipeline.quality.findings import Subject

SHOWN = 6
CLASS_FOLDERS = 0.5
"""If so many images lie in a folder called like their class, a folder says what the class is, and that is no news."""


@dataclass(frozen=True)
class Unusual:
    """Images that stand out in one way: how many, and some of them, each with a thumbnail."""

    name: str
    count: int
    images: Sequence[tuple[Subject, bytes | None]]


@dataclass(frozen=True)
class PropertySection:
    """What the page says. clues: empty for a single class."""

    clues: Sequence[Clue]
    unusual: Sequence[Unusual]

    @property
    def large(self) -> Sequence[Clue]:
        """The properties that give away so much that they are named."""
        return [clue for clue in self.clues if clue.is_large]


def property_section(judged: Judged, class_names: Sequence[str]) -> PropertySection:
    """Of the images that are kept."""
    kept = np.flatnonzero(judged.kept)
    facts = judged.images.facts[kept]
    columns = {name: facts[name] for name in PROPERTY_NAMES}
    place = {name: k for k, name in enumerate(class_names)}
    labels = np.array([place.get(name, 0) for name in judged.images.labels])[facts["label"]]
    clues = find_clues(labels, {**columns, **_others(judged, kept, labels, class_names)}, class_names) if len(class_names) > 1 else []
    return PropertySection(clues, _shown(judged, kept, columns))


def _others(judged: Judged, kept: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> Mapping[str, np.ndarray]:
    """The size of each image, and its folder unless that is how the classes are given."""
    facts = judged.images.facts[kept]
    others: dict[str, np.ndarray] = {"size": facts["width"].astype(np.int64) * facts["height"]}
    paths = np.array([path for shard in judged.shards for path in pq.ParquetFile(shard).read(["path"])["path"].to_pylist()], dtype=object)[
        kept
    ]
    folders = np.array([str(PurePosixPath(path).parent) for path in paths], dtype=object)
    inside = [class_names[label] in folder.split("/") for folder, label in zip(folders, labels.tolist(), strict=True)]
    return others if np.mean(inside) > CLASS_FOLDERS else {**others, "folder": folders}


def _shown(judged: Judged, kept: np.ndarray, columns: Mapping[str, np.ndarray]) -> list[Unusual]:
    found = {name: kept[rows] for name, rows in find_unusual(columns, SHOWN).items() if len(rows)}
    rows = sorted({int(row) for every in found.values() for row in every[:SHOWN]})
    subjects, pictures = judged.subjects(rows), judged.pictures(rows)
    return [
        Unusual(name, 0 if name == ODD else len(every), [(subjects[row], pictures.get(row)) for row in every[:SHOWN].tolist()])
        for name, every in found.items()
    ]
