"""Archives are read in place, member by member, and what is wrong in one is named."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from pipeline.errors import SourceError
from pipeline.stores.archives import open_tar, open_zip


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def test_links_and_members_that_lead_out_of_a_tar_are_named(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        for name in ("./cat/a.jpg", "./dog/b.jpg", "../evil.jpg", "/etc/evil.jpg"):
            add(archive, name, name.encode())
        link = tarfile.TarInfo("cat/link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)

    source = open_tar(tmp_path / "a.tar.gz")

    assert [(record.path, record.read()) for record in source.records] == [("cat/a.jpg", b"./cat/a.jpg"), ("dog/b.jpg", b"./dog/b.jpg")]
    assert sorted(source.rejected) == [
        ("../evil.jpg", "its path leads out of the source"),
        ("/etc/evil.jpg", "its path leads out of the source"),
        ("cat/link.jpg", "a link, not followed"),
    ]


def test_a_tar_is_read_from_front_to_back_as_often_as_asked(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as archive:
        for i in range(300):
            add(archive, f"{'cat' if i % 2 else 'dog'}/{i:03d}.jpg", bytes([i % 256]) * 512)  # whole blocks: no padding behind them

    records = open_tar(tmp_path / "a.tgz").records

    assert [record.path[4:7] for record in records] == [f"{i:03d}" for i in range(300)]
    assert all(record.read() == bytes([int(record.path[4:7]) % 256]) * 512 for record in records)


@pytest.mark.parametrize("kept_share", [0.2, 0.7])
def test_an_archive_cut_off_is_one_line(tmp_path: Path, kept_share: float) -> None:
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for i in range(50):
            add(archive, f"{'cat' if i % 2 else 'dog'}/{i}.jpg", bytes(range(256)) * i)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept_share)])

    with pytest.raises(SourceError, match=r"a\.tar\.gz is damaged"):
        open_tar(path)


def test_a_damaged_member_of_a_zip_is_its_own_error(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("cat/a.jpg", b"first image")
        archive.writestr("dog\\b.jpg", b"second image")
    path.write_bytes(path.read_bytes().replace(b"first image", b"worst image"))

    cat, dog = open_zip(path).records

    assert (dog.label, dog.read()) == ("dog", b"second image")
    with pytest.raises(SourceError, match="damaged in the archive: Bad CRC-32"):
        cat.read()


def test_a_zip_that_is_replaced_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    for content in (b"old", b"new"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("cat/a.jpg", content)
            archive.writestr("dog/b.jpg", b"")
        assert next(iter(open_zip(path).records)).read() == content


def test_links_and_encrypted_members_of_a_zip_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("cat/a.jpg", b"")
        archive.writestr("dog/b.jpg", b"")
        link = zipfile.ZipInfo("cat/link.jpg")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")

    assert open_zip(path).rejected == [("cat/link.jpg", "a link, not followed")]
