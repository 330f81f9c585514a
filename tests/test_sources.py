"""Every layout of a source is found out from what is there, and read without writing to it."""

import gzip
import io
import os
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.errors import SourceError
from pipeline.sources.layouts import FORMATS, open_source, source_name


def png(value: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (4, 4), value).save(buffer, "PNG")
    return buffer.getvalue()


def write(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(png())
    return root


def found(path: Path) -> list[tuple[str, str, str | None]]:
    return [(record.path, record.label, record.split) for record in open_source(path).records]


def test_class_folders_give_the_label(tmp_path: Path) -> None:
    root = write(tmp_path, "dog/b.PNG", "cat/größe 1.jpg", "cat/deep/er/c.png")

    assert found(root) == [("cat/deep/er/c.png", "cat", None), ("cat/größe 1.jpg", "cat", None), ("dog/b.PNG", "dog", None)]


def test_folders_above_the_classes_give_the_split(tmp_path: Path) -> None:
    root = write(tmp_path, "Train/cat/a.png", "test/cat/a.png", "valid/dog/a.png")

    assert {(label, split) for _, label, split in found(root)} == {("cat", "train"), ("cat", "test"), ("dog", "validation")}


def test_a_class_called_test_is_a_class_when_there_is_no_train(tmp_path: Path) -> None:
    assert {label for _, label, _ in found(write(tmp_path, "test/a.png", "other/a.png"))} == {"test", "other"}


def test_a_folder_around_everything_is_looked_through(tmp_path: Path) -> None:
    assert found(write(tmp_path, "flowers/rose/a.png", "flowers/lily/a.png"))[0] == ("lily/a.png", "lily", None)


def test_hidden_and_system_files_are_left_alone(tmp_path: Path) -> None:
    root = write(tmp_path, "cat/a.png", "cat/.DS_Store", "cat/Thumbs.db", ".git/x/a.png", "__MACOSX/cat/a.png", "dog/._a.png", "dog/a.png")

    assert [path for path, _, _ in found(root)] == ["cat/a.png", "dog/a.png"]


def test_a_zip_is_read_in_place_and_what_would_escape_is_not(tmp_path: Path) -> None:
    path = tmp_path / "my flowers.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("set/rose/a.png", "set/lily/b.png", "../evil/c.png", "/etc/rose/d.png"):
            archive.writestr(name, png(7))

    source = open_source(path)

    assert [(record.path, record.read()) for record in source.records] == [("lily/b.png", png(7)), ("rose/a.png", png(7))]
    assert source.name == "my-flowers"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("ending", [".tar.gz", ".tgz", ".tar"])
def test_a_tar_is_read_in_place_and_links_in_it_are_not_followed(tmp_path: Path, ending: str) -> None:
    folder = write(tmp_path / "in", "rose/a.png", "lily/b.png")
    (folder / "rose" / "link.png").symlink_to(folder / "lily" / "b.png")
    path = tmp_path / f"flowers{ending}"
    with tarfile.open(path, "w" if ending == ".tar" else "w:gz") as archive:
        archive.add(folder, "flowers")

    source = open_source(path)

    assert sorted((record.path, record.label, record.read()) for record in source.records) == [
        ("lily/b.png", "lily", png()),
        ("rose/a.png", "rose", png()),
    ]
    assert source.count == 2


def write_idx(folder: Path, split: str, images: np.ndarray, labels: list[int], packed: bool) -> None:
    opened = gzip.open if packed else open
    ending = ".gz" if packed else ""
    with opened(folder / f"{split}-images-idx3-ubyte{ending}", "wb") as file:
        file.write(struct.pack(">IIII", 0x803, *images.shape) + images.tobytes())
    with opened(folder / f"{split}-labels-idx1-ubyte{ending}", "wb") as file:
        file.write(struct.pack(">II", 0x801, len(labels)) + bytes(labels))


@pytest.mark.parametrize("packed", [True, False])
def test_idx_files_become_images(tmp_path: Path, packed: bool) -> None:
    images = np.arange(3 * 2 * 4, dtype=np.uint8).reshape(3, 2, 4)
    write_idx(tmp_path, "train", images, [1, 0, 1], packed)
    write_idx(tmp_path, "t10k", images[:1], [0], packed)
    (tmp_path / "classes.txt").write_text("Kurtka\nСапоги\n", encoding="utf-8")

    records = list(open_source(tmp_path).records)

    assert [(record.label, record.split) for record in records] == [
        ("Сапоги", "train"),
        ("Kurtka", "train"),
        ("Сапоги", "train"),
        ("Kurtka", "test"),
    ]
    assert (np.asarray(Image.open(io.BytesIO(records[1].read()))) == images[1]).all()


def test_idx_files_without_names_are_numbered(tmp_path: Path) -> None:
    write_idx(tmp_path, "train", np.zeros((2, 2, 2), np.uint8), [3, 0], packed=False)

    source = open_source(tmp_path)

    assert source.class_names == ["0", "1", "2", "3"]
    assert {record.split for record in source.records} == {None}


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ([], "nothing"),
        (["b.png", "a.png"], "a.png, b.png"),
        (list("gfedcba"), "a, b, c, d, e and 2 more"),
    ],
)
def test_where_nothing_matches_it_says_what_was_looked_for_and_found(tmp_path: Path, names: list[str], found: str) -> None:
    write(tmp_path, *names)

    with pytest.raises(SourceError, match=rf"no images in a layout that is known\. Looked for: class folders.*Found: {found}\.$"):
        open_source(tmp_path)


def test_where_nothing_matches_it_says_why_a_table_does_not(tmp_path: Path) -> None:
    (write(tmp_path, "a.png") / "t.csv").write_text("path,label\nx.png,1\n", encoding="utf-8")

    with pytest.raises(SourceError, match=r"Found: a\.png, t\.csv \(no file that t\.csv lists is there, for example x\.png\)\.$"):
        open_source(tmp_path)


@pytest.mark.parametrize(
    ("name", "table", "reason"),
    [
        ("l.csv", "path,label\nimgs/a.png,Größe\n".encode("latin-1"), r"l\.csv is not UTF-8 text\. Save it as UTF-8"),
        ("l.csv", b"imgs/a.png,1\nimgs/b.png,2\n", r"l\.csv has no column for paths and labels"),
        ("l.csv", b"path,cat,dog\nimgs/a.png,1,0\n", r"l\.csv has no column for labels"),
        ("l.csv", b'path,label\n"imgs/a.png,1\n', r"l\.csv is no table: unexpected end of data"),
        ("l.csv", b"path,label\nx.png,1\ny.png,2\n", r"no file that l\.csv lists is there, for example x\.png"),
        ("l.csv", b"path,label\nimgs/A.PNG,1\n", r"no file that l\.csv lists is there, for example imgs/A\.PNG"),
        ("l.csv", b"path,label\n", r"l\.csv lists no file"),
        ("l.csv", b"", r"l\.csv has no column for paths and labels\. .*Found: none"),
        ("l.jsonl", b'{"path": ', r"l\.jsonl, line 1 is no JSON"),
        ("l.parquet", b"PAR1 not really", r"l\.parquet cannot be read as Parquet"),
    ],
)
def test_beside_one_folder_of_images_it_says_why_a_table_does_not_count(tmp_path: Path, name: str, table: bytes, reason: str) -> None:
    (write(tmp_path, "imgs/a.png", "imgs/b.png") / name).write_bytes(table)

    with pytest.raises(
        SourceError, match=rf"has a table that cannot be used \({reason}.*\)\. As for the folders: all images of .* one class, imgs\."
    ):
        open_source(tmp_path)


def test_a_folder_without_images_says_so_and_not_that_they_are_of_one_class(tmp_path: Path) -> None:
    write(tmp_path, "sub/y.pdf", "x.docx")

    with pytest.raises(SourceError, match=r"no images in a layout that is known.*Found: sub, x\.docx; no file is an image by its name\.$"):
        open_source(tmp_path)


@pytest.mark.parametrize("layout", ["auto", "folders"])
@pytest.mark.parametrize(
    ("names", "advice"),
    [
        (["only.zip"], r"name the archive itself in ingest\.source, {folder}/only\.zip\."),
        (["b.tar.gz", "a.ZIP", "README.md"], r"name one of the 2 archives itself in ingest\.source, {folder}/a\.ZIP for example\."),
    ],
)
def test_a_folder_of_archives_says_to_name_the_archive(tmp_path: Path, names: list[str], advice: str, layout: str) -> None:
    write(tmp_path, *names)

    with pytest.raises(SourceError, match=advice.format(folder=tmp_path) + "$"):
        open_source(tmp_path, layout)


def test_a_missing_source_a_file_that_is_no_archive_and_a_special_file_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_text("not a zip", encoding="utf-8")
    os.mkfifo(tmp_path / "fifo")

    with pytest.raises(SourceError, match="nowhere is not there"):
        open_source(tmp_path / "nowhere")
    with pytest.raises(SourceError, match=r"a\.zip is a file of an unknown layout\. Expected class folders"):
        open_source(tmp_path / "a.zip")
    with pytest.raises(SourceError, match="fifo is neither a folder nor a regular file"):
        open_source(tmp_path / "fifo")


def write_every_layout(root: Path) -> dict[str, list[Path]]:
    """A folder and a file of each layout, by its name in FORMATS; class folders have a file only in an archive."""
    write(root / "folders", "cat/a.png", "dog/a.png")
    with zipfile.ZipFile(root / "folders.zip", "w") as archive:
        for name in ("cat/a.png", "dog/a.png"):
            archive.writestr(name, png())
    write(root / "table", "a.png", "b.png")
    (root / "table" / "t.csv").write_text("path,label\na.png,1\nb.png,2\n", encoding="utf-8")
    (root / "parquet").mkdir()
    pq.write_table(pa.table({"image": [png(), png(1)], "label": [1, 2]}), root / "parquet" / "p.parquet")
    (root / "idx").mkdir()
    write_idx(root / "idx", "train", np.zeros((2, 2, 2), np.uint8), [0, 1], packed=False)
    (root / "npz").mkdir()
    np.savez(root / "npz" / "n.npz", images=np.zeros((2, 2, 2), np.uint8), labels=np.arange(2))
    return {
        "folders": [root / "folders", root / "folders.zip"],
        "table": [root / "table", root / "table" / "t.csv"],
        "parquet": [root / "parquet", root / "parquet" / "p.parquet"],
        "idx": [root / "idx", root / "idx" / "train-images-idx3-ubyte"],
        "npz": [root / "npz", root / "npz" / "n.npz"],
    }


def test_every_layout_is_found_out_and_can_be_asked_for(tmp_path: Path) -> None:
    for layout, paths in write_every_layout(tmp_path).items():
        for path in paths:
            assert len(list(open_source(path).records)) == 2
            assert len(list(open_source(path, layout).records)) == 2


@pytest.mark.parametrize("layout", FORMATS[1:])
def test_another_layout_than_the_one_asked_for_says_what_was_expected_and_found(tmp_path: Path, layout: str) -> None:
    others = {name: paths for name, paths in write_every_layout(tmp_path).items() if name != layout}

    for folder, file in others.values():
        with pytest.raises(SourceError, match=rf"[Ee]xpected .*since ingest\.format is {layout}(\. Found: .*)?\.$"):
            open_source(file, layout)
        if layout != "folders":
            with pytest.raises(SourceError, match=rf"expected .*since ingest\.format is {layout}\. Found: "):
                open_source(folder, layout)


def test_a_folder_that_may_not_be_read_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)  # the tests may run as root, who may read everything

    with pytest.raises(SourceError, match=r"may not be read\. Give yourself the right to"):
        open_source(tmp_path)


def test_damaged_idx_files_are_named(tmp_path: Path) -> None:
    write_idx(tmp_path, "train", np.zeros((2, 2, 2), np.uint8), [0, 1], packed=True)
    file = tmp_path / "train-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:20])

    with pytest.raises(SourceError, match=r"train-images-idx3-ubyte\.gz is damaged"):
        open_source(tmp_path)


def test_a_source_gives_the_data_set_its_name() -> None:
    assert source_name(Path("/a/My Flowers.tar.gz")) == "My-Flowers"
    assert source_name(Path("/a/v1.2:x")) == "v1-2-x"
