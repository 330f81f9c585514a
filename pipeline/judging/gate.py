"""The gate: whether a model is good enough, and shown to be better or not worse than the champion on the same images.

Pure functions of counts. `docs/registry.md` explains the rules.
"""

from collections.abc import Collection
from dataclasses import replace
from fractions import Fraction

from pipeline.evaluation.comparison import ClassDrop, Comparison, Verdict
from pipeline.evaluation.counts import Score
from pipeline.evaluation.margin import auto_margin
from pipeline.judging.ruling import Evidence, Ruling
from pipeline.judging.sentences import interval, points
from pipeline.names import in_list, listed, shown
from pipeline.params.register import Register

NAMED = 5
PASSING = ("better", "not worse")


def judge(score: Score, evidence: Evidence, gate: Register) -> Ruling:
    """The ruling on a model with this score on all test images. A model without a champion only has to be good enough."""
    ruling = _judge(score, evidence, gate)
    said = "".join(
        f"; {what} {listed(sorted(names), NAMED)}{rest}"
        for what, names, rest in (
            ("it does not know", evidence.classes.removed, ", whose removal is confirmed"),
            (
                "compared without the images of",
                evidence.classes.added if evidence.has_champion else (),
                ", which the champion does not know",
            ),
            ("it never predicts", score.never_predicted, ""),
        )
        if names
    )
    return replace(ruling, reason=ruling.reason + said)


def confirm(score: Score, gate: Register) -> str:
    """The reason reported for a model that already is the champion, on today's test images. It stays champion whatever they show."""
    said = f"accuracy {score.accuracy:.4f}; it is already the champion"
    if fault := _fault(score, gate):
        said += f", though {fault}"
    return said + (f"; it never predicts {listed(sorted(score.never_predicted), NAMED)}" if score.never_predicted else "")


def rule(champion: Verdict, anchor: Verdict | None, promote_when: str) -> tuple[bool, bool]:
    """(promoted, moves the anchor) by the verdicts against the champion and against the anchor, None if the champion is the anchor.

    Better than the champion is enough. Not worse must hold against both, so that small losses do not add up; and the anchor follows only a model that
    is better than itself.
    """
    if champion == "better":
        return True, anchor in (None, "better")
    return promote_when == "not_worse" and champion == "not worse" and anchor in (None, *PASSING), False


def margin_of(comparison: Comparison, gate: Register) -> float:
    """`register.margin`, or the smallest one that the test images allow."""
    return auto_margin(comparison.discordance, comparison.effective_images) if gate.margin == "auto" else gate.margin


def _judge(score: Score, evidence: Evidence, gate: Register) -> Ruling:
    accuracy = f"accuracy {score.accuracy:.4f}"
    margin = margin_of(evidence.champion, gate) if evidence.champion else None
    kept = Ruling(False, "", evidence.champion.verdict(margin) if evidence.champion and margin is not None else None, margin)
    if fault := _fault(score, gate):
        return replace(kept, reason=f"{accuracy} is {fault}")
    if lost := evidence.classes.lost:
        return replace(
            kept,
            reason=f"{accuracy}, but the champion knows {_named(lost)}, which this model does not. If the removal is intended, confirm it in "
            "ingest.removed_classes or run `pipeline promote VERSION --reason …`; if this is another data set, set another register.model_name",
        )
    if not evidence.has_champion:
        return replace(kept, promoted=True, reason=f"{accuracy}; there was no champion before", moves_anchor=True)
    if evidence.champion is None:
        return replace(kept, reason=f"{accuracy}, but no test image is of a class that the champion knows, so they cannot be compared")
    return _compare(accuracy, evidence.champion, evidence, gate)


def _compare(accuracy: str, champion: Comparison, evidence: Evidence, gate: Register) -> Ruling:
    margin = margin_of(champion, gate)
    verdict = champion.verdict(margin)
    anchor = evidence.anchor.verdict(margin) if evidence.anchor else None
    passes, moves = rule(verdict, anchor, gate.promote_when)
    said = (
        f"{accuracy}, {_interval(champion)} against the champion on the same {champion.images:,} images: {verdict}{_limit(verdict, margin)}"
    )
    if faults := _class_faults(evidence, gate):
        all_the_same = ". `pipeline promote VERSION --reason …` promotes it all the same" if passes else ""
        return Ruling(False, f"{said}{', but ' if passes else '; '}{faults}{all_the_same}", verdict, margin)
    said += _beside_the_champion(verdict, anchor, evidence, gate)
    if passes:
        return Ruling(True, said, verdict, margin, moves_anchor=moves)
    stopped_by_anchor = verdict == "not worse" and gate.promote_when == "not_worse"
    asked = evidence.anchor if stopped_by_anchor and evidence.anchor else champion
    needed = _needed(asked, margin, gate)
    return Ruling(False, said + _ways_on(asked.verdict(margin), needed), verdict, margin, images_needed=needed)


def _class_faults(evidence: Evidence, gate: Register) -> str:
    """The classes that dropped, or of which nothing is known; empty if there are none."""
    if evidence.drops:
        return f"worse by more than register.max_class_drop {gate.max_class_drop:g} at {_dropped(evidence.drops)}"
    if evidence.untested and gate.max_class_drop < 1:
        return (
            f"there is no test image of {listed(evidence.untested, NAMED)}, so nothing says that it did not get worse there. Add test images, or "
            "set register.max_class_drop to 1"
        )
    return ""


def _interval(found: Comparison) -> str:
    return interval(found.difference, found.low, found.high)


def _beside_the_champion(verdict: Verdict, anchor: Verdict | None, evidence: Evidence, gate: Register) -> str:
    """What else counts for a model that is not worse than the champion; empty for another one."""
    if verdict != "not worse":
        return ""
    if gate.promote_when == "better":
        return ", but register.promote_when is better"
    if evidence.anchor is None or anchor is None:
        return ""
    return f"{', and' if anchor in PASSING else ', but'} {_interval(evidence.anchor)} against the anchor: {anchor}"


def _ways_on(verdict: Verdict, needed: int | None) -> str:
    """What a person can do where the images do not tell; nothing where they tell that a model is worse."""
    if verdict == "worse":
        return ""
    more = f"about {needed:,} test images would tell; " if needed else ""
    return f". The champion stays: {more}`pipeline promote VERSION --reason …` promotes it all the same"


def _needed(comparison: Comparison, margin: float, gate: Register) -> int | None:
    """How many images would tell; None if these tell already, or no number would."""
    found = comparison.images_that_would_tell(margin, better=gate.promote_when == "better")
    return found if found and found > comparison.images else None


def _limit(verdict: Verdict, margin: float) -> str:
    return "" if verdict == "better" else f" (margin {points(margin)} pt)"


def _fault(score: Score, gate: Register) -> str:
    """Why a score is not good enough, whatever the champion; empty if it is good enough."""
    if not score.beats_guessing:
        share = score.majority_images / score.images
        return f"no better than always predicting the most common class, {shown(score.majority_class)} ({share:.4f})"
    if Fraction(score.hits, score.images) < Fraction(str(gate.min_accuracy)):
        return f"below register.min_accuracy {gate.min_accuracy:g}"
    return ""


def _dropped(drops: Collection[ClassDrop]) -> str:
    named = ", ".join(
        f"{in_list(drop.name)} ({drop.before:.4f} to {drop.after:.4f}{'' if drop.against == 'champion' else f', against the {drop.against}'})"
        for drop in list(drops)[:NAMED]
    )
    return named + (f" and {len(drops) - NAMED:,} more" if len(drops) > NAMED else "")


def _named(names: Collection[str]) -> str:
    return listed(sorted(names), NAMED)
