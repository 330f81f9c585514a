"""A tag of any length is stored in parts and read back whole, or not at all."""

import pytest

from pipeline.tracking.long_tags import LONGEST_PART, in_parts, joined

LONG = "".join(f"class {i}, " for i in range(4000))  # 46,890 characters


def test_a_short_value_is_stored_as_it_is() -> None:
    assert in_parts({"a": "", "b": "x" * LONGEST_PART}) == {"a": "", "b": "x" * LONGEST_PART}


def test_a_long_value_is_stored_in_parts_and_read_back() -> None:
    stored = in_parts({"class_names": LONG, "decided_at": "now"})

    assert sorted(stored) == ["class_names", "class_names part 2", "class_names part 3", "class_names parts", "decided_at"]
    assert max(map(len, stored.values())) == LONGEST_PART
    assert joined(stored) == {"class_names": LONG, "decided_at": "now"}


@pytest.mark.parametrize("value", ["short", "z" * (LONGEST_PART + 1), LONG[::-1]])
def test_a_value_that_replaces_a_long_one_is_read_alone(value: str) -> None:
    before = in_parts({"decision": LONG})

    after = {**before, **in_parts({"decision": value}, before)}

    assert joined(after)["decision"] == value


def test_a_value_that_was_half_replaced_is_no_value() -> None:
    before = in_parts({"decision": LONG})
    written = list(in_parts({"decision": LONG[::-1]}, before).items())

    half_way = [joined({**before, **dict(written[:count])}).get("decision") for count in range(len(written) + 1)]

    assert half_way == [LONG, None, None, None, LONG[::-1]]
