"""What the cells of one column say, and the names of columns that mean something else than a class."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.tables.cells import column_word, text_of

NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
# fmt: off
BOX_COLUMNS = {
    "xmin", "x_min", "ymin", "y_min", "bbox", "bbox_x", "x1", "roi_x1", "x_center", "xcenter", "boxes", "segmentation", "encodedpixels",
    "keypoints", "shapes",
}
DESCRIPTIONS = {  # columns that say something else of an image, whatever their cells look like
    "age", "sex", "gender", "width", "height", "w", "h", "size", "date", "time", "timestamp", "url", "license", "author", "index", "annotator",
    "source", "camera", "channels", "depth", "format", "mode", "created_at", "updated_at", "lead_time", "annotation_id", "localization",
    "dx_type", "view", "weather", "city", "country",
}
# fmt: on


@dataclass
class Profile:
    """What the cells of one column say."""

    name: str
    filled: int = 0
    values: set[str] = field(default_factory=set)
    images: set[str] = field(default_factory=set)
    lists: int = 0
    numbers: int = 0
    fractions: int = 0
    binary: int = 0
    signs: int = 0

    @property
    def word(self) -> str:
        return column_word(self.name)

    @property
    def called(self) -> str:
        """The name of the column, for a message."""
        return self.name or "the column without a name"

    def add(self, cell: Any, find: Callable[[str], Sequence[str]]) -> None:
        """Count one cell."""
        if isinstance(cell, list | tuple):
            if len(cell) != 1:
                self.lists += bool(cell)
                self.filled += bool(cell)
                return
            cell = cell[0]
        if isinstance(cell, dict | bytes):
            return
        text = cell.strip() if isinstance(cell, str) else text_of(cell, self.name)
        if not text:
            return
        self.filled += 1
        if NUMBER.fullmatch(text):
            self.numbers += 1
            value = float(text)
            self.fractions += not value.is_integer()
            self.binary += value in (0, 1)
            self.signs += value in (-1, 1)
        if text not in self.values:
            self.values.add(text)
            self.images.update(find(text)[:1])
