"""`preprocess` packs every image as the registered model will see it, with folds, and shows what augmentation does."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.images.decoding import ImageSpec, encoded_to_input
from pipeline.params.preprocess import Preprocess
from pipeline.params.reader import Config, load_config
from pipeline.paths import Paths
from pipeline.stages import ingest, preprocess
from tests.sample_images import write_class_folders

ROOT = Path(__file__).parent.parent


def configure(source: Path) -> Config:
    values = load_config(ROOT / "params.yaml").model_dump(by_alias=True)
    values["ingest"]["source"] = str(source)
    values["augment"]["rotation_degrees"] = 20.0
    return Config.model_validate(values)


def run(root: Path, source: Path, config: Config | None = None) -> Path:
    config, paths = config or configure(source), Paths(root)
    ingest.run(config, paths, None)
    preprocess.run(config, paths, None)
    return paths.stage("preprocess")


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("packed")
    source = write_class_folders(root / "flowers", per_class=15, split=True)
    (source / "val").mkdir()
    (source / "train" / "circle").rename(source / "val" / "circle")
    write_class_folders(root / "more", classes=1, per_class=10, seed=5)
    (root / "more" / "circle").rename(source / "train" / "circle")
    return source, run(root / "project", source)


def read(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray, dict[str, list[Any]]]:
    index = pq.read_table(folder / split / "index.parquet").to_pydict()
    return np.load(folder / split / "images.npy"), np.load(folder / split / "labels.npy"), index


def test_a_packed_image_is_what_the_registered_model_makes_of_the_file(packed: tuple[Path, Path]) -> None:
    source, folder = packed
    spec = json.loads((folder / "spec.json").read_text(encoding="utf-8"))
    image_spec = ImageSpec(spec["height"], spec["width"], spec["channels"], spec["resize"])

    for split in ("train", "test"):
        images, labels, index = read(folder, split)
        for image, label, path in zip(images, labels, index["path"], strict=True):
            assert (image == encoded_to_input((source / path).read_bytes(), image_spec)).all()
            assert spec["class_names"][label] in path


def test_validation_images_of_the_source_are_packed_with_the_training_ones_and_marked(packed: tuple[Path, Path]) -> None:
    _, folder = packed
    _, _, index = read(folder, "train")
    validation = np.load(folder / "train" / "validation.npy")

    assert [path.startswith("val/") for path in index["path"]] == validation.tolist()
    assert validation.sum() == 12


def test_folds_are_spread_over_the_classes(packed: tuple[Path, Path]) -> None:
    _, labels, index = read(packed[1], "train")
    counts = np.array([np.bincount(labels[np.array(index["fold"]) == fold], minlength=3) for fold in range(5)])

    assert counts.max(axis=0).tolist() == [5, 3, 3]
    assert counts.min(axis=0).tolist() == [4, 2, 2]


def test_augmentation_is_shown_as_a_picture(packed: tuple[Path, Path]) -> None:
    with Image.open(packed[1] / "augmented.png") as picture:
        assert picture.width > 600


@pytest.mark.parametrize("change", [{"brightness": 0.5}, {"random_erase_fraction": 1.0}, {"mixup": 0.2}])
def test_the_picture_shows_colours_and_erasing_or_names_what_it_does_not_show(
    packed: tuple[Path, Path], tmp_path: Path, change: dict[str, float]
) -> None:
    source, folder = packed
    values = configure(source).model_dump(by_alias=True)
    values["augment"] |= change

    preprocessed = run(tmp_path, source, Config.model_validate(values))

    assert (preprocessed / "augmented.png").read_bytes() != (folder / "augmented.png").read_bytes()


def test_the_same_images_twice_give_the_same_bytes(packed: tuple[Path, Path], tmp_path: Path) -> None:
    source, folder = packed
    again = run(tmp_path, source)

    for file in sorted(folder.rglob("*")):
        if file.is_file():
            assert file.read_bytes() == (again / file.relative_to(folder)).read_bytes(), file.name


SMALL = {"width": [28, 28, 28], "height": [20, 20, 20], "median_longer_side": 28}
MIXED = {"width": [100, 400, 900], "height": [80, 300, 700], "median_longer_side": 400}
TINY = {"width": [10, 12, 14], "height": [10, 12, 14], "median_longer_side": 12}
MIDDLE = {"width": [40, 60, 90], "height": [40, 50, 90], "median_longer_side": 61}


@pytest.mark.parametrize(
    ("sizes", "grey", "expected"),
    [(SMALL, True, (20, 28, 1)), (MIXED, False, (96, 96, 3)), (TINY, False, (32, 32, 3)), (MIDDLE, True, (64, 64, 1))],
)
def test_auto_is_decided_by_the_images(sizes: dict[str, Any], grey: bool, expected: tuple[int, int, int]) -> None:
    auto = Preprocess(image_size="auto", channels="auto", resize="pad")

    spec = preprocess.image_spec(auto, {"sizes_px": sizes, "grey": grey})

    assert (spec.height, spec.width, spec.channels) == expected


def test_what_is_set_is_taken() -> None:
    chosen = Preprocess(image_size=[40, 50], channels=1, resize="crop")

    assert preprocess.image_spec(chosen, {"sizes_px": MIXED, "grey": False}) == ImageSpec(40, 50, 1, "crop")
