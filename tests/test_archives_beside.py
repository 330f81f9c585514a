"""Archives beside folders of images: already unpacked there, a part of the data, or not there as a whole."""

import zipfile
from pathlib import Path

import pytest

from pipeline.errors import SourceError
from tests.source_trees import listing_of, png, write_images

CLASSES = ("cat/1.png", "cat/2.png", "dog/3.png", "dog/4.png")


def zipped(path: Path, *names: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for i, name in enumerate(names):
            archive.writestr(name, png(i))


def test_an_archive_that_was_unpacked_beside_itself_is_not_read_again(tmp_path: Path) -> None:
    root = write_images(tmp_path / "source", *CLASSES)
    zipped(root / "pets.zip", *(f"pets/{name}" for name in CLASSES))

    listing = listing_of(root)

    assert listing.images == 4
    assert [entry[:2] for entry in listing.left_out] == [("pets.zip", "unused_archive")]


def test_an_archive_with_other_images_than_those_beside_it_stops(tmp_path: Path) -> None:
    root = write_images(tmp_path / "source", *CLASSES)
    zipped(root / "fox.zip", "fox/7.png", "fox/8.png")

    with pytest.raises(SourceError, match=r'fox\.zip .* 2 of its 2 images are not among them\. .*ingest\.ignore: \["fox\.zip"\]'):
        listing_of(root)

    assert listing_of(root, ignore=("fox.zip",)).images == 4


@pytest.mark.parametrize("name", ["fox.zip", "fox.tar.gz", "fox.zip.part", "fox.tar.crdownload"])
@pytest.mark.parametrize("others", [CLASSES, ()])
def test_an_archive_that_is_not_there_as_a_whole_stops(tmp_path: Path, name: str, others: tuple[str, ...]) -> None:
    root = write_images(tmp_path / "source", *others, "logo.png")
    zipped(root / "cat.zip", *CLASSES)
    (root / name).write_bytes(b"")

    with pytest.raises(SourceError, match=rf'{name} is .*ingest\.ignore: \["{name}"\]'):
        listing_of(root)
