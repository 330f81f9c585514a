"""Well-known downloads of several archives: parts of one, one per class, one per split, one inside another, or with a table beside."""

import io
import shutil
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from tests.layout_trees import Tree, each, reads, reads_or_stops, right, stops

PETS = each(6, "cat", "dog")


def zipped(tree: Tree, folder: str, archive: str, top: str = "") -> None:
    """Moves a folder of the tree into an archive, below `top`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        for file in sorted((tree.root / folder).rglob("*")):
            if file.is_file():
                out.write(file, f"{top}/{file.relative_to(tree.root / folder).as_posix()}".lstrip("/"))
    shutil.rmtree(tree.root / folder)
    tree.put(archive, buffer.getvalue())


@reads(none=PETS)
def google_drive_parts(tree: Tree) -> None:
    """photos-20240101T000000Z-001.zip and -002.zip, each with a part of photos/{cat,dog}/: one download in two parts."""
    for part in (1, 2):
        tree.pictures(f"tmp/photos/{{label}}/{part}_{{i}}.jpg", each(3, "cat", "dog"))
        zipped(tree, "tmp", f"photos-20240101T000000Z-00{part}.zip")


@reads(none=PETS)
def google_drive_parts_with_one_class_each(tree: Tree) -> None:
    """The same, where the first part has photos/cat/ and the second photos/dog/."""
    for part, label in ((1, "cat"), (2, "dog")):
        tree.pictures(f"tmp/photos/{{label}}/{part}_{{i}}.jpg", each(6, label))
        zipped(tree, "tmp", f"photos-00{part}.zip")


@reads(none=PETS)
def zip_per_class(tree: Tree) -> None:
    """cat.zip and dog.zip, each of bare pictures: the class is the archive."""
    for label in PETS:
        tree.pictures("tmp/{i}.jpg", {label: 6})
        zipped(tree, "tmp", f"{label}.zip")


@reads(none=PETS)
def zip_per_class_with_a_folder(tree: Tree) -> None:
    """cat.zip of cat/0.jpg, dog.zip of dog/0.jpg."""
    for label in PETS:
        tree.pictures("tmp/{i}.jpg", {label: 6})
        zipped(tree, "tmp", f"{label}.zip", label)


@reads_or_stops("GTI_Far", "ingest.class_from", none=each(6, "non-vehicles", "vehicles"))
def vehicles(tree: Tree) -> None:
    """Udacity's vehicles.zip of vehicles/{GTI_Far,GTI_Left,KITTI_extracted}/x.png, non-vehicles.zip of non-vehicles/{Extras,GTI}/x.png,
    with the __MACOSX/ of a Mac."""
    for label, kinds in (("vehicles", ("GTI_Far", "GTI_Left", "KITTI_extracted")), ("non-vehicles", ("Extras", "GTI"))):
        for kind in kinds:
            tree.pictures(f"tmp/{{label}}/{kind}/image{{i:04}}.png", {label: 6 // len(kinds)})
            tree.put(f"tmp/__MACOSX/{label}/{kind}/._image0000.png", b"\0\5\26\7\0\2\0\0Mac OS X" + bytes(60))
        zipped(tree, "tmp", f"{label}.zip")


@reads(none=each(6, "Class 1-samples", "Class 2-samples"), naming={f"Class {k}-samples": f"Class {k}" for k in (1, 2)})
def teachable_machine(tree: Tree) -> None:
    """Google's Teachable Machine: Class 1-samples.zip and Class 2-samples.zip of bare pictures."""
    for label in ("Class 1-samples", "Class 2-samples"):
        tree.pictures("tmp/{i}.jpg", {label: 6})
        zipped(tree, "tmp", f"{label}.zip")


@reads(train=PETS, test=each(3, "cat", "dog"))
def zip_per_split(tree: Tree) -> None:
    """train.zip of train/{cat,dog}/x.jpg, test.zip of test/{cat,dog}/x.jpg."""
    for split, count in (("train", 6), ("test", 3)):
        tree.pictures(f"tmp/{split}/{{label}}/{{i}}.jpg", each(count, "cat", "dog"), split)
        zipped(tree, "tmp", f"{split}.zip")


@reads(train=PETS, test=each(3, "cat", "dog"))
def zip_per_split_of_classes(tree: Tree) -> None:
    """train.zip of {cat,dog}/x.jpg, test.zip of {cat,dog}/x.jpg: the split is the archive."""
    for split, count in (("train", 6), ("test", 3)):
        tree.pictures("tmp/{label}/{i}.jpg", each(count, "cat", "dog"), split)
        zipped(tree, "tmp", f"{split}.zip")


@reads_or_stops("rps-test-set", train=each(5, "paper", "rock"), test=each(3, "paper", "rock"))
def rock_paper_scissors_zips(tree: Tree) -> None:
    """rps.zip of rps/{paper,rock}/x.png, rps-test-set.zip of rps-test-set/{paper,rock}/x.png. Never the classes rps and rps-test-set."""
    for name, split, count in (("rps", "train", 5), ("rps-test-set", "test", 3)):
        tree.pictures(f"tmp/{name}/{{label}}/{name}-{{n:03}}.png", each(count, "paper", "rock"), split)
        zipped(tree, "tmp", f"{name}.zip")


@reads_or_stops("train.zip", none=each(10, "cat", "dog"))
def dogs_vs_cats_zip(tree: Tree) -> Path:
    """dogs-vs-cats.zip of train.zip, test1.zip and sampleSubmission.csv, as the Kaggle command saves it: archives inside an archive."""
    tree.pictures("a/train/{label}.{n}.jpg", each(10, "cat", "dog"))
    zipped(tree, "a", "b/train.zip")
    for i in range(5):
        tree.picture(f"a/test1/{i}.jpg", None)
    zipped(tree, "a", "b/test1.zip")
    tree.table("b/sampleSubmission.csv", "id,label", [(i, 0) for i in range(5)])
    zipped(tree, "b", "dogs-vs-cats.zip")
    return tree.root / "dogs-vs-cats.zip"


@reads(none=each(10, "cat", "dog"))
def dogs_vs_cats_zips(tree: Tree) -> None:
    """train.zip of train/cat.0.jpg …, test1.zip of test1/0.jpg, sampleSubmission.csv, side by side."""
    tree.pictures("a/train/{label}.{n}.jpg", each(10, "cat", "dog"))
    zipped(tree, "a", "train.zip")
    tree.unlabelled("a/test1/{i}.jpg", 5)
    zipped(tree, "a", "test1.zip")
    tree.table("sampleSubmission.csv", "id,label", [(i, 0) for i in range(5)])


BREEDS = each(5, "affenpinscher", "beagle")


@reads(none=BREEDS)
def archive_with_its_table_beside(tree: Tree) -> None:
    """train.zip of train/0a1b.jpg, labels.csv (id,breed) beside it."""
    pictures = tree.pictures("a/train/{i:08x}.jpg", BREEDS)
    zipped(tree, "a", "train.zip")
    tree.table("labels.csv", "id,breed", [(f"{one.i:08x}", one.label) for one in pictures])


@reads(none=BREEDS)
def archive_with_its_table_in_another(tree: Tree) -> None:
    """train.zip of train/0a1b.jpg, labels.csv.zip of labels.csv, test.zip without labels, as Kaggle stored them for years."""
    pictures = tree.pictures("a/train/{i:08x}.jpg", BREEDS)
    zipped(tree, "a", "train.zip")
    tree.unlabelled("a/test/{i:08x}.jpg", 5, start=900)
    zipped(tree, "a", "test.zip")
    tree.table("a/labels.csv", "id,breed", [(f"{one.i:08x}", one.label) for one in pictures])
    zipped(tree, "a", "labels.csv.zip")


@reads(none=each(6, "a", "b", "c"))
def archive_with_parts_and_a_table(tree: Tree) -> Path:
    """d.zip of part1/0.jpg, part2/1.jpg and labels.csv (path,label): the same as the folder."""
    pictures = [one for part in (1, 2) for one in tree.pictures(f"a/part{part}/{{i}}.jpg", each(3, "a", "b", "c"))]
    tree.table("a/labels.csv", "path,label", [(one.path.removeprefix("a/"), one.label) for one in pictures])
    zipped(tree, "a", "d.zip")
    return tree.root / "d.zip"


HAM = each(6, "bkl", "mel", "nv")


@reads(none=HAM)
def ham_10000_of_dataverse(tree: Tree) -> None:
    """HAM10000_images_part_1.zip and _2.zip of bare ISIC_0024306.jpg, HAM10000_metadata (a CSV file without an ending)."""
    rows = []
    for part in (1, 2):
        pictures = tree.pictures(
            "a/ISIC_{i:07}.jpg", each(3, "bkl", "mel", "nv"), start=24306 + part * 100, group=lambda one: f"{one.label}{one.n // 2}"
        )
        rows += [(f"HAM_{one.label}{one.n // 2:04}", f"ISIC_{one.i:07}", one.label, "histo", 80.0, "male", "scalp") for one in pictures]
        zipped(tree, "a", f"HAM10000_images_part_{part}.zip")
    tree.table("HAM10000_metadata", "lesion_id,image_id,dx,dx_type,age,sex,localization", rows)


@stops("images", "annotations", advice=[({"class_from": "images/{class}_*.jpg"}, right(none=each(6, "Abyssinian", "beagle")))])
def oxford_pets_archives(tree: Tree) -> None:
    """images.zip of images/Abyssinian_1.jpg, annotations.zip of annotations/trimaps/Abyssinian_1.png: never the classes images and annotations."""
    for one in tree.pictures("a/images/{label}_{i}.jpg", each(6, "Abyssinian", "beagle")):
        tree.picture(f"b/annotations/trimaps/{one.label}_{one.i}.png", "x")
    zipped(tree, "a", "images.zip")
    zipped(tree, "b", "annotations.zip")


@reads_or_stops("n01440764.tar or .tar", none=each(6, "n01440764", "n01443537"))
def imagenet_train_archives(tree: Tree) -> None:
    """n01440764.tar, n01443537.tar of bare n01440764_10026.JPEG: an archive per class."""
    for label in ("n01440764", "n01443537"):
        pictures = tree.pictures("a/{label}_{i}.JPEG", {label: 6})
        with tarfile.open(tree.root / f"{label}.tar", "w") as archive:
            for one in pictures:
                archive.add(tree.root / one.path, one.path.removeprefix("a/"))
        shutil.rmtree(tree.root / "a")


@reads_or_stops("twice or same or repeat or photos.zip", none=PETS)
def archive_beside_what_was_unpacked_from_it(tree: Tree) -> None:
    """photos.zip and photos/{cat,dog}/x.jpg, unpacked from it: read once."""
    names = [one.path for one in tree.pictures("photos/{label}/{i}.jpg", PETS)]
    write_zip(tree.root / "photos.zip", ((name, (tree.root / name).read_bytes()) for name in names))


@reads(none=PETS)
def archive_of_a_mac(tree: Tree) -> Path:
    """photos.zip of photos/{cat,dog}/x.jpg, photos/.DS_Store and __MACOSX/photos/cat/._0.jpg."""
    pictures = tree.pictures("photos/{label}/{i}.jpg", PETS)
    members = [(one.path, (tree.root / one.path).read_bytes()) for one in pictures]
    members += [(f"__MACOSX/photos/{one.label}/._{one.i}.jpg", b"\0\5\26\7\0\2\0\0Mac OS X" + bytes(60)) for one in pictures]
    write_zip(tree.root / "mac.zip", [*members, ("photos/.DS_Store", b"x")])
    return tree.root / "mac.zip"


def write_zip(path: Path, members: Iterable[tuple[str, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path
