"""Archives of all kinds are listed alike and read where they are; nothing in them leads out, and damage is one line."""

import contextlib
import errno
import os
import pickle
import random
from pathlib import Path

import pytest

from pipeline.errors import ImageError, SourceError
from pipeline.listing.archives import naming_damage
from pipeline.listing.listing import Listing
from pipeline.listing.opening import is_archive
from tests.archive_files import ENDINGS, PETS, TWO, write_archive, write_zip
from tests.source_trees import files, listing_of, peak_bytes

every_archive = pytest.mark.parametrize("ending", ENDINGS)


def contents(listing: Listing) -> dict[str, bytes]:
    """The bytes of each file, as another process would read them."""
    return {path: pickle.loads(pickle.dumps(content))() for path, content in files(listing).items()}


@every_archive
def test_every_archive_gives_the_same_files_in_the_same_order(tmp_path: Path, ending: str) -> None:
    path = write_archive(tmp_path / f"a{ending}", random.Random(1).sample(PETS, len(PETS)))

    listing = listing_of(path)

    assert list(contents(listing).items()) == sorted(PETS)
    assert [content.size_bytes() for content in files(listing).values()] == [len(content) for _, content in sorted(PETS)]
    assert [content.start(5) for content in files(listing).values()] == [content[:5] for _, content in sorted(PETS)]
    assert listing.left_out == []


@every_archive
def test_an_archive_is_told_by_its_content_whatever_its_name(tmp_path: Path, ending: str) -> None:
    path = write_archive(tmp_path / f"a{ending}", PETS).rename(tmp_path / "unnamed")

    assert is_archive(path)
    assert contents(listing_of(path)) == dict(PETS)


@every_archive
def test_no_member_leads_out_of_the_archive(tmp_path: Path, ending: str) -> None:
    escaping = ["../evil.jpg", "/etc/evil.jpg", "cat/../../evil.jpg", "C:/evil.jpg", "d:evil.jpg", "..\\evil.jpg", "\\evil.jpg"]
    names = ["./cat/a.jpg", *escaping, "dog//deep/b.jpg"]

    listing = listing_of(write_archive(tmp_path / f"a{ending}", [(name, name.encode()) for name in names]))

    assert contents(listing) == {"cat/a.jpg": b"./cat/a.jpg", "dog/deep/b.jpg": b"dog//deep/b.jpg"}
    assert sorted(listing.left_out) == sorted((name, "escaping", "its path leads outside the source") for name in escaping)


@every_archive
def test_what_is_ignored_is_counted_as_in_a_folder_and_globs_without_a_match_are_named(tmp_path: Path, ending: str) -> None:
    names = ["cat/a.jpg", "cat/a_mask.png", "docs/b.jpg", "docs/deep/c.jpg", "cat/.hidden.jpg", "__MACOSX/d.jpg"]
    globs = ("docs", "*_mask.png", "docx", "cat/.hidden.jpg", "__MACOSX", "docs/deep")
    for name in names:
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(b"")

    packed = listing_of(write_archive(tmp_path / f"a{ending}", [(name, b"") for name in names]), ignore=globs)
    folder = listing_of(tmp_path / "folder", ignore=globs)

    assert list(files(packed)) == list(files(folder)) == ["cat/a.jpg"]
    assert packed.ignored == folder.ignored == 2
    for listing in (packed, folder):
        assert [fault.path for fault in listing.left_out if fault.finding == "unused_ignore"] == ["docx"]


@every_archive
def test_hidden_members_are_not_listed_and_such_folders_are_named_once(tmp_path: Path, ending: str) -> None:
    names = ["cat/a.jpg", "__MACOSX/cat/._a.jpg", "__MACOSX/cat/._b.jpg", ".git/x/a.jpg", ".cache/b.jpg", "cat/.DS_Store", "owl/"]

    listing = listing_of(write_archive(tmp_path / f"a{ending}", [(name, b"") for name in names]))

    assert list(files(listing)) == ["cat/a.jpg"]
    assert [entry[:2] for entry in listing.left_out] == [("__MACOSX", "system"), (".cache", "system")]


@every_archive
def test_of_members_with_one_name_the_first_is_taken(tmp_path: Path, ending: str) -> None:
    names = ["cat/a.jpg", "dog/b.jpg", "cat/a.jpg", "caf\u00e9/c.jpg", "cafe\u0301/c.jpg", "./dog//b.jpg", "cat/A.jpg"]
    with pytest.warns(UserWarning, match="Duplicate name") if ending == ".zip" else contextlib.nullcontext():
        path = write_archive(tmp_path / f"a{ending}", [(name, str(i).encode()) for i, name in enumerate(names)])

    listing = listing_of(path)

    assert contents(listing) == {"cat/a.jpg": b"0", "dog/b.jpg": b"1", "caf\u00e9/c.jpg": b"3", "cat/A.jpg": b"6"}
    assert listing.left_out == [
        ("cat/a.jpg", "name_clash", "has the same name as 'cat/a.jpg' after Unicode normalisation"),
        ("cafe\u0301/c.jpg", "name_clash", r"has the same name as 'caf\xe9/c.jpg' after Unicode normalisation"),
        ("./dog//b.jpg", "name_clash", "has the same name as 'dog/b.jpg' after Unicode normalisation"),
    ]


@every_archive
def test_an_archive_of_nothing_is_one(tmp_path: Path, ending: str) -> None:
    path = write_archive(tmp_path / f"a{ending}", [])

    assert is_archive(path)
    assert files(listing_of(path)) == {}


@every_archive
def test_an_archive_that_has_been_deleted_is_named(tmp_path: Path, ending: str) -> None:
    path = write_archive(tmp_path / f"a{ending}", TWO)
    content = files(listing_of(path))["cat/a.jpg"]
    for file in [path, *(tmp_path / "scratch").glob("*.tar")]:
        file.unlink()

    with pytest.raises(ImageError, match="the archive has been deleted") as error:
        content()
    assert error.value.finding == "missing"
    assert content.start(4) == b""


@pytest.mark.parametrize("ending", [ending for ending in ENDINGS if ending != ".tar"])  # those with checksums
def test_random_damage_is_named_and_never_another_image(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    whole = write_archive(path, PETS).read_bytes()
    draw = random.Random(ending)
    outcomes = set()
    for i in range(150):
        damaged = bytearray(whole)
        for _ in range(draw.randrange(1, 4)):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        path.write_bytes(damaged[: draw.choice([len(damaged), draw.randrange(len(damaged))])])
        try:
            for content in files(listing_of(path, tmp_path / "scratch" / str(i))).values():
                with contextlib.suppress(ImageError):
                    assert content() in dict(PETS).values(), i
            outcomes.add("read")
        except SourceError:
            outcomes.add("refused")
    assert "refused" in outcomes


@pytest.mark.parametrize("ending", [".zip", ".tar.gz"])
def test_a_member_takes_memory_for_its_name_and_place_alone(tmp_path: Path, ending: str) -> None:
    few, many = (
        write_archive(tmp_path / f"{count}{ending}", [(f"cat/image number {i}.jpg", bytes(1000)) for i in range(count)])
        for count in (100, 1100)
    )
    for path in (few, many):
        listing_of(path)  # what is made once

    assert peak_bytes(lambda: listing_of(many)) - peak_bytes(lambda: listing_of(few)) < 2500 * 1000


def test_a_folder_of_parts_of_one_download_is_one_folder(tmp_path: Path) -> None:
    for number, members in enumerate(([("cat/a.jpg", b"1")], [("cat/b.jpg", b"2"), ("dog/c.jpg", b"3")]), 1):
        (tmp_path / "in").mkdir(exist_ok=True)
        write_zip(tmp_path / "in" / f"photos-{number:03d}.zip", members)

    assert contents(listing_of(tmp_path / "in")) == {"photos/cat/a.jpg": b"1", "photos/cat/b.jpg": b"2", "photos/dog/c.jpg": b"3"}


def test_an_archive_in_an_archive_is_a_file_like_any_other(tmp_path: Path) -> None:
    inner = write_zip(tmp_path / "inner.zip", TWO).read_bytes()
    outer = write_zip(tmp_path / "outer.zip", [("inner.zip", inner)])

    assert list(files(listing_of(outer))) == ["inner.zip"]


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), OSError, "No space left on device"),  # the command line says what to do
        (OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)), OSError, os.strerror(errno.EDQUOT)),
        (OSError(errno.EIO, os.strerror(errno.EIO)), SourceError, "a.zip cannot be read: Input/output error. Check the disk"),
        (OSError(errno.EINVAL, os.strerror(errno.EINVAL)), SourceError, "a.zip is damaged: "),  # a position before the start
        (OSError("Invalid data stream"), SourceError, "a.zip is damaged: Invalid data stream. Get the file again."),
    ],
)
def test_a_full_or_failing_disk_is_not_told_as_damage(error: OSError, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words), naming_damage(Path("a.zip")):
        raise error


def test_a_failing_disk_is_not_told_as_a_damaged_member(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = files(listing_of(write_zip(tmp_path / "a.zip", TWO)))["cat/a.jpg"]

    def fail(path: Path, mode: str) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Path, "open", fail)

    with pytest.raises(ImageError, match="the archive cannot be read: Input/output error"):
        content()
