"""Packed arrays and files are whole or not there."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from pipeline.dataset.arrays import MappedRows, packed_array, read_array
from pipeline.errors import StorageError
from pipeline.files import folder_beside, read_json, write_bytes


def test_a_packed_array_is_there_once_it_is_full(tmp_path: Path) -> None:
    path = tmp_path / "images.npy"

    with packed_array(path, (3, 2)) as file:
        file.write(2, np.array([[5, 6]]))
        file.write(0, np.array([[1, 2], [3, 4]]))
        assert not path.exists()

    assert read_array(path).tolist() == [[1, 2], [3, 4], [5, 6]]
    assert list(tmp_path.iterdir()) == [path]
    with packed_array(tmp_path / "none.npy", (0, 4, 4, 1)):
        pass
    assert np.load(tmp_path / "none.npy").shape == (0, 4, 4, 1)


def test_rows_on_disk_are_read_like_those_of_an_array(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).integers(0, 256, (3000, 8), dtype=np.uint8)
    (tmp_path / "rows").write_bytes(rows.tobytes())

    with (tmp_path / "rows").open("rb") as file:
        mapped = MappedRows(file, 8)
        assert len(mapped) == 3000
        for some in (slice(0, 2000), slice(2000, 5000), np.array([2999, 0, 7])):  # more than are kept in memory
            assert (mapped[some] == rows[some]).all()


def test_a_full_disk_is_told_before_the_array_is_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, offset: int, length: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", refuse, raising=False)

    with pytest.raises(OSError, match=r"No space left.*images\.npy"), packed_array(tmp_path / "images.npy", (3, 2)):
        pass

    assert list(tmp_path.iterdir()) == []


def test_a_file_that_could_not_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_bytes(path, b"old")

    with pytest.raises(TypeError):
        write_bytes(path, "not bytes")  # type: ignore[arg-type]

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_there_once_it_is_full(tmp_path: Path) -> None:
    with folder_beside(tmp_path / "shards") as beside:
        (beside / "00000.parquet").touch()

    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["shards", "shards/00000.parquet"]


def test_a_file_that_no_stage_has_made_yet_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"report\.json is not there. `dvc repro` runs the stage that makes it"):
        read_json(tmp_path / "report.json")
