"""The gate: compares a model's score with the majority-class baseline, register.min_accuracy and the champion's on the same images.

Pure functions of counts.
"""

from collections.abc import Collection
from fractions import Fraction

from pipeline.evaluation.counts import Score
from pipeline.names import listed, shown
from pipeline.params.register import Register

NAMED = 5


def pass_gate(
    score: Score, champion_hits: int | None, gate: Register, lost_classes: Collection[str] = (), removed_classes: Collection[str] = ()
) -> tuple[bool, str]:
    """(promoted, reason) for a model with this score on the test images.

    champion_hits: the champion's hits on the same images, None if there is no champion. lost_classes, removed_classes: classes that the champion
    knows and the model does not, without and with a confirmed removal. An equal model does not replace the champion.
    """
    promoted, reason = _compare(score, champion_hits, gate, lost_classes)
    if removed_classes:
        reason += f"; it does not know {_named(removed_classes)}, whose removal is confirmed"
    return promoted, reason + _never_predicted(score)


def confirm(score: Score, gate: Register) -> str:
    """The reason reported for a model that already is the champion, on today's test images. It stays champion whatever they show."""
    said = f"accuracy {score.accuracy:.4f}; it is already the champion"
    if fault := _fault(score, gate):
        said += f", though {fault}"
    return said + _never_predicted(score)


def _compare(score: Score, champion_hits: int | None, gate: Register, lost_classes: Collection[str]) -> tuple[bool, str]:
    accuracy = f"accuracy {score.accuracy:.4f}"
    if fault := _fault(score, gate):
        return False, f"{accuracy} is {fault}"
    if lost_classes:
        return False, (
            f"{accuracy}, but the champion knows {_named(lost_classes)}, which this model does not. If the removal is intended, confirm it in "
            "ingest.removed_classes or set the alias champion by hand; if this is another data set, set another register.model_name"
        )
    if champion_hits is None:
        return True, f"{accuracy}; there was no champion before"
    lead = score.hits - champion_hits
    against = f"{accuracy} against the champion's {champion_hits / score.images:.4f}, on the same images"
    if lead == 0:
        return False, f"{against}: an equal model does not replace it"
    if lead < 0 or lead < Fraction(str(gate.margin)) * score.images:
        return False, f"{against}, with a margin of {gate.margin:g}" if gate.margin else against
    return True, against


def _fault(score: Score, gate: Register) -> str:
    """Why a score is not good enough, whatever the champion; empty if it is good enough."""
    if not score.beats_guessing:
        share = score.majority_images / score.images
        return f"no better than always predicting the most common class, {shown(score.majority_class)} ({share:.4f})"
    if Fraction(score.hits, score.images) < Fraction(str(gate.min_accuracy)):
        return f"below register.min_accuracy {gate.min_accuracy:g}"
    return ""


def _never_predicted(score: Score) -> str:
    return f"; it never predicts {_named(score.never_predicted)}" if score.never_predicted else ""


def _named(names: Collection[str]) -> str:
    return listed(sorted(names), NAMED)
