"""The labels of a chart are short, different, and drawn with letters that the font has."""

from pipeline.reports.class_labels import class_labels, numbered_classes
from tests.odd_names import LONG, ODD_NAMES


def test_a_short_name_is_its_own_label_and_a_long_one_loses_its_middle() -> None:
    assert class_labels(["cat", "None", "$x$", "Painted bunting, juvenile", "a\nb"]) == [
        "cat",
        "None",
        "$x$",
        "Painted bunti…juvenile",
        '"a\\nb"',
    ]


def test_a_label_has_the_number_of_its_class_where_it_would_say_too_little() -> None:
    names = ["cat", f"{LONG}1{LONG}", f"{LONG}2{LONG}", "日本語", "日本", "犬 dog", "cat #1"]

    assert class_labels(names) == ["cat", "yyyyyyyyyy…yyyyyyyy #2", "yyyyyyyyyy…yyyyyyyy #3", "#4", "#5", "dog #6", "cat #1 #7"]
    assert list(numbered_classes(names).values()) == names[1:]


def test_odd_names_have_different_labels_of_one_short_line() -> None:
    labels = class_labels(ODD_NAMES)

    assert len(set(labels)) == len(ODD_NAMES)
    assert max(map(len, labels)) <= 22
    assert all(len(label.splitlines()) == 1 for label in labels)
