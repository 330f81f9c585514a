"""Two branches that each retrained: git merges the lists on its own, and what it leaves is named by file and line, with how to finish it."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.dataset.ledger import (
    extend_ledger,
    known_images,
    known_sides,
    ordered_classes,
    read_ledger,
    record_classes,
    record_known_images,
    recorded_classes,
)
from pipeline.errors import ConfigError
from pipeline.paths import Paths
from pipeline.workspace.merge_conflicts import refuse_merge_conflicts

ROOT = Path(__file__).parent.parent
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
    "data/verdicts.csv": "Keep the lines of both sides",
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


def git(root: Path, *arguments: str) -> int:
    person = ("-c", "user.name=Tests", "-c", "user.email=tests@example.org")
    return subprocess.run(["git", *person, *arguments], cwd=root, capture_output=True, check=False).returncode


def record(root: Path, classes: list[str], keys: dict[int, int], lock: str) -> None:
    """What a run with these classes and images, each with what it follows, leaves in a project."""
    paths = Paths(root)
    record_classes(paths.classes, "pets", ordered_classes(paths.classes, "pets", set(classes)))
    new = {key: follows for key, follows in keys.items() if key not in read_ledger(paths.ledger).keys}
    extend_ledger(paths.ledger, np.array([*new], np.uint64), np.array([*new.values()], np.uint64))
    record_known_images(paths.known_images, "pets", {name: np.array([*keys], np.uint64) for name in classes}, keys)
    paths.dvc_lock.write_text(lock, encoding="utf-8")
    git(root, "add", "-A")
    assert git(root, "commit", "-qm", "A run") == 0


def retrained(tmp_path: Path, ours: Callable[[Path], None], theirs: Callable[[Path], None]) -> list[Path]:
    """Two clones in which both branches have been merged, in either order, with nothing of git configured."""
    first = tmp_path / "first"
    (first / "data").mkdir(parents=True)
    for name in (".gitattributes", "data/splits.csv", "data/classes.json"):
        shutil.copy(ROOT / name, first / name)
    git(first, "init", "-qb", "a")
    record(first, ["green", "red"], {5: 5, 9: 5}, "lock of the base\n")
    git(first, "branch", "b")
    ours(first)
    git(first, "switch", "-q", "b")
    theirs(first)
    merged = []
    for own, other in (("a", "b"), ("b", "a")):
        git(tmp_path, "clone", "-qb", own, str(first), f"on-{own}")
        git(tmp_path / f"on-{own}", "merge", f"origin/{other}")
        merged.append(tmp_path / f"on-{own}")
    return merged


def told_apart(root: Path) -> tuple[object, ...]:
    paths = Paths(root)
    ledger = read_ledger(paths.ledger)
    known = {name: keys.tolist() for name, keys in known_images(paths.known_images, "pets").items()}
    return (
        recorded_classes(paths.classes, "pets"),
        ledger.keys.tolist(),
        ledger.founders.tolist(),
        known,
        known_sides(paths.known_images, "pets"),
    )


def test_the_lists_of_two_branches_merge_by_themselves_in_either_order_to_the_same_sides_and_class_order(tmp_path: Path) -> None:
    on_a, on_b = retrained(
        tmp_path,
        lambda root: record(root, ["green", "red", "xblue", "zinc"], {5: 5, 7: 7, 3: 7, 9: 5}, "lock of a\n"),
        lambda root: record(root, ["green", "red", "yored", "zinc"], {5: 5, 3: 5, 8: 8, 9: 5}, "lock of b\n"),
    )

    assert told_apart(on_a) == told_apart(on_b)
    classes, keys, founders, known, sides = told_apart(on_a)
    # Both gave position 2 away, and 3 to zinc: by position, then by name
    assert classes == ["green", "red", "xblue", "yored", "zinc"]
    assert (keys, founders) == ([3, 5, 7, 8, 9], [5, 5, 7, 8, 5])
    assert known == {
        **{name: [3, 5, 7, 8, 9] for name in ("green", "red", "zinc")},
        "xblue": [3, 5, 7, 9],
        "yored": [3, 5, 8, 9],
    }
    assert sides == {3: 5, 5: 5, 7: 7, 8: 8, 9: 5}


def test_data_sets_that_both_branches_add_are_all_kept(tmp_path: Path) -> None:
    def add(dataset: str, names: list[str]) -> Callable[[Path], None]:
        def run(root: Path) -> None:
            record_classes(root / "data" / "classes.json", dataset, names)
            git(root, "commit", "-qam", "Another data set")

        return run

    for root in retrained(tmp_path, add("birds", ["owl", "tit"]), add("plants", ["ash"])):
        found = {name: recorded_classes(root / "data" / "classes.json", name) for name in ("birds", "pets", "plants")}
        assert found == {"birds": ["owl", "tit"], "pets": ["green", "red"], "plants": ["ash"]}


def test_what_git_leaves_is_finished_by_the_commands_that_are_named(tmp_path: Path) -> None:
    roots = retrained(
        tmp_path, lambda root: record(root, ["green"], {}, "lock of a\n"), lambda root: record(root, ["red"], {}, "lock of b\n")
    )

    for root, own in zip(roots, ("a", "b"), strict=True):
        with pytest.raises(ConfigError) as raised:
            refuse_merge_conflicts(Paths(root))
        commands = re.findall(r"`(git [^`]+)`", str(raised.value))
        assert [command.split()[1] for command in commands] == ["checkout", "add"]
        for command in commands:
            assert git(root, *command.split()[1:]) == 0
        assert git(root, "commit", "-qm", "Merge") == 0
        refuse_merge_conflicts(Paths(root))
        assert (root / "dvc.lock").read_text("utf-8") == f"lock of {own}\n"
