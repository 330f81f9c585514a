"""The layout of a source is detected from its content, or is the one that was asked for."""

import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import SourceError
from pipeline.sources.layouts import FORMATS, open_source, source_name
from tests.source_trees import png, write, write_idx


@pytest.fixture(scope="module")
def layouts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """A folder and files of each layout, by its name in FORMATS; class folders are files only in an archive."""
    root = write(tmp_path_factory.mktemp("layouts"), "folders/cat/a.png", "folders/dog/a.png", "table/a.png", "table/b.png")
    with zipfile.ZipFile(root / "folders.zip", "w") as zipped, tarfile.open(root / "folders.tgz", "w:gz") as tarred:
        for name in ("cat/a.png", "dog/a.png"):
            zipped.write(root / "folders" / name, name)
        tarred.add(root / "folders", "folders")
    (root / "table" / "t.csv").write_text("path,label\na.png,1\nb.png,2\n", encoding="utf-8")
    (root / "parquet").mkdir()
    pq.write_table(pa.table({"image": [png(), png(1)], "label": [1, 2]}), root / "parquet" / "p.parquet")
    write_idx(root / "idx", np.zeros((2, 2, 2), np.uint8), [0, 1])
    (root / "npz").mkdir()
    np.savez(root / "npz" / "n.npz", images=np.zeros((2, 2, 2), np.uint8), labels=np.arange(2))
    return {
        "folders": [root / "folders", root / "folders.zip", root / "folders.tgz"],
        "table": [root / "table", root / "table" / "t.csv"],
        "parquet": [root / "parquet", root / "parquet" / "p.parquet"],
        "idx": [root / "idx", root / "idx" / "train-images-idx3-ubyte"],
        "npz": [root / "npz", root / "npz" / "n.npz"],
    }


@pytest.mark.parametrize("layout", FORMATS[1:])
def test_a_layout_is_detected_and_can_be_asked_for_and_another_one_is_refused(layouts: dict[str, list[Path]], layout: str) -> None:
    for path in layouts[layout]:
        assert len(list(open_source(path).records)) == len(list(open_source(path, layout).records)) == 2

    for folder, *files in [paths for name, paths in layouts.items() if name != layout]:
        for path in files if layout == "folders" else [folder, *files]:
            with pytest.raises(SourceError, match=rf"[Ee]xpected .*since ingest\.format is {layout}(\. Found: .*)?\.$"):
                open_source(path, layout)


NOTHING = r"no images in a supported layout\. Looked for: class folders.*Found: "


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], NOTHING + r"nothing\.$"),
        (["b.png", "a.png"], NOTHING + r"a\.png, b\.png\.$"),
        (list("gfedcba"), NOTHING + r"a, b, c, d, e and 2 more\.$"),
        (["sub/y.pdf", "x.docx"], NOTHING + r"sub, x\.docx; no file has the extension of an image\.$"),
        (["a.png", "t.csv"], NOTHING + r"a\.png, t\.csv \(none of the files that t\.csv lists exist, for example x\.png\)\.$"),
    ],
)
def test_where_nothing_matches_it_says_what_was_looked_for_and_found(tmp_path: Path, names: list[str], words: str) -> None:
    write(tmp_path, *names)
    if "t.csv" in names:
        (tmp_path / "t.csv").write_text("path,label\nx.png,1\n", encoding="utf-8")

    with pytest.raises(SourceError, match=words):
        open_source(tmp_path)


@pytest.mark.parametrize(
    ("name", "table", "reason"),
    [
        ("l.csv", "path,label\nimgs/a.png,Größe\n".encode("latin-1"), r"l\.csv is not UTF-8 text\. Save it as UTF-8"),
        ("l.csv", b"imgs/a.png,1\nimgs/b.png,2\n", r"l\.csv has no column for paths and labels"),
        ("l.csv", b"path,label\nimgs/A.PNG,1\n", r"none of the files that l\.csv lists exist, for example imgs/A\.PNG"),
        ("l.csv", b"path,label\n", r"l\.csv lists no files"),
        ("l.csv", b"", r"l\.csv has no column for paths and labels\. .*Found: none"),
        ("l.jsonl", b'{"path": ', r"l\.jsonl, line 1 is not valid JSON"),
        ("l.parquet", b"PAR1 not really", r"l\.parquet cannot be read as Parquet"),
    ],
)
def test_beside_one_folder_of_images_it_says_why_a_table_does_not_count(tmp_path: Path, name: str, table: bytes, reason: str) -> None:
    (write(tmp_path, "imgs/a.png", "imgs/b.png") / name).write_bytes(table)

    with pytest.raises(
        SourceError, match=rf"has a table that cannot be used \({reason}.*\)\. The folders cannot be used either: .* one class, imgs\."
    ):
        open_source(tmp_path)


@pytest.mark.parametrize("layout", ["auto", "folders"])
@pytest.mark.parametrize(
    ("names", "advice"),
    [
        (["only.zip"], r"set ingest\.source to the archive itself, {folder}/only\.zip\."),
        (["b.tar.gz", "a.ZIP", "README.md"], r"set ingest\.source to one of the 2 archives, {folder}/a\.ZIP for example\."),
    ],
)
def test_a_folder_of_archives_says_to_name_the_archive(tmp_path: Path, names: list[str], advice: str, layout: str) -> None:
    with pytest.raises(SourceError, match=advice.format(folder=tmp_path) + "$"):
        open_source(write(tmp_path, *names), layout)


def test_a_missing_source_a_file_that_is_no_archive_and_a_special_file_are_one_line(tmp_path: Path) -> None:
    os.mkfifo(write(tmp_path, "a.zip") / "fifo")

    for name, words in {
        "nowhere": "nowhere does not exist",
        "a.zip": r"a\.zip: expected class folders .*\. Found: a file of an unknown format\.$",
        "fifo": "fifo is neither a folder nor a regular file",
    }.items():
        with pytest.raises(SourceError, match=words):
            open_source(tmp_path / name)


def test_a_folder_without_read_permission_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)  # the tests may run as root, who may read everything

    with pytest.raises(SourceError, match=r"cannot be read: permission denied\. Give yourself read access"):
        open_source(tmp_path)


def test_a_source_gives_the_data_set_its_name() -> None:
    assert source_name(Path("/a/My Flowers.tar.gz")) == "My-Flowers"
    assert source_name(Path("/a/v1.2:x")) == "v1-2-x"
