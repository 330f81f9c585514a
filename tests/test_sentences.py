"""A decision in one line."""

import pytest

from pipeline.judging.sentences import interval, points, sentence

COMPARISON = {"difference": 0.004, "interval": [-0.002, 0.01], "n": 10_000}


def decision(**said: object) -> dict[str, object]:
    usual = {"promoted": True, "reason": "r", "verdict": "not worse", "margin": 0.01}
    return usual | {"champion": {"version": "5", "comparison": COMPARISON}} | said


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, "v7 vs champion v5: +0.4 pt [-0.2, +1.0] on 10,000 images -> promoted (not worse; margin 1.0 pt)"),
        ({"verdict": "better"}, "v7 vs champion v5: +0.4 pt [-0.2, +1.0] on 10,000 images -> promoted (better)"),
        (
            {"verdict": "can't tell", "promoted": False, "images_needed": 18_838, "margin": 0.0069},
            "v7 vs champion v5: +0.4 pt [-0.2, +1.0] on 10,000 images -> not promoted (can't tell; margin 0.69 pt; 18,838 images would tell)",
        ),
        (
            {"verdict": "better", "promoted": False, "dropped_classes": [{"name": "cat, black"}, {"name": "cat, black"}]},
            'v7 vs champion v5: +0.4 pt [-0.2, +1.0] on 10,000 images -> not promoted (better; worse at "cat, black")',
        ),
        (
            {"champion": None, "reason": "accuracy 0.9; there was no champion before"},
            "v7: accuracy 0.9; there was no champion before -> promoted",
        ),
    ],
)
def test_the_sentence(said: dict[str, object], expected: str) -> None:
    assert sentence(decision(**said), "7") == expected


def test_points_have_as_many_decimals_as_they_need() -> None:
    assert [points(share) for share in (0.01, 0.0069, 0.005)] == ["1.0", "0.69", "0.5"]
    assert interval(0.004, -0.0008, 0.0088) == "+0.40 pt [-0.08, +0.88]"
    assert interval(-0.00001, -0.0188, 0.0188) == "+0.00 pt [-1.88, +1.88]"
