"""A tar is read at the positions of its members; one that is cut off or damaged is never taken for a whole one."""

import errno
import gzip
import io
import random
import re
import tarfile
from pathlib import Path

import pytest

from pipeline.errors import ImageError, SourceError
from pipeline.listing.tar_archives import is_tar
from tests.archive_files import COMPRESS, PETS, TWO, of_kind, tar, write_tar, zstd
from tests.source_trees import files, listing_of


def test_long_names_and_names_that_are_not_utf_8_are_read(tmp_path: Path) -> None:
    long = "cat/" + "long " * 60 + ".jpg"
    names = [long, "K\udce4se/a.jpg", "K\udcf6se/a.jpg", "K\udcf6se/b\udce9.jpg"]

    listed = files(listing_of(write_tar(tmp_path / "a.tar", [(name, b"1") for name in names])))

    assert sorted(listed) == ["K\\xe4se/a.jpg", "K\\xf6se/a.jpg", "K\\xf6se/b\\xe9.jpg", long]


def test_names_are_in_the_encoding_that_is_set(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", [("K\udce4se/a.jpg", b"1")])

    assert list(files(listing_of(path, name_encoding="cp1252"))) == ["Käse/a.jpg"]


def test_links_and_special_members_are_named(tmp_path: Path) -> None:
    kinds = {"link": tarfile.SYMTYPE, "same": tarfile.LNKTYPE, "pipe": tarfile.FIFOTYPE, "disk": tarfile.BLKTYPE}
    special = [of_kind(f"cat/{name}.jpg", kind, "cat/a.jpg") for name, kind in kinds.items()]
    ignored = [of_kind("owl", tarfile.DIRTYPE), of_kind("cat/.hidden", tarfile.SYMTYPE, "a.jpg")]

    listing = listing_of(write_tar(tmp_path / "a.tar", [TWO[0], *special, *ignored, TWO[1]]))

    assert {path: content() for path, content in files(listing).items()} == dict(TWO)
    assert listing.empty == [("owl",)]
    assert listing.left_out == [
        ("cat/link.jpg", "link", "a link, not followed"),
        ("cat/same.jpg", "link", "a link, not followed"),
        ("cat/pipe.jpg", "special", "not a regular file"),
        ("cat/disk.jpg", "special", "not a regular file"),
    ]


@pytest.mark.parametrize(
    "content", [b"", b"text", b"\0" * 512 + b"image" * 200, gzip.compress(b"idx" * 500, mtime=0), zstd(b"a,b\n" * 200)]
)
def test_what_is_no_tar_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)

    assert not is_tar(tmp_path / "a")


@pytest.mark.parametrize("ending", COMPRESS)
def test_a_tar_cut_off_anywhere_is_one_line(tmp_path: Path, ending: str) -> None:
    draw = random.Random(ending)
    path = write_tar(tmp_path / f"a{ending}", [(name, draw.randbytes(700)) for name, _ in PETS])
    content = path.read_bytes()
    end_of_members = len(content.rstrip(b"\0")) if ending == ".tar" else len(content) - 1

    for kept_bytes in draw.sample(range(end_of_members), 40):
        path.write_bytes(content[:kept_bytes])
        assert kept_bytes < 1024 or is_tar(path)
        with pytest.raises(SourceError, match=r"a\.tar[.\w]* is damaged: .*Get the file again"):
            listing_of(path)


THREE = tar([("cat/a.jpg", b"1"), ("dog/b.jpg", b"2"), ("dog/c.jpg", b"3")])


def with_size(size: str) -> bytes:
    """A tar of which one member says in words that it has this size."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("cat/a.jpg")
        member.pax_headers = {"size": size}
        archive.addfile(member)
        archive.addfile(tarfile.TarInfo("dog/b.jpg"))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (THREE[: 4 * 512], "it ends too early"),
        (THREE[: 4 * 512] + b"D" + THREE[4 * 512 + 1 :], "a header that cannot be read: bad checksum"),
        (
            of_kind("././@LongLink", tarfile.GNUTYPE_LONGNAME, size=2**35).tobuf(tarfile.GNU_FORMAT) + THREE,
            "a header of 34,359,738,368 bytes",
        ),
        (with_size("-1"), "a header with a negative size"),
        (with_size("-1024"), "a header with a negative size"),
        (with_size(str(2**40)), "it ends too early"),
        ((packed := gzip.compress(THREE))[:-6] + bytes([packed[-6] ^ 1]) + packed[-5:], "CRC check failed"),
    ],
    ids=[
        "cut off",
        "a damaged header",
        "a header that wants all memory",
        "less than nothing",
        "backwards",
        "more than there is",
        "a checksum",
    ],
)
def test_a_damaged_tar_is_not_taken_for_a_whole_one(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.tar").write_bytes(content)

    with pytest.raises(SourceError, match=words):
        listing_of(tmp_path / "a.tar")


def test_a_tar_that_is_cut_off_meanwhile_is_an_error(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", TWO)
    dog = files(listing_of(path))["dog/b.jpg"]
    path.write_bytes(path.read_bytes()[:1100])

    with pytest.raises(ImageError, match="damaged in the archive: it ends too early"):
        dog()


def test_a_large_member_is_not_read_to_be_listed(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    header = of_kind("cat/film.jpg", tarfile.REGTYPE, size=2**34).tobuf(tarfile.GNU_FORMAT)
    path.write_bytes(header)
    with path.open("rb+") as file:
        file.truncate(512 + 2**34 + 1024)  # all holes

    content = files(listing_of(path))["cat/film.jpg"]

    assert (content.size_bytes(), content.start(4)) == (2**34, bytes(4))


def test_a_full_disk_is_not_told_as_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_tar(tmp_path / "a.tar.gz", TWO)

    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("pipeline.files.sync", full)

    with pytest.raises(OSError, match="No space left on device"):
        listing_of(path)
    assert [file.name for file in (tmp_path / "scratch").iterdir() if file.suffix != ".lock"] == []


@pytest.mark.parametrize("ending", [ending for ending in COMPRESS if ending != ".tar"])
def test_while_an_archive_is_unpacked_the_progress_and_the_time_left_are_shown(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_tar(tmp_path / f"a{ending}", [("cat/a.jpg", random.Random(0).randbytes(4 * 2**20)), *TWO])
    monkeypatch.setattr("pipeline.progress.SECONDS_BETWEEN_LINES", 0)

    listing_of(path)
    listing_of(path)  # is unpacked already

    lines = capsys.readouterr().err.splitlines()
    total = -(-path.stat().st_size // 2**20)
    assert [re.fullmatch(rf"ingest: (\d+)/{total} MiB unpacked, \d+%, \d+ s left", line) is not None for line in lines] == [True] * len(
        lines
    )
    done = [int(line.partition("/")[0].removeprefix("ingest: ")) for line in lines]
    assert len(done) > 1
    assert done == sorted(set(done))
