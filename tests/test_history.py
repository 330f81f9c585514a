"""The history of a registered model: whatever is done to its lines is found, and what it does not say was done by hand."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.registry.history import HEAD_TAG, Line, read_history
from pipeline.registry.story import earlier_champion, events, stack, taken_back

START = datetime(2026, 11, 2, 6, 0, tzinfo=UTC)
Tags = dict[str, str]


def add(tags: Tags, origin: str | None, target: str, action: str = "gate", hours: float = 0, alias: str = "champion") -> Line:
    """Write the next line as a move does, an hour after the one before."""
    history = read_history(tags)
    number = 1 + max((line.number for line in history.ends), default=0)
    at = (START + timedelta(hours=number + hours)).isoformat(timespec="seconds")
    line = Line(at, "user@host", action, alias, origin, target, "why", tuple(end.digest for end in history.ends), (), number)
    tags.update({line.key: line.text, HEAD_TAG: line.digest})
    return line


def chain(*targets: str) -> Tags:
    tags: Tags = {}
    for origin, target in zip([None, *targets], targets, strict=False):
        add(tags, origin, target)
    return tags


def keys(tags: Tags) -> list[str]:
    return sorted(key for key in tags if key.startswith("history "))


def edit_text(tags: Tags) -> str:
    key = keys(tags)[1]
    tags[key] = tags[key].replace("why", "because")
    return "line 2 ("


def edit_value(tags: Tags) -> str:
    key = keys(tags)[1]
    tags[key] = tags[key].replace('"why": "why"', '"why": "because"')
    return "line 2 ("


def edit_and_rename(tags: Tags) -> str:
    """Change a line and give it the key that belongs to its new content."""
    key = keys(tags)[1]
    values = json.loads(tags.pop(key)) | {"why": "because"}
    at, who, action, alias, origin, target, why = (values[name] for name in ("at", "who", "action", "alias", "from", "to", "why"))
    line = Line(at, who, action, alias, origin, target, why, tuple(values["before"]), tuple(values["not_done"]), values["number"])
    tags[line.key] = line.text
    return "before line 3"


def break_text(tags: Tags) -> str:
    tags[keys(tags)[1]] = "oops"
    return "line 2 ("


def remove_first(tags: Tags) -> str:
    del tags[keys(tags)[0]]
    return "before line 2"


def remove_middle(tags: Tags) -> str:
    del tags[keys(tags)[1]]
    return "before line 3"


def remove_last(tags: Tags) -> str:
    del tags[keys(tags)[-1]]
    return "the last line"


def remove_all(tags: Tags) -> str:
    for key in keys(tags):
        del tags[key]
    return "the last line"


def remove_last_and_move_the_head_far_back(tags: Tags) -> str:
    tags[HEAD_TAG] = keys(tags)[0].split()[-1]
    return "names an earlier line of 4"


def take_out_the_head(tags: Tags) -> str:
    del tags[HEAD_TAG]
    return "names no line of 4"


def insert(tags: Tags) -> str:
    """Put a line, right in itself, between the second and the third."""
    before = keys(tags)[1].split()[-1]
    line = Line((START + timedelta(hours=2.5)).isoformat(), "other@host", "promote", "champion", "2", "9", "why", (before,), (), 3)
    tags[line.key] = line.text
    return f"line 3 ({line.digest[:12]}) was put in"


def insert_a_first_line(tags: Tags) -> str:
    line = Line((START - timedelta(hours=2)).isoformat(), "other@host", "promote", "champion", None, "9", "why")
    tags[line.key] = line.text
    return f"line 1 ({line.digest[:12]}) was put in"


def copy_under_another_number(tags: Tags) -> str:
    key = keys(tags)[1]
    tags[key.replace("history 00002", "history 00007")] = tags[key]
    return "line 7 ("


@pytest.mark.parametrize(
    "damage",
    [
        edit_text, edit_value, edit_and_rename, break_text, remove_first, remove_middle, remove_last, remove_all, take_out_the_head,
        remove_last_and_move_the_head_far_back, insert, insert_a_first_line, copy_under_another_number,
    ],
)  # fmt: skip
def test_whatever_is_done_to_a_line_is_found_and_named(damage: Callable[[Tags], str]) -> None:
    tags = chain("1", "2", "3", "4")
    assert read_history(tags).faults == ()

    named = damage(tags)

    assert any(named in fault for fault in read_history(tags).faults), read_history(tags).faults


@pytest.mark.parametrize("damage", [edit_text, edit_value, break_text, edit_and_rename, remove_first, remove_middle, remove_last])
def test_one_edit_is_one_fault(damage: Callable[[Tags], str]) -> None:
    tags = chain("1", "2", "3", "4")
    named = damage(tags)

    history = read_history(tags)
    (fault,) = history.faults
    assert named in fault
    marks = [event.mark for event in events(history, {"champion": "4"})]
    assert set(marks) <= {"", "by hand", "CHANGED since it was written"}
    assert ("CHANGED since it was written" in marks) == (damage is edit_value)


def test_two_lines_written_at_once_are_a_fork_and_no_damage() -> None:
    tags = chain("1", "2")
    beside = dict(tags)
    one = add(tags, "2", "3")
    other = add(beside, "2", "4", hours=0.001)
    tags |= beside
    joined = add(tags, "4", "5")

    assert set(joined.before) == {one.digest, other.digest}
    assert read_history(tags).faults == ()
    assert [event.mark for event in events(read_history(tags), {"champion": "5"})][2:4] == ["at the same time as another"] * 2


def test_what_the_lines_do_not_say_was_done_by_hand() -> None:
    tags = chain("1", "2")
    add(tags, "1", "3")  # between the lines somebody set the alias on version 1

    found = events(read_history(tags), {"champion": "2"})  # and on version 2 since

    assert [(event.origin, event.target, event.mark) for event in found] == [
        (None, "1", ""), ("1", "2", ""), ("2", "1", "by hand"), ("1", "3", ""), ("3", "2", "by hand"),
    ]  # fmt: skip


def test_a_removed_alias_was_removed_by_hand() -> None:
    assert events(read_history(chain("1")), {})[-1].target is None


def test_rollbacks_in_a_row_go_back_one_each() -> None:
    tags = chain("1", "2", "3", "4")
    seen = []
    now = "4"
    while (before := earlier_champion(read_history(tags), {"champion": now})) is not None:
        add(tags, now, before, "rollback")
        seen.append(before)
        now = before

    assert seen == ["3", "2", "1"]
    assert taken_back(read_history(tags), {"champion": "1"}) == {"2", "3", "4"}


def test_what_was_taken_back_is_not_gone_back_to() -> None:
    tags = chain("1", "2", "3")
    add(tags, "3", "1", "rollback")  # two at once
    add(tags, "1", "4")

    assert stack(read_history(tags), {"champion": "4"}) == ["1", "4"]
    assert taken_back(read_history(tags), {"champion": "4"}) == {"2", "3"}


def test_a_version_that_is_promoted_again_is_not_taken_back_any_more() -> None:
    tags = chain("1", "2")
    add(tags, "2", "1", "rollback")
    add(tags, "1", "2", "promote")

    assert taken_back(read_history(tags), {"champion": "2"}) == {"1"}


def test_without_lines_the_champion_is_all_that_is_known() -> None:
    history = read_history({"champion": "3"})

    assert (events(history, {"champion": "3"}), stack(history, {"champion": "3"}), history.faults) == ([], ["3"], ())
    assert earlier_champion(history, {"champion": "3"}) is None
