"""Changes behind links to folders, which DVC does not see, are noticed by a run."""

import itertools
from pathlib import Path

import pytest

from pipeline.listing.changes import have_linked_folders_changed, record_linked_folders, state_of


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """cat/ is a folder, fox/ a link to a folder elsewhere with deep/1.jpg."""
    for path in ("store/fox/deep/1.jpg", "source/cat/1.jpg"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_bytes(b"x")
    (tmp_path / "source/fox").symlink_to(tmp_path / "store/fox")
    return tmp_path / "source"


def test_nothing_has_changed_after_the_state_was_recorded(source: Path, tmp_path: Path) -> None:
    assert have_linked_folders_changed(source, tmp_path)

    record_linked_folders(source, tmp_path)

    assert not have_linked_folders_changed(source, tmp_path)


@pytest.mark.parametrize("name", ["deep/1.jpg", "deep/2.jpg", "3.jpg"])
def test_a_new_or_changed_file_behind_a_link_is_a_change(source: Path, tmp_path: Path, name: str) -> None:
    record_linked_folders(source, tmp_path)

    (tmp_path / "store/fox" / name).write_bytes(b"other")

    assert have_linked_folders_changed(source, tmp_path)


def test_another_target_of_a_link_is_a_change(source: Path, tmp_path: Path) -> None:
    record_linked_folders(source, tmp_path)
    (tmp_path / "elsewhere").mkdir()

    (source / "fox").unlink()
    (source / "fox").symlink_to(tmp_path / "elsewhere")

    assert have_linked_folders_changed(source, tmp_path)


def test_files_that_dvc_sees_itself_do_not_matter(source: Path, tmp_path: Path) -> None:
    record_linked_folders(source, tmp_path)

    (source / "cat/2.jpg").write_bytes(b"new")

    assert not have_linked_folders_changed(source, tmp_path)


def test_a_source_without_links_has_no_state(source: Path, tmp_path: Path) -> None:
    record_linked_folders(source, tmp_path)
    (source / "fox").unlink()
    (source / "cat/2.jpg").symlink_to("1.jpg")

    assert not have_linked_folders_changed(source, tmp_path)
    record_linked_folders(source, tmp_path)
    assert not (tmp_path / "linked_folders").exists()


def test_links_in_a_circle_end(source: Path, tmp_path: Path) -> None:
    (tmp_path / "store/fox/again").symlink_to(tmp_path / "store/fox")

    record_linked_folders(source, tmp_path)

    assert not have_linked_folders_changed(source, tmp_path)


def test_the_state_of_a_source_changes_with_its_files(source: Path, tmp_path: Path) -> None:
    states = [state_of(source)]

    for change in (
        lambda: (source / "cat/2.jpg").write_bytes(b"new"),
        lambda: (source / "cat/2.jpg").write_bytes(b"longer"),
        lambda: (source / "cat/2.jpg").rename(source / "cat/3.jpg"),
        lambda: (tmp_path / "store/fox/deep/1.jpg").write_bytes(b"behind a link"),
        lambda: (source / "cat/3.jpg").unlink(),
    ):
        change()
        assert state_of(source) == state_of(source)
        states.append(state_of(source))

    assert len(set(states)) == len(states) - 1 + (states[0] != states[-1])
    assert all(one != other for one, other in itertools.pairwise(states))
