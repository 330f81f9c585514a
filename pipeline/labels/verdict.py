"""One line of data/verdicts.csv: what a person said of one image, known by its content. Pure values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from pipeline.names import shown

Answer = Literal["keep", "change", "unsure", "bad"]
ANSWERS: tuple[Answer, ...] = get_args(Answer)
COLUMNS = ("sha256", "verdict", "label", "was", "path", "reviewer", "date")
OPTIONAL = ("reviewer", "date")


def answer_called(said: str) -> Answer:
    """The answer of this name, which must be one of ANSWERS."""
    return next(known for known in ANSWERS if known == said)


@dataclass(frozen=True)
class Verdict:
    """sha256: of the pixels, as in data/ingest/index.parquet. label: the class that the image is changed to, empty for other answers. was: its class when
    it was judged, which a `keep` confirms. path: for people. date: YYYY-MM-DD. line: its number in the file, 0 if it is not in one.
    """

    sha256: str
    verdict: Answer
    label: str = ""
    was: str = ""
    path: str = ""
    reviewer: str = ""
    date: str = ""
    line: int = 0

    @property
    def says(self) -> tuple[str, str]:
        """What it says of the image: its class, that it is bad, or nothing sure. To keep a class and to change to it say the same."""
        if self.verdict in ("keep", "change"):
            return "class", self.label or self.was
        return self.verdict, ""

    @property
    def in_words(self) -> str:
        """The same for people: the class, bad or unsure."""
        kind, label = self.says
        return shown(label) if kind == "class" else kind

    def contradicts(self, other: "Verdict") -> bool:
        """Whether two verdicts on one image cannot both be right; `unsure` contradicts nothing."""
        return "unsure" not in (self.verdict, other.verdict) and self.says != other.says

    @property
    def cells(self) -> tuple[str, ...]:
        """The fields of its line, in the order of COLUMNS."""
        return self.sha256, self.verdict, self.label, self.was, self.path, self.reviewer, self.date

    def settles(self, label: str) -> bool:
        """Whether an image of this class needs no second look: it was judged, and not for another class that the source has corrected since."""
        return self.verdict != "keep" or self.was == label


def new_labels(verdicts: Mapping[str, Verdict]) -> dict[str, str]:
    """The class of each image that was changed, by sha256; empty for one that was called bad."""
    return {sha256: verdict.label for sha256, verdict in verdicts.items() if verdict.verdict in ("change", "bad")}
