"""Who may serve: better than guessing, good enough, and better than the champion on the same images."""

import pytest

from pipeline.evaluation.counts import Score
from pipeline.params.register import Register
from pipeline.registry.gate import pass_gate

OPEN_GATE = Register(model_name="auto", min_accuracy=0.0, margin=0.0)


def score(hits: int, images: int = 100, majority: int = 50, never: dict[str, int] | None = None) -> Score:
    return Score(images, hits, "blue", majority, never or {})


@pytest.mark.parametrize(
    ("hits", "champion", "gate", "promoted"),
    [
        (90, None, OPEN_GATE, True),
        (50, None, OPEN_GATE, False),  # as good as always guessing the commonest class
        (90, None, Register(model_name="auto", min_accuracy=0.95, margin=0.0), False),
        (95, None, Register(model_name="auto", min_accuracy=0.95, margin=0.0), True),
        (89, 90, OPEN_GATE, False),
        (90, 90, OPEN_GATE, False),  # an equal model does not replace the champion
        (91, 90, OPEN_GATE, True),
        (90, 90, Register(model_name="auto", min_accuracy=0.0, margin=0.01), False),
        (91, 90, Register(model_name="auto", min_accuracy=0.0, margin=0.01), True),
        (97, 90, Register(model_name="auto", min_accuracy=0.0, margin=0.07), True),  # 0.07 * 100 is 7.000000000000001 in floating point
    ],
)
def test_the_gate(hits: int, champion: int | None, gate: Register, promoted: bool) -> None:
    assert pass_gate(score(hits), champion, gate)[0] is promoted


@pytest.mark.parametrize(("hits", "images"), [(10, 19), (10, 17), (2, 3)])
def test_a_model_that_always_says_one_class_never_passes(hits: int, images: int) -> None:
    promoted, reason = pass_gate(score(hits, images, majority=hits), None, OPEN_GATE)

    assert not promoted
    assert "no better than always guessing the commonest class, blue" in reason


def test_a_reason_has_both_accuracies() -> None:
    assert pass_gate(score(90), 90, OPEN_GATE)[1] == (
        "accuracy 0.9000 against the champion's 0.9000, on the same images: an equal model does not replace it"
    )


def test_a_class_that_is_never_predicted_is_part_of_the_reason() -> None:
    promoted, reason = pass_gate(score(90, never={"red": 3}), None, OPEN_GATE)

    assert promoted
    assert reason == "accuracy 0.9000; there was no champion before; it never predicts red"


def test_a_model_that_lost_a_class_of_the_champion_does_not_replace_it() -> None:
    promoted, reason = pass_gate(score(99), 90, OPEN_GATE, lost_classes=["fox"])

    assert not promoted
    assert "the champion knows fox, which this model does not" in reason
