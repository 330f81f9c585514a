"""Members of a zip are read where they are; what is wrong with one of them is its own error."""

import zipfile
from pathlib import Path

import pytest

from pipeline.errors import ImageError, SourceError
from pipeline.listing.zip_archives import is_zip
from tests.archive_files import PETS, TWO, overwrite, write_zip
from tests.source_trees import files, listing_of


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_is_read_however_it_is_packed_and_whatever_stands_before_it(tmp_path: Path, method: int) -> None:
    path = write_zip(tmp_path / "a.zip", PETS, method)
    path.write_bytes(b"#!/bin/sh\n" + path.read_bytes())

    assert {name: content() for name, content in files(listing_of(path)).items()} == dict(PETS)


def test_links_special_and_encrypted_members_are_named(tmp_path: Path) -> None:
    modes = {"dog/c.jpg": 0, "cat/a.jpg": 0o100644, "cat/link.jpg": 0o120777, "cat/pipe.jpg": 0o010644, "dog/b.jpg": 0}
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, mode in modes.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = mode << 16
            archive.writestr(member, "content")
    overwrite(path, 8, b"\1", first_directory_entry=True)  # the flag of an encrypted member

    listing = listing_of(path)

    assert list(files(listing)) == ["cat/a.jpg", "dog/b.jpg"]
    assert listing.left_out == [
        ("dog/c.jpg", "encrypted", "encrypted"),
        ("cat/link.jpg", "link", "a link, not followed"),
        ("cat/pipe.jpg", "special", "not a regular file"),
    ]


def test_backslashes_are_separators_only_where_all_names_have_nothing_else(tmp_path: Path) -> None:
    of_windows = write_zip(tmp_path / "a.zip", [("set\\cat\\a.jpg", b"1"), ("set\\dog\\b.jpg", b"2")])
    mixed = write_zip(tmp_path / "b.zip", [("set/cat\\a.jpg", b"1")])

    assert list(files(listing_of(of_windows))) == ["set/cat/a.jpg", "set/dog/b.jpg"]
    assert list(files(listing_of(mixed))) == ["set/cat\\a.jpg"]


def test_a_backslash_does_not_lead_out_either(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", [("cat\\a.jpg", b"1"), ("..\\b.jpg", b"2"), ("cat\\..\\..\\c.jpg", b"3")])

    listing = listing_of(path)

    assert list(files(listing)) == ["cat/a.jpg"]
    assert [entry[:2] for entry in listing.left_out] == [("../b.jpg", "escaping"), ("cat/../../c.jpg", "escaping")]


def test_a_name_ends_where_a_zero_byte_is(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", [("cat/a.jpg?.txt", b"1")])
    path.write_bytes(path.read_bytes().replace(b"?", b"\0"))

    assert list(files(listing_of(path))) == ["cat/a.jpg"]


def test_the_size_is_what_the_directory_says(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", TWO)
    overwrite(path, 24, (2**31).to_bytes(4, "little"), first_directory_entry=True)

    assert files(listing_of(path))["cat/a.jpg"].size_bytes() == 2**31


def test_a_member_gives_no_more_bytes_than_it_says(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", [("cat/a.jpg", bytes(2**24))])
    overwrite(path, 24, (100).to_bytes(4, "little"), first_directory_entry=True)

    with pytest.raises(ImageError, match="Bad CRC-32"):
        files(listing_of(path))["cat/a.jpg"]()


def test_a_damaged_member_or_one_packed_in_an_unknown_way_is_its_own_error(tmp_path: Path) -> None:
    unknown = write_zip(tmp_path / "unknown.zip", TWO)
    overwrite(unknown, 10, (9).to_bytes(2, "little"), first_directory_entry=True)
    damaged = write_zip(tmp_path / "damaged.zip", TWO, zipfile.ZIP_STORED)
    damaged.write_bytes(damaged.read_bytes().replace(b"first image", b"worst image"))

    for path, words in {
        unknown: "compressed by a method that is not supported, number 9",
        damaged: r"^damaged in the archive: Bad CRC-32$",
    }.items():
        cat, dog = files(listing_of(path)).values()
        assert dog() == b"second image"
        with pytest.raises(ImageError, match=words) as error:
            cat()
        assert error.value.finding == "undecodable"


def test_a_zip_that_changes_is_listed_anew_and_one_that_is_overwritten_meanwhile_is_an_error(tmp_path: Path) -> None:
    for expected in (b"old", b"new"):
        path = write_zip(tmp_path / "a.zip", [("cat/a.jpg", expected), ("dog/b.jpg", b"")])
        assert files(listing_of(path))["cat/a.jpg"]() == expected

    content = files(listing_of(write_zip(path, PETS)))["set/cat/38.jpg"]
    path.write_bytes(b"something else" * 9999)
    with pytest.raises(ImageError, match="not found where the archive's directory says"):
        content()


def test_a_zip_of_which_the_end_is_missing_is_damaged_and_still_a_zip(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", PETS)
    path.write_bytes(path.read_bytes()[:-200])

    assert is_zip(path)
    with pytest.raises(SourceError, match=r"a\.zip is damaged: .*Get the file again"):
        listing_of(path)
