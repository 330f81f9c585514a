"""A map says where a model found what it answered by: exactly, by the theory, and on networks that are known to look somewhere.

Sanity checks after Adebayo et al. (2018), Sanity checks for saliency maps, NeurIPS, and Petsiuk et al. (2018), RISE, BMVC, whose measure is deletion.
"""

from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pytest
from scipy import stats

from pipeline.explanation.hirescam import Explained, explained
from pipeline.explanation.kept_model import KeptModel
from pipeline.explanation.overlay import scaled
from pipeline.models.network import build_to_fit, build_to_keep, to_bytes
from pipeline.params.model import FitModel, model_names
from tests.test_models import SLOW, SMALLEST, build_both, choose, noise

SIDE_PX = 24
OBJECT_PX = 7
MARK_PX = 5
WITHOUT_GLOBAL_POOLING = "tutorial"


def explained_network(options: FitModel, images: np.ndarray) -> tuple[keras.Model, Explained]:
    """A network of three classes with drawn weights, also where they are zero before training, and its parts."""
    network, _ = build_both(options, images)
    generator = np.random.default_rng(3)
    for weight in network.trainable_weights:
        if not np.any(weight.numpy()):
            weight.assign(generator.normal(0, 0.3, weight.shape))
    channels = images.shape[-1]
    found = explained(build_to_keep(network, options, [1 / 60] * channels, [-2.0] * channels))
    assert found
    return network, found


def logits_less_bias(parts: Explained, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """float (N,): the logit of each image's class without the bias of the linear classifier."""
    logits = np.asarray(parts.head(parts.trunk(parts.standardise(images), training=False), training=False))
    less: np.ndarray = logits[np.arange(len(images)), classes] - parts.head.layers[-1].bias.numpy()[classes]
    return less


def assert_exact(options: FitModel, shape: tuple[int, int, int]) -> None:
    images, classes = noise(shape), np.array([0, 1, 2, 0])
    _, parts = explained_network(options, images)

    maps = parts.maps(images, classes)

    assert parts.is_exact
    assert maps.dtype == np.float32
    assert maps.shape[1] > 1
    assert np.abs(maps).max() > 0
    np.testing.assert_allclose(maps.sum(axis=(1, 2), dtype=np.float64), logits_less_bias(parts, images, classes), atol=1e-3)


@pytest.mark.parametrize("name", [name for name in model_names() if name != WITHOUT_GLOBAL_POOLING])
def test_a_map_sums_to_the_logit_less_its_bias(name: str) -> None:
    assert_exact(choose(name=name, pooling="average", flip_average=False), (20, 16, 1))


def test_so_it_does_where_the_network_takes_maxima() -> None:
    assert_exact(choose(name="resnet", pooling="max", flip_average=False), (20, 16, 1))


@pytest.mark.slow
@pytest.mark.parametrize("name", [SMALLEST, *SLOW])
@pytest.mark.filterwarnings("ignore")
def test_so_it_does_for_the_networks_of_keras_applications(name: str) -> None:
    assert_exact(choose(name=name, weights="none", flip_average=False), (96, 96, 3))


def test_so_it_does_for_the_pretrained_network() -> None:
    assert_exact(choose(name="efficientnet_lite0", weights="imagenet", flip_average=False), (64, 64, 3))


def test_without_global_pooling_a_map_is_called_partial() -> None:
    images = noise((28, 28, 1))
    _, parts = explained_network(choose(name=WITHOUT_GLOBAL_POOLING, flip_average=False), images)

    maps = parts.maps(images, np.array([0, 1, 2, 0]))

    assert not parts.is_exact
    assert np.isfinite(maps).all()
    assert np.abs(maps).max() > 0


def test_a_network_without_places_has_no_map() -> None:
    images = keras.Input((8, 8, 1), name="images")
    flat = keras.layers.Reshape((64,))(keras.layers.Reshape((64, 1))(images))
    network = keras.Model(images, keras.layers.Dense(2, name="logits")(flat), name="none")

    assert explained(build_to_keep(network, choose(flip_average=False), [1.0], [0.0])) is None


def test_of_a_model_that_averages_mirror_images_it_is_the_mean_of_map_and_mirrored_map(tmp_path: Path) -> None:
    images, classes = noise((28, 32, 1)), np.array([0, 1, 2, 0])
    network, alone = explained_network(choose(flip_average=False), images)
    (tmp_path / "model.keras").write_bytes(to_bytes(build_to_keep(network, choose(flip_average=True), [1 / 60], [-2.0])))

    model = KeptModel(tmp_path / "model.keras")
    found = model.maps(images, classes)

    expected = (alone.maps(images, classes) + alone.maps(images[:, :, ::-1], classes)[:, :, ::-1]) / 2
    assert found is not None
    assert model.maps_are_exact
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(model.predict(images).sum(axis=1), 1, atol=1e-5)


class Trained(NamedTuple):
    """A small network that tells bars from crosses anywhere in noise, and images that it was not fitted to. centres: (N, 2), row and column in px."""

    model: keras.Model
    images: np.ndarray
    labels: np.ndarray
    centres: np.ndarray


def draw(count: int, seed: int, *, mark: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(images uint8 (N, 24, 24, 1), labels, centres): a bar (0) or a cross (1) in noise. With `mark` noise alone, but a bright corner in 1."""
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 90, (count, SIDE_PX, SIDE_PX, 1))
    labels = np.arange(count) % 2
    tops = generator.integers(0, SIDE_PX - OBJECT_PX + 1, (count, 2))
    half = OBJECT_PX // 2
    for image, label, (top, left) in zip(images, labels, tops, strict=True):
        if mark:
            image[:MARK_PX, -MARK_PX:] = 250 if label else image[:MARK_PX, -MARK_PX:]
            continue
        place = image[top : top + OBJECT_PX, left : left + OBJECT_PX, 0]
        place[:, half] = 250
        if label:
            place[half] = 250
    return images.astype(np.uint8), labels, tops + half


def fitted(images: np.ndarray, labels: np.ndarray, epochs: int, seed: int = 1) -> keras.Model:
    options = choose(width=0.25, pooling="average", flip_average=False)
    keras.utils.set_random_seed(seed)
    network = build_to_fit(images.shape[1:], 2, options, "float32")
    network.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    network.fit(images / 64 - 1.0, labels, batch_size=32, epochs=epochs, verbose=0)
    return build_to_keep(network, options, [1 / 64], [-1.0])


def maps_of(model: keras.Model, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
    parts = explained(model)
    assert parts
    return parts.maps(images, classes)


@pytest.fixture(scope="module")
def trained() -> Trained:
    model = fitted(*draw(800, 0)[:2], epochs=8)
    images, labels, centres = draw(120, 1)
    right = model.predict_on_batch(images).argmax(axis=1) == labels
    assert right.mean() > 0.95
    return Trained(model, images[right], labels[right], centres[right])


def test_the_map_moves_with_the_object(trained: Trained) -> None:
    maps = np.maximum(maps_of(trained.model, trained.images, trained.labels), 0)

    rows, columns = (np.arange(side) + 0.5 for side in maps.shape[1:])
    weights = maps / maps.sum(axis=(1, 2), keepdims=True)
    found = np.stack([(weights.sum(axis=2) * rows).sum(axis=1), (weights.sum(axis=1) * columns).sum(axis=1)], axis=1)
    crosses = trained.labels == 1
    assert min(np.corrcoef(found[crosses, axis], trained.centres[crosses, axis])[0, 1] for axis in (0, 1)) > 0.8


def test_removing_the_top_fifth_of_the_map_lowers_the_probability_more_than_removing_a_random_fifth(trained: Trained) -> None:
    crosses = trained.labels == 1
    images, classes = trained.images[crosses], trained.labels[crosses]
    maps = maps_of(trained.model, images, classes)
    by_map = np.stack([scaled(places, SIDE_PX, SIDE_PX) for places in maps])
    by_chance = np.random.default_rng(0).random(by_map.shape)

    left = [
        trained.model.predict_on_batch(without_top(images, strength))[np.arange(len(images)), classes] for strength in (by_map, by_chance)
    ]

    difference = left[1] - left[0]
    interval = stats.ttest_1samp(difference, 0).confidence_interval(0.95)
    assert interval.low > 0.1


def without_top(images: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """The images with the fifth of their pixels that has the largest strength, float (N, H, W), set to their mean."""
    limit = np.quantile(strength, 0.8, axis=(1, 2), keepdims=True)
    means = images.mean(axis=(1, 2, 3), keepdims=True)
    return np.where((strength > limit)[..., None], means, images).astype(np.uint8)


def test_with_drawn_weights_the_map_is_spread_over_the_image(trained: Trained) -> None:
    generator = np.random.default_rng(5)
    drawn = keras.models.clone_model(trained.model)
    drawn.set_weights([generator.permutation(weight.reshape(-1)).reshape(weight.shape) for weight in trained.model.get_weights()])

    before, after = (entropy(maps_of(model, trained.images, trained.labels)) for model in (trained.model, drawn))

    assert (after > before).mean() >= 0.95


def entropy(maps: np.ndarray) -> np.ndarray:
    """float (N,): of the absolute values of maps (N, h, w), in nats."""
    shares = np.abs(maps).reshape(len(maps), -1).astype(np.float64)
    return np.asarray(stats.entropy(shares, axis=1))


def test_a_planted_short_cut_draws_most_of_the_map_of_its_class() -> None:
    model = fitted(*draw(300, 2, mark=True)[:2], epochs=5)
    images, labels, _ = draw(100, 3, mark=True)
    marked = labels == 1

    summed = np.maximum(maps_of(model, images[marked], labels[marked]), 0).sum(axis=0)

    corner = scaled(summed, SIDE_PX, SIDE_PX)[: SIDE_PX // 2, SIDE_PX // 2 :]
    assert corner.sum() > 0.5 * scaled(summed, SIDE_PX, SIDE_PX).sum()
