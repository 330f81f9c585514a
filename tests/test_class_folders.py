"""Which class and split a file belongs to follows from its path; what has no place, or cannot be read safely, is named."""

import inspect
import os
import pickle
import random
import socket
import sys
from pathlib import Path, PurePosixPath

import pytest
from pipeline.sources.class_folders import open_folder
from pipeline.sources.folder_layout import IMAGE_SUFFIXES, SPLITS, Layout, NoClassFolders, Place, Survey

from pipeline.errors import ImageError, SourceError
from pipeline.listing.names import is_escaping, is_visible, normalised
from pipeline.quality.class_names import similar_names
from pipeline.sources import folder_layout
from tests.source_trees import found, left_out, peak_bytes, write

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"
NO_CLASS, OUTSIDE = "not in a class folder", "outside train/, test/ and val/"
CAT, DOG = Place("cat/", "cat", None), Place("dog/", "dog", None)
TRAIN_CAT, TEST_CAT = Place("train/cat/", "cat", "train"), Place("test/cat/", "cat", "test")


def survey(names: list[PurePosixPath]) -> tuple[Survey, Layout]:
    counted = Survey()
    for name in names:
        counted.add(name.parent.parts, name.name)
    return counted, counted.layout()


def paths(root: Path) -> list[str]:
    return [path for path, _, _ in found(open_folder(root))]


LAYOUTS = {
    "classes": ("cat/deep/er/c.png dog/b.PNG", [Place("cat/deep/er/", "cat", None), DOG]),
    "a README hides no classes": ("set/cat/a.jpg set/dog/b.jpg README.md", [CAT, DOG, NO_CLASS]),
    "two wrapping folders": ("x/y/train/cat/a.jpg x/y/test/cat/b.jpg", [TRAIN_CAT, TEST_CAT]),
    "a folder beside train and test": ("train/cat/a.jpg test/cat/b.jpg other/cat/c.jpg d.xml", [TRAIN_CAT, TEST_CAT, OUTSIDE, OUTSIDE]),
    "images in no class folder": ("train/cat/a.jpg test/cat/b.jpg train/c.jpg d.JPG", [TRAIN_CAT, TEST_CAT, NO_CLASS, OUTSIDE]),
    "an image beside the classes": ("cat/a.jpg dog/b.jpg c.jpg", [CAT, DOG, NO_CLASS]),
    "a class called train": ("train/a.jpg dog/b.jpg", [Place("train/", "train", None), DOG]),
    "a class called test": ("test/a.jpg dog/b.jpg", [Place("test/", "test", None), DOG]),
    "other names of splits": ("Training/x/a.jpg TESTING/x/a.jpg", [Place("Training/x/", "x", "train"), Place("TESTING/x/", "x", "test")]),
    "no test images": ("train/cat/a.jpg valid/x/a.jpg", [Place("train/cat/", "cat", None), Place("valid/x/", "x", "validation")]),
    "train images alone": ("train/cat/a.jpg train/dog/a.jpg", [Place("train/cat/", "cat", None), Place("train/dog/", "dog", None)]),
}


@pytest.mark.parametrize(("names", "places"), LAYOUTS.values(), ids=LAYOUTS)
def test_the_place_of_a_file_follows_from_its_path(names: str, places: list[Place | str]) -> None:
    files = [PurePosixPath(name) for name in names.split()]
    _, layout = survey(files)

    assert [layout.place(file.parent.parts) for file in files] == places


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
@pytest.mark.parametrize("folders", [("set", "cat"), ("train", "test", "cat", "dog"), ("set", "Train", "VAL", "cat")])
def test_counting_files_one_by_one_finds_what_all_names_at_once_tell(
    monkeypatch: pytest.MonkeyPatch, folders: tuple[str, ...], cut_at: int
) -> None:
    monkeypatch.setattr(folder_layout, "FOLDERS_BEFORE_CUT", cut_at)
    draw = random.Random(len(folders) + cut_at)
    for _ in range(400):
        common = [draw.choice(folders) for _ in range(draw.randrange(3))]
        names = [
            PurePosixPath(*common, *draw.choices(folders, k=draw.randrange(5)), draw.choice(["a.jpg", "b.PNG", "c.txt"]))
            for _ in range(draw.randrange(1, 9))
        ]
        counted, layout = survey(names)

        placed = [layout.place(name.parent.parts) for name in names]

        assert [(place.label, place.split) if isinstance(place, Place) else None for place in placed] == expected_places(names), names
        assert sum(counted.labels(layout).values()) == sum(isinstance(place, Place) for place in placed), names


FOLDERS = {
    "sorted by each name of their paths": (
        "dog/notes.txt cat/b.jpg cat/c.JPG cat-2/a.jpg cat/b-a.jpg cat/b/z.jpg cat/a.jpg",
        "cat/a.jpg cat/b/z.jpg cat/b-a.jpg cat/b.jpg cat/c.JPG cat-2/a.jpg dog/notes.txt",
        {},
    ),
    "hidden and system files": (
        "cat/a.jpg dog/b.jpg cat/.hidden.jpg .git/x/a.jpg cat/Thumbs.db __MACOSX/cat/a.jpg Icon\r cat/.DS_Store",
        "cat/a.jpg dog/b.jpg",
        {},
    ),
    "strays that are no images": ("set/cat/a.jpg set/dog/b.jpg set/README.md notes/README.md", "cat/a.jpg dog/b.jpg", {}),
    "strays that are images": (
        "train/cat/a.jpg test/dog/b.jpg train/poster.png poster.PNG",
        "test/dog/b.jpg train/cat/a.jpg",
        {"train/poster.png": NO_CLASS, "poster.PNG": OUTSIDE},
    ),
    "classes called test and val": ("test/a.jpg val/b.jpg", "test/a.jpg val/b.jpg", {}),
    "and with folders in them": ("test/a.jpg test/deep/a.jpg val/b.jpg", "test/a.jpg test/deep/a.jpg val/b.jpg", {}),
    "and beside others": ("test/deep/a.jpg bus/deep/a.jpg", "bus/deep/a.jpg test/deep/a.jpg", {}),
}


@pytest.mark.parametrize(("names", "read", "strays"), FOLDERS.values(), ids=FOLDERS)
def test_a_folder_gives_its_files(tmp_path: Path, names: str, read: str, strays: dict[str, str]) -> None:
    source = open_folder(write(tmp_path, *names.split(" ")))

    assert [path for path, _, _ in found(source)] == read.split()
    assert sorted(source.left_out) == sorted((path, "stray", reason) for path, reason in strays.items())
    assert source.count == len(read.split())


def test_a_record_says_all_that_is_known_before_reading(tmp_path: Path) -> None:
    source = open_folder(write(tmp_path / "My Pets", "x/train/cat/deep/a.jpg", "x/test/dog/b.jpg"))

    assert (source.name, source.class_names, source.count) == ("My-Pets", None, 2)
    dog, cat = source.records
    assert dog[:5] == ("test/dog/b.jpg", "dog", "test", None, 16)
    assert cat[:5] == ("train/cat/deep/a.jpg", "cat", "train", None, 22)
    assert pickle.loads(pickle.dumps(cat.read))() == b"x/train/cat/deep/a.jpg"


ONE_CLASS = r"are of one class, cat\. At least two are needed"
NO_TRAIN = r"^ingest\.source: {root}%s has %s, but no train/\. Add train/ with .*out of %s to have"


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ("cat/a.jpg cat/b.jpg", ONE_CLASS),
        ("train/cat/a.jpg test/cat/b.jpg", ONE_CLASS),
        ("set/cat/a.jpg", ONE_CLASS),
        ("val/cat/a.jpg val/dog/a.jpg test/cat/b.jpg", NO_TRAIN % ("", "test/ and val/", "test/")),
        ("test/cat/a.jpg test/dog/a.jpg README.md poster.png", NO_TRAIN % ("", "test/", "test/")),
        (
            "cat/a.jpg dog/b.jpg test/cat/c.jpg test/dog/d.jpg",
            r"{root}/test can be a split, .* or a class, .* move .* into train/\. .* rename it",
        ),
        ("x/cat/a.jpg x/dog/b.jpg x/Val/dog/d.jpg", r"{root}/x/Val can be a split"),
        ("set/Valid/cat/deep/a.jpg set/notes/x.txt", NO_TRAIN % ("/set", "Valid/", "Valid/")),
    ],
)
def test_one_class_and_splits_without_train_are_refused_before_anything_is_read(tmp_path: Path, names: str, words: str) -> None:
    with pytest.raises(SourceError, match=words.format(root=tmp_path)) as error:
        open_folder(write(tmp_path, *names.split()))

    assert not isinstance(error.value, NoClassFolders)


@pytest.mark.parametrize(
    ("names", "there"),
    [
        ("", "nothing"),
        ("b.png a.png", "a.png, b.png"),
        ("1.png 2.png 3.png 4.png 5.png 6.png 7.png", "1.png, 2.png, 3.png, 4.png, 5.png and 2 more"),
        ("sub/y.pdf x.docx", "sub, x.docx; no file has the extension of an image"),
    ],
)
def test_without_class_folders_it_says_what_is_there(tmp_path: Path, names: str, there: str) -> None:
    with pytest.raises(NoClassFolders, match="no images in class folders at") as error:
        open_folder(write(tmp_path, *names.split()))

    assert error.value.found == there


def test_a_folder_of_nothing_but_links_says_so(tmp_path: Path) -> None:
    elsewhere = write(tmp_path / "cache", "1.jpg", "2.jpg")
    for folder, target in (("cat", "1.jpg"), ("dog", "2.jpg")):
        (tmp_path / "source" / folder).mkdir(parents=True)
        (tmp_path / "source" / folder / "a.jpg").symlink_to(elsewhere / target)

    with pytest.raises(NoClassFolders) as error:
        open_folder(tmp_path / "source")

    assert error.value.found == "nothing, and 2 left out, for example cat/a.jpg: a link that leads outside the source"


def test_folders_nested_deeper_than_calls_can_be_are_read(tmp_path: Path) -> None:
    write(tmp_path, "cat/a.jpg", "dog/b.jpg", "dog/" + "d/" * 250 + "c.jpg")
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 150)
    try:
        assert [len(path) for path in paths(tmp_path)] == [9, 9, 4 + 2 * 250 + 5]
    finally:
        sys.setrecursionlimit(limit)


def test_a_link_to_a_file_in_the_source_is_followed(tmp_path: Path) -> None:
    root = write(tmp_path / "source", "cat/a.jpg", "dog/b.jpg", ".store/c")
    (root / "cat" / "link.jpg").symlink_to("../.store/c")
    (tmp_path / "itself").symlink_to(root)

    for source in (root, tmp_path / "itself"):
        record = list(open_folder(source).records)[1]
        assert (record.path, record.label, record.size_bytes, record.read()) == ("cat/link.jpg", "cat", 8, b".store/c")


def test_links_that_lead_elsewhere_are_named_and_not_followed(tmp_path: Path) -> None:
    elsewhere = write(tmp_path / "source-2", "c.jpg", "deep/d.jpg")
    root = write(tmp_path / "source", "cat/a.jpg", "dog/b.jpg")
    links = {
        "cat/out.jpg": (f"{elsewhere}/c.jpg", "a link that leads outside the source"),
        "cat/around": (str(root), "a link to a folder, not followed"),
        "cat/gone.jpg": ("nothing", "a link that cannot be followed: No such file or directory"),
        "cat/ring.jpg": ("ring.jpg", "a link that cannot be followed: Too many levels of symbolic links"),
        "cat/null": ("/dev/null", "a link to something other than a regular file"),
        "owl": (str(elsewhere), "a link to a folder, not followed"),
    }
    for name, (target, _) in links.items():
        (root / name).symlink_to(target)

    source = open_folder(root)

    assert sorted(left_out(source)) == sorted((name, "link", reason) for name, (_, reason) in links.items())
    assert source.count == 2


def test_a_pipe_and_a_socket_are_named_and_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write(tmp_path, "cat/a.jpg", "dog/b.jpg")
    os.mkfifo(root / "cat" / "pipe.jpg")
    monkeypatch.chdir(root)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.jpg")

        assert left_out(open_folder(root)) == [(name, "special", "not a regular file") for name in ("socket.jpg", "cat/pipe.jpg")]


def test_a_file_that_vanishes_or_becomes_a_pipe_or_a_folder_is_an_error_and_not_a_wait(tmp_path: Path) -> None:
    root = write(tmp_path, "cat/a.jpg", "cat/b.jpg", "cat/c.jpg", "cat/d.jpg", "dog/e.jpg")
    source = open_folder(root)
    records = iter(source.records)
    listed = [next(records) for _ in range(3)]
    for name in ("cat/a.jpg", "cat/b.jpg", "cat/c.jpg", "cat/d.jpg"):
        (root / name).unlink()
    os.mkfifo(root / "cat" / "b.jpg")
    (root / "cat" / "c.jpg").mkdir()

    assert [record.path for record in records] == ["dog/e.jpg"]
    assert source.left_out == [("cat/d.jpg", "missing", "deleted since it was listed")]
    for record, finding in zip(listed, ("missing", "special", "special"), strict=True):
        with pytest.raises(
            ImageError, match="deleted since it was listed" if finding == "missing" else "no longer a regular file"
        ) as error:
            record.read()
        assert error.value.finding == finding


def deny(monkeypatch: pytest.MonkeyPatch, function: str, denied: Path) -> None:
    """Let a function of os fail for one path, as it does for all who lack the permission; root has every permission."""
    allowed = getattr(os, function)

    def guarded(path: str, *arguments: object, **options: object) -> object:
        if path == str(denied):
            raise PermissionError(13, "Permission denied", path)
        return allowed(path, *arguments, **options)

    monkeypatch.setattr(os, function, guarded)


def test_folders_without_permission_are_named_and_the_others_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write(tmp_path, "cat/a.jpg", "dog/b.jpg", "owl/c.jpg")
    deny(monkeypatch, "scandir", root / "dog")

    source = open_folder(root)

    assert [label for _, label, _ in found(source)] == ["cat", "owl"]
    assert source.left_out == [("dog", "unreadable", "a folder that cannot be read: Permission denied")]
    deny(monkeypatch, "scandir", root)
    with pytest.raises(SourceError, match="cannot be read: Permission denied"):
        open_folder(root)


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


def test_of_files_that_differ_in_encoding_alone_the_first_is_taken(tmp_path: Path) -> None:
    latin, other, spelt_out = os.fsdecode(b"\xe9.jpg"), os.fsdecode(b"\xe8.jpg"), "\\xe9.jpg"
    names = [f"cat/{name}.jpg" for name in (COMPOSED, DECOMPOSED, "CAF\u00c9")]
    source = open_folder(write(tmp_path, *names, *(f"dog/{name}" for name in (latin, other, spelt_out, "\u212a", "K"))))

    records = list(source.records)

    assert [record.path for record in records] == ["cat/CAF\u00c9.jpg", f"cat/{COMPOSED}.jpg", "dog/K", "dog/\\xe8.jpg", "dog/\\xe9.jpg"]
    assert [record.read() for record in records[1:]] == [f"cat/{DECOMPOSED}.jpg".encode(), b"dog/K", b"dog/\xe8.jpg", b"dog/\\xe9.jpg"]
    assert source.count == 5
    assert source.left_out == [
        (f"cat/{COMPOSED}.jpg", "name_clash", r"has the same name as 'cat/cafe\u0301.jpg' after Unicode normalisation"),
        ("dog/\u212a", "name_clash", "has the same name as 'dog/K' after Unicode normalisation"),
        ("dog/\\xe9.jpg", "name_clash", r"has the same name as 'dog/\\xe9.jpg' after Unicode normalisation"),
    ]


def test_classes_whose_names_are_not_utf_8_stay_apart(tmp_path: Path) -> None:
    write(tmp_path, *(f"{os.fsdecode(name)}/a.jpg" for name in (b"K\xe4se", b"K\xf6se")))

    assert found(open_folder(tmp_path)) == [("K\\xe4se/a.jpg", "K\\xe4se", None), ("K\\xf6se/a.jpg", "K\\xf6se", None)]


def test_folders_that_differ_in_encoding_alone_are_one_class_walked_together(tmp_path: Path) -> None:
    names = [f"{COMPOSED}/{name}" for name in ("a.jpg", "x/1.jpg", "c.jpg")] + [
        f"{DECOMPOSED}/{name}" for name in ("b.jpg", "c.jpg", "x/1.jpg")
    ]
    source = open_folder(write(tmp_path, *names, "tea/d.jpg"))

    records = list(source.records)

    assert [record.path for record in records] == [*(f"{COMPOSED}/{name}" for name in ("a.jpg", "b.jpg", "c.jpg", "x/1.jpg")), "tea/d.jpg"]
    assert {record.label for record in records} == {COMPOSED, "tea"}
    assert [record.read().decode() for record in records[2:4]] == [f"{DECOMPOSED}/c.jpg", f"{DECOMPOSED}/x/1.jpg"]
    assert [entry[:2] for entry in source.left_out] == [(f"{COMPOSED}/{name}", "name_clash") for name in ("c.jpg", "x/1.jpg")]
    assert source.count == 5


def test_a_file_and_a_folder_of_one_name_are_both_taken(tmp_path: Path) -> None:
    root = write(tmp_path, f"cat/{COMPOSED}", f"cat/{DECOMPOSED}/a.jpg", "dog/b.jpg")

    assert paths(root) == [f"cat/{COMPOSED}", f"cat/{COMPOSED}/a.jpg", "dog/b.jpg"]


def test_random_trees_give_the_same_records_in_every_encoding_and_order(tmp_path: Path) -> None:
    draw = random.Random(7)
    for i in range(10):
        names = {"/".join(draw.choices(["cat", "dog", "e\u0301", "u\u0308x"], k=draw.randrange(1, 4))) + f"/{j}.jpg" for j in range(12)}
        names |= {"one/a.jpg", "two/b.jpg"}
        decomposed = write(tmp_path / f"{i}d", *sorted(names))
        composed = write(tmp_path / f"{i}c", *(normalised(name) for name in sorted(names, reverse=True)))

        assert paths(decomposed) == paths(composed)
        assert paths(composed) == sorted((normalised(name) for name in names), key=lambda name: name.split("/"))


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


def test_paths_that_lead_out_are_told() -> None:
    leading_out = ["/a.jpg", "../a.jpg", "cat/../../a.jpg", "cat/..", "C:/a.jpg", "c:a.jpg", "\\a.jpg", "..\\a.jpg", "\\\\host\\a.jpg", ""]
    inside = ["a.jpg", "cat/a..jpg", "cat\\a.jpg", "./a.jpg", "cat/C:.jpg", "..."]

    assert [path for path in [*leading_out, *inside] if is_escaping(path)] == leading_out
    assert is_escaping(PurePosixPath("/a"))


def test_hidden_paths_are_told() -> None:
    visible, hidden = ["./a.jpg", "../a.jpg", "cat/a.jpg"], [".a.jpg", "cat/.DS_Store", "x/THUMBS.DB"]

    assert [path for path in [*visible, *hidden] if is_visible(path)] == visible
    assert [is_visible(PurePosixPath(path)) for path in ("a", ".git/a")] == [True, False]


def test_ten_times_the_files_take_no_more_memory(tmp_path: Path) -> None:
    few, many = (
        write(tmp_path / str(count), *(f"{label}/{i}/{j}.jpg" for label in ("cat", "dog") for i in range(count) for j in range(25)))
        for count in (2, 20)
    )
    peak_bytes(lambda: open_folder(few))  # what is made once

    assert peak_bytes(lambda: open_folder(many)) < 1.2 * peak_bytes(lambda: open_folder(few)) + 10_000  # 900 names would be 90,000 bytes


def test_folders_below_the_classes_are_not_kept() -> None:
    counted, layout = survey([PurePosixPath("set", "cat" if i % 2 else "dog", f"video {i}", "1.jpg") for i in range(5000)])

    assert counted.labels(layout) == {"cat": 2500, "dog": 2500}
    assert len(counted._counts) < folder_layout.FOLDERS_BEFORE_CUT
