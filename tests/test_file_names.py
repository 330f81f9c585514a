"""Names are compared in one form, whatever the disk's; no file is lost or mixed up with another for its name."""

import os
import random
from pathlib import Path, PurePosixPath

import pytest

from pipeline.listing.names import is_escaping, is_visible, normalised
from pipeline.quality.class_names import same_numbers, similar_names
from tests.source_trees import files, listing_of, write

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


def test_of_files_that_differ_in_encoding_alone_the_first_is_taken(tmp_path: Path) -> None:
    write(tmp_path, *(f"cat/{name}.jpg" for name in (COMPOSED, DECOMPOSED, "CAF\u00c9")), "dog/\u212a.jpg", "dog/K.jpg")

    listing = listing_of(tmp_path)

    assert {path: content() for path, content in files(listing).items()} == {
        "cat/CAF\u00c9.jpg": "cat/CAF\u00c9.jpg".encode(),
        f"cat/{COMPOSED}.jpg": f"cat/{DECOMPOSED}.jpg".encode(),
        "dog/K.jpg": b"dog/K.jpg",
    }
    assert listing.left_out == [
        (f"cat/{COMPOSED}.jpg", "name_clash", r"has the same name as 'cat/caf\xe9.jpg' after Unicode normalisation"),
        ("dog/\u212a.jpg", "name_clash", "has the same name as 'dog/K.jpg' after Unicode normalisation"),
    ]


def test_bytes_that_are_not_utf_8_are_spelt_out_and_keep_names_apart(tmp_path: Path) -> None:
    latin, other = os.fsdecode(b"K\xe4se"), os.fsdecode(b"K\xf6se")
    write(tmp_path, f"{latin}/a.jpg", f"{other}/a.jpg", f"{other}/\\xe4.jpg")

    contents = {path: content() for path, content in files(listing_of(tmp_path)).items()}

    assert contents == {
        "K\\xe4se/a.jpg": b"K\xe4se/a.jpg",
        "K\\xf6se/\\xe4.jpg": b"K\xf6se/\\xe4.jpg",
        "K\\xf6se/a.jpg": b"K\xf6se/a.jpg",
    }


def test_folders_that_differ_in_encoding_alone_are_one_folder_with_the_files_of_both(tmp_path: Path) -> None:
    of_composed, of_decomposed = ("a.jpg", "c.jpg", "x/1.jpg"), ("b.jpg", "c.jpg", "x/1.jpg")
    write(tmp_path, *(f"{COMPOSED}/{name}" for name in of_composed), *(f"{DECOMPOSED}/{name}" for name in of_decomposed))

    listing = listing_of(tmp_path)

    taken = {"a.jpg": COMPOSED, "b.jpg": DECOMPOSED, "c.jpg": DECOMPOSED, "x/1.jpg": DECOMPOSED}
    assert {path: content() for path, content in files(listing).items()} == {
        f"{COMPOSED}/{name}": f"{folder}/{name}".encode() for name, folder in taken.items()
    }
    assert [entry[:2] for entry in listing.left_out] == [(f"{COMPOSED}/{name}", "name_clash") for name in ("c.jpg", "x/1.jpg")]


def test_a_file_and_a_folder_of_one_name_are_both_taken(tmp_path: Path) -> None:
    write(tmp_path, f"cat/{COMPOSED}.jpg", f"cat/{DECOMPOSED}.jpg/a.jpg")

    assert list(files(listing_of(tmp_path))) == [f"cat/{COMPOSED}.jpg", f"cat/{COMPOSED}.jpg/a.jpg"]


def test_random_trees_are_listed_alike_in_both_forms_and_written_in_any_order(tmp_path: Path) -> None:
    draw = random.Random(7)
    for i in range(10):
        names = {"/".join(draw.choices(["cat", "dog", "e\u0301", "u\u0308x"], k=draw.randrange(1, 4))) + f"/{j}.jpg" for j in range(12)}
        decomposed = write(tmp_path / f"{i}d", *sorted(names))
        composed = write(tmp_path / f"{i}c", *(normalised(name) for name in sorted(names, reverse=True)))

        one, other = files(listing_of(decomposed)), files(listing_of(composed))

        assert list(one) == list(other)
        assert [normalised(content().decode()) for content in one.values()] == list(one)


def test_paths_that_lead_out_are_told() -> None:
    leading_out = ["/a.jpg", "../a.jpg", "cat/../../a.jpg", "cat/..", "C:/a.jpg", "c:a.jpg", "\\a.jpg", "..\\a.jpg", "\\\\host\\a.jpg", ""]
    inside = ["a.jpg", "cat/a..jpg", "cat\\a.jpg", "./a.jpg", "cat/C:.jpg", "..."]

    assert [path for path in [*leading_out, *inside] if is_escaping(path)] == leading_out
    assert is_escaping(PurePosixPath("/a"))


def test_hidden_paths_are_told() -> None:
    visible, hidden = ["./a.jpg", "../a.jpg", "cat/a.jpg"], [".a.jpg", "cat/.DS_Store", "x/THUMBS.DB"]

    assert [path for path in [*visible, *hidden] if is_visible(path)] == visible
    assert [is_visible(PurePosixPath(path)) for path in ("a", ".git/a")] == [True, False]


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (["cat", "Cat", "dog"], [("Cat", "cat")]),
        (["t shirt", "t_shirt", "T-Shirt", " tshirt "], [(" tshirt ", "T-Shirt"), (" tshirt ", "t shirt"), (" tshirt ", "t_shirt")]),
        ([COMPOSED, DECOMPOSED, "cafe"], [(DECOMPOSED, COMPOSED)]),
        (["STRASSE", "straße"], [("STRASSE", "straße")]),
        (["1-12", "11-2", "112", "1 12"], [("1 12", "1-12")]),
        (["cat", "cats", "caté"], []),
        ([], []),
    ],
)
def test_names_that_may_be_meant_as_one_are_paired(names: list[str], pairs: list[tuple[str, str]]) -> None:
    assert similar_names(names) == pairs


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (["1", "01", "001", "10", "100"], [("1", "001"), ("1", "01")]),
        (["0", "00", "0.5", "0.50", "1.05", "1.5", "1,005", "1,5"], [("0", "00")]),
        (["dog 7", "dog 007", "dog 70", "dog7"], [("dog 7", "dog 007")]),
        (["00020", "00021"], []),
    ],
)
def test_names_that_differ_in_zeros_before_a_number_are_paired(names: list[str], pairs: list[tuple[str, str]]) -> None:
    assert same_numbers(names) == pairs
