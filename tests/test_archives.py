"""Archives are read in place, member by member; what is wrong in one is named, and an archive cut off is never taken for a whole one."""

import bz2
import contextlib
import gzip
import io
import lzma
import pickle
import random
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.errors import ImageError, SourceError
from pipeline.sources import archives
from pipeline.sources.archives import is_tar, is_zip, open_tar, open_zip
from pipeline.sources.class_folders import NoClassFolders
from pipeline.sources.records import LeftOut, Source

Members = Iterable[tuple[str, bytes]]
PETS = [(f"set/{'cat' if i % 3 else 'dog'}/{i:02d}.jpg", bytes([i]) * (i * 37 % 1500)) for i in range(40)]


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return bytes(sink.getvalue().to_pybytes())


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".tar": lambda content: content,
    ".tar.gz": gzip.compress,
    ".tar.bz2": bz2.compress,
    ".tar.xz": lzma.compress,
    ".tar.zst": zstd,
}


def tar(members: Iterable[tuple[str, bytes] | tarfile.TarInfo]) -> bytes:
    """A tar archive of members with content, and of bare headers."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for member in members:
            header = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member[0])
            content = b"" if isinstance(member, tarfile.TarInfo) else member[1]
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return buffer.getvalue()


def write_tar(path: Path, members: Iterable[tuple[str, bytes] | tarfile.TarInfo]) -> Path:
    path.write_bytes(COMPRESS["".join(path.suffixes)](tar(members)))
    return path


def write_zip(path: Path, members: Members, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return path


def write(path: Path, members: Members) -> Path:
    return write_zip(path, members) if path.suffix == ".zip" else write_tar(path, members)


def open_any(path: Path) -> Source:
    return open_zip(path) if is_zip(path) else open_tar(path)


def of_kind(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.type, header.linkname = kind, target
    return header


def contents(source: Source) -> dict[str, bytes]:
    """The bytes of each record, as another process would read them."""
    found = {record.path: pickle.loads(pickle.dumps(record.read))() for record in source.records}
    assert len(found) == source.count
    return found


def left_out(source: Source) -> list[LeftOut]:
    assert len(list(source.records)) == source.count
    return source.left_out


every_archive = pytest.mark.parametrize("ending", [".zip", *COMPRESS])
every_tar = pytest.mark.parametrize("ending", COMPRESS)


@every_archive
def test_every_archive_gives_the_same_images(tmp_path: Path, ending: str) -> None:
    source = open_any(write(tmp_path / f"my pets{ending}", PETS))

    assert source.name == "my-pets"
    assert contents(source) == {name.removeprefix("set/"): content for name, content in PETS}
    assert source.left_out == []
    assert list(tmp_path.iterdir()) == [tmp_path / f"my pets{ending}"]


@every_archive
def test_a_record_says_all_that_is_known_before_reading(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"a{ending}", [("x/train/cat/a.jpg", b"12345"), ("x/test/dog/deep/b.jpg", b""), ("x/README.md", b"text")])

    records = {record.path: record for record in open_any(path).records}

    assert records["train/cat/a.jpg"][:5] == ("train/cat/a.jpg", "cat", "train", None, 5)
    assert records["test/dog/deep/b.jpg"][:5] == ("test/dog/deep/b.jpg", "dog", "test", None, 0)
    assert len(records) == 2


def test_a_zip_is_in_the_order_of_names_and_a_tar_in_its_own(tmp_path: Path) -> None:
    members = [(name, b"") for name in ("dog/a.jpg", "cat/b/z.jpg", "cat-2/a.jpg", "cat/b-a.jpg", "cat/a.jpg")]

    in_zip = [record.path for record in open_zip(write(tmp_path / "a.zip", members)).records]
    in_tar = [record.path for record in open_tar(write(tmp_path / "a.tar", members)).records]

    assert in_zip == ["cat/a.jpg", "cat/b/z.jpg", "cat/b-a.jpg", "cat-2/a.jpg", "dog/a.jpg"]
    assert in_tar == [name for name, _ in members]


@every_archive
def test_members_that_lead_out_are_named(tmp_path: Path, ending: str) -> None:
    names = ["../evil.jpg", "/etc/evil.jpg", "cat/../../evil.jpg", "C:/evil.jpg", "d:evil.jpg", "..\\evil.jpg", "\\evil.jpg"]
    path = write(tmp_path / f"a{ending}", [(name, b"evil") for name in ["./cat/a.jpg", *names, "dog//b.jpg"]])
    source = open_any(path)

    assert contents(source) == {"cat/a.jpg": b"evil", "dog/b.jpg": b"evil"}
    assert sorted(source.left_out) == sorted(LeftOut(name, "escaping", "its path leads out of the source") for name in names)


@every_archive
def test_hidden_members_and_folders_are_left_alone_and_strays_named(tmp_path: Path, ending: str) -> None:
    names = ["cat/a.jpg", "dog/b.jpg", "__MACOSX/cat/._a.jpg", ".git/x/a.jpg", "dog/.DS_Store", "README.md", "c.jpg", "owl/", "fox\\"]

    source = open_any(write(tmp_path / f"a{ending}", [(name, b"") for name in names]))

    assert left_out(source) == [LeftOut("c.jpg", "stray", "lies in no class folder")]


@every_archive
def test_of_members_with_one_name_the_first_is_taken(tmp_path: Path, ending: str) -> None:
    names = [
        "cat/a.jpg",
        "dog/b.jpg",
        "cat/a.jpg",
        "caf\u00e9/c.jpg",
        "cafe\u0301/c.jpg",
        "./dog//b.jpg",
        "poster.jpg",
        "poster.jpg",
        "cat/A.jpg",
    ]
    with pytest.warns(UserWarning, match="Duplicate name") if ending == ".zip" else pytest.MonkeyPatch.context():
        path = write(tmp_path / f"a{ending}", [(name, str(i).encode()) for i, name in enumerate(names)])
    source = open_any(path)

    assert contents(source) == {"cat/a.jpg": b"0", "dog/b.jpg": b"1", "caf\u00e9/c.jpg": b"3", "cat/A.jpg": b"8"}
    assert sorted(source.left_out) == [
        ("./dog//b.jpg", "name_clash", "has the same name, once normalised, as 'dog/b.jpg', which is taken"),
        ("cafe\u0301/c.jpg", "name_clash", r"has the same name, once normalised, as 'caf\xe9/c.jpg', which is taken"),
        ("cat/a.jpg", "name_clash", "has the same name, once normalised, as 'cat/a.jpg', which is taken"),
        ("poster.jpg", "name_clash", "has the same name, once normalised, as 'poster.jpg', which is taken"),
        ("poster.jpg", "stray", "lies in no class folder"),
    ]


@every_archive
def test_one_class_or_none_is_refused(tmp_path: Path, ending: str) -> None:
    with pytest.raises(SourceError, match="are of one class, cat"):
        open_any(write(tmp_path / f"a{ending}", [("cat/a.jpg", b""), ("cat/b.jpg", b"")]))
    with pytest.raises(NoClassFolders) as error:
        open_any(write(tmp_path / f"b{ending}", [("b.jpg", b""), ("a.jpg", b"")]))
    assert error.value.found == "a.jpg, b.jpg"


@every_archive
def test_test_images_without_any_to_learn_from_are_refused(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"a{ending}", [(f"set/{split}/{label}/a.jpg", b"") for split in ("test", "val") for label in ("cat", "dog")])

    with pytest.raises(SourceError, match=rf"a{ending}/set has test/ and val/, but no train/\. Add train/"):
        open_any(path)


def test_members_whose_names_are_not_utf_8_stay_apart(tmp_path: Path) -> None:
    names = ["K\udce4se/a.jpg", "K\udcf6se/a.jpg", "K\udcf6se\\b.jpg"]

    records = list(open_tar(write_tar(tmp_path / "a.tar", [(name, b"image") for name in names])).records)

    assert [(record.path, record.label) for record in records] == [
        ("K\\xe4se/a.jpg", "K\\xe4se"),
        ("K\\xf6se/a.jpg", "K\\xf6se"),
        ("K\\xf6se/b.jpg", "K\\xf6se"),
    ]


@every_archive
def test_an_empty_archive_has_nothing(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"a{ending}", [])

    assert is_zip(path) or is_tar(path)
    with pytest.raises(NoClassFolders) as error:
        open_any(path)
    assert error.value.found == "nothing"


def test_links_and_special_members_of_a_tar_are_named(tmp_path: Path) -> None:
    members: list[tuple[str, bytes] | tarfile.TarInfo] = [
        ("cat/a.jpg", b""),
        of_kind("cat/link.jpg", tarfile.SYMTYPE, "/etc/passwd"),
        of_kind("cat/same.jpg", tarfile.LNKTYPE, "cat/a.jpg"),
        of_kind("cat/pipe.jpg", tarfile.FIFOTYPE),
        of_kind("cat/disk.jpg", tarfile.BLKTYPE),
        of_kind("owl", tarfile.DIRTYPE),
        of_kind("cat/.hidden", tarfile.SYMTYPE, "a.jpg"),
        ("dog/b.jpg", b""),
    ]

    assert left_out(open_tar(write_tar(tmp_path / "a.tar.gz", members))) == [
        LeftOut("cat/link.jpg", "link", "a link, not followed"),
        LeftOut("cat/same.jpg", "link", "a link, not followed"),
        LeftOut("cat/pipe.jpg", "special", "not a regular file"),
        LeftOut("cat/disk.jpg", "special", "not a regular file"),
    ]


def test_a_tar_member_with_a_long_name_or_one_that_is_not_utf_8_is_read(tmp_path: Path) -> None:
    names = ["cat/" + "long " * 60 + ".jpg", "dog/caf\udce9.jpg"]

    assert list(contents(open_tar(write_tar(tmp_path / "a.tar", [(name, b"image") for name in names])))) == [names[0], "dog/caf\\xe9.jpg"]


def test_a_large_tar_member_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_BYTES", 2**20)
    path = write_tar(tmp_path / "a.tar.gz", [("cat/a.jpg", bytes(3 * 2**20)), ("dog/b.jpg", b"image")])

    cat, dog = open_tar(path).records

    assert (cat.size_bytes, dog.read()) == (3 * 2**20, b"image")
    with pytest.raises(ImageError, match="3 MB is more than 1 MB") as error:
        cat.read()
    assert error.value.finding == "too_large"


def test_links_special_and_encrypted_members_of_a_zip_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, mode in {
            "cat/a.jpg": 0o100644,
            "cat/link.jpg": 0o120777,
            "cat/pipe.jpg": 0o010644,
            "dog/b.jpg": 0,
            "dog/c.jpg": 0,
        }.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = mode << 16
            archive.writestr(member, "content")
    directory = path.read_bytes().rindex(b"PK\1\2")
    encrypted = bytearray(path.read_bytes())
    encrypted[directory + 8] |= 1
    path.write_bytes(encrypted)

    assert left_out(open_zip(path)) == [
        LeftOut("cat/link.jpg", "link", "a link, not followed"),
        LeftOut("cat/pipe.jpg", "special", "not a regular file"),
        LeftOut("dog/c.jpg", "encrypted", "encrypted"),
    ]


def test_backslashes_in_a_zip_are_read_as_windows_means_them(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", [("set\\cat\\a.jpg", b"1"), ("set\\dog\\b.jpg", b"2")])

    assert contents(open_zip(path)) == {"cat/a.jpg": b"1", "dog/b.jpg": b"2"}


def test_the_size_that_a_zip_claims_is_told_without_reading(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", [("cat/a.jpg", bytes(2**20)), ("dog/b.jpg", b"")])
    directory = path.read_bytes().index(b"PK\1\2")
    lying = bytearray(path.read_bytes())
    lying[directory + 24 : directory + 28] = (2**31).to_bytes(4, "little")
    path.write_bytes(lying)

    assert next(iter(open_zip(path).records)).size_bytes == 2**31


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_is_read_however_it_is_packed_and_whatever_stands_before_it(tmp_path: Path, method: int) -> None:
    path = write_zip(tmp_path / "a.zip", PETS, method)
    path.write_bytes(b"#!/bin/sh\n" + path.read_bytes())

    assert contents(open_zip(path)) == {name.removeprefix("set/"): content for name, content in PETS}


def test_a_zip_member_packed_in_an_unknown_way_is_its_own_error(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", [("cat/a.jpg", b"first"), ("dog/b.jpg", b"second")])
    directory = path.read_bytes().index(b"PK\1\2")
    unknown = bytearray(path.read_bytes())
    unknown[directory + 10 : directory + 12] = (9).to_bytes(2, "little")
    path.write_bytes(unknown)

    cat, dog = open_zip(path).records

    assert dog.read() == b"second"
    with pytest.raises(ImageError, match="packed by a method that cannot be read here, number 9"):
        cat.read()


def test_a_damaged_member_of_a_zip_is_its_own_error(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", [("cat/a.jpg", b"first image"), ("dog/b.jpg", b"second image")], zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"first image", b"worst image"))

    cat, dog = open_zip(path).records

    assert dog.read() == b"second image"
    with pytest.raises(ImageError, match=r"^damaged in the archive: Bad CRC-32$") as error:
        cat.read()
    assert error.value.finding == "undecodable"


def test_a_zip_that_vanishes_or_changes_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", PETS)
    record = list(open_zip(path).records)[-1]

    path.write_bytes(b"something else" * 9999)
    with pytest.raises(ImageError, match="nothing where it should be"):
        record.read()
    path.unlink()
    with pytest.raises(ImageError, match="the archive is gone"):
        record.read()


def test_a_zip_that_is_replaced_is_read_anew(tmp_path: Path) -> None:
    for content in (b"old", b"new"):
        path = write_zip(tmp_path / "a.zip", [("cat/a.jpg", content), ("dog/b.jpg", b"")])
        assert next(iter(open_zip(path).records)).read() == content


def test_a_zip_of_which_the_end_is_missing_is_damaged_and_still_a_zip(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", PETS)
    path.write_bytes(path.read_bytes()[:-200])

    assert is_zip(path)
    with pytest.raises(SourceError, match=r"a\.zip is damaged: .*Get the file again"):
        open_zip(path)


@every_tar
def test_a_tar_is_told_by_its_content(tmp_path: Path, ending: str) -> None:
    path = write_tar(tmp_path / f"a{ending}", PETS)

    assert is_tar(path.rename(tmp_path / "unnamed"))


@pytest.mark.parametrize(
    "content", [b"", b"text", b"\0" * 512 + b"image" * 200, gzip.compress(b"idx" * 500, mtime=0), zstd(b"a,b\n" * 200)]
)
def test_what_is_no_tar_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)

    assert not is_tar(tmp_path / "a")


@every_tar
@pytest.mark.parametrize("kept_share", [0.03, 0.2, 0.5, 0.7])
def test_a_tar_cut_off_is_one_line(tmp_path: Path, ending: str, kept_share: float) -> None:
    draw = random.Random(1)
    path = write_tar(tmp_path / f"a{ending}", [(name, draw.randbytes(700)) for name, _ in PETS])
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept_share)])

    assert is_tar(path)
    with pytest.raises(SourceError, match=r"a\.tar[.\w]* is damaged: .*Get the file again"):
        open_tar(path)


def test_a_tar_cut_off_between_two_members_is_not_taken_for_a_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(tar([("cat/a.jpg", b"1"), ("dog/b.jpg", b"2"), ("dog/c.jpg", b"3")])[: 4 * 512])

    with pytest.raises(SourceError, match="it ends too early"):
        open_tar(path)


def test_a_damaged_header_in_a_tar_is_not_taken_for_its_end(tmp_path: Path) -> None:
    content = bytearray(tar([("cat/a.jpg", b"1"), ("dog/b.jpg", b"2"), ("dog/c.jpg", b"3")]))
    content[4 * 512] ^= 1
    (tmp_path / "a.tar").write_bytes(content)

    with pytest.raises(SourceError, match="a header that cannot be read: bad checksum"):
        open_tar(tmp_path / "a.tar")


def test_a_tar_header_that_wants_all_memory_is_refused(tmp_path: Path) -> None:
    header = of_kind("././@LongLink", tarfile.GNUTYPE_LONGNAME)
    header.size = 2**35
    (tmp_path / "a.tar").write_bytes(header.tobuf(tarfile.GNU_FORMAT) + tar([("cat/a.jpg", b"1"), ("dog/b.jpg", b"2")]))

    with pytest.raises(SourceError, match="a header of 34,359,738,368 bytes"):
        open_tar(tmp_path / "a.tar")


def test_a_compressed_tar_with_a_wrong_checksum_is_damaged(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar.gz", PETS)
    content = bytearray(path.read_bytes())
    content[-6] ^= 1
    path.write_bytes(content)

    with pytest.raises(SourceError, match="CRC check failed"):
        open_tar(path)


def readable_contents(source: Source) -> list[bytes]:
    """The bytes of the records that can be read; the others raise ImageError."""
    found = []
    for record in source.records:
        with contextlib.suppress(ImageError):
            found.append(record.read())
    return found


@pytest.mark.parametrize("ending", [".zip", ".tar.gz", ".tar.bz2", ".tar.xz"])  # those with checksums
def test_random_damage_is_named_and_never_another_image(tmp_path: Path, ending: str) -> None:
    whole = write(tmp_path / f"a{ending}", PETS).read_bytes()
    draw = random.Random(ending)
    outcomes = set()
    for i in range(150):
        damaged = bytearray(whole)
        for _ in range(draw.randrange(1, 4)):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        path = tmp_path / f"{i}{ending}"
        path.write_bytes(damaged[: draw.choice([len(damaged), draw.randrange(len(damaged))])])
        try:
            found = readable_contents(open_zip(path) if ending == ".zip" else open_tar(path))
            assert set(found) <= {content for _, content in PETS}, i
            outcomes.add("read")
        except SourceError:
            outcomes.add("refused")
    assert "refused" in outcomes


@pytest.mark.parametrize("ending", [".tar", ".tar.zst"])
def test_random_ends_of_a_tar_are_all_noticed(tmp_path: Path, ending: str) -> None:
    whole = write(tmp_path / f"a{ending}", PETS).read_bytes()
    end_of_members = len(whole.rstrip(b"\0")) if ending == ".tar" else len(whole) - 1
    draw = random.Random(ending)
    for i in range(60):
        path = tmp_path / f"{i}{ending}"
        path.write_bytes(whole[: draw.randrange(end_of_members)])
        with pytest.raises(SourceError, match="is damaged"):
            open_tar(path)


def peak_bytes(path: Path) -> int:
    """The most memory taken while an archive is gone through."""
    tracemalloc.start()
    try:
        for _ in open_tar(path).records:
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_ten_times_the_members_take_little_more_memory(tmp_path: Path) -> None:
    few = write_tar(tmp_path / "few.tar.gz", [(f"{'cat' if i % 2 else 'dog'}/{i}.jpg", b"image") for i in range(200)])
    many = write_tar(tmp_path / "many.tar.gz", [(f"{'cat' if i % 2 else 'dog'}/{i}.jpg", b"image") for i in range(2000)])
    peak_bytes(few)  # what is made once

    assert peak_bytes(many) < peak_bytes(few) + 1800 * 100  # a member of tarfile is 1,000 bytes and more
