"""Who may serve: better than guessing, good enough, and shown to be better or not worse than the champion on the same images."""

import numpy as np
import pytest

from pipeline.evaluation.comparison import ClassDrop, Comparison
from pipeline.evaluation.counts import Score
from pipeline.evaluation.paired import mid_p, tango_interval
from pipeline.judging.gate import confirm, judge, rule
from pipeline.judging.ruling import ClassChanges, Evidence, Ruling
from pipeline.params.register import Register

BETTER, EQUAL, SMALLER, WORSE = (400, 280), (320, 280), (260, 300), (280, 400)
"""Images of 10,000 that only the new and only the old model gets right: +1.2 [+0.69, +1.71], +0.4 [-0.08, +0.88], -0.4 [-0.87, +0.06], -1.2."""


def gate(min_accuracy: float = 0.0, margin: float | str = 0.01, promote_when: str = "not_worse", max_class_drop: float = 0.05) -> Register:
    said = {"min_accuracy": min_accuracy, "margin": margin, "promote_when": promote_when, "max_class_drop": max_class_drop}
    return Register.model_validate({"model_name": "auto", **said})


def score(hits: int = 9300, images: int = 10_000, majority: int = 1000, never: dict[str, int] | None = None) -> Score:
    return Score(images, hits, "blue", majority, never or {})


def counts(gained: int, lost: int, images: int = 10_000) -> Comparison:
    low, high = (float(end) for end in tango_interval(gained, lost, images))
    return Comparison(images, images, gained, lost, 0, low, high, float(mid_p(gained, lost)), 1.0)


def against(champion: tuple[int, int], anchor: tuple[int, int] | None = None, classes: ClassChanges | None = None) -> Evidence:
    return Evidence(True, counts(*champion), counts(*anchor) if anchor else None, classes or ClassChanges())


WAYS_ON = "`pipeline promote VERSION --reason …` promotes it all the same"


@pytest.mark.parametrize(
    ("evidence", "gate", "promoted", "verdict", "reason"),
    [
        pytest.param(Evidence(), gate(), True, None, "accuracy 0.9300; there was no champion before", id="the first"),
        pytest.param(Evidence(), gate(0.95), False, None, "accuracy 0.9300 is below register.min_accuracy 0.95", id="not good enough"),
        pytest.param(
            against(BETTER), gate(), True, "better",
            "accuracy 0.9300, +1.20 pt [+0.69, +1.71] against the champion on the same 10,000 images: better",
            id="better",
        ),
        pytest.param(
            against(EQUAL), gate(), True, "not worse",
            "accuracy 0.9300, +0.40 pt [-0.08, +0.88] against the champion on the same 10,000 images: not worse (margin 1.0 pt)",
            id="not worse",
        ),
        pytest.param(
            against(EQUAL), gate(promote_when="better"), False, "not worse",
            "accuracy 0.9300, +0.40 pt [-0.08, +0.88] against the champion on the same 10,000 images: not worse (margin 1.0 pt), but "
            f"register.promote_when is better. The champion stays: about 29,434 test images would tell; {WAYS_ON}",
            id="not worse is not enough",
        ),  # 7.849 * 0.06 / 0.004^2 = 29433.3
        pytest.param(
            against(SMALLER), gate(margin=0.005), False, "can't tell",
            "accuracy 0.9300, -0.40 pt [-0.87, +0.06] against the champion on the same 10,000 images: can't tell (margin 0.5 pt). "
            f"The champion stays: about 17,582 test images would tell; {WAYS_ON}",
            id="can't tell",
        ),  # 7.849 * 0.056 / 0.005^2 = 17581.6
        pytest.param(
            against(WORSE), gate(), False, "worse",
            "accuracy 0.9300, -1.20 pt [-1.71, -0.69] against the champion on the same 10,000 images: worse (margin 1.0 pt)",
            id="worse",
        ),
        pytest.param(
            against(SMALLER, SMALLER), gate(), True, "not worse",
            "accuracy 0.9300, -0.40 pt [-0.87, +0.06] against the champion on the same 10,000 images: not worse (margin 1.0 pt), and "
            "-0.40 pt [-0.87, +0.06] against the anchor: not worse",
            id="not worse than both",
        ),
        pytest.param(
            against(SMALLER, (260, 340)), gate(), False, "not worse",
            "accuracy 0.9300, -0.40 pt [-0.87, +0.06] against the champion on the same 10,000 images: not worse (margin 1.0 pt), but "
            "-0.80 pt [-1.28, -0.32] against the anchor: worse",
            id="worse than the anchor",
        ),
    ],
)  # fmt: skip
def test_the_gate(evidence: Evidence, gate: Register, promoted: bool, verdict: str | None, reason: str) -> None:
    ruling = judge(score(), evidence, gate)

    assert (ruling.promoted, ruling.verdict, ruling.reason) == (promoted, verdict, reason)


def test_the_automatic_margin_follows_the_test_images_and_is_at_most_one_point() -> None:
    assert judge(score(), against(EQUAL), gate(margin="auto")).margin == pytest.approx((7.849 * 0.06 / 10_000) ** 0.5, abs=1e-5)
    few = judge(score(93, 100, 10), Evidence(True, counts(3, 3, 100)), gate(margin="auto"))
    assert (few.promoted, few.verdict, few.margin, few.images_needed) == (False, "can't tell", 0.01, 4710)


@pytest.mark.parametrize(("hits", "images"), [(10, 19), (10, 17), (2, 3)])
def test_a_model_that_always_says_one_class_never_passes(hits: int, images: int) -> None:
    ruling = judge(score(hits, images, majority=hits), Evidence(), gate())

    assert not ruling.promoted
    assert "no better than always predicting the most common class, blue" in ruling.reason


def test_classes_that_are_never_predicted_added_or_removed_are_part_of_the_reason() -> None:
    ruling = judge(score(never={"red": 3}), against(BETTER, classes=ClassChanges(removed=["fox"], added=["elk"])), gate())

    assert ruling.promoted
    assert ruling.reason.endswith(
        ": better; it does not know fox, whose removal is confirmed; compared without the images of elk, which the champion does not know; "
        "it never predicts red"
    )


def test_a_model_that_lost_a_class_of_the_champion_does_not_replace_it() -> None:
    ruling = judge(score(), against(BETTER, classes=ClassChanges(lost=list("gfedcba"))), gate())

    assert not ruling.promoted
    assert "the champion knows a, b, c, d, e and 2 more, which this model does not" in ruling.reason


def test_a_better_model_with_a_class_that_dropped_is_not_promoted() -> None:
    evidence = Evidence(True, counts(*BETTER), drops=[ClassDrop("cat, black", 0.95, 0.8, "champion"), ClassDrop("dog", 0.9, 0.7, "anchor")])

    ruling = judge(score(), evidence, gate())

    assert not ruling.promoted
    assert ruling.reason.endswith(
        'better, but worse by more than register.max_class_drop 0.05 at "cat, black" (0.9500 to 0.8000), '
        "dog (0.9000 to 0.7000, against the anchor). "
        "`pipeline promote VERSION --reason …` promotes it all the same"
    )


def test_a_class_without_test_images_is_named_unless_the_limit_is_off() -> None:
    evidence = Evidence(True, counts(*BETTER), untested=["fox"])

    ruling = judge(score(), evidence, gate())

    assert not ruling.promoted
    assert "there is no test image of fox, so nothing says that it did not get worse there" in ruling.reason
    assert judge(score(), evidence, gate(max_class_drop=1.0)).promoted


def test_models_with_no_class_in_common_cannot_be_compared() -> None:
    ruling = judge(score(), Evidence(True), gate())

    assert (ruling.promoted, ruling.reason) == (
        False,
        "accuracy 0.9300, but no test image is of a class that the champion knows, so they cannot be compared",
    )


@pytest.mark.parametrize(
    ("hits", "gate", "said"),
    [
        (9000, gate(), ""),
        (1000, gate(), ", though no better than always predicting the most common class, blue (0.1000)"),
        (9000, gate(0.95), ", though below register.min_accuracy 0.95"),
    ],
)
def test_the_champion_itself_stays_champion_and_its_faults_are_named(hits: int, gate: Register, said: str) -> None:
    found = confirm(score(hits, never={"red": 3}), gate)

    assert found == f"accuracy {hits / 10_000:.4f}; it is already the champion{said}; it never predicts red"


def test_the_reason_says_where_a_name_ends() -> None:
    score = Score(10, 5, "a\nb", 5, {"cat, black": 2, "dog": 1})

    assert judge(score, Evidence(), gate()) == Ruling(
        False,
        'accuracy 0.5000 is no better than always predicting the most common class, "a\\nb" (0.5000); it never predicts "cat, black", dog',
    )


@pytest.mark.parametrize(
    ("champion", "anchor", "promote_when", "outcome"),
    [
        ("better", None, "better", (True, True)),
        ("better", "better", "not_worse", (True, True)),
        ("better", "not worse", "not_worse", (True, False)),
        ("better", "can't tell", "better", (True, False)),
        ("not worse", None, "not_worse", (True, False)),
        ("not worse", "better", "not_worse", (True, False)),
        ("not worse", "can't tell", "not_worse", (False, False)),
        ("not worse", None, "better", (False, False)),
        ("can't tell", None, "not_worse", (False, False)),
        ("worse", "not worse", "not_worse", (False, False)),
    ],
)
def test_the_rule(champion: str, anchor: str | None, promote_when: str, outcome: tuple[bool, bool]) -> None:
    assert rule(champion, anchor, promote_when) == outcome  # type: ignore[arg-type]


def lost_in_a_year(years: int, *, has_anchor: bool) -> np.ndarray:
    """Points lost, float (years,), after 52 weeks in which each new model is 0.05 points worse than the champion and differs on 6 % of 10,000 images."""
    rng = np.random.default_rng(0)
    champion, anchor = np.zeros(years), np.zeros(years)
    for _ in range(52):
        challenger = champion - 0.0005
        against_champion, against_anchor = (verdicts(challenger - old, rng) for old in (champion, anchor))
        alone = anchor == champion if has_anchor else np.ones(years, bool)
        ruled = [
            rule(first, None if is_alone else second, "not_worse")  # type: ignore[arg-type]
            for first, second, is_alone in zip(against_champion, against_anchor, alone, strict=True)
        ]
        promoted, moves = np.array(ruled).T
        champion, anchor = np.where(promoted, challenger, champion), np.where(moves, challenger, anchor)
    lost: np.ndarray = -100 * champion
    return lost


def verdicts(difference: np.ndarray, rng: np.random.Generator) -> list[str]:
    shares = np.stack([0.03 + difference / 2, 0.03 - difference / 2, np.full_like(difference, 0.94)], axis=1)
    gained, lost, _ = rng.multinomial(10_000, shares).T
    low, high = tango_interval(gained, lost, 10_000)
    rows = zip(gained, lost, low, high, mid_p(gained, lost), strict=True)
    return [Comparison(10_000, 10_000, b, c, 0, start, end, p, 1.0).verdict(0.01) for b, c, start, end, p in rows]


def test_a_year_of_small_losses_ends_within_the_margin_of_the_anchor() -> None:
    lost = lost_in_a_year(200, has_anchor=True)

    assert (lost <= 1 + 1e-9).mean() >= 0.98  # each week passes one that is just beyond the margin with 2.5 % chance
    assert lost.max() < 1.15


def test_without_an_anchor_a_year_of_small_losses_adds_up() -> None:
    assert lost_in_a_year(50, has_anchor=False).mean() == pytest.approx(2.5, abs=0.1)
