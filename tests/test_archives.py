"""Archives are read in place, member by member; what is wrong in one is named, and an archive cut off is never taken for a whole one."""

import bz2
import contextlib
import gzip
import io
import lzma
import pickle
import random
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa
import pytest
from pipeline.sources.archives import is_zip, open_zip
from pipeline.sources.folder_layout import NoClassFolders
from pipeline.sources.tar_archives import is_tar, open_tar

from pipeline.errors import ImageError, SourceError
from pipeline.listing.records import LeftOut, Source
from tests.source_trees import found, left_out, peak_bytes

Members = Iterable[tuple[str, bytes] | tarfile.TarInfo]
PETS = [(f"set/{'cat' if i % 3 else 'dog'}/{i:02d}.jpg", bytes([i]) * (i * 37 % 1500)) for i in range(40)]
TWO = [("cat/a.jpg", b"first image"), ("dog/b.jpg", b"second image")]


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return bytes(sink.getvalue().to_pybytes())


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".tar": bytes,
    ".tar.gz": gzip.compress,
    ".tar.bz2": bz2.compress,
    ".tar.xz": lzma.compress,
    ".tar.zst": zstd,
}
every_archive = pytest.mark.parametrize("ending", [".zip", *COMPRESS])


def tar(members: Members) -> bytes:
    """A tar archive of members with content, and of bare headers."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for member in members:
            header, content = (member, b"") if isinstance(member, tarfile.TarInfo) else (tarfile.TarInfo(member[0]), member[1])
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return buffer.getvalue()


def write_zip(path: Path, members: Iterable[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return path


def write(path: Path, members: Iterable[tuple[str, bytes]]) -> Path:
    if path.suffix == ".zip":
        return write_zip(path, members)
    path.write_bytes(COMPRESS["".join(path.suffixes)](tar(members)))
    return path


def write_tar(path: Path, members: Members) -> Path:
    path.write_bytes(tar(members))
    return path


def open_any(path: Path) -> Source:
    return open_zip(path) if is_zip(path) else open_tar(path)


def of_kind(name: str, kind: bytes, target: str = "", size: int = 0) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.type, header.linkname, header.size = kind, target, size
    return header


def contents(source: Source) -> dict[str, bytes]:
    """The bytes of each record, as another process would read them."""
    read = {record.path: pickle.loads(pickle.dumps(record.read))() for record in source.records}
    assert len(read) == source.count
    return read


def overwrite(path: Path, at: int, content: bytes, first_directory_entry: bool = False) -> None:
    """Replace bytes of a file, counted from its start or from a zip's directory."""
    changed = bytearray(path.read_bytes())
    at += changed.index(b"PK\1\2") if first_directory_entry else 0
    changed[at : at + len(content) or None] = content
    path.write_bytes(changed)


@every_archive
def test_every_archive_gives_the_same_images(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"my pets{ending}", PETS)
    source = open_any(path)

    assert source.name == "my-pets"
    assert contents(source) == {name.removeprefix("set/"): content for name, content in PETS}
    assert source.left_out == []
    assert list(tmp_path.iterdir()) == [path]
    assert ending == ".zip" or is_tar(path.rename(tmp_path / "unnamed"))


@every_archive
def test_records_say_all_that_is_known_hidden_members_are_ignored_and_others_named(tmp_path: Path, ending: str) -> None:
    escaping = ["../evil.jpg", "/etc/evil.jpg", "cat/../../evil.jpg", "C:/evil.jpg", "d:evil.jpg", "..\\evil.jpg", "\\evil.jpg"]
    ignored = ["__MACOSX/cat/._a.jpg", ".git/x/a.jpg", "test/dog/.DS_Store", "README.md", "train/owl/", "train/fox\\"]
    names = ["./train/cat/a.jpg", *escaping, "test/dog//deep/b.jpg", *ignored, "train/c.jpg"]

    source = open_any(write(tmp_path / f"a{ending}", [(name, name.encode()) for name in names]))

    assert sorted(record[:5] for record in source.records) == [
        ("test/dog/deep/b.jpg", "dog", "test", None, 20),
        ("train/cat/a.jpg", "cat", "train", None, 17),
    ]
    assert source.count == 2
    strays = [LeftOut("train/c.jpg", "stray", "not in a class folder")]
    assert sorted(source.left_out) == sorted(
        [*(LeftOut(name, "escaping", "its path leads outside the source") for name in escaping), *strays]
    )


def test_a_zip_is_in_the_order_of_names_and_a_tar_in_its_own(tmp_path: Path) -> None:
    members = [(name, b"") for name in ("dog/a.jpg", "cat/b/z.jpg", "cat-2/a.jpg", "cat/b-a.jpg", "cat/a.jpg")]

    in_zip = [record.path for record in open_zip(write(tmp_path / "a.zip", members)).records]
    in_tar = [record.path for record in open_tar(write(tmp_path / "a.tar", members)).records]

    assert in_zip == ["cat/a.jpg", "cat/b/z.jpg", "cat/b-a.jpg", "cat-2/a.jpg", "dog/a.jpg"]
    assert in_tar == [name for name, _ in members]


@every_archive
def test_of_members_with_one_name_the_first_is_taken(tmp_path: Path, ending: str) -> None:
    names = ["cat/a.jpg", "dog/b.jpg", "cat/a.jpg", "caf\u00e9/c.jpg", "cafe\u0301/c.jpg", "./dog//b.jpg"]
    names += ["poster.jpg", "poster.jpg", "cat/A.jpg"]
    with pytest.warns(UserWarning, match="Duplicate name") if ending == ".zip" else contextlib.nullcontext():
        source = open_any(write(tmp_path / f"a{ending}", [(name, str(i).encode()) for i, name in enumerate(names)]))

    assert contents(source) == {"cat/a.jpg": b"0", "dog/b.jpg": b"1", "caf\u00e9/c.jpg": b"3", "cat/A.jpg": b"8"}
    assert sorted(source.left_out) == [
        ("./dog//b.jpg", "name_clash", "has the same name as 'dog/b.jpg' after Unicode normalisation"),
        ("cafe\u0301/c.jpg", "name_clash", r"has the same name as 'caf\xe9/c.jpg' after Unicode normalisation"),
        ("cat/a.jpg", "name_clash", "has the same name as 'cat/a.jpg' after Unicode normalisation"),
        ("poster.jpg", "name_clash", "has the same name as 'poster.jpg' after Unicode normalisation"),
        ("poster.jpg", "stray", "not in a class folder"),
    ]


@every_archive
def test_an_archive_without_classes_to_learn_is_refused(tmp_path: Path, ending: str) -> None:
    for names, words in {
        ("cat/a.jpg", "cat/b.jpg"): "are of one class, cat",
        ("b.jpg", "a.jpg"): r"no images in class folders .*Found: a\.jpg, b\.jpg\.",
        (): r"no images in class folders .*Found: nothing\.",
        ("set/test/x/a.jpg", "set/val/x/a.jpg"): r"a\.[.\w]*/set has test/ and val/, but no train/\. Add train/",
    }.items():
        path = write(tmp_path / f"a{ending}", [(name, b"") for name in names])
        assert is_zip(path) or is_tar(path)
        with pytest.raises(SourceError, match=words) as error:
            open_any(path)
        assert isinstance(error.value, NoClassFolders) == ("no images" in words)


def test_members_of_a_tar_with_long_names_or_names_that_are_not_utf_8_are_read(tmp_path: Path) -> None:
    long = "cat/" + "long " * 60 + ".jpg"
    path = write_tar(tmp_path / "a.tar", [(name, b"1") for name in (long, "K\udce4se/a.jpg", "K\udcf6se/a.jpg", "K\udcf6se\\b\udce9.jpg")])

    assert [record[:2] for record in found(open_tar(path))] == [
        (long, "cat"),
        ("K\\xe4se/a.jpg", "K\\xe4se"),
        ("K\\xf6se/a.jpg", "K\\xf6se"),
        ("K\\xf6se/b\\xe9.jpg", "K\\xf6se"),
    ]


def test_links_and_special_members_of_a_tar_are_named(tmp_path: Path) -> None:
    kinds = {"link": tarfile.SYMTYPE, "same": tarfile.LNKTYPE, "pipe": tarfile.FIFOTYPE, "disk": tarfile.BLKTYPE}
    special = [of_kind(f"cat/{name}.jpg", kind, "cat/a.jpg") for name, kind in kinds.items()]
    ignored = [of_kind("owl", tarfile.DIRTYPE), of_kind("cat/.hidden", tarfile.SYMTYPE, "a.jpg")]

    source = open_tar(write_tar(tmp_path / "a.tar", [TWO[0], *special, *ignored, TWO[1]]))

    assert contents(source) == dict(TWO)
    assert source.left_out == [
        LeftOut("cat/link.jpg", "link", "a link, not followed"),
        LeftOut("cat/same.jpg", "link", "a link, not followed"),
        LeftOut("cat/pipe.jpg", "special", "not a regular file"),
        LeftOut("cat/disk.jpg", "special", "not a regular file"),
    ]


def test_a_large_tar_member_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.sources.tar_archives.MOST_BYTES", 2**20)
    path = write(tmp_path / "a.tar.gz", [("cat/a.jpg", bytes(3 * 2**20)), ("dog/b.jpg", b"image")])

    cat, dog = open_tar(path).records

    assert (cat.size_bytes, dog.read()) == (3 * 2**20, b"image")
    with pytest.raises(ImageError, match="3 MB, more than the limit of 1 MB") as error:
        cat.read()
    assert error.value.finding == "too_large"


def test_links_special_and_encrypted_members_of_a_zip_are_named(tmp_path: Path) -> None:
    modes = {"dog/c.jpg": 0, "cat/a.jpg": 0o100644, "cat/link.jpg": 0o120777, "cat/pipe.jpg": 0o010644, "dog/b.jpg": 0}
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, mode in modes.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = mode << 16
            archive.writestr(member, "content")
    overwrite(path, 8, b"\1", first_directory_entry=True)  # the flag of an encrypted member

    assert left_out(open_zip(path)) == [
        LeftOut("cat/link.jpg", "link", "a link, not followed"),
        LeftOut("cat/pipe.jpg", "special", "not a regular file"),
        LeftOut("dog/c.jpg", "encrypted", "encrypted"),
    ]


def test_backslashes_in_a_zip_are_read_as_on_windows_and_the_size_that_it_claims_is_told(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", [("set\\cat\\a.jpg", b"1"), ("set\\dog\\b.jpg", b"2")])
    assert contents(open_zip(path)) == {"cat/a.jpg": b"1", "dog/b.jpg": b"2"}

    overwrite(path, 24, (2**31).to_bytes(4, "little"), first_directory_entry=True)
    assert next(iter(open_zip(path).records)).size_bytes == 2**31


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_is_read_however_it_is_packed_and_whatever_stands_before_it(tmp_path: Path, method: int) -> None:
    path = write_zip(tmp_path / "a.zip", PETS, method)
    path.write_bytes(b"#!/bin/sh\n" + path.read_bytes())

    assert contents(open_zip(path)) == {name.removeprefix("set/"): content for name, content in PETS}


def test_a_damaged_member_of_a_zip_or_one_packed_in_an_unknown_way_is_its_own_error(tmp_path: Path) -> None:
    unknown = write_zip(tmp_path / "unknown.zip", TWO)
    overwrite(unknown, 10, (9).to_bytes(2, "little"), first_directory_entry=True)
    damaged = write_zip(tmp_path / "damaged.zip", TWO, zipfile.ZIP_STORED)
    damaged.write_bytes(damaged.read_bytes().replace(b"first image", b"worst image"))

    for path, words in {
        unknown: "compressed by a method that is not supported, number 9",
        damaged: r"^damaged in the archive: Bad CRC-32$",
    }.items():
        cat, dog = open_zip(path).records
        assert dog.read() == b"second image"
        with pytest.raises(ImageError, match=words) as error:
            cat.read()
        assert error.value.finding == "undecodable"


def test_a_zip_that_changes_is_read_anew_and_one_that_vanishes_is_an_error(tmp_path: Path) -> None:
    for content in (b"old", b"new"):
        path = write_zip(tmp_path / "a.zip", [("cat/a.jpg", content), ("dog/b.jpg", b"")])
        assert next(iter(open_zip(path).records)).read() == content

    record = list(open_zip(write_zip(path, PETS)).records)[-1]
    path.write_bytes(b"something else" * 9999)
    with pytest.raises(ImageError, match="not found where the archive's directory says"):
        record.read()
    path.unlink()
    with pytest.raises(ImageError, match="the archive has been deleted"):
        record.read()


def test_a_zip_of_which_the_end_is_missing_is_damaged_and_still_a_zip(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", PETS)
    path.write_bytes(path.read_bytes()[:-200])

    assert is_zip(path)
    with pytest.raises(SourceError, match=r"a\.zip is damaged: .*Get the file again"):
        open_zip(path)


@pytest.mark.parametrize(
    "content", [b"", b"text", b"\0" * 512 + b"image" * 200, gzip.compress(b"idx" * 500, mtime=0), zstd(b"a,b\n" * 200)]
)
def test_what_is_no_tar_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)

    assert not is_tar(tmp_path / "a")


@pytest.mark.parametrize("ending", COMPRESS)
def test_a_tar_cut_off_anywhere_is_one_line(tmp_path: Path, ending: str) -> None:
    draw = random.Random(ending)
    path = write(tmp_path / f"a{ending}", [(name, draw.randbytes(700)) for name, _ in PETS])
    content = path.read_bytes()
    end_of_members = len(content.rstrip(b"\0")) if ending == ".tar" else len(content) - 1

    for kept_bytes in draw.sample(range(end_of_members), 40):
        path.write_bytes(content[:kept_bytes])
        assert kept_bytes < 1024 or is_tar(path)
        with pytest.raises(SourceError, match=r"a\.tar[.\w]* is damaged: .*Get the file again"):
            open_tar(path)


THREE = tar([("cat/a.jpg", b"1"), ("dog/b.jpg", b"2"), ("dog/c.jpg", b"3")])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (THREE[: 4 * 512], "it ends too early"),
        (THREE[: 4 * 512] + b"D" + THREE[4 * 512 + 1 :], "a header that cannot be read: bad checksum"),
        (
            of_kind("././@LongLink", tarfile.GNUTYPE_LONGNAME, size=2**35).tobuf(tarfile.GNU_FORMAT) + THREE,
            "a header of 34,359,738,368 bytes",
        ),
        ((packed := gzip.compress(THREE))[:-6] + bytes([packed[-6] ^ 1]) + packed[-5:], "CRC check failed"),
    ],
    ids=["cut off between two members", "a damaged header", "a header that wants all memory", "a wrong checksum"],
)
def test_a_damaged_tar_is_not_taken_for_a_whole_one(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.tar").write_bytes(content)

    with pytest.raises(SourceError, match=words):
        open_tar(tmp_path / "a.tar")


@pytest.mark.parametrize("ending", [".zip", ".tar.gz", ".tar.bz2", ".tar.xz"])  # those with checksums
def test_random_damage_is_named_and_never_another_image(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    whole = write(path, PETS).read_bytes()
    draw = random.Random(ending)
    outcomes = set()
    for i in range(150):
        damaged = bytearray(whole)
        for _ in range(draw.randrange(1, 4)):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        path.write_bytes(damaged[: draw.choice([len(damaged), draw.randrange(len(damaged))])])
        try:
            for record in (open_zip(path) if ending == ".zip" else open_tar(path)).records:
                with contextlib.suppress(ImageError):
                    assert record.read() in dict(PETS).values(), i
            outcomes.add("read")
        except SourceError:
            outcomes.add("refused")
    assert "refused" in outcomes


def test_ten_times_the_members_take_little_more_memory(tmp_path: Path) -> None:
    few, many = (
        write(tmp_path / f"{count}.tar.gz", [(f"{'cat' if i % 2 else 'dog'}/{i}.jpg", b"image") for i in range(count)])
        for count in (100, 1000)
    )
    peak_bytes(lambda: open_tar(few))  # what is made once

    assert peak_bytes(lambda: open_tar(many)) < peak_bytes(lambda: open_tar(few)) + 900 * 100  # a member of tarfile is 1,000 bytes and more
