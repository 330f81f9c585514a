"""Whole numbers decide: shares that are rounded open a gate that should be shut."""

import pytest

from pipeline.evaluation.counts import count_hits, warnings


@pytest.mark.parametrize(("right", "images"), [(10, 17), (10, 19), (2, 3), (15, 19), (333, 399)])
def test_always_guessing_the_commonest_class_does_not_beat_itself(right: int, images: int) -> None:
    score = count_hits(["blue"] * right + ["red"] * (images - right), ["blue"] * images)

    assert (score.hits, score.majority_images, score.majority_class) == (right, right, "blue")
    assert not score.beats_guessing


def test_one_hit_more_beats_guessing() -> None:
    assert count_hits(["a", "a", "b"], ["a", "a", "b"]).beats_guessing


def test_a_class_that_is_never_predicted_is_named_with_its_images() -> None:
    score = count_hits(["ok"] * 5 + ["defect"] * 2, ["ok"] * 7)

    assert score.never_predicted == {"defect": 2}
    assert warnings(score, 0.4) == [
        "No better than always guessing ok, which is right for 5 of 7 test images.",
        "Never predicted: defect (2 test images).",
    ]


def test_more_hits_than_guessing_do_not_suffice_while_the_interval_includes_guessing() -> None:
    score = count_hits(["a"] * 6 + ["b"] * 4, ["a"] * 6 + ["b", "a", "a", "a"])  # 7 of 10; always guessing a: 6

    assert warnings(score, 0.6) == [
        "Not shown to be better than always guessing a, which is right for 6 of 10 test images: the 95 % interval of the accuracy includes that."
    ]
    assert warnings(score, 0.61) == []


def test_a_class_without_test_images_is_not_missed() -> None:
    assert count_hits(["a", "b"], ["a", "b"]).never_predicted == {}
    assert warnings(count_hits(["a", "b"], ["a", "b"]), 0.51) == []


def test_a_warning_is_one_line_that_says_where_a_name_ends() -> None:
    labels = ["line\nfeed", "line\nfeed", "cat, black", "dog"]

    assert warnings(count_hits(labels, ["dog"] * 4), 0.0) == [
        'No better than always guessing "line\\nfeed", which is right for 2 of 4 test images.',
        'Never predicted: "cat, black" (1 test image), "line\\nfeed" (2 test images).',
    ]
