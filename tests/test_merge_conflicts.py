"""A merge that nobody has finished is named by file and line, with how to finish it."""

from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from pipeline.paths import Paths
from pipeline.workspace.merge_conflicts import refuse_merge_conflicts

MERGED = "first\nsecond\n<<<<<<< HEAD\na\n=======\nb\n>>>>>>> other\n"
FINISH = "delete the conflict markers"
EITHER = "git checkout --ours -- "
ADVICE = {
    "params.yaml": FINISH,
    "dvc.yaml": FINISH,
    "dvc.lock": EITHER,
    "data/splits.csv": "Keep the lines of both sides",
    "data/classes.json": "Keep all classes of both sides",
    "data/known_images.csv": "Keep the lines of both sides",
    "data/train/metrics.json": EITHER,
    "data/pets.dvc": FINISH,
}


def told(root: Path, **files: str) -> list[str]:
    """What is said of a project with these files."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(text.encode())
    try:
        refuse_merge_conflicts(Paths(root))
    except ConfigError as error:
        return str(error).splitlines()
    return []


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ADVICE)
def test_each_file_is_named_with_the_line_and_what_to_do(tmp_path: Path, name: str, line_end: str) -> None:
    (line,) = told(tmp_path, **{**dict.fromkeys(ADVICE, "first\nsecond\n"), name: MERGED.replace("\n", line_end)})

    assert line.startswith(f"{name}:3: an unfinished merge")
    assert ADVICE[name] in line
    assert f"git add {name}" in line


@pytest.mark.parametrize("mark", ["<<<<<<< HEAD", ">>>>>>> other branch", "=======", "||||||| base", ">>>>>>>"])
def test_one_mark_left_over_is_enough(tmp_path: Path, mark: str) -> None:
    (line,) = told(tmp_path, **{"data/splits.csv": f"image,follows\n{mark}\n"})

    assert line.startswith("data/splits.csv:2: ")


def test_several_files_are_a_line_each(tmp_path: Path) -> None:
    lines = told(tmp_path, **{"params.yaml": "<<<<<<< HEAD\n", "dvc.lock": "<<<<<<< HEAD\n"})

    assert [line.split(": ")[0] for line in lines] == ["params.yaml:1", "dvc.lock:1"]


def test_what_only_looks_like_a_mark_is_none(tmp_path: Path) -> None:
    assert told(tmp_path, **{"params.yaml": "# <<<<<<< HEAD\n  ======= x\n========\n<<<<<<<<\n=======x\n"}) == []
