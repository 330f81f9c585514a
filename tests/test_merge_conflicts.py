"""A merge that nobody has finished is named by file and line, with how to finish it."""

from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from pipeline.paths import Paths
from pipeline.workspace.merge_conflicts import refuse_merge_conflicts

FINISH = "delete the marks"
EITHER = "git checkout --ours -- "


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    for name in ("params.yaml", "dvc.yaml", "dvc.lock", "data/splits.csv", "data/classes.json", "data/train/metrics.json", "data/pets.dvc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("first\nsecond\n", encoding="utf-8")
    return Paths(tmp_path)


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("params.yaml", FINISH),
        ("dvc.yaml", FINISH),
        ("dvc.lock", EITHER),
        ("data/splits.csv", "Keep the lines of both sides"),
        ("data/classes.json", "Keep all classes of both sides"),
        ("data/known_images.csv", "Keep the lines of both sides"),
        ("data/train/metrics.json", EITHER),
        ("data/pets.dvc", FINISH),
    ],
)
def test_each_file_is_named_with_the_line_and_what_to_do(paths: Paths, name: str, advice: str, line_end: str) -> None:
    text = "first\nsecond\n<<<<<<< HEAD\na\n=======\nb\n>>>>>>> other\n".replace("\n", line_end)
    (paths.root / name).write_bytes(text.encode())

    with pytest.raises(ConfigError) as caught:
        refuse_merge_conflicts(paths)

    assert str(caught.value).startswith(f"{name}:3: an unfinished merge")
    assert advice in str(caught.value)
    assert f"git add {name}" in str(caught.value)


@pytest.mark.parametrize("mark", ["<<<<<<< HEAD", ">>>>>>> other branch", "=======", "||||||| base", ">>>>>>>"])
def test_one_mark_left_over_is_enough(paths: Paths, mark: str) -> None:
    paths.ledger.write_text(f"image,follows\n{mark}\n", encoding="utf-8")

    with pytest.raises(ConfigError, match=r"^data/splits\.csv:2: "):
        refuse_merge_conflicts(paths)


def test_several_files_are_a_line_each(paths: Paths) -> None:
    for file in (paths.params, paths.dvc_lock):
        file.write_text("<<<<<<< HEAD\n", encoding="utf-8")

    with pytest.raises(ConfigError) as caught:
        refuse_merge_conflicts(paths)

    assert [line.split(": ")[0] for line in str(caught.value).splitlines()] == ["params.yaml:1", "dvc.lock:1"]


def test_what_only_looks_like_a_mark_is_none(paths: Paths) -> None:
    paths.params.write_text("# <<<<<<< HEAD\n  ======= x\n========\n<<<<<<<<\n=======x\n", encoding="utf-8")

    refuse_merge_conflicts(paths)
