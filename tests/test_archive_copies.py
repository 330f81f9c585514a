"""Copies of what is in archives are made once, belong to one version of one archive, and are removed with it."""

import os
from pathlib import Path

import pytest

from pipeline.listing.listing import extracted
from tests.archive_files import TWO, write_tar, write_zip
from tests.source_trees import files, listing_of


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


def kept(scratch: Path) -> list[str]:
    """The names of all copies, in order."""
    return sorted(file.name for file in scratch.rglob("*") if file.is_file() and file.suffix != ".lock")


def table_in(archive: Path, scratch: Path, path: str = "labels.csv") -> str:
    return extracted(listing_of(archive, scratch), path, scratch).read_text(encoding="utf-8")


def test_a_compressed_tar_is_unpacked_once(tmp_path: Path, scratch: Path) -> None:
    path = write_tar(tmp_path / "a.tar.gz", TWO)
    listing_of(path, scratch)
    (copy,) = scratch.glob("*.tar")
    before = copy.stat()

    assert [content() for content in files(listing_of(path, scratch)).values()] == [b"first image", b"second image"]
    assert (copy.stat().st_ino, copy.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_tar_that_is_not_compressed_is_not_copied(tmp_path: Path, scratch: Path) -> None:
    listing_of(write_tar(tmp_path / "a.tar", TWO), scratch)

    assert kept(scratch) == []


def test_a_compressed_tar_that_changes_is_unpacked_anew_and_its_old_copy_removed(tmp_path: Path, scratch: Path) -> None:
    path = write_tar(tmp_path / "a.tar.gz", TWO)
    listing_of(path, scratch)
    write_tar(path, [("cat/a.jpg", b"another image, longer")])

    assert [content() for content in files(listing_of(path, scratch)).values()] == [b"another image, longer"]
    assert len(kept(scratch)) == 1


def test_archives_of_one_name_size_and_time_are_not_mixed_up(tmp_path: Path, scratch: Path) -> None:
    for folder, content in (("one", b"1"), ("two", b"2")):
        (tmp_path / folder).mkdir()
        path = write_tar(tmp_path / folder / "a.tar.gz", [("cat/a.jpg", content)])
        path.write_bytes(path.read_bytes().ljust(1000, b"\0"))
        os.utime(path, (1, 1))

    read = [[content() for content in files(listing_of(tmp_path / folder / "a.tar.gz", scratch)).values()] for folder in ("one", "two")]

    assert read == [[b"1"], [b"2"]]
    assert len(kept(scratch)) == 2


def test_a_table_in_an_archive_that_changes_is_read_anew(tmp_path: Path, scratch: Path) -> None:
    for text in ("path,label\na.jpg,cat\n", "path,label\na.jpg,dog\n"):
        archive = write_zip(tmp_path / "a.zip", [("a.jpg", b"image"), ("labels.csv", text.encode())])

        assert table_in(archive, scratch) == text
    assert kept(scratch) == ["labels.csv"]


def test_tables_of_one_name_in_two_archives_are_not_mixed_up(tmp_path: Path, scratch: Path) -> None:
    archives = [write_zip(tmp_path / f"{name}.zip", [("labels.csv", name.encode())]) for name in ("one", "two")]

    assert [table_in(archive, scratch) for archive in archives] == ["one", "two"]


def test_members_of_one_folder_lie_beside_each_other_however_deep_it_is(tmp_path: Path, scratch: Path) -> None:
    folder = "d/" * 1000
    listing = listing_of(write_zip(tmp_path / "a.zip", [(f"{folder}{name}", name.encode()) for name in ("a.csv", "b.csv")]), scratch)

    one, other = (extracted(listing, f"{folder}{name}", scratch) for name in ("a.csv", "b.csv"))

    assert (one.read_bytes(), other.read_bytes()) == (b"a.csv", b"b.csv")
    assert one.parent == other.parent


def test_a_member_whose_name_is_longer_than_disks_allow_is_copied_with_its_ending(tmp_path: Path, scratch: Path) -> None:
    names = [f"{'long' * 100}{i}.csv" for i in range(2)]
    listing = listing_of(write_zip(tmp_path / "a.zip", [(name, name.encode()) for name in names]), scratch)

    copies = [extracted(listing, name, scratch) for name in names]

    assert [copy.read_bytes() for copy in copies] == [name.encode() for name in names]
    assert {copy.suffix for copy in copies} == {".csv"}


def test_a_file_on_disk_is_not_copied(tmp_path: Path, scratch: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "labels.csv").write_bytes(b"path,label\n")

    assert extracted(listing_of(tmp_path / "in"), "labels.csv", scratch) == tmp_path / "in" / "labels.csv"
    assert not scratch.exists()
