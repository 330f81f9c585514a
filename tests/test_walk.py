"""What is in a folder is listed by name, sorted; nothing that could block is opened, and what cannot be read is named."""

import inspect
import os
import pickle
import socket
import sys
from pathlib import Path

import pytest

from pipeline.errors import ImageError, SourceError
from tests.source_trees import files, listing_of, peak_bytes, write


def paths(root: Path) -> list[str]:
    return list(files(listing_of(root)))


def test_files_come_folder_by_folder_each_sorted_by_name(tmp_path: Path) -> None:
    write(tmp_path, "dog/b.jpg", "cat/b.jpg", "cat/c.JPG", "cat-2/a.jpg", "cat/b-a.jpg", "cat/b/z.jpg", "cat/a.jpg", "z.jpg")

    assert paths(tmp_path) == ["z.jpg", "cat/a.jpg", "cat/b-a.jpg", "cat/b.jpg", "cat/c.JPG", "cat/b/z.jpg", "cat-2/a.jpg", "dog/b.jpg"]


def test_images_are_told_by_their_endings_or_their_content_and_all_else_is_beside_them(tmp_path: Path) -> None:
    root = write(tmp_path, "cat/a.jpg", "cat/notes.txt", "cat/t.csv")
    (root / "cat" / "no ending").write_bytes(b"\xff\xd8\xff\xe0\0\x10JFIF\0")

    folder = listing_of(root).folders["cat",]

    assert folder.names == ["a.jpg", "no ending"]
    assert list(folder.others) == ["notes.txt", "t.csv"]


def test_hidden_files_and_those_of_systems_are_not_listed_and_such_folders_are_named(tmp_path: Path) -> None:
    write(
        tmp_path,
        "cat/a.jpg",
        "cat/.hidden.jpg",
        "cat/Thumbs.db",
        "Icon\r",
        "cat/.DS_Store",
        ".git/x/a.jpg",
        ".cache/a.jpg",
        "__MACOSX/cat/a.jpg",
    )

    listing = listing_of(tmp_path)

    assert list(files(listing)) == ["cat/a.jpg"]
    assert [entry[:2] for entry in listing.left_out] == [(".cache", "system"), ("__MACOSX", "system")]


def test_folders_without_any_file_are_known(tmp_path: Path) -> None:
    write(tmp_path, "cat/deep/a.jpg")
    (tmp_path / "owl" / "new").mkdir(parents=True)

    assert listing_of(tmp_path).empty == [("owl",), ("owl", "new")]


def test_what_is_ignored_is_not_listed(tmp_path: Path) -> None:
    write(tmp_path, "cat/a.jpg", "cat/a_mask.png", "docs/b.jpg", "docs/deep/c.jpg")

    assert list(files(listing_of(tmp_path, ignore=("docs", "*_mask.png")))) == ["cat/a.jpg"]


def test_a_file_is_read_in_another_process_too(tmp_path: Path) -> None:
    content = files(listing_of(write(tmp_path, "cat/a.jpg")))["cat/a.jpg"]

    assert (content.size_bytes(), content.start(3), pickle.loads(pickle.dumps(content))()) == (9, b"cat", b"cat/a.jpg")


def test_folders_nested_deeper_than_calls_can_be_are_walked(tmp_path: Path) -> None:
    write(tmp_path, "cat/a.jpg", "dog/" + "d/" * 250 + "c.jpg")
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 150)
    try:
        assert [len(path) for path in paths(tmp_path)] == [9, 4 + 2 * 250 + 5]
    finally:
        sys.setrecursionlimit(limit)


def test_a_link_that_cannot_be_followed_or_leads_to_a_device_is_named_with_the_reason(tmp_path: Path) -> None:
    root = write(tmp_path / "source", "cat/a.jpg")
    links = {
        "cat/gone.jpg": (
            "nothing",
            "link",
            f"a link to {tmp_path.resolve() / 'source'}/cat/nothing, which is not there: is the drive mounted?",
        ),
        "cat/ring.jpg": ("ring.jpg", "link", "a link that cannot be followed: Too many levels of symbolic links"),
        "cat/round": (str(root), "link", "a link to a folder that it is in"),
        "cat/null": ("/dev/null", "special", "a link to something other than a regular file"),
    }
    for name, (target, _, _) in links.items():
        (root / name).symlink_to(target)

    listing = listing_of(root)

    assert sorted(listing.left_out) == sorted((name, finding, reason) for name, (_, finding, reason) in links.items())
    assert list(files(listing)) == ["cat/a.jpg"]


def test_links_are_named_where_they_are_not_followed(tmp_path: Path) -> None:
    root, elsewhere = write(tmp_path / "source", "cat/a.jpg"), write(tmp_path / "elsewhere", "c.jpg")
    (root / "cat" / "c.jpg").symlink_to(elsewhere / "c.jpg")
    (root / "owl").symlink_to(elsewhere)

    listing = listing_of(root, follow_links=False)

    reason = "a link to a {}, not followed: ingest.follow_links is false"
    assert listing.left_out == [("owl", "link", reason.format("folder")), ("cat/c.jpg", "link", reason.format("file"))]


def test_a_pipe_and_a_socket_are_named_and_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write(tmp_path / "source", "cat/a.jpg")
    os.mkfifo(root / "cat" / "pipe.jpg")
    os.mkfifo(root / "labels.csv")
    monkeypatch.chdir(root)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.jpg")

        listing = listing_of(root)

    assert listing.left_out == [(name, "special", "not a regular file") for name in ("labels.csv", "socket.jpg", "cat/pipe.jpg")]


def test_a_file_that_vanishes_or_becomes_a_pipe_or_a_folder_is_an_error_and_not_a_wait(tmp_path: Path) -> None:
    root = write(tmp_path, "cat/a.jpg", "cat/b.jpg", "cat/c.jpg")
    listed = list(files(listing_of(root)).values())
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (root / "cat" / name).unlink()
    os.mkfifo(root / "cat" / "b.jpg")
    (root / "cat" / "c.jpg").mkdir()

    for content, (finding, words) in zip(
        listed,
        [("missing", "deleted since it was listed"), ("special", "not a regular file"), ("special", "not a regular file")],
        strict=True,
    ):
        with pytest.raises(ImageError, match=words) as error:
            content()
        assert error.value.finding == finding
        assert content.start(10) == b""
    with pytest.raises(FileNotFoundError):
        listed[0].size_bytes()


def deny(monkeypatch: pytest.MonkeyPatch, function: str, denied: Path) -> None:
    """Let a function of os fail for one path, as it does for all who lack the permission; root has every permission."""
    allowed = getattr(os, function)

    def guarded(path: str, *arguments: object, **options: object) -> object:
        if path == str(denied):
            raise PermissionError(13, "Permission denied", path)
        return allowed(path, *arguments, **options)

    monkeypatch.setattr(os, function, guarded)


def test_folders_without_permission_are_named_and_the_others_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write(tmp_path, "cat/a.jpg", "dog/b.jpg", "owl/c.jpg")
    deny(monkeypatch, "scandir", root / "dog")

    listing = listing_of(root)

    assert list(files(listing)) == ["cat/a.jpg", "owl/c.jpg"]
    assert listing.left_out == [("dog", "unreadable", "a folder that cannot be read: Permission denied")]


def test_a_source_without_permission_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deny(monkeypatch, "scandir", write(tmp_path, "cat/a.jpg"))

    with pytest.raises(SourceError, match=r"cannot be read: Permission denied\. Give yourself read access"):
        listing_of(tmp_path)


def test_a_file_without_permission_is_listed_and_says_so_when_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write(tmp_path, "cat/a.jpg", "cat/notes")
    content = files(listing_of(root))["cat/a.jpg"]
    deny(monkeypatch, "open", root / "cat" / "a.jpg")

    assert content.start(4) == b""
    with pytest.raises(ImageError, match="cannot be read: Permission denied") as error:
        content()
    assert error.value.finding == "unreadable"


def test_ten_times_the_files_take_memory_for_their_names_alone(tmp_path: Path) -> None:
    few, many = (write(tmp_path / str(count), *(f"cat/image number {i}.jpg" for i in range(count))) for count in (100, 1100))
    listing_of(few)  # what is made once

    assert (
        peak_bytes(lambda: listing_of(many)) - peak_bytes(lambda: listing_of(few)) < 1000 * 1000
    )  # with the entry of the folder, and sorted
