"""Decisions are recorded once, in files that git shows as lines added."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.dataset.ledger import (
    extend_ledger,
    known_images,
    known_range,
    known_sides,
    ordered_classes,
    read_ledger,
    record_classes,
    record_known_images,
    recorded_classes,
)
from pipeline.errors import StorageError
from tests.odd_names import ODD_NAMES


def uint64(*values: int) -> np.ndarray:
    return np.array(values, np.uint64)


def test_what_is_recorded_is_found(tmp_path: Path) -> None:
    path = tmp_path / "splits.csv"
    extend_ledger(path, uint64(2**63 + 5, 7), uint64(2**63 + 5, 9))

    known, founders = read_ledger(path).find(uint64(7, 8, 2**63 + 5))

    assert path.read_text(encoding="utf-8") == "image,follows\n0000000000000007,0000000000000009\n8000000000000005,\n"
    assert known.tolist() == [True, False, True]
    assert founders[known].tolist() == [9, 2**63 + 5]


def test_later_images_are_added_at_the_end_and_one_that_two_branches_recorded_follows_the_smaller_number(tmp_path: Path) -> None:
    path = tmp_path / "splits.csv"
    extend_ledger(path, uint64(9), uint64(9))
    before = path.read_text(encoding="utf-8")
    extend_ledger(path, uint64(3), uint64(9))
    extend_ledger(path, uint64(3), uint64(4))

    assert path.read_text(encoding="utf-8") == before + "0000000000000003,0000000000000009\n0000000000000003,0000000000000004\n"
    assert read_ledger(path).keys.tolist() == [3, 9]
    assert read_ledger(path).find(uint64(3))[1].tolist() == [4]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        pytest.param(b"", [], id="empty"),
        pytest.param(b"image,follows\n", [], id="only its header"),
        pytest.param(b"image,follows\r\n0000000000000007,0000000000000009\r\n", [9], id="line ends of Windows"),
    ],
)
def test_every_whole_ledger_is_read(tmp_path: Path, content: bytes, found: list[int]) -> None:
    (tmp_path / "splits.csv").write_bytes(content)

    known, founders = read_ledger(tmp_path / "splits.csv").find(uint64(7))

    assert founders[known].tolist() == found


READERS: dict[str, Callable[[Path], object]] = {
    "splits.csv": read_ledger,
    "classes.json": lambda path: ordered_classes(path, "pets", {"cat"}),
    "known_images.csv": lambda path: known_images(path, "pets"),
}
DAMAGED = {
    "splits.csv": [
        "image,follows\nnonsense,\n",
        "image,follows\n00,\n",
        "<<<<<<< HEAD\nimage,follows\n",
        "other,columns\n1,2\n",
        "hello\n",
    ],
    "classes.json": [
        *("[]", "{", '{"pets": "abc"}', '{"pets": [1, 2]}', '{"pets": ["cat", "cat"]}'),
        *('[["pets", 0, "cat"]]', '[["pets", 0], []]', '[["pets", "0", "cat"], []]', '[["pets", 0, "cat"]\n["pets", 1, "dog"], []]'),
    ],
    "known_images.csv": [
        "hello\n",
        *(f"dataset,class,image\n{line}\n" for line in ("pets,cat", "pets,cat,xyz", "", "pets,,4095,0", "pets,,0,")),
    ],
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in DAMAGED.items() for text in texts])
def test_a_damaged_file_is_one_line_that_says_what_to_do(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")

    remedy = "delete it: the next run" if name == "known_images.csv" else rf"`git checkout -- data/{name}` \("
    with pytest.raises(StorageError, match=rf"{name} is damaged: .* {remedy}") as caught:
        READERS[name](tmp_path / name)

    assert "\n" not in str(caught.value)


def test_a_class_that_is_added_goes_last_and_one_that_comes_back_keeps_its_place(tmp_path: Path) -> None:
    path = tmp_path / "classes.json"
    record_classes(path, "animals", ordered_classes(path, "animals", {"cat", "dog"}))
    assert ordered_classes(path, "plants", {"oak", "ash"}) == ["ash", "oak"]

    record_classes(path, "animals", ordered_classes(path, "animals", {"ant", "dog"}))

    assert ordered_classes(path, "animals", {"cat", "dog", "ant"}) == ["cat", "dog", "ant"]


def test_classes_are_a_line_each_and_those_of_earlier_versions_keep_their_places(tmp_path: Path) -> None:
    path = tmp_path / "classes.json"
    path.write_text('{"pets": ["dog", "cat"], "plants": ["oak"]}', encoding="utf-8")

    record_classes(path, "pets", ordered_classes(path, "pets", {"ant", "cat"}))

    lines = ["[", '["pets", 0, "dog"],', '["pets", 1, "cat"],', '["pets", 2, "ant"],', '["plants", 0, "oak"],', "[]", "]", ""]
    assert path.read_text(encoding="utf-8").split("\n") == lines
    assert recorded_classes(path, "pets") == ["dog", "cat", "ant"]


def test_the_smallest_keys_of_each_class_are_known_at_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "known_images.csv"
    many = np.arange(1000, 0, -1, dtype=np.uint64)

    record_known_images(path, "pets", {"cat": many, 'a "dog", small': uint64(7, 7, 5), "lost": uint64()}, {5: 0, 2000: 9})
    record_known_images(path, "plants", {"oak": uint64(3)}, {3: 2**64 - 1})

    known = known_images(path, "pets")
    assert {label: keys.tolist() for label, keys in known.items()} == {"cat": list(range(1, 86)), 'a "dog", small': [5, 7]}
    assert known_images(path, "plants")["oak"].tolist() == [3]
    assert known_images(path, "birds") == {}
    assert (known_sides(path, "pets"), known_sides(path, "plants"), known_sides(path, "birds")) == ({5: 0}, {3: 2**64 - 1}, {})


def test_what_two_branches_know_is_known_after_git_has_joined_their_lines(tmp_path: Path) -> None:
    lines = [
        "dataset,class,image",
        "pets,cat,0000000000000009",
        "pets,cat,0000000000000003,0000000000000000",
        "pets,dog,0000000000000003",
        "",
    ]
    (tmp_path / "known_images.csv").write_text("\n".join(lines), encoding="utf-8")

    known = known_images(tmp_path / "known_images.csv", "pets")

    assert {label: keys.tolist() for label, keys in known.items()} == {"cat": [3, 9], "dog": [3]}


def test_the_range_of_values_is_known_at_the_next_run_and_after_a_merge_the_wider_one(tmp_path: Path) -> None:
    path = tmp_path / "known_images.csv"
    record_known_images(path, "scans", {"cat": uint64(5)}, {}, (0, 4095))
    record_known_images(path, "pets", {"cat": uint64(5)}, {}, (-0.1, 1.5))
    assert (known_range(path, "scans"), known_range(path, "pets"), known_range(path, "birds")) == ((0, 4095), (-0.1, 1.5), None)
    assert list(known_images(path, "scans")) == ["cat"]

    path.write_bytes(path.read_bytes() + b"scans,,0,65535\n")
    assert known_range(path, "scans") == (0, 65535)

    record_known_images(path, "scans", {"cat": uint64(5)}, {})
    assert (known_range(path, "scans"), known_range(path, "pets")) == (None, (-0.1, 1.5))


def test_images_of_a_class_of_any_name_are_known_at_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "known_images.csv"
    by_class = {name: uint64(number) for number, name in enumerate(ODD_NAMES, 1)}
    record_known_images(path, "pets", by_class, {})
    before = path.read_bytes()

    known = known_images(path, "pets")
    record_known_images(path, "pets", known, {})

    assert {name: keys.tolist() for name, keys in known.items()} == {name: [number] for number, name in enumerate(ODD_NAMES, 1)}
    assert path.read_bytes() == before


def test_recorded_classes_stay_in_front_and_new_numbers_are_in_the_order_of_numbers(tmp_path: Path) -> None:
    path = tmp_path / "classes.json"
    record_classes(path, "digits", ordered_classes(path, "digits", {"10", "2", "1", "0"}))
    assert ordered_classes(path, "digits", {"0", "1", "2", "10"}) == ["0", "1", "2", "10"]

    assert ordered_classes(path, "digits", {"0", "11", "9", "-1", "007", "7"}) == ["0", "1", "2", "10", "-1", "007", "7", "9", "11"]


def test_a_name_of_more_digits_than_a_number_may_have_is_text(tmp_path: Path) -> None:
    assert ordered_classes(tmp_path / "classes.json", "digits", {"9" * 5000, "10", "2"}) == ["10", "2", "9" * 5000]
