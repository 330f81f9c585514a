"""What the gate is told of two models, and what it rules. Values only."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from pipeline.evaluation.comparison import ClassDrop, Comparison, Verdict


@dataclass(frozen=True)
class ClassChanges:
    """Classes of the champion that the model does not know, without and with a confirmed removal, and classes that only the model knows."""

    lost: Collection[str] = ()
    removed: Collection[str] = ()
    added: Collection[str] = ()


@dataclass(frozen=True)
class Evidence:
    """A model against the champion, and against the anchor where that is another version, on the test images of the classes that both know.

    `champion` is None if there is no champion, or no image to compare on. `has_champion`: whether there is one. `drops`: classes that dropped
    by more than the limit against either. `untested`: classes that both know and that have no test images.
    """

    has_champion: bool = False
    champion: Comparison | None = None
    anchor: Comparison | None = None
    classes: ClassChanges = field(default_factory=ClassChanges)
    drops: Sequence[ClassDrop] = ()
    untested: Sequence[str] = ()


@dataclass(frozen=True)
class Ruling:
    """Whether a model takes the champion's place, and why. `moves_anchor`: whether it also becomes the anchor.

    `verdict`, `margin`: of the comparison with the champion; None without one. `images_needed`: how many test images would tell, if that is known.
    """

    promoted: bool
    reason: str
    verdict: Verdict | None = None
    margin: float | None = None
    moves_anchor: bool = False
    images_needed: int | None = None
