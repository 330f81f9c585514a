"""The part of the evaluation report on labels that are probably wrong: from suspects and their pictures to values."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.labels.suspects import Suspects

DOUBTS_SHOWN = 24


@dataclass(frozen=True)
class LabelDoubt:
    """An image whose label is doubted. thumbnail: a PNG. probability: of the suggested class, by a model that was not fitted to the image. by_model,
    by_neighbours: how doubtful the label is by each, 0 to 1; by_neighbours is None without pretrained features. margin: of its logit while networks were
    fitted to the image, None if that is not known.
    """

    thumbnail: bytes
    path: str
    label: str
    suggested: str
    probability: float
    by_model: float
    by_neighbours: float | None
    margin: float | None = None


@dataclass(frozen=True)
class LabelDoubts:
    """The most doubtful labels. left: how many there are in all. images: training images. note: why there are none to be trusted, else empty."""

    doubts: Sequence[LabelDoubt]
    left: int
    images: int
    note: str = ""

    @property
    def is_shown(self) -> bool:
        """Whether there is anything to say."""
        return bool(self.note or self.doubts)

    @property
    def names(self) -> set[str]:
        """All class names in it."""
        return {name for doubt in self.doubts for name in (doubt.label, doubt.suggested)}

    @property
    def has_neighbours(self) -> bool:
        """Whether similar images were asked, too."""
        return any(doubt.by_neighbours is not None for doubt in self.doubts)

    @property
    def has_margins(self) -> bool:
        """Whether networks were fitted to the images in epochs."""
        return any(doubt.margin is not None for doubt in self.doubts)


def label_doubts(suspects: Suspects, images: int, picture: Callable[[int], bytes]) -> LabelDoubts:
    """images: how many training images there are. picture: gives a PNG of a training image by its row."""
    doubts = [
        LabelDoubt(
            picture(suspect.row),
            suspect.path,
            suspect.label,
            suspect.suggested,
            suspect.probability,
            suspect.by_model,
            suspect.by_neighbours,
            suspect.margin,
        )
        for suspect in suspects.found
    ]
    return LabelDoubts(doubts, suspects.left, images, suspects.note)
