"""An image that is unlike all training images by what the network sees in it is noted, and with few images none is."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.dataset.arrays import read_training_set
from pipeline.familiarity.fit import FEWEST, RATE, fit_familiar
from pipeline.familiarity.images import find_familiar
from pipeline.familiarity.reference import Familiar
from pipeline.files import write_json
from pipeline.params.reader import load_config
from pipeline.paths import Paths

RNG = np.random.default_rng(0)
CONFIG = load_config(Path(__file__).parent.parent / "params.yaml")


def features(count: int, size: int = 20) -> np.ndarray:
    return np.maximum(RNG.normal(1, 1, (count, size)), 0).astype(np.float32)


def labels_of(count: int) -> np.ndarray:
    return np.arange(count) % 3


def test_images_like_the_held_out_ones_are_rarely_noted_and_foreign_ones_always() -> None:
    familiar = fit_familiar(features(1000), labels_of(1000), features(2399))

    assert (familiar.held_out, familiar.rate) == (2399, RATE)  # 12 of 2400
    assert familiar.is_unlike(features(10_000)).mean() == pytest.approx(RATE, abs=0.004)
    assert familiar.is_unlike(9 * np.eye(20, dtype=np.float32)).all()
    assert familiar.is_unlike(np.full((1, 20), np.nan, np.float32)).all()


def test_the_distance_is_that_of_mahalanobis_to_the_nearest_mean() -> None:
    """(0, 36) and (64, 0) become (0, 1) and (1, 0): from (0, 0.5) half a step along the axis; half a step and one outside of it; (9, 9) is too far."""
    means = np.array([[0, 0.5], [9, 9]], np.float32)
    familiar = Familiar(means, np.array([[0], [1]], np.float32), np.array([0.25], np.float32), 0.01, 4.5)

    assert familiar.distances(np.array([[0, 36], [64, 0]], np.float32)).tolist() == pytest.approx([1, 101**0.5])


def test_many_classes_share_one_mean() -> None:
    assert len(fit_familiar(features(900, 1000), np.arange(900) % 226, features(100, 1000)).means) == 1
    assert len(fit_familiar(features(900, 1000), np.arange(900) % 225, features(100, 1000)).means) == 225


def test_with_few_images_nothing_is_noted_and_it_is_said() -> None:
    familiar = fit_familiar(features(1000), labels_of(1000), features(FEWEST - 1))

    assert not familiar.is_known
    assert familiar.missing == (
        "No image is noted as unlike the training images: 99 images that the model was not fitted to are too few; it takes 100."
    )
    assert Familiar.read(familiar.as_bytes()).missing == familiar.missing


def test_what_is_kept_is_small_gives_the_same_answers_and_is_the_same_for_the_same_images() -> None:
    known, held_out, others = features(1200, 1280), features(100, 1280), features(9, 1280)

    familiar = fit_familiar(known, labels_of(1200), held_out)

    content = familiar.as_bytes()
    assert len(content) < 2_000_000
    assert Familiar.read(content).distances(others).tolist() == familiar.distances(others).tolist()
    assert fit_familiar(known, labels_of(1200), held_out).as_bytes() == content


@pytest.mark.parametrize("has_validation", [False, True])
def test_the_held_out_images_are_those_that_train_has_held_out_one_of_each_group(tmp_path: Path, has_validation: bool) -> None:
    paths = Paths(tmp_path)
    folder = paths.stage("preprocess") / "train"
    folder.mkdir(parents=True)
    count = 2400
    images = np.stack([np.arange(count) % 256, np.arange(count) // 256], axis=1).astype(np.uint8).reshape(count, 1, 2, 1)
    arrays = {"labels": np.arange(count, dtype=np.int32) % 3, "groups": np.arange(count, dtype=np.int32) // 2}
    for name, array in {
        "images": images,
        "validation": np.arange(count) >= 2100 if has_validation else np.zeros(count, bool),
        **arrays,
    }.items():
        np.save(folder / f"{name}.npy", array)
    write_json(folder.parent / "spec.json", {"class_names": ["a", "b", "c"]})
    seen: list[int] = []

    def see(some: np.ndarray) -> np.ndarray:
        seen.extend((some[:, 0, 0, 0] + some[:, 0, 1, 0].astype(int) * 256).tolist())
        return features(len(some))

    assert find_familiar(paths, see, CONFIG.train.validation_fraction, seed=CONFIG.seed).is_known

    held_out = read_training_set(folder.parent).held_out(CONFIG.train.validation_fraction, seed=CONFIG.seed)
    rows, watched = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    assert set(seen[:2000]) - set(rows.tolist()) == set()
    assert set(seen[2000:]) <= set(watched.tolist())
    assert sorted(row // 2 for row in seen[2000:]) == sorted({row // 2 for row in watched.tolist()})
