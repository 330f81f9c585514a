"""`pipeline drift` from the command's options to its output: the model is made by hand, images, features and properties are real."""

import argparse
import contextlib
import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.changes.image_list import Placed
from pipeline.errors import ConfigError, SourceError, StorageError
from pipeline.images.decoding import encode_png, pixel_digest
from pipeline.images.sharpness import of_pixels
from pipeline.monitoring import commands, reference
from pipeline.monitoring.opened import Opened
from pipeline.paths import Paths
from pipeline.quality.fingerprints import fingerprint, looks_of
from pipeline.serving.answering import Prediction

SIDE, KNOWN, TESTED = 16, 80, 40
CLASSES = ["dark", "light"]


def pictures(count: int, seed: int, brightness: int = 0) -> list[np.ndarray]:
    """Noise, uint8 (SIDE, SIDE), of which every other picture is darker."""
    rng = np.random.default_rng(seed)
    return [np.clip(rng.integers(0, 100, (SIDE, SIDE)) + 100 * (i % 2) + brightness, 0, 255).astype(np.uint8) for i in range(count)]


class ByBrightness:
    """A classifier that knows dark from light."""

    name, version, shown, class_names = "", "", "shapes version 1", CLASSES

    def stream(self, images: Sequence[Callable[[], bytes]]) -> Iterator[Prediction]:
        for image in images:
            try:
                values = np.asarray(Image.open(io.BytesIO(image())))
            except OSError:
                yield Prediction("", float("nan"), np.empty(0), error="cannot be decoded")
                continue
            light = float(1 / (1 + np.exp((100 - values.mean()) / 10)))
            best = int(light > 0.5)
            yield Prediction(CLASSES[best], max(light, 1 - light), np.array([1 - light, light]), f"{values.sum():x}")


def sha256_of(picture: np.ndarray) -> str:
    return pixel_digest(Image.fromarray(picture)).hex()


def write_project(root: Path) -> Paths:
    """What ingest and preprocess have written, as far as the command reads it."""
    paths = Paths(root)
    every = pictures(KNOWN + TESTED, seed=0)
    ingested, train = paths.stage("ingest"), paths.stage("preprocess") / "train"
    (ingested / "images.parquet").mkdir(parents=True)
    train.mkdir(parents=True)
    labels = [CLASSES[i % 2] for i in range(len(every))]
    encoded = [encode_png(picture) for picture in every]
    digests = [sha256_of(picture) for picture in every]
    index = {
        "sha256": digests,
        "label": labels,
        "split": ["train"] * KNOWN + ["test"] * TESTED,
        "width": [SIDE] * len(every),
        "height": [SIDE] * len(every),
    }
    pq.write_table(pa.table(index), ingested / "index.parquet")
    pq.write_table(pa.table({"bytes": encoded, "label": labels}), ingested / "images.parquet" / "00000.parquet")
    images = [Image.fromarray(picture) for picture in every]
    looks = looks_of(np.stack([fingerprint(image) for image in images]))
    columns = np.column_stack([looks, [of_pixels(image) for image in images]]).astype(np.float32)
    names = ("brightness", "contrast", "colourfulness", "sharpness", "blockiness")
    pq.write_table(pa.table({name: columns[:, k] for k, name in enumerate(names)}), ingested / "properties.parquet")
    pq.write_table(pa.table({"sha256": digests[:KNOWN]}), train / "index.parquet")
    np.save(train / "images.npy", np.stack(every[:KNOWN])[..., None])
    np.save(train / "groups.npy", np.arange(KNOWN))
    np.save(train / "embeddings.npy", np.empty((0, 2, 1280), np.float32))
    spec = {"height": SIDE, "width": SIDE, "channels": 1, "resize": "pad", "class_names": CLASSES, "dataset_digest": "d1", "backbone": None}
    (paths.stage("preprocess") / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
    return paths


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return write_project(tmp_path_factory.mktemp("project"))


def drift(paths: Paths, images: Path, capsys: pytest.CaptureFixture[str], digest: str = "d1", **options: object) -> str:
    """What the command prints about the images in a folder."""

    @contextlib.contextmanager
    def opened(*_: object) -> Iterator[Opened]:
        yield Opened(ByBrightness(), {"dataset_digest": digest}, paths.root)  # type: ignore[arg-type]

    given = {"images": [str(images)], "model": "champion", "json": False, "csv": False, "page": None, "strict": False, **options}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commands, "opened", opened)
        assert commands.run_drift(argparse.Namespace(**given), paths) == 0
    return capsys.readouterr().out


def write_images(folder: Path, arrays: Sequence[np.ndarray]) -> Path:
    folder.mkdir(parents=True)
    for i, array in enumerate(arrays):
        (folder / f"{i}.png").write_bytes(encode_png(array))
    return folder


def test_images_like_the_known_ones_raise_no_alarm(paths: Paths, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_images(tmp_path / "new", pictures(60, seed=1))

    text = drift(paths, folder, capsys)

    assert text.startswith("No drift found: these 60 images")
    assert "ALARM" not in text
    assert text.count(str(folder)) == 12


def test_brighter_images_raise_alarms_and_the_property_is_named(paths: Paths, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_images(tmp_path / "new", pictures(60, seed=1, brightness=60))

    found = json.loads(drift(paths, folder, capsys, json=True))

    assert {"looks", "mix"} <= set(found["alarms"])
    assert found["class_mix"]["shares"]["light"] == {"new": 1.0, "reference": 0.5}
    assert found["properties"]["brightness"]["new"] > found["properties"]["brightness"]["reference"] + 40
    with pytest.raises(SourceError, match=r"Drift: \d of 5 questions raise an alarm"):
        drift(paths, folder, capsys, strict=True)


def test_the_truth_is_known_by_the_names_of_the_folders(paths: Paths, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the light pictures, a quarter lies in the folder of the dark ones."""
    every = pictures(80, seed=2)
    write_images(tmp_path / "new" / "dark", [*every[0::2], *every[1:20:2]])
    write_images(tmp_path / "new" / "light", every[21::2])

    found = json.loads(drift(paths, tmp_path / "new", capsys, json=True))

    assert found["accuracy"]["true"] == pytest.approx(70 / 80)


def test_images_that_the_model_was_fitted_to_are_counted_and_test_images_are_not(
    paths: Paths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    every = pictures(KNOWN + TESTED, seed=0)
    folder = write_images(tmp_path / "new", [*every[:30], *every[KNOWN:], *pictures(5, seed=8)])

    text = drift(paths, folder, capsys)

    assert "75; the model was fitted to 30 of them" in text
    assert "was fitted to 0" not in drift(paths, write_images(tmp_path / "tested", every[KNOWN:]), capsys)
    assert json.loads(drift(paths, folder, capsys, json=True))["images"]["fitted_to"] == 30


def test_a_row_per_image_and_a_page_of_the_newest(paths: Paths, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_images(tmp_path / "new", [*pictures(40, seed=3), *pictures(4, seed=4, brightness=150)])
    (folder / "broken.png").write_bytes(b"not an image")

    rows = list(csv.DictReader(io.StringIO(drift(paths, folder, capsys, csv=True, page=str(tmp_path / "page.html")))))

    assert len(rows) == 44
    assert len({Path(row["path"]).stem for row in rows[:4]} & {"40", "41", "42", "43"}) >= 3
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("<figure>") == 12
    assert "1 cannot be used" in page


@pytest.mark.parametrize(
    ("count", "digest", "error", "message"),
    [
        (30, "d2", ConfigError, "was trained on other images than those in data/ now, and which they were is not recorded with it"),
        (19, "d1", SourceError, "19 of 19 images can be read; with fewer than 20 nothing can be said"),
    ],
    ids=["another data set", "too few images"],
)
def test_where_nothing_can_be_said_it_says_why(
    paths: Paths, tmp_path: Path, capsys: pytest.CaptureFixture[str], count: int, digest: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        drift(paths, write_images(tmp_path / "new", pictures(count, seed=5)), capsys, digest)


def test_a_project_without_data_says_which_command_makes_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_images(tmp_path / "new", pictures(30, seed=6))

    with pytest.raises(StorageError, match=r"data/preprocess/spec.json does not exist.*dvc repro"):
        drift(Paths(tmp_path), folder, capsys)


def test_copies_of_one_picture_are_one_picture(paths: Paths, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_images(tmp_path / "new", pictures(1, seed=7) * 30)

    with pytest.raises(SourceError, match="The 30 images are near copies of 1 pictures"):
        drift(paths, folder, capsys)


def test_of_a_champion_of_earlier_images_those_that_are_still_there_are_the_reference(
    paths: Paths, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was fitted to 40 of the 80 training images, and to 10 that are test images now."""
    every = pictures(KNOWN + TESTED, seed=0)
    placed = {sha256_of(every[i]): Placed(CLASSES[i % 2], "train") for i in [*range(40), *range(KNOWN, KNOWN + 10)]}
    monkeypatch.setattr(reference, "_recorded", lambda *_: placed)
    folder = write_images(tmp_path / "new", pictures(60, seed=1))

    found = json.loads(drift(paths, folder, capsys, digest="d0", json=True))

    assert found["images"]["reference"] == 40
    monkeypatch.setattr(reference, "_recorded", lambda *_: dict(list(placed.items())[:19]))
    with pytest.raises(ConfigError, match="and 19 of these are left"):
        drift(paths, folder, capsys, digest="d0")
