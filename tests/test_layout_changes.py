"""What must change nothing: an archive instead of a folder, folders around the data set, junk beside it, the case of folder names."""

import random
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.layout_trees import LAYOUTS, Layout, Tree
from tests.test_layouts import _without_the_reader_of_heic, assert_words, build, check_read, read, stop_of  # noqa: F401 - the first is a fixture

ARCHIVED = [
    "flower_photos",
    "dogs_vs_cats",
    "cats_and_dogs_doubled",
    "cats_and_dogs_with_flat_test",
    "tiny_imagenet",
    "cub_200",
    "live_photos",
    "jfif_beside_jpg",
    "cassava",
    "plant_pathology_2020",
    "ham_10000",
    "state_farm",
    "gtsrb_of_kaggle",
    "tables_in_split_folders",
    "metadata_above_split_folders",
    "list_of_path_and_number",
    "roboflow_one_hot",
    "label_studio_json_min",
    "cifar_10",
    "npz_per_split",
    "hugging_face_parquet",
]
STOPPED_IN_ARCHIVES = [
    "drowsy_drivers",
    "pacs",
    "oxford_pets",
    "nih_chest_xrays_sample",
    "roboflow_boxes",
    "kvasir_seg",
    "class_vanishes_heic",
]
FOLDERS = ["flower_photos", "cats_and_dogs_doubled", "brain_tumour", "intel_scenes", "food_11", "hymenoptera", "chest_xray", "dogs_vs_cats"]
WITH_TABLES = [
    "cassava",
    "ham_10000",
    "dog_breeds",
    "state_farm",
    "tables_in_split_folders",
    "eurosat_of_kaggle",
    "label_studio_csv",
    "json_list",
]


def layouts(names: list[str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("layout", [LAYOUTS[name] for name in names], ids=names)


def as_zip(folder: Path, target: Path) -> Path:
    return Path(shutil.make_archive(str(target), "zip", folder))


def as_zip_with_top_folder(folder: Path, target: Path) -> Path:
    return Path(shutil.make_archive(str(target), "zip", folder.parent, folder.name))


def as_tar(folder: Path, target: Path) -> Path:
    with tarfile.open(target.with_suffix(".tar"), "w") as archive:
        archive.add(folder, ".")  # members are called ./train/0.jpg
    return target.with_suffix(".tar")


def as_tar_gz(folder: Path, target: Path) -> Path:
    return Path(shutil.make_archive(str(target), "gztar", folder.parent, folder.name))


PACKERS = [as_zip, as_zip_with_top_folder, as_tar, as_tar_gz]
packers = pytest.mark.parametrize("pack", PACKERS, ids=lambda pack: pack.__name__)


@packers
@layouts(ARCHIVED)
def test_an_archive_gives_what_its_folder_gives(layout: Layout, pack: Callable[[Path, Path], Path], tmp_path: Path) -> None:
    tree, folder = build(layout, tmp_path)
    archive = pack(folder, tmp_path / "archive")
    shutil.rmtree(tree.root)

    check_read(layout, tree, read(archive))


@pytest.mark.parametrize("pack", [as_zip, as_tar_gz], ids=lambda pack: pack.__name__)
@layouts(STOPPED_IN_ARCHIVES)
def test_an_archive_is_refused_as_its_folder_is(layout: Layout, pack: Callable[[Path, Path], Path], tmp_path: Path) -> None:
    _, folder = build(layout, tmp_path)

    assert_words(stop_of(pack(folder, tmp_path / "archive")), layout.words or ())


@layouts([*FOLDERS, *WITH_TABLES])
@pytest.mark.parametrize("depth", [1, 2])
def test_folders_around_a_data_set_change_nothing(layout: Layout, depth: int, tmp_path: Path) -> None:
    outer = tmp_path / "download" / "set-v2" if depth == 2 else tmp_path / "download"
    outer.mkdir(parents=True)
    tree, _ = build(layout, outer)

    check_read(layout, tree, read(tmp_path / "download"))


def add_system_files(tree: Tree) -> None:
    for folder in [tree.root, *(path for path in tree.root.rglob("*") if path.is_dir())]:
        for name in (".DS_Store", "_DS_Store", "Thumbs.db", "desktop.ini"):
            (folder / name).write_bytes(b"\0\0\0\1Bud1")


def add_texts(tree: Tree) -> None:
    for name in ("README", "README.md", "LICENSE", "LICENSE.txt", "CITATION.cff", "requirements.txt", "download.sh", "SHA256SUMS"):
        tree.text(name, "words")


def add_pictures_of_documentation(tree: Tree) -> None:
    tree.stray("logo.png")
    tree.stray("docs/figure.png")
    tree.stray("results/plot.png")


def add_system_folders(tree: Tree) -> None:
    tree.stray("$RECYCLE.BIN/S-1-5-21/$R{i}.jpg", 3)
    tree.stray("@eaDir/{i}.jpg/SYNOPHOTO_THUMB_M.jpg", 3)
    tree.stray("lost+found/#{i}.jpg", 2)
    tree.stray(".ipynb_checkpoints/plot-checkpoint.png")
    tree.text("System Volume Information/IndexerVolumeGuid", "x")
    tree.put("__MACOSX/._README", b"\0\5\26\7")


def add_a_repository(tree: Tree) -> None:
    tree.text(".git/HEAD", "ref: refs/heads/main")
    tree.picture(".git/lfs/0.png", None)
    tree.text(".venv/pyvenv.cfg", "home = /usr/bin")
    tree.picture(".venv/lib/python3.11/site-packages/matplotlib/mpl-data/images/home.png", None)
    tree.text("train.py", "import torch")
    tree.text("notebooks/eda.ipynb", "{}")


JUNK = [add_system_files, add_texts, add_pictures_of_documentation, add_system_folders, add_a_repository]


@pytest.mark.parametrize("add", JUNK, ids=lambda add: add.__name__)
@layouts([*FOLDERS, *WITH_TABLES])
def test_junk_beside_a_data_set_changes_nothing(layout: Layout, add: Callable[[Tree], None], tmp_path: Path) -> None:
    tree, path = build(layout, tmp_path)
    add(tree)

    check_read(layout, tree, read(path))


@pytest.mark.parametrize("add", JUNK, ids=lambda add: add.__name__)
def test_junk_does_not_hide_that_a_layout_has_two_meanings(add: Callable[[Tree], None], tmp_path: Path) -> None:
    layout = LAYOUTS["pacs"]
    tree, path = build(layout, tmp_path)
    add(tree)

    assert_words(stop_of(path), layout.words or ())


@pytest.mark.parametrize("seed", [1, 2])
@layouts(FOLDERS)
def test_the_case_of_the_names_of_splits_changes_nothing(layout: Layout, seed: int, tmp_path: Path) -> None:
    tree, path = build(layout, tmp_path)
    draw = random.Random(seed)
    classes = {truth.label for truth in tree.truth.values()}
    for folder in sorted((folder for folder in path.rglob("*") if folder.is_dir()), reverse=True):  # the deepest first
        if folder.name not in classes:
            folder.rename(folder.with_name("".join(draw.choice((sign.upper(), sign.lower())) for sign in folder.name)))

    check_read(layout, tree, read(path))


@pytest.mark.parametrize("seed", [1, 2])
@layouts(["cats_and_dogs_doubled", "cassava", "state_farm"])
def test_the_order_in_which_files_were_written_changes_nothing(layout: Layout, seed: int, tmp_path: Path) -> None:
    tree, path = build(layout, tmp_path)
    files = sorted(file.relative_to(path) for file in path.rglob("*") if file.is_file())
    random.Random(seed).shuffle(files)
    copy = tmp_path / "copy"
    for file in files:
        (copy / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path / file, copy / file)

    records = list(read(copy).records)

    check_read(layout, tree, read(copy))
    assert [record[:4] for record in records] == [record[:4] for record in read(path).records]
