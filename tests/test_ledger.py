"""What was decided is recorded once, in files that git shows as lines added."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.dataset.ledger import extend_ledger, known_images, ordered_classes, read_ledger, record_classes, record_known_images
from pipeline.errors import StorageError


def uint64(*values: int) -> np.ndarray:
    return np.array(values, np.uint64)


def test_what_is_recorded_is_found(tmp_path: Path) -> None:
    path = tmp_path / "splits.csv"
    extend_ledger(path, uint64(2**63 + 5, 7), uint64(2**63 + 5, 9))

    known, founders = read_ledger(path).find(uint64(7, 8, 2**63 + 5))

    assert path.read_text(encoding="utf-8") == "image,follows\n0000000000000007,0000000000000009\n8000000000000005,\n"
    assert known.tolist() == [True, False, True]
    assert founders[known].tolist() == [9, 2**63 + 5]


def test_later_images_are_added_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "splits.csv"
    extend_ledger(path, uint64(9), uint64(9))
    before = path.read_text(encoding="utf-8")
    extend_ledger(path, uint64(3), uint64(9))

    assert path.read_text(encoding="utf-8") == before + "0000000000000003,0000000000000009\n"
    assert read_ledger(path).keys.tolist() == [3, 9]


def test_an_image_that_two_branches_have_recorded_follows_the_first(tmp_path: Path) -> None:
    path = tmp_path / "splits.csv"
    extend_ledger(path, uint64(3), uint64(9))
    extend_ledger(path, uint64(3), uint64(4))

    assert read_ledger(path).find(uint64(3))[1].tolist() == [9]


@pytest.mark.parametrize("text", ["", "image,follows\n"])
def test_an_empty_ledger_knows_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "splits.csv").write_text(text, encoding="utf-8")

    assert read_ledger(tmp_path / "splits.csv").find(uint64(3))[0].tolist() == [False]


@pytest.mark.parametrize(
    "text", ["image,follows\nnonsense,\n", "image,follows\n00,\n", "<<<<<<< HEAD\nimage,follows\n", "other,columns\n1,2\n", "hello\n"]
)
def test_a_damaged_ledger_is_one_line_that_says_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / "splits.csv").write_text(text, encoding="utf-8")

    with pytest.raises(StorageError, match=r"splits\.csv is damaged: .* git"):
        read_ledger(tmp_path / "splits.csv")


def test_line_ends_of_windows_are_read(tmp_path: Path) -> None:
    (tmp_path / "splits.csv").write_bytes(b"image,follows\r\n0000000000000007,0000000000000009\r\n")

    assert read_ledger(tmp_path / "splits.csv").find(uint64(7))[1].tolist() == [9]


@pytest.mark.parametrize("text", ["[]", '{"pets": "abc"}', '{"pets": [1, 2]}', '{"pets": ["cat", "cat"]}', "{"])
def test_a_damaged_order_of_classes_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "classes.json").write_text(text, encoding="utf-8")

    with pytest.raises(StorageError, match=r"classes\.json is damaged: .*git checkout -- data/classes\.json"):
        ordered_classes(tmp_path / "classes.json", "pets", {"cat"})


def test_a_class_that_is_added_goes_last(tmp_path: Path) -> None:
    path = tmp_path / "classes.json"
    record_classes(path, "animals", ordered_classes(path, "animals", {"cat", "dog"}))

    assert ordered_classes(path, "animals", {"ant", "cat", "dog"}) == ["cat", "dog", "ant"]
    assert ordered_classes(path, "plants", {"oak", "ash"}) == ["ash", "oak"]


def test_a_class_that_goes_and_comes_back_keeps_its_place(tmp_path: Path) -> None:
    path = tmp_path / "classes.json"
    record_classes(path, "animals", ["cat", "dog"])
    record_classes(path, "animals", ordered_classes(path, "animals", {"ant", "dog"}))

    assert ordered_classes(path, "animals", {"cat", "dog", "ant"}) == ["cat", "dog", "ant"]


def test_the_smallest_keys_of_each_class_are_known_at_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "known_images.csv"
    many = np.arange(1000, 0, -1, dtype=np.uint64)

    record_known_images(path, "pets", {"cat": many, 'a "dog", small': uint64(7, 7, 5), "lost": uint64()})
    record_known_images(path, "plants", {"oak": uint64(3)})

    known = known_images(path, "pets")
    assert {label: keys.tolist() for label, keys in known.items()} == {"cat": list(range(1, 86)), 'a "dog", small': [5, 7]}
    assert known_images(path, "plants")["oak"].tolist() == [3]
    assert known_images(path, "birds") == {}


def test_what_two_branches_know_is_known_after_git_has_joined_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "known_images.csv"
    path.write_text(
        "dataset,class,image\npets,cat,0000000000000009\npets,cat,0000000000000003\npets,dog,0000000000000003\n", encoding="utf-8"
    )

    assert {label: keys.tolist() for label, keys in known_images(path, "pets").items()} == {"cat": [3, 9], "dog": [3]}


@pytest.mark.parametrize(
    "text", ["hello\n", "dataset,class,image\npets,cat\n", "dataset,class,image\npets,cat,xyz\n", "dataset,class,image\n\n"]
)
def test_a_damaged_list_of_known_images_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "known_images.csv").write_text(text, encoding="utf-8")

    with pytest.raises(StorageError, match=r"known_images\.csv is damaged: .*or delete it"):
        known_images(tmp_path / "known_images.csv", "pets")
