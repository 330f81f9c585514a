"""`preprocess` packs every image as the registered model will see it, with folds, and shows what augmentation does."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.backbone.runtime import Backbone
from pipeline.backbone.weights import SHA256
from pipeline.images.decoding import ImageSpec, encoded_to_input
from pipeline.params.preprocess import Preprocess
from pipeline.params.reader import Config
from pipeline.paths import Paths
from pipeline.stages import ingest, preprocess
from tests.sample_images import write_class_folders
from tests.test_ingest import configure, contents


def augmenting(source: Path, **changes: float) -> Config:
    config = configure(source)
    return config.model_copy(update={"augment": config.augment.model_copy(update={"rotation_degrees": 20.0, **changes})})


def fitting_whole(config: Config) -> Config:
    """With a network that is fitted to augmented images, and not to features of them."""
    return config.model_copy(update={"train": config.train.model_copy(update={"fine_tune": "all"})})


class Packed:
    """A source with 12 images for validation, and what `ingest` and `preprocess` have made of it in a project."""

    def __init__(self, root: Path) -> None:
        self.source = write_class_folders(root / "flowers", per_class=15, split=True)
        (self.source / "val").mkdir()
        (self.source / "train" / "circle").rename(self.source / "val" / "circle")
        write_class_folders(self.source / "train", classes=1, per_class=10, seed=5)
        self.paths = Paths(root / "project")
        self.folder = self.paths.stage("preprocess")
        ingest.run(configure(self.source), self.paths, None)
        preprocess.run(augmenting(self.source), self.paths, None)
        self.contents = contents(self.folder)

    def read(self, split: str) -> tuple[np.ndarray, np.ndarray, dict[str, list[Any]]]:
        index = pq.read_table(self.folder / split / "index.parquet").to_pydict()
        return np.load(self.folder / split / "images.npy"), np.load(self.folder / split / "labels.npy"), index


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    return Packed(tmp_path_factory.mktemp("packed"))


def test_a_packed_image_is_what_the_registered_model_makes_of_the_file(packed: Packed) -> None:
    spec = json.loads((packed.folder / "spec.json").read_text(encoding="utf-8"))
    image_spec = ImageSpec.read(spec)

    for split in ("train", "test"):
        images, labels, index = packed.read(split)
        for image, label, path in zip(images, labels, index["path"], strict=True):
            assert (image == encoded_to_input((packed.source / path).read_bytes(), image_spec)).all()
            assert spec["class_names"][label] in path


def test_validation_images_of_the_source_are_packed_with_the_training_ones_and_marked(packed: Packed) -> None:
    validation = np.load(packed.folder / "train" / "validation.npy")

    assert [path.startswith("val/") for path in packed.read("train")[2]["path"]] == validation.tolist()
    assert validation.sum() == 12


def test_folds_are_spread_over_the_classes(packed: Packed) -> None:
    _, labels, index = packed.read("train")
    counts = np.array([np.bincount(labels[np.array(index["fold"]) == fold], minlength=3) for fold in range(5)])

    assert counts.max(axis=0).tolist() == [5, 3, 3]
    assert counts.min(axis=0).tolist() == [4, 2, 2]


def test_augmentation_is_shown_as_a_picture(packed: Packed) -> None:
    with Image.open(packed.folder / "augmented.png") as picture:
        assert picture.width > 600


@pytest.mark.parametrize("change", ["brightness", "random_erase_fraction", "mixup"])
def test_the_picture_shows_colours_and_erasing_or_names_what_it_does_not_show(packed: Packed, change: str) -> None:
    preprocess.run(fitting_whole(augmenting(packed.source)), packed.paths, None)
    before = contents(packed.folder)
    preprocess.run(fitting_whole(augmenting(packed.source, **{change: 0.5})), packed.paths, None)

    assert {name for name, content in contents(packed.folder).items() if content != before[name]} == {"augmented.png"}


def test_the_picture_shows_only_what_is_trained_on(packed: Packed) -> None:
    preprocess.run(augmenting(packed.source, brightness=0.5, mixup=0.5), packed.paths, None)

    assert contents(packed.folder) == packed.contents  # features are computed once, of images that no augmentation has changed


def test_the_same_images_twice_give_the_same_bytes(packed: Packed, tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    ingest.run(configure(packed.source), paths, None)
    preprocess.run(augmenting(packed.source), paths, None)

    assert contents(paths.stage("preprocess")) == packed.contents


def with_model(config: Config, **changes: object) -> Config:
    return config.model_copy(update={"model": config.model.model_copy(update=changes)})


def test_images_are_embedded_by_the_pretrained_network_that_auto_chooses(packed: Packed) -> None:
    spec = json.loads((packed.folder / "spec.json").read_text(encoding="utf-8"))
    network = Backbone("efficientnet_lite0", (spec["height"], spec["width"], spec["channels"]))

    assert (spec["networks"], spec["networks_reason"]) == (["efficientnet_lite0"], "colour images of about 78 px: pretrained features")
    assert spec["backbone"] == {
        "name": "efficientnet_lite0",
        "weights_sha256": SHA256["efficientnet_lite0"],
        "runtime": network.runtime,
    }
    for part in ("train", "test"):
        images, embeddings = packed.read(part)[0], np.load(packed.folder / part / "embeddings.npy")
        assert embeddings.dtype == np.float32
        assert (embeddings[:, 0] == network.features(images)).all()
        assert (embeddings[:, 1] == network.features(np.ascontiguousarray(images[:, :, ::-1]))).all()


def test_a_network_from_scratch_gets_no_embeddings_and_no_flips_one_view(packed: Packed, tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    ingest.run(configure(packed.source), paths, None)
    shapes = []
    for config in (with_model(configure(packed.source), name="resnet"), augmenting(packed.source, horizontal_flip=False)):
        preprocess.run(config, paths, None)
        shapes.append([np.load(paths.stage("preprocess") / part / "embeddings.npy").shape for part in ("train", "test")])

    images = [len(packed.read(part)[0]) for part in ("train", "test")]
    assert shapes == [[(0, 2, 1280)] * 2, [(count, 1, 1280) for count in images]]


def test_embedding_loads_no_tensorflow(packed: Packed, tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    ingest.run(configure(packed.source), paths, None)
    (tmp_path / "config.json").write_text(augmenting(packed.source).model_dump_json(by_alias=True), encoding="utf-8")
    code = (
        "import json, sys; from pathlib import Path; from pipeline.params.reader import Config; from pipeline.paths import Paths;"
        "from pipeline.stages import preprocess; root = Path(sys.argv[1]);"
        "preprocess.run(Config.model_validate(json.loads((root / 'config.json').read_text())), Paths(root), None);"
        "assert 'onnxruntime' in sys.modules; assert not {'tensorflow', 'keras', 'mlflow'} & set(sys.modules)"
    )

    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=Path(__file__).parent.parent, check=True)

    assert contents(paths.stage("preprocess")) == packed.contents  # in another process, too


def test_decoded_images_are_kept_up_to_a_limit(packed: Packed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = Paths(tmp_path)
    ingest.run(configure(packed.source), paths, None)
    spec = ImageSpec.read(json.loads((packed.folder / "spec.json").read_text(encoding="utf-8")))
    kept = []
    for limit in (10, 1000):
        monkeypatch.setattr(preprocess, "MOST_KEPT_BYTES", limit * spec.height * spec.width * spec.channels)
        preprocess.run(augmenting(packed.source), paths, None)
        kept.append(sum(len(np.load(file)) for file in (paths.scratch / "prepared").rglob("*.keys.npy")))

    assert kept == [10, sum(len(packed.read(part)[0]) for part in ("train", "test"))]
    assert contents(paths.stage("preprocess")) == packed.contents


SMALL = {"width": [28, 28, 28], "height": [20, 20, 20], "median_longer_side": 28}
MIXED = {"width": [100, 400, 900], "height": [80, 300, 700], "median_longer_side": 400}
TINY = {"width": [10, 12, 14], "height": [10, 12, 14], "median_longer_side": 12}
MIDDLE = {"width": [40, 60, 90], "height": [40, 50, 90], "median_longer_side": 61}
AUTO = Preprocess(image_size="auto", channels="auto", resize="pad", value_range="auto")
CHOSEN = Preprocess(image_size=[40, 50], channels=1, resize="crop", value_range="auto")


@pytest.mark.parametrize(
    ("chosen", "sizes", "grey", "expected"),
    [
        (AUTO, SMALL, True, ImageSpec(20, 28, 1, "pad")),
        (AUTO, MIXED, False, ImageSpec(96, 96, 3, "pad")),
        (AUTO, TINY, False, ImageSpec(32, 32, 3, "pad")),
        (AUTO, MIDDLE, True, ImageSpec(64, 64, 1, "pad")),
        (CHOSEN, MIXED, False, ImageSpec(40, 50, 1, "crop")),
    ],
)
def test_auto_is_decided_by_the_images_and_what_is_set_is_used(
    chosen: Preprocess, sizes: dict[str, Any], grey: bool, expected: ImageSpec
) -> None:
    assert preprocess.image_spec(chosen, {"sizes_px": sizes, "grey": grey}, is_pretrained=False) == expected
