"""Augmentation in the training graph: the same bits from the same seed and epoch, and labels that agree with the pixels."""

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.augmentation.augmenter import Augmenter
from pipeline.augmentation.colour import jitter
from pipeline.params.augment import FitAugment
from tests.test_augment import OFF, augment

STEPS, BATCH_SIZE, SIDE_PX, CLASS_COUNT = 3, 16, 12, 4
COLOUR = {"brightness": 0.2, "contrast": 0.3, "saturation": 0.4, "hue": 0.1}
EVERYTHING = {**{name: 0.3 for name in OFF if name != "fill"}, "horizontal_flip": True, "rotation_degrees": 20.0, "shear_degrees": 10.0}
CHOICES: dict[str, tuple[int, dict[str, float]]] = {
    "flip": (3, {"horizontal_flip": True}),
    "colour": (3, COLOUR),
    "mixup": (3, {"mixup": 0.4}),
    "cutmix": (1, {"cutmix": 1.0}),
    "everything": (3, EVERYTHING),
    "everything, grey": (1, EVERYTHING),
}
"""(channels, parameters)"""
Steps = tuple[np.ndarray, np.ndarray]


@pytest.fixture(autouse=True, scope="module")
def _deterministic_operations() -> None:
    keras.utils.set_random_seed(1)
    tf.config.experimental.enable_op_determinism()


class Loop:
    """An augmenter in a compiled loop over steps, as a fit runs it; standardised with scale 2 and offset 1."""

    def __init__(self, settings: FitAugment, channels: int = 3, side: int = SIDE_PX, class_count: int = CLASS_COUNT) -> None:
        shape = (side, side, channels)
        self.augmenter = Augmenter(settings, shape, class_count)
        images, targets = tf.TensorSpec((None, None, *shape), tf.uint8), tf.TensorSpec((None, None, class_count), tf.float32)
        self._graph = tf.function(self._run, input_signature=[images, targets, self.augmenter.signature])

    def _run(self, images: tf.Tensor, targets: tf.Tensor, draws: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, tf.Tensor]:
        count = tf.shape(images)[0]
        all_images, all_targets = tf.TensorArray(tf.float32, count), tf.TensorArray(tf.float32, count)
        for i in tf.range(count):
            x, y = self.step(images[i], targets[i], tuple(array[i] for array in draws))
            all_images, all_targets = all_images.write(i, x), all_targets.write(i, y)
        return all_images.stack(), all_targets.stack()

    def step(self, images: tf.Tensor, targets: tf.Tensor, draws: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, tf.Tensor]:
        channels = images.shape[-1]
        return self.augmenter.apply(tf.convert_to_tensor(images), targets, draws, tf.fill([channels], 2.0), tf.fill([channels], 1.0))

    def begin(self, steps: tuple[int, ...], epoch: int) -> tuple[np.ndarray, ...]:
        self.augmenter.begin_epoch(1, epoch)
        return self.augmenter.draw((steps[0], steps[1]), np.random.default_rng([1, epoch]))

    def epoch(self, images: np.ndarray, targets: np.ndarray, epoch: int = 0) -> Steps:
        result = self._graph(images, targets, self.begin(images.shape, epoch))
        return result[0].numpy(), result[1].numpy()


def batches(channels: int) -> Steps:
    """The same images uint8 (S, B, H, W, C) and targets float32 (S, B, K) at each step."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (BATCH_SIZE, SIDE_PX, SIDE_PX, channels), dtype=np.uint8)
    targets = np.eye(CLASS_COUNT, dtype=np.float32)[rng.integers(0, CLASS_COUNT, BATCH_SIZE)]
    return np.stack([images] * STEPS), np.stack([targets] * STEPS)


def one_step(images: np.ndarray, targets: np.ndarray, **changes: object) -> Steps:
    """Images uint8 (N, H, W, C) and targets (N, K) after one step; the images as float32 from 0 to 255."""
    loop = Loop(augment(**changes), images.shape[-1], images.shape[1], targets.shape[-1])
    standardised, mixed_targets = loop.epoch(images[None], targets[None])
    return (standardised[0] - 1) / 2, mixed_targets[0]


@pytest.fixture(scope="module", params=CHOICES)
def choice(request: pytest.FixtureRequest) -> tuple[int, dict[str, float]]:
    return CHOICES[request.param]


@pytest.fixture(scope="module")
def epochs(choice: tuple[int, dict[str, float]]) -> tuple[Loop, Steps, Steps]:
    """(a loop, what its first and second epoch gave)."""
    channels, changes = choice
    loop = Loop(augment(**changes), channels)
    return loop, loop.epoch(*batches(channels), 0), loop.epoch(*batches(channels), 1)


def test_the_compiled_loop_gives_what_single_steps_give(choice: tuple[int, object], epochs: tuple[Loop, Steps, Steps]) -> None:
    (images, targets), (loop, compiled, _) = batches(choice[0]), epochs
    draws = loop.begin(images.shape, 0)
    for i in range(STEPS):
        x, y = loop.step(images[i], targets[i], tuple(tf.constant(array[i]) for array in draws))
        different = np.abs(x.numpy() - compiled[0][i]) > 0.01
        assert different.mean() < 0.002  # a compiled multiplication may round otherwise, and posterising then takes the next step
        assert np.allclose(y, compiled[1][i], atol=1e-6)


def test_each_step_and_each_epoch_draws_anew(epochs: tuple[Loop, Steps, Steps]) -> None:
    _, (first, _), (second, _) = epochs

    assert (first[0] != first[1]).any()
    assert (first[1] != first[2]).any()
    assert (first != second).any()


def test_a_resumed_epoch_has_the_same_bits(choice: tuple[int, dict[str, float]], epochs: tuple[Loop, Steps, Steps]) -> None:
    channels, changes = choice

    resumed = Loop(augment(**changes), channels).epoch(*batches(channels), 1)

    assert (resumed[0] == epochs[2][0]).all()
    assert (resumed[1] == epochs[2][1]).all()


@pytest.mark.parametrize(
    ("channels", "changes"), [(3, {}), (1, {"saturation": 0.5, "hue": 0.5})], ids=["nothing", "colours of grey images"]
)
def test_what_changes_nothing_draws_nothing_and_only_standardises(channels: int, changes: dict[str, float]) -> None:
    images, targets = batches(channels)
    loop = Loop(augment(**changes), channels)
    result, result_targets = loop.epoch(images, targets)

    assert loop.augmenter.signature == ()
    assert (result == images.astype(np.float32) * np.float32(2) + np.float32(1)).all()
    assert (result_targets == targets).all()


@pytest.mark.parametrize("changes", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1.0}], ids=" and ".join)
def test_a_label_is_the_share_of_each_image_in_the_pixels(changes: dict[str, float]) -> None:
    brightness = np.arange(8, 8 + 16 * 15, 15, dtype=np.uint8).repeat(2)  # 16 images of one colour each, each its own class
    images = np.broadcast_to(brightness[:, None, None, None], (32, 13, 13, 1))

    mixed, targets = one_step(images, np.eye(16, dtype=np.float32).repeat(2, axis=0), **changes)

    assert np.allclose(targets.sum(axis=-1), 1, atol=1e-6)
    assert (np.count_nonzero(targets > 1e-6, axis=-1) <= 2).all()
    assert np.allclose(mixed.mean(axis=(1, 2, 3)), targets @ brightness[::2].astype(np.float32), atol=0.01)


def own_shares(**changes: float) -> tuple[np.ndarray, np.ndarray]:
    """(the share of each of 4000 images that stays its own, whether it is blended): black and white images, two classes."""
    white = np.arange(4000) % 2
    images = np.broadcast_to((255 * white.astype(np.uint8))[:, None, None, None], (4000, 24, 24, 1))
    mixed, targets = one_step(images, np.eye(2, dtype=np.float32)[white], **changes)
    return targets[np.arange(4000), white], np.any((mixed > 1) & (mixed < 254), axis=(1, 2, 3))


@pytest.mark.parametrize(("name", "is_blended"), [("mixup", True), ("cutmix", False)])
def test_mixup_blends_and_cutmix_pastes_by_shares_from_a_beta_distribution(name: str, is_blended: bool) -> None:
    shares, blended = own_shares(**{name: 1.0})
    other = shares < 1  # mixed with an image of the other class: half of them

    assert 0.47 < other.mean() < 0.53
    assert 0.48 < shares[other].mean() < 0.52  # Beta(1, 1) is uniform
    assert 0.27 < shares[other].std() < 0.31
    assert blended[other & (shares > 0.05) & (shares < 0.95)].all() == is_blended
    assert blended.any() == is_blended


def test_a_low_alpha_mixes_little() -> None:
    shares, _ = own_shares(mixup=0.1)

    assert np.isfinite(shares).all()
    assert np.median(np.maximum(shares, 1 - shares)) > 0.99


def test_with_mixup_and_cutmix_each_image_gets_one_of_them() -> None:
    shares, blended = own_shares(mixup=1.0, cutmix=1.0)

    assert 0.46 < blended[(shares > 0.05) & (shares < 0.95)].mean() < 0.54


def test_random_erasing_blanks_a_rectangle_of_its_share_of_the_images() -> None:
    result, _ = one_step(np.full((1000, 20, 20, 1), 100, np.uint8), np.ones((1000, 1), np.float32), random_erase_fraction=0.3)
    share = (result == -0.5).mean(axis=(1, 2, 3))  # 0 once standardised

    assert 0.26 < (share > 0).mean() < 0.34
    assert 0.01 < share[share > 0].min() < 0.04
    assert 0.31 < share.max() <= 0.35  # 33 %, its sides rounded to whole pixels


def coloured(image: np.ndarray, **changes: float) -> np.ndarray:
    """4000 copies of a colour image uint8 (H, W, 3), one step later."""
    return one_step(np.stack([image] * 4000), np.ones((4000, 1), np.float32), **changes)[0]


Measure = Callable[[np.ndarray], np.ndarray]
COLOURS: dict[str, tuple[float, list[tuple[int, ...]], Measure, tuple[float, float, float]]] = {
    "brightness": (0.2, [(100,) * 3] * 2, lambda x: x[:, 0, 0, 0], (49, 100, 151.01)),  # up to 51 either way
    "contrast": (0.5, [(80,) * 3, (120,) * 3], lambda x: np.ptp(x[..., 0], axis=(1, 2)) / 40, (0.5, 1, 1.501)),
    # the image's saturation of 0.5, times 0.4 / 0.6 to 0.6 / 0.4; the brightest channel stays
    "saturation": (0.2, [(200, 150, 100)] * 2, lambda x: 1 - x[:, 0, 0, 2] / 200, (0.333, 0.514, 0.7501)),
    # up to 36 degrees either way: 60 % of the way to yellow or magenta
    "hue": (0.2, [(200, 100, 100)] * 2, lambda x: x[:, 0, 0, 1] - x[:, 0, 0, 2], (-60.01, 0, 60.01)),
}
"""strength, pixels of a row, what changes, and its lowest, mean and highest value"""


@pytest.mark.parametrize("name", COLOURS)
def test_colours_change_both_ways_up_to_the_limit(name: str) -> None:
    strength, row, measure, (low, mean, high) = COLOURS[name]
    pixels = coloured(np.array([row] * 2, np.uint8), **{name: strength})
    values, tolerance = measure(pixels), 0.02 * (high - low)

    assert low <= values.min() < low + tolerance
    assert high - tolerance < values.max() <= high
    assert abs(values.mean() - mean) < tolerance
    assert name in ("brightness", "contrast") or np.allclose(pixels.max(axis=-1), 200, atol=0.01)


def test_the_highest_saturation_stays_within_range() -> None:
    assert coloured(np.full((2, 2, 3), (200, 150, 100), np.uint8), saturation=1.0).min() >= -1e-3


@pytest.mark.parametrize("changes", [{"brightness": 0.3}, {"contrast": 0.6}, {"saturation": 0.6}, {"hue": 0.4}, COLOUR], ids=" and ".join)
def test_the_preview_changes_colours_as_training_does(changes: dict[str, float]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 5, 3), dtype=np.uint8)

    shown = jitter(np.stack([image] * 4000), augment(**changes), np.random.default_rng(1)).astype(np.float32)
    trained = coloured(image, **changes)

    assert np.abs(shown.mean(axis=0) - trained.mean(axis=0)).max() < 6
    assert np.abs(shown.std(axis=0) - trained.std(axis=0)).max() < 3
    assert np.abs(shown.min(axis=0) - trained.min(axis=0)).max() < 14
