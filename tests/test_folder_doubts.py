"""Folders that may be no classes stop with each reading, and what a reading advises gives what it says."""

import json
import re
from pathlib import Path

import pytest

from pipeline.errors import SourceError
from pipeline.folders.planning import plan_folders
from pipeline.folders.tree import tree_of
from tests.source_trees import listing_of, write

PHOTOS = "photos/cat/1.jpg photos/cat/2.jpg photos/dog/3.jpg photos/dog/4.jpg"

# Folders beside cat and dog, which the advised ingest.ignore leaves out
BESIDE = {
    "images without a class": "photos/unlabeled/5.jpg",
    "predictions": "photos/pred/5.jpg",
    "not sorted yet": "photos/_unsorted/5.jpg",
    "to be looked at": "photos/to_check/5.jpg",
    "a folder that nobody named": "photos/New folder/5.jpg photos/New folder (2)/6.jpg",
    "a copy made by Windows": "photos/cat - Copy/5.jpg",
    "a copy made by a browser": "photos/dog (2)/5.jpg",
    "older images": "photos/cat_old/5.jpg photos/dog (alt)/6.jpg",
    "newer images": "photos/cat new/5.jpg photos/dogNeu/6.jpg",
    "versions": "photos/cat_v2/5.jpg photos/dog version 3/6.jpg",
    "images of a year": "photos/cat_2023/5.jpg",
    "a backup": "photos/cat_backup/5.jpg",
    "images for a test": "photos/cat_test/5.jpg photos/dog_test/6.jpg",
    "augmented images": "photos/dog_augmented/5.jpg",
    "another data set": "photos/mask_rcnn/TRAIN/5.jpg photos/mask_rcnn/TEST/6.jpg",
    "the set itself again": "photos/photos/cat/5.jpg photos/photos/dog/6.jpg",
}

# Names of folders that are none of classes, all of one kind
NO_CLASSES = {
    "dates": "20230501 20230502",
    "German dates": "01.05.2023 17.06.2023",
    "dates of two kinds": "2023-05-01 20230503",
    "years": "photos_2023 photos_2024",
    "parts": "part_1 part_2",
    "persons": "person_01 person_02",
    "places": "hospital_A hospital_B",
    "folders of a camera": "100APPLE 101APPLE",
    "versions": "color grayscale",
    "short dates": "240115 240220",
    "short German dates": "150124 200224",
    "months": "January February",
    "short months": "Jan Feb",
    "numbered months": "01_Januar 02_Februar",
    "French months": "janvier février",
    "Spanish days": "lunes martes",
    "days": "Monday Tuesday",
    "German days": "Mo Di",
    "folders of a phone": "Camera Telegram Download",
    "folders of a messenger": "WhatsApp_Images DCIM",
    "folders of a phone and a camera": "Camera 100APPLE",
    "annotators": "labelled_by_anna labelled_by_ben",
    "annotators by name": "annotator_ben annotator_eva",
    "labels of persons": "labels_anna labels_ben",
    "weeks": "KW01 KW02",
    "reviewers": "reviewer_1 reviewer_2",
    "visible and thermal": "visible thermal",
    "colour and depth": "rgb depth",
    "light and infrared": "RGB NIR",
    "ages": "pics_old pics_new",
    "German ages": "bilder_alt bilder_neu",
}
# Names of folders of which one is of such a kind, or that only look like it
CLASSES = ["Camera cat", "May June cat", "rgb cat", "cat_new dog_old", "240115 991399", "left right", "sun moon", "day night"]


def stop(root: Path, names: list[str], class_from: str = "auto") -> str:
    with pytest.raises(SourceError) as stopped:
        plan_folders(tree_of(listing_of(write(root, *names))), root, class_from)
    return str(stopped.value)


@pytest.mark.parametrize("beside", BESIDE.values(), ids=BESIDE)
def test_a_folder_beside_the_classes_that_may_be_none_stops_and_can_be_ignored(tmp_path: Path, beside: str) -> None:
    names = re.findall(r"\S.*?\.jpg", f"{PHOTOS} {beside}")

    message = stop(tmp_path / "source", names)

    advised = re.search(r"ingest\.ignore: (\[.*?\])", message)
    assert advised, message
    found = plan_folders(tree_of(listing_of(tmp_path / "source", ignore=tuple(json.loads(advised[1])))), tmp_path, "auto")
    assert found.class_names() == {"cat", "dog"}


@pytest.mark.parametrize("folders", NO_CLASSES.values(), ids=NO_CLASSES)
def test_folders_that_are_no_classes_stop_and_can_be_classes_if_that_is_said(tmp_path: Path, folders: str) -> None:
    names = [f"{folder}/{i}.jpg" for folder in folders.split() for i in range(2)]

    assert "ingest.class_from: first_folder" in stop(tmp_path / "source", names)

    found = plan_folders(tree_of(listing_of(tmp_path / "source")), tmp_path, "first_folder")
    assert found.class_names() == set(folders.split())


@pytest.mark.parametrize("folders", CLASSES)
def test_folders_of_which_only_some_are_called_so_are_classes(tmp_path: Path, folders: str) -> None:
    names = [f"{folder}/{i}.jpg" for folder in folders.split() for i in range(2)]
    root = write(tmp_path / "source", *names)

    assert plan_folders(tree_of(listing_of(root)), root, "auto").class_names() == set(folders.split())


def test_one_class_on_several_dates_is_found_by_the_advised_pattern(tmp_path: Path) -> None:
    names = [f"{folder}/1.jpg" for folder in ("cat_2023-05-01", "cat_2023-05-02", "dog_2023-05-01")]

    message = stop(tmp_path / "source", names)

    assert 'ingest.class_from: "{class}_*/*"' in message
    assert "2 classes, cat and dog" in message


def test_classes_with_a_date_each_are_classes(tmp_path: Path) -> None:
    root = write(tmp_path / "source", "cat_2023-05-01/1.jpg", "dog_2023-05-03/2.jpg")

    assert plan_folders(tree_of(listing_of(root)), root, "auto").class_names() == {"cat_2023-05-01", "dog_2023-05-03"}


def test_the_folder_that_tests_and_validation_images_are_called_after_is_the_training_set(tmp_path: Path) -> None:
    folders = ("rps/rock", "rps/paper", "rps-test-set/rock", "rps-test-set/paper", "rps-validation/rock", "rps-validation/paper")
    root = write(tmp_path / "source", *(f"{folder}/1.jpg" for folder in folders))

    found = plan_folders(tree_of(listing_of(root)), root, "auto").places

    assert {"/".join(parts): place.split for parts, place in found.items()} == {
        "rps/rock": "train",
        "rps/paper": "train",
        "rps-test-set/rock": "test",
        "rps-test-set/paper": "test",
        "rps-validation/rock": "validation",
        "rps-validation/paper": "validation",
    }


@pytest.mark.parametrize("again", ["chest/test/NORMAL/5.jpg chest/train/NORMAL/6.jpg", "train_old/NORMAL/5.jpg train_old/ILL/6.jpg"])
def test_training_images_beside_the_splits_stop_and_can_be_ignored(tmp_path: Path, again: str) -> None:
    names = f"train/NORMAL/1.jpg train/ILL/2.jpg test/NORMAL/3.jpg test/ILL/4.jpg {again}".split()

    message = stop(tmp_path / "source", names)

    assert f'ingest.ignore: ["{again.split("/")[0]}"]' in message


def test_folders_below_the_classes_at_several_depths_offer_no_pattern_that_would_be_wrong(tmp_path: Path) -> None:
    names = [f"{label}/SOB/{patient}/{zoom}/1.jpg" for label, patient in (("benign", "p0"), ("ill", "p1")) for zoom in ("40X", "100X")]

    message = stop(tmp_path / "source", names)

    assert "2 classes, benign and ill: set ingest.class_from: first_folder;" in message
    assert "{group}" not in message
