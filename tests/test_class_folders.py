"""Which class and split a file belongs to follows from its path; what has no place, or cannot be read safely, is named."""

import os
import pickle
import random
import socket
import tracemalloc
from pathlib import Path, PurePosixPath

import pytest

from pipeline.errors import ImageError, SourceError
from pipeline.quality.class_names import similar_names
from pipeline.sources import class_folders
from pipeline.sources.class_folders import (
    IMAGE_SUFFIXES,
    SPLITS,
    NoClassFolders,
    Place,
    Survey,
    is_escaping,
    is_visible,
    open_folder,
)
from pipeline.sources.records import Record, Source

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


def surveyed(*names: str) -> list[Place | str]:
    """Where each of some files belongs, or why it has no place."""
    survey = Survey()
    folders = [PurePosixPath(name).parent.parts for name in names]
    for names_above, name in zip(folders, names, strict=True):
        survey.add(names_above, PurePosixPath(name).name)
    return [survey.layout().place(names_above) for names_above in folders]


def write(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode("utf-8", "surrogateescape"))
    return root


def left_out(source: Source) -> dict[str, tuple[str, str]]:
    """Finding and reason of what a source leaves out, once its records are gone through."""
    assert len(list(source.records)) == source.count
    return {path: (finding, reason) for path, finding, reason in source.left_out}


def paths(root: Path) -> list[str]:
    return [record.path for record in open_folder(root).records]


# The layout


def test_a_readme_beside_the_wrapping_folder_does_not_hide_the_classes() -> None:
    assert surveyed("set/cat/a.jpg", "set/dog/b.jpg", "README.md") == [
        Place("cat/", "cat", None),
        Place("dog/", "dog", None),
        "lies in no class folder",
    ]


def test_two_wrapping_folders_are_looked_through() -> None:
    assert surveyed("x/y/train/cat/a.jpg", "x/y/test/dog/deep/b.jpg") == [
        Place("train/cat/", "cat", "train"),
        Place("test/dog/deep/", "dog", "test"),
    ]


def test_a_folder_beside_train_and_test_is_no_class() -> None:
    assert surveyed("train/cat/a.jpg", "test/cat/b.jpg", "thumbnails/cat/c.jpg", "annotations/d.xml")[2:] == [
        "lies outside of train/, test/ and val/",
        "lies outside of train/, test/ and val/",
    ]


def test_a_class_may_be_called_train_beside_others() -> None:
    assert surveyed("train/a.jpg", "bus/b.jpg") == [Place("train/", "train", None), Place("bus/", "bus", None)]


def test_splits_have_many_names_in_any_case() -> None:
    found = surveyed("Training/cat/a.jpg", "TESTING/cat/a.jpg", "valid/cat/a.jpg")

    assert [place.split for place in found if isinstance(place, Place)] == ["train", "test", "validation"]


def test_without_test_images_those_of_train_are_of_no_split() -> None:
    found = surveyed("train/cat/a.jpg", "val/cat/a.jpg")

    assert found == [Place("train/cat/", "cat", None), Place("val/cat/", "cat", "validation")]
    assert surveyed("train/cat/a.jpg", "train/dog/a.jpg") == [Place("train/cat/", "cat", None), Place("train/dog/", "dog", None)]


def test_an_image_in_no_class_folder_has_no_place() -> None:
    assert surveyed("train/cat/a.jpg", "test/cat/b.jpg", "train/c.jpg", "d.JPG")[2:] == [
        "lies in no class folder",
        "lies outside of train/, test/ and val/",
    ]
    assert surveyed("cat/a.jpg", "dog/b.jpg", "c.jpg")[2] == "lies in no class folder"


def expected_places(names: list[PurePosixPath]) -> list[tuple[str, str | None] | None]:
    """(label, split) of each file by the rules as the documentation has them, worked out slowly from all names at once."""
    images = [name for name in names if name.suffix.lower() in IMAGE_SUFFIXES] or names
    depth = 0
    while all(len(name.parts) > depth + 2 for name in images) and len({name.parts[depth] for name in images}) == 1:
        if images[0].parts[depth].lower() in SPLITS:
            break
        depth += 1
    tops = {name.parts[depth].lower() for name in images if len(name.parts) > depth + 1}
    splits = {SPLITS.get(top) for top in tops}
    has_splits = "train" in splits and (len(splits - {None}) > 1 or splits == {"train"})
    places: list[tuple[str, str | None] | None] = []
    for name in names:
        inside = name.parts[depth:-1] if name.parts[:depth] == images[0].parts[:depth] else ()
        split = SPLITS.get(inside[0].lower()) if has_splits and inside else None
        classes = inside[1:] if split else () if has_splits else inside
        of_split = None if split == "train" and "test" not in splits else split
        places.append((classes[0], of_split) if classes else None)
    return places


@pytest.mark.parametrize("cut_at", [1, 1024])
@pytest.mark.parametrize("names_of_folders", [("set", "cat"), ("train", "test", "cat", "dog"), ("set", "Train", "VAL", "cat")])
def test_counting_as_files_come_by_finds_what_all_names_at_once_tell(
    monkeypatch: pytest.MonkeyPatch, names_of_folders: tuple[str, ...], cut_at: int
) -> None:
    monkeypatch.setattr(class_folders, "FOLDERS_BEFORE_CUT", cut_at)
    draw = random.Random(len(names_of_folders) + cut_at)
    for _ in range(400):
        common = [draw.choice(names_of_folders) for _ in range(draw.randrange(3))]
        names = [
            PurePosixPath(*common, *draw.choices(names_of_folders, k=draw.randrange(5)), draw.choice(["a.jpg", "b.PNG", "c.txt"]))
            for _ in range(draw.randrange(1, 9))
        ]
        survey = Survey()
        for name in names:
            survey.add(name.parent.parts, name.name)
        layout = survey.layout()

        placed = [layout.place(name.parent.parts) for name in names]

        assert [(place.label, place.split) if isinstance(place, Place) else None for place in placed] == expected_places(names), names
        assert sum(survey.labels(layout).values()) == sum(isinstance(place, Place) for place in placed), names


# A folder


def test_files_come_sorted_by_each_name_of_their_paths(tmp_path: Path) -> None:
    names = ["cat/a.jpg", "cat/b/z.jpg", "cat/b-a.jpg", "cat/b.jpg", "cat/c.JPG", "cat-2/a.jpg", "dog/notes.txt"]
    shuffled = random.Random(1).sample(names, len(names))

    assert paths(write(tmp_path, *shuffled)) == [
        "cat/a.jpg",
        "cat/b/z.jpg",
        "cat/b-a.jpg",
        "cat/b.jpg",
        "cat/c.JPG",
        "cat-2/a.jpg",
        "dog/notes.txt",
    ]


def test_a_record_says_all_that_is_known_before_reading(tmp_path: Path) -> None:
    root = write(tmp_path / "My Pets", "x/train/cat/deep/a.jpg", "x/test/dog/b.jpg")

    source = open_folder(root)

    assert (source.name, source.class_names, source.count) == ("My-Pets", None, 2)
    dog, cat = source.records
    assert dog[:5] == ("test/dog/b.jpg", "dog", "test", None, 16)
    assert cat[:5] == ("train/cat/deep/a.jpg", "cat", "train", None, 22)
    assert pickle.loads(pickle.dumps(cat.read))() == b"x/train/cat/deep/a.jpg"


def test_strays_are_named_if_they_are_images(tmp_path: Path) -> None:
    root = write(tmp_path / "wrapped", "set/cat/a.jpg", "set/dog/b.jpg", "set/README.md", "notes/README.md")
    assert left_out(open_folder(root)) == {}

    root = write(tmp_path / "splits", "train/cat/a.jpg", "test/dog/b.jpg", "train/poster.png", "poster.PNG")
    assert left_out(open_folder(root)) == {
        "train/poster.png": ("stray", "lies in no class folder"),
        "poster.PNG": ("stray", "lies outside of train/, test/ and val/"),
    }


def test_hidden_and_system_files_are_left_alone(tmp_path: Path) -> None:
    root = write(tmp_path, "cat/a.jpg", "dog/b.jpg", "cat/.hidden.jpg", ".git/x/a.jpg", "cat/Thumbs.db", "__MACOSX/cat/a.jpg", "Icon\r")

    source = open_folder(root)

    assert [record.path for record in source.records] == ["cat/a.jpg", "dog/b.jpg"]
    assert source.left_out == []


@pytest.mark.parametrize("names", [["cat/a.jpg", "cat/b.jpg"], ["train/cat/a.jpg", "test/cat/b.jpg"], ["set/cat/a.jpg"]])
def test_one_class_is_refused_before_anything_is_read(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(SourceError, match=r"are of one class, cat\. Two or more are needed"):
        open_folder(write(tmp_path, *names))


@pytest.mark.parametrize(
    ("names", "has"),
    [
        (["val/cat/a.jpg", "val/dog/a.jpg", "test/cat/b.jpg"], "test/ and val/"),
        (["test/cat/a.jpg", "test/dog/a.jpg", "README.md", "poster.png"], "test/"),
        (["set/Valid/cat/deep/a.jpg", "set/notes/x.txt"], "Valid/"),
    ],
)
def test_splits_without_one_to_learn_from_are_not_taken_for_classes(tmp_path: Path, names: list[str], has: str) -> None:
    inside = tmp_path / "set" if names[0].startswith("set") else tmp_path

    with pytest.raises(
        SourceError, match=rf"^ingest\.source: {inside} has {has}, but no train/\. Add train/ with .*out of {has.split()[0]} to have"
    ):
        open_folder(write(tmp_path, *names))


@pytest.mark.parametrize(
    "names",
    [["test/a.jpg", "val/b.jpg"], ["test/a.jpg", "test/deep/a.jpg", "val/b.jpg"], ["test/deep/a.jpg", "bus/deep/a.jpg"]],
)
def test_classes_may_be_called_test_and_val(tmp_path: Path, names: list[str]) -> None:
    assert {record.label for record in open_folder(write(tmp_path, *names)).records} == {name.split("/")[0] for name in names}


def test_one_folder_without_an_image_is_not_called_a_class(tmp_path: Path) -> None:
    with pytest.raises(NoClassFolders, match=r"Found: sub, x\.docx; no file is an image by its name\.$"):
        open_folder(write(tmp_path, "sub/y.pdf", "x.docx"))


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ([], "nothing"),
        (["b.png", "a.png"], "a.png, b.png"),
        ([f"{i}.png" for i in range(1, 8)], "1.png, 2.png, 3.png, 4.png, 5.png and 2 more"),
    ],
)
def test_without_class_folders_it_says_what_is_there(tmp_path: Path, names: list[str], found: str) -> None:
    with pytest.raises(NoClassFolders, match="no images in class folders at") as error:
        open_folder(write(tmp_path, *names))

    assert error.value.found == found


def test_a_folder_of_nothing_but_links_says_so(tmp_path: Path) -> None:
    elsewhere = write(tmp_path / "cache", "1.jpg", "2.jpg")
    root = write(tmp_path / "source", "cat/x", "dog/x")
    for folder, target in (("cat", "1.jpg"), ("dog", "2.jpg")):
        (root / folder / "x").unlink()
        (root / folder / "a.jpg").symlink_to(elsewhere / target)

    with pytest.raises(NoClassFolders) as error:
        open_folder(root)

    assert error.value.found == "nothing, and 2 left out, for example cat/a.jpg: a link that leads out of the source"


def test_folders_nested_deeper_than_calls_can_be_are_read(tmp_path: Path) -> None:
    root = write(tmp_path, "cat/a.jpg", "dog/b.jpg")
    folders = [root / "dog"]
    for _ in range(1050):
        folders.append(folders[-1] / "d")
        folders[-1].mkdir()
    write(folders[-1], "c.jpg")

    assert [len(path) for path in paths(root)] == [9, 9, 3 + 2 * 1050 + 6]

    (folders[-1] / "c.jpg").unlink()
    for folder in reversed(folders[1:]):  # too deep for pytest to remove
        folder.rmdir()


# Links, special files, permissions


def test_a_link_to_a_file_in_the_source_is_followed(tmp_path: Path) -> None:
    root = write(tmp_path / "source", "cat/a.jpg", "dog/b.jpg", ".store/c")
    (root / "cat" / "link.jpg").symlink_to("../.store/c")

    record = list(open_folder(root).records)[1]

    assert (record.path, record.label, record.size_bytes, record.read()) == ("cat/link.jpg", "cat", 8, b".store/c")


def test_links_that_lead_elsewhere_are_named_and_not_followed(tmp_path: Path) -> None:
    elsewhere = write(tmp_path / "source-2", "c.jpg", "deep/d.jpg")
    root = write(tmp_path / "source", "cat/a.jpg", "dog/b.jpg")
    for name, target in {
        "out.jpg": f"{elsewhere}/c.jpg",
        "around": str(root),
        "gone.jpg": "nothing",
        "ring.jpg": "ring.jpg",
        "null": "/dev/null",
    }.items():
        (root / "cat" / name).symlink_to(target)
    (root / "owl").symlink_to(elsewhere)

    assert left_out(open_folder(root)) == {
        "cat/out.jpg": ("link", "a link that leads out of the source"),
        "cat/around": ("link", "a link to a folder, not followed"),
        "cat/gone.jpg": ("link", "a link that cannot be followed: No such file or directory"),
        "cat/ring.jpg": ("link", "a link that cannot be followed: Too many levels of symbolic links"),
        "cat/null": ("link", "a link to what is not a regular file"),
        "owl": ("link", "a link to a folder, not followed"),
    }


def test_a_source_that_is_itself_a_link_is_read(tmp_path: Path) -> None:
    root = write(tmp_path / "source", "cat/a.jpg", "dog/b.jpg")
    (root / "dog" / "c.jpg").symlink_to(root / "cat" / "a.jpg")
    (tmp_path / "link").symlink_to(root)

    assert paths(tmp_path / "link") == ["cat/a.jpg", "dog/b.jpg", "dog/c.jpg"]


def test_a_pipe_and_a_socket_are_named_and_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write(tmp_path, "cat/a.jpg", "dog/b.jpg")
    os.mkfifo(root / "cat" / "pipe.jpg")
    monkeypatch.chdir(root)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.jpg")

        assert left_out(open_folder(root)) == dict.fromkeys(["cat/pipe.jpg", "socket.jpg"], ("special", "not a regular file"))


def test_a_file_that_becomes_a_pipe_or_a_folder_is_an_error_and_not_a_wait(tmp_path: Path) -> None:
    root = write(tmp_path, "cat/a.jpg", "dog/b.jpg")
    cat, dog = open_folder(root).records
    for name in ("cat/a.jpg", "dog/b.jpg"):
        (root / name).unlink()
    os.mkfifo(root / "cat" / "a.jpg")
    (root / "dog" / "b.jpg").mkdir()

    for record in (cat, dog):
        with pytest.raises(ImageError, match="not a regular file any more") as error:
            record.read()
        assert error.value.finding == "special"


def test_a_file_that_vanishes_is_named(tmp_path: Path) -> None:
    root = write(tmp_path, "cat/a.jpg", "cat/b.jpg", "dog/c.jpg", "dog/d.jpg")
    source = open_folder(root)
    records = iter(source.records)
    cat = next(records)
    for name in ("cat/a.jpg", "cat/b.jpg", "dog/d.jpg"):
        (root / name).unlink()

    assert [record.path for record in records] == ["dog/c.jpg"]
    assert source.left_out == [("cat/b.jpg", "missing", "gone since it was listed")]
    with pytest.raises(ImageError, match="gone since it was listed") as error:
        cat.read()
    assert error.value.finding == "missing"


def deny(monkeypatch: pytest.MonkeyPatch, function: str, denied: Path) -> None:
    """Let a function of os fail for one path, as it does for all who lack the permission; root has every permission."""
    allowed = getattr(os, function)

    def guarded(path: str, *arguments: object, **options: object) -> object:
        if path == str(denied):
            raise PermissionError(13, "Permission denied", path)
        return allowed(path, *arguments, **options)

    monkeypatch.setattr(os, function, guarded)


def test_a_folder_without_permission_is_named_and_the_others_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write(tmp_path, "cat/a.jpg", "dog/b.jpg", "owl/c.jpg")
    deny(monkeypatch, "scandir", root / "dog")

    source = open_folder(root)

    assert [record.label for record in source.records] == ["cat", "owl"]
    assert source.left_out == [("dog", "unreadable", "a folder that cannot be read: Permission denied")]


def test_a_source_without_permission_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deny(monkeypatch, "scandir", write(tmp_path, "cat/a.jpg"))

    with pytest.raises(SourceError, match="may not be read: Permission denied"):
        open_folder(tmp_path)


def test_files_without_permission_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write(tmp_path, "cat/a.jpg", "dog/b.jpg", "dog/c.jpg")
    deny(monkeypatch, "open", root / "cat" / "a.jpg")
    deny(monkeypatch, "lstat", root / "dog" / "b.jpg")
    source = open_folder(root)

    cat, dog = source.records

    assert source.left_out == [("dog/b.jpg", "unreadable", "cannot be read: Permission denied")]
    assert dog.read() == b"dog/c.jpg"
    with pytest.raises(ImageError, match="cannot be read: Permission denied") as error:
        cat.read()
    assert error.value.finding == "unreadable"


# Names


def test_a_name_that_is_not_utf_8_can_be_stored(tmp_path: Path) -> None:
    root = write(tmp_path, "cat/a.jpg", "dog/b.jpg", "dog/" + os.fsdecode(b"caf\xe9.jpg"))

    record = list(open_folder(root).records)[-1]

    assert (record.path, record.read()) == ("dog/caf\\xe9.jpg", b"dog/caf\xe9.jpg")


def test_of_files_that_differ_in_encoding_alone_the_first_is_taken(tmp_path: Path) -> None:
    latin, other, spelt_out = os.fsdecode(b"\xe9.jpg"), os.fsdecode(b"\xe8.jpg"), "\\xe9.jpg"
    root = write(
        tmp_path,
        *(f"cat/{name}.jpg" for name in (COMPOSED, DECOMPOSED, "CAF\u00c9")),
        *(f"dog/{name}" for name in (latin, other, spelt_out, "\u212a", "K")),
    )
    source = open_folder(root)

    records = list(source.records)

    assert [record.path for record in records] == ["cat/CAF\u00c9.jpg", f"cat/{COMPOSED}.jpg", "dog/K", "dog/\\xe8.jpg", "dog/\\xe9.jpg"]
    assert [record.read() for record in records[1:]] == [f"cat/{DECOMPOSED}.jpg".encode(), b"dog/K", b"dog/\xe8.jpg", b"dog/\\xe9.jpg"]
    assert source.count == 5
    assert source.left_out == [
        (f"cat/{COMPOSED}.jpg", "name_clash", r"has the same name, once normalised, as 'cat/cafe\u0301.jpg', which is taken"),
        ("dog/\u212a", "name_clash", "has the same name, once normalised, as 'dog/K', which is taken"),
        ("dog/\\xe9.jpg", "name_clash", r"has the same name, once normalised, as 'dog/\\xe9.jpg', which is taken"),
    ]


def test_classes_whose_names_are_not_utf_8_stay_apart(tmp_path: Path) -> None:
    root = write(tmp_path, *(f"{os.fsdecode(name)}/a.jpg" for name in (b"K\xe4se", b"K\xf6se")))

    assert [(record.path, record.label) for record in open_folder(root).records] == [
        ("K\\xe4se/a.jpg", "K\\xe4se"),
        ("K\\xf6se/a.jpg", "K\\xf6se"),
    ]


def test_folders_that_differ_in_encoding_alone_are_one_class_walked_together(tmp_path: Path) -> None:
    names = [
        f"{COMPOSED}/a.jpg",
        f"{COMPOSED}/x/1.jpg",
        f"{COMPOSED}/c.jpg",
        f"{DECOMPOSED}/b.jpg",
        f"{DECOMPOSED}/c.jpg",
        f"{DECOMPOSED}/x/1.jpg",
    ]
    source = open_folder(write(tmp_path, *names, "tea/d.jpg"))

    records = list(source.records)

    assert [record.path for record in records] == [*(f"{COMPOSED}/{name}" for name in ("a.jpg", "b.jpg", "c.jpg", "x/1.jpg")), "tea/d.jpg"]
    assert {record.label for record in records} == {COMPOSED, "tea"}
    assert [record.read().decode() for record in records[2:4]] == [f"{DECOMPOSED}/c.jpg", f"{DECOMPOSED}/x/1.jpg"]
    assert [(path, finding) for path, finding, _ in source.left_out] == [
        (f"{COMPOSED}/c.jpg", "name_clash"),
        (f"{COMPOSED}/x/1.jpg", "name_clash"),
    ]
    assert source.count == 5


def test_a_file_and_a_folder_of_one_name_are_both_taken(tmp_path: Path) -> None:
    root = write(tmp_path, f"cat/{COMPOSED}", f"cat/{DECOMPOSED}/a.jpg", "dog/b.jpg")

    assert paths(root) == [f"cat/{COMPOSED}", f"cat/{COMPOSED}/a.jpg", "dog/b.jpg"]


def test_random_trees_give_the_same_records_in_every_encoding_and_order(tmp_path: Path) -> None:
    draw = random.Random(7)
    for i in range(20):
        names = {"/".join(draw.choices(["cat", "dog", "e\u0301", "u\u0308x"], k=draw.randrange(1, 4))) + f"/{j}.jpg" for j in range(12)}
        names |= {"one/a.jpg", "two/b.jpg"}
        decomposed = write(tmp_path / f"{i}d", *sorted(names))
        composed = write(tmp_path / f"{i}c", *(class_folders.normalised(name) for name in sorted(names, reverse=True)))

        assert paths(decomposed) == paths(composed)
        assert paths(composed) == sorted((class_folders.normalised(name) for name in names), key=lambda name: name.split("/"))


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (["cat", "Cat", "dog"], [("Cat", "cat")]),
        (["t shirt", "t_shirt", "T-Shirt", " tshirt "], [(" tshirt ", "T-Shirt"), (" tshirt ", "t shirt"), (" tshirt ", "t_shirt")]),
        ([COMPOSED, DECOMPOSED, "cafe"], [(DECOMPOSED, COMPOSED)]),
        (["STRASSE", "straße"], [("STRASSE", "straße")]),
        (["1-12", "11-2", "112", "1 12"], [("1 12", "1-12")]),
        (["cat", "cats", "caté"], []),
        ([], []),
    ],
)
def test_names_that_may_be_meant_as_one_are_paired(names: list[str], pairs: list[tuple[str, str]]) -> None:
    assert similar_names(names) == pairs


@pytest.mark.parametrize(
    "path", ["/a.jpg", "../a.jpg", "cat/../../a.jpg", "cat/..", "C:/a.jpg", "c:a.jpg", "\\a.jpg", "..\\a.jpg", "\\\\host\\a.jpg", ""]
)
def test_paths_that_lead_out_are_told(path: str) -> None:
    assert is_escaping(path)


def test_paths_that_stay_inside_are_told() -> None:
    assert not any(is_escaping(path) for path in ["a.jpg", "cat/a..jpg", "cat\\a.jpg", "./a.jpg", "cat/C:.jpg", "..."])
    assert is_escaping(PurePosixPath("/a"))


def test_hidden_paths_are_told() -> None:
    assert all(is_visible(path) for path in ["./a.jpg", "../a.jpg", "cat/a.jpg"])
    assert not any(is_visible(path) for path in [".a.jpg", "cat/.DS_Store", "x/THUMBS.DB"])
    assert [is_visible(PurePosixPath(path)) for path in ("a", ".git/a")] == [True, False]


# Size


def peak_bytes(root: Path) -> int:
    """The most memory taken while a folder is gone through."""
    tracemalloc.start()
    try:
        assert sum(isinstance(record, Record) for record in open_folder(root).records) > 0
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_ten_times_the_files_take_no_more_memory(tmp_path: Path) -> None:
    few = write(tmp_path / "few", *(f"{label}/{i}/{j}.jpg" for label in ("cat", "dog") for i in range(4) for j in range(25)))
    many = write(tmp_path / "many", *(f"{label}/{i}/{j}.jpg" for label in ("cat", "dog") for i in range(40) for j in range(25)))
    peak_bytes(few)  # what is made once

    assert peak_bytes(many) < 1.2 * peak_bytes(few) + 20_000  # the names of the 36 folders more: 2,000 names would be 200,000 bytes


def test_folders_below_the_classes_are_not_kept() -> None:
    survey = Survey()
    for i in range(5000):
        survey.add(("set", "cat" if i % 2 else "dog", f"video {i}"), "1.jpg")

    assert survey.labels(survey.layout()) == {"cat": 2500, "dog": 2500}
    assert len(survey._counts) < class_folders.FOLDERS_BEFORE_CUT
