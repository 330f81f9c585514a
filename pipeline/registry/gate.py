"""Whether a model may serve: its score against guessing, against what is asked for, and against the champion on the same images. Values in and out."""

from collections.abc import Collection
from fractions import Fraction

from pipeline.evaluation.counts import Score
from pipeline.params.register import Register

NAMED = 5


def pass_gate(
    score: Score, champion_hits: int | None, gate: Register, lost_classes: Collection[str] = (), removed_classes: Collection[str] = ()
) -> tuple[bool, str]:
    """(promoted, reason) of a model with this score on the test images; `champion_hits` of the champion on the same, None where there is none.

    `lost_classes`: those that the champion knows, the model does not, and nobody has confirmed as removed; `removed_classes`: those that somebody
    has. An equal model does not replace the champion.
    """
    promoted, reason = _compare(score, champion_hits, gate, lost_classes)
    if removed_classes:
        reason += f"; it no longer knows {_named(removed_classes)}, which the champion knows"
    if score.never_predicted:
        reason += f"; it never predicts {_named(score.never_predicted)}"
    return promoted, reason


def confirm(score: Score, gate: Register) -> str:
    """What to say of the champion itself on the present test images. It stays champion, whatever they show."""
    said = f"accuracy {score.accuracy:.4f}; it is the champion already"
    if not score.beats_guessing:
        said += f", though no better than always guessing the commonest class, {score.majority_class}, {score.majority_images / score.images:.4f}"
    elif Fraction(score.hits, score.images) < Fraction(str(gate.min_accuracy)):
        said += f", though below register.min_accuracy {gate.min_accuracy:g}"
    return said + (f"; it never predicts {_named(score.never_predicted)}" if score.never_predicted else "")


def _compare(score: Score, champion_hits: int | None, gate: Register, lost_classes: Collection[str]) -> tuple[bool, str]:
    accuracy = f"accuracy {score.accuracy:.4f}"
    if not score.beats_guessing:
        share = score.majority_images / score.images
        return False, f"{accuracy} is no better than always guessing the commonest class, {score.majority_class}, {share:.4f}"
    if Fraction(score.hits, score.images) < Fraction(str(gate.min_accuracy)):
        return False, f"{accuracy} is below register.min_accuracy {gate.min_accuracy:g}"
    if lost_classes:
        return False, (
            f"{accuracy}, but the champion knows {_named(lost_classes)}, which this model does not. Where it is of other images, give it "
            "another register.model_name; else set the alias champion by hand"
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


def _named(names: Collection[str]) -> str:
    shown = ", ".join(sorted(names)[:NAMED])
    return shown + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
