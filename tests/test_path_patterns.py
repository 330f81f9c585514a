"""Classes in the names of files: by a pattern of paths, or by the words before a number."""

import pytest

from pipeline.errors import SourceError
from pipeline.folders.path_patterns import class_in_name, classes_in_names, path_pattern, pattern_of_names


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("{class}/*", "cat/1.jpg", ("cat", None, None)),
        ("{class}/*", "x/cat/1.jpg", ("cat", None, None)),  # from a folder on
        ("{class}/**", "cat/x/y/1.jpg", ("cat", None, None)),
        ("{class}_*.jpg", "x/cat_1.jpg", ("cat", None, None)),
        ("{class}_*.jpg", "x/sea lion_1.jpg", ("sea lion", None, None)),
        ("*_{class}.png", "7_red_fox.png", ("red_fox", None, None)),
        ("{split}/{class}/*.jpg", "Training Set/cat/1.jpg", ("cat", "train", None)),
        ("{group}/{class}/*", "p1/cat/1.jpg", ("cat", None, "p1")),
        ("**/{class}-?.jpg", "a/b/cat-1.jpg", ("cat", None, None)),
        ("[x]/{class}.jpg", "[x]/cat.jpg", ("cat", None, None)),  # no sign means anything but * and ?
    ],
)
def test_a_pattern_tells_class_split_and_group(text: str, path: str, expected: tuple[str, str | None, str | None]) -> None:
    assert path_pattern(text).place(path) == expected


@pytest.mark.parametrize(("text", "path"), [("{class}/*.jpg", "cat/1.png"), ("{class}_*.jpg", "cat-1.jpg"), ("a/{class}/*", "b/cat/1.jpg")])
def test_a_path_that_does_not_match_has_no_place(text: str, path: str) -> None:
    assert path_pattern(text).place(path) is None


def test_a_split_that_is_none_is_refused() -> None:
    with pytest.raises(SourceError, match=r"\{split\}/\{class\}/\*: 2024, in 2024/cat/1\.jpg, is not a split"):
        path_pattern("{split}/{class}/*").place("2024/cat/1.jpg")


@pytest.mark.parametrize("text", ["*.jpg", "{split}/*", "{clas}/*", "{class}/{class}/*", "{class}/{fold}/*"])
def test_a_pattern_without_a_class_or_with_unknown_parts_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="should be auto"):
        path_pattern(text)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("cat.0.jpg", "cat"),
        ("sea_lion-12.png", "sea_lion"),
        ("red fox (3).jpg", "red fox"),
        ("犬12.jpg", "犬"),
        ("cat.jpg", ""),
        ("0001.jpg", ""),
        ("12cat.jpg", ""),
    ],
)
def test_a_class_is_what_stands_before_the_number(name: str, label: str) -> None:
    assert class_in_name(name) == label


def test_names_that_repeat_words_before_numbers_tell_classes() -> None:
    names = [f"{label}.{i}.jpg" for label in ("cat", "dog") for i in range(4)]

    assert classes_in_names(names) == {"cat": 4, "dog": 4}


@pytest.mark.parametrize(
    "names",
    [
        [f"IMG_{i}.jpg" for i in range(8)],
        [f"{word}_{i}.jpg" for word in ("IMG", "DSC") for i in range(4)],  # of two cameras
        [f"cat{i}.jpg" for i in range(8)],
        ["cat1.jpg", "dog1.jpg", "fox1.jpg", "owl1.jpg"],  # each once
        [f"{animal}_{side}_{i}.jpg" for animal in ("cat", "dog") for side in ("left", "right") for i in range(3)],
        [f"{label}{i}.jpg" for label in ("a", "b") for i in range(4)],
    ],
)
def test_names_that_may_mean_something_else_tell_no_classes(names: list[str]) -> None:
    assert classes_in_names(names) is None


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("20240101_cat_001.jpg", "cat"),
        ("2024-01-01_10-15-00_cat_001.jpg", "cat"),
        ("0001_american_bulldog_2.jpg", "american_bulldog"),
        ("3d_model_7.jpg", "3d_model"),
        ("20240101.jpg", ""),
    ],
)
def test_a_date_or_a_number_in_front_is_no_part_of_a_class(name: str, label: str) -> None:
    assert class_in_name(name) == label


@pytest.mark.parametrize(
    "template",
    [
        "20240{n}01_{label}_{i:03}.jpg",
        "2024-0{n}-01_{label}_{i:03}.jpg",
        "{label}_2024-0{n}-01T{i}.jpg",
        "{i:04}-{label}.{n}.jpg",
        "shot{n}_{label}_{i}.jpg",
        "12h30_{label}_{n}{i}.jpg",
    ],
)
def test_names_with_dates_or_running_numbers_beside_the_words_are_not_guessed(template: str) -> None:
    names = [template.format(label=label, n=n, i=3 * k + n) for k, label in enumerate(("cat", "dog")) for n in (1, 2, 3)]

    assert classes_in_names(names * 2) is None


@pytest.mark.parametrize(
    ("template", "pattern"),
    [
        ("2024010{n}_{label}_{i:03}.jpg", "*_{{class}}_*.jpg"),
        ("{n}-{label}-{i}.png", "*-{{class}}-*.png"),
        ("2024-01-0{n}_{label}.jpg", "*_{{class}}.jpg"),
        ("IMG_{n}_{label}_{i}_a.jpg", "*_*_{{class}}_*_*.jpg"),
        ("{n} {label} {i}.jpg", "* {{class}} *.jpg"),
        ("{n}_{label}.{i}.jpg", "*_{{class}}.*.jpg"),
        ("{i}_{label}_left.jpg", "*_{{class}}_*.jpg"),
        ("{i}.jpg", None),
        ("IMG_{i}.jpg", None),
    ],
)
def test_the_pattern_that_is_offered_for_names_gives_their_classes(template: str, pattern: str | None) -> None:
    labels = ("cat", "polar bear" if " " not in template else "dog")
    names = [template.format(label=label, n=n, i=10 * k + n) for k, label in enumerate(labels) for n in (1, 2, 3)]

    told = pattern_of_names(names)

    assert told == ((pattern.format(), sorted(labels)) if pattern else None)
    if told:
        places = [path_pattern(told[0]).place(f"photos/{name}") for name in names]
        assert [place.label if place else None for place in places] == [label for label in labels for _ in range(3)]
