"""Files that the stages write are whole or not there; what cannot be written or read is one line."""

from pathlib import Path

import pytest

from pipeline.errors import StorageError
from pipeline.files import read_json, write_bytes


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "model.keras").mkdir()

    with pytest.raises(StorageError, match=rf"^{tmp_path}/file(/train)? cannot be written: (Not a directory|File exists)\. "):
        write_bytes(tmp_path / "file" / "train" / "model.keras", b"1")
    with pytest.raises(StorageError, match="cannot be written: Is a directory"):
        write_bytes(tmp_path / "model.keras", b"1")

    assert sorted(file.name for file in tmp_path.iterdir()) == ["file", "model.keras"]


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[1]", b"", b"[" * 100_000], ids=["cut off", "no UTF-8", "a list", "empty", "nested"])
def test_a_result_that_a_stage_did_not_write_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "report.json").write_bytes(content)

    with pytest.raises(
        StorageError, match=r"report\.json (is not what the stage wrote|cannot be read): .*Delete it, and `dvc repro` creates it again"
    ):
        read_json(tmp_path / "report.json")
