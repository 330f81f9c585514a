"""Who may serve: better than guessing, good enough, and better than the champion on the same images."""

import pytest

from pipeline.evaluation.counts import Score
from pipeline.params.register import Register
from pipeline.registry.gate import confirm, pass_gate


def gate(min_accuracy: float = 0.0, margin: float = 0.0) -> Register:
    return Register(model_name="auto", min_accuracy=min_accuracy, margin=margin)


def score(hits: int, images: int = 100, majority: int = 50, never: dict[str, int] | None = None) -> Score:
    return Score(images, hits, "blue", majority, never or {})


AGAINST = "accuracy {} against the champion's 0.9000, on the same images"


@pytest.mark.parametrize(
    ("hits", "champion", "gate", "promoted", "reason"),
    [
        (90, None, gate(), True, "accuracy 0.9000; there was no champion before"),
        (50, None, gate(), False, "accuracy 0.5000 is no better than always predicting the most common class, blue (0.5000)"),
        (90, None, gate(0.95), False, "accuracy 0.9000 is below register.min_accuracy 0.95"),
        (95, None, gate(0.95), True, "accuracy 0.9500; there was no champion before"),
        (89, 90, gate(), False, AGAINST.format("0.8900")),
        (90, 90, gate(), False, AGAINST.format("0.9000") + ": an equal model does not replace it"),
        (91, 90, gate(), True, AGAINST.format("0.9100")),
        (91, 90, gate(margin=0.02), False, AGAINST.format("0.9100") + ", with a margin of 0.02"),
        (92, 90, gate(margin=0.02), True, AGAINST.format("0.9200")),
        (97, 90, gate(margin=0.07), True, AGAINST.format("0.9700")),  # 0.07 * 100 is 7.000000000000001 in floating point
    ],
)
def test_the_gate(hits: int, champion: int | None, gate: Register, promoted: bool, reason: str) -> None:
    assert pass_gate(score(hits), champion, gate) == (promoted, reason)


@pytest.mark.parametrize(("hits", "images"), [(10, 19), (10, 17), (2, 3)])
def test_a_model_that_always_says_one_class_never_passes(hits: int, images: int) -> None:
    promoted, reason = pass_gate(score(hits, images, majority=hits), None, gate())

    assert not promoted
    assert "no better than always predicting the most common class, blue" in reason


def test_classes_that_are_never_predicted_or_were_removed_are_part_of_the_reason() -> None:
    assert pass_gate(score(90, never={"red": 3}), None, gate(), removed_classes=["fox"]) == (
        True,
        "accuracy 0.9000; there was no champion before; it does not know fox, whose removal is confirmed; it never predicts red",
    )


def test_a_model_that_lost_a_class_of_the_champion_does_not_replace_it() -> None:
    promoted, reason = pass_gate(score(99), 90, gate(), lost_classes=list("gfedcba"))

    assert not promoted
    assert "the champion knows a, b, c, d, e and 2 more, which this model does not" in reason


@pytest.mark.parametrize(
    ("hits", "gate", "said"),
    [
        (90, gate(), ""),
        (50, gate(), ", though no better than always predicting the most common class, blue (0.5000)"),
        (90, gate(0.95), ", though below register.min_accuracy 0.95"),
    ],
)
def test_the_champion_itself_stays_champion_and_its_faults_are_named(hits: int, gate: Register, said: str) -> None:
    found = confirm(score(hits, never={"red": 3}), gate)

    assert found == f"accuracy {hits / 100:.4f}; it is already the champion{said}; it never predicts red"


def test_the_reason_says_where_a_name_ends() -> None:
    score = Score(10, 5, "a\nb", 5, {"cat, black": 2, "dog": 1})

    assert pass_gate(score, None, gate()) == (
        False,
        'accuracy 0.5000 is no better than always predicting the most common class, "a\\nb" (0.5000); it never predicts "cat, black", dog',
    )
