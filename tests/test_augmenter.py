"""Augmentation in the training graph: the same bits from the same seed and epoch, and labels that tell what is in the pixels."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.augmentation.augmenter import Augmenter
from pipeline.augmentation.colour import jitter
from pipeline.params.augment import Augment
from tests.test_augment import OFF, augment

STEPS, BATCH_SIZE, SIDE_PX, CLASS_COUNT = 3, 16, 12, 4
GEOMETRY: dict[str, object] = {
    "horizontal_flip": True,
    "rotation_degrees": 20.0,
    "shift_fraction": 0.1,
    "shear_degrees": 10.0,
    "zoom_fraction": 0.2,
}
CHOICES: dict[str, dict[str, object]] = {
    "nothing": {},
    "flip": {"horizontal_flip": True},
    "geometry": GEOMETRY,
    "erasing": {"erase_fraction": 0.4, "random_erase_fraction": 0.5},
    "colour": {"brightness": 0.2, "contrast": 0.3, "saturation": 0.4, "hue": 0.1},
    "rand_augment": {"rand_augment": 0.4},
    "mixup": {"mixup": 0.4},
    "cutmix": {"cutmix": 1.0},
    "mixup and cutmix": {"mixup": 0.4, "cutmix": 1.0},
    "everything": {**GEOMETRY, **{name: 0.3 for name in OFF if name not in (*GEOMETRY, "fill")}},
}
Steps = tuple[np.ndarray, np.ndarray]


@pytest.fixture(autouse=True, scope="module")
def _deterministic_operations() -> None:
    keras.utils.set_random_seed(1)
    tf.config.experimental.enable_op_determinism()


def batches(channels: int = 3) -> Steps:
    """Images uint8 (S, B, H, W, C) and targets float32 (S, B, K)."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (STEPS, BATCH_SIZE, SIDE_PX, SIDE_PX, channels), dtype=np.uint8)
    return images, np.eye(CLASS_COUNT, dtype=np.float32)[rng.integers(0, CLASS_COUNT, (STEPS, BATCH_SIZE))]


class Loop:
    """An augmenter in a compiled loop over steps, as a fit runs it; standardised with scale 2 and offset 1."""

    def __init__(self, settings: Augment, channels: int = 3, side: int = SIDE_PX, class_count: int = CLASS_COUNT) -> None:
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

    def epoch(self, images: np.ndarray, targets: np.ndarray, epoch: int = 0, seed: int = 1) -> Steps:
        self.augmenter.begin_epoch(seed, epoch)
        draws = self.augmenter.draw((images.shape[0], images.shape[1]), np.random.default_rng([seed, epoch]))
        result = self._graph(images, targets, draws)
        return result[0].numpy(), result[1].numpy()


def augmented(images: np.ndarray, **changes: object) -> np.ndarray:
    """Images uint8 (N, H, W, C) after one step, float32 from 0 to 255."""
    loop = Loop(augment(**changes), images.shape[-1], images.shape[1], 1)
    standardised, _ = loop.epoch(images[None], np.ones((1, len(images), 1), np.float32))
    return np.asarray((standardised[0] - 1) / 2)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("choice", CHOICES)
def test_the_compiled_loop_gives_what_single_steps_give(choice: str, channels: int) -> None:
    images, targets = batches(channels)
    loop = Loop(augment(**CHOICES[choice]), channels)
    compiled_images, compiled_targets = loop.epoch(images, targets)

    loop.augmenter.begin_epoch(1, 0)
    draws = loop.augmenter.draw((STEPS, BATCH_SIZE), np.random.default_rng([1, 0]))
    for i in range(STEPS):
        x, y = loop.step(images[i], targets[i], tuple(tf.constant(array[i]) for array in draws))
        different = np.abs(x.numpy() - compiled_images[i]) > 0.01
        assert different.mean() < 0.002  # a compiled multiplication may round otherwise, and posterising then takes the next step
        assert np.allclose(y, compiled_targets[i], atol=1e-6)


@pytest.mark.parametrize("choice", [name for name in CHOICES if name != "nothing"])
def test_the_same_seed_and_epoch_give_the_same_bits_and_another_epoch_others(choice: str) -> None:
    images, targets = batches()
    throughout, resumed = (Loop(augment(**CHOICES[choice])) for _ in range(2))
    first, second = (throughout.epoch(images, targets, epoch) for epoch in (0, 1))

    again = resumed.epoch(images, targets, 1)

    assert (again[0] == second[0]).all()
    assert (again[1] == second[1]).all()
    assert (first[0] != second[0]).any()


@pytest.mark.parametrize("choice", ["colour", "mixup", "cutmix"])
def test_each_step_draws_anew(choice: str) -> None:
    images, targets = batches()
    images[:], targets[:] = images[0], targets[0]

    result = Loop(augment(**CHOICES[choice])).epoch(images, targets)[0]

    assert (result[0] != result[1]).any()
    assert (result[1] != result[2]).any()


def test_where_nothing_is_chosen_images_are_standardised_and_nothing_is_drawn() -> None:
    images, targets = batches()
    loop = Loop(augment())
    result, result_targets = loop.epoch(images, targets)

    assert loop.augmenter.signature == ()
    assert (result == images.astype(np.float32) * np.float32(2) + np.float32(1)).all()
    assert (result_targets == targets).all()


def test_saturation_and_hue_leave_grey_images_alone() -> None:
    images, targets = batches(channels=1)

    assert (Loop(augment(saturation=0.5, hue=0.5), channels=1).epoch(images, targets)[0] == images * np.float32(2) + np.float32(1)).all()


@pytest.mark.parametrize("choice", ["mixup", "cutmix", "mixup and cutmix"])
def test_a_label_is_the_share_of_each_image_in_the_pixels(choice: str) -> None:
    brightness = np.arange(8, 8 + 16 * 15, 15, dtype=np.uint8)  # 16 images of one colour each, each its own class
    images = np.broadcast_to(brightness[:, None, None, None], (2, 16, 13, 13, 1)).copy()
    targets = np.broadcast_to(np.eye(16, dtype=np.float32), (2, 16, 16)).copy()

    mixed, mixed_targets = Loop(augment(**CHOICES[choice]), 1, 13, 16).epoch(images, targets)

    assert np.allclose(mixed_targets.sum(axis=-1), 1, atol=1e-6)
    assert (np.count_nonzero(mixed_targets > 1e-6, axis=-1) <= 2).all()
    assert np.allclose((mixed.mean(axis=(2, 3, 4)) - 1) / 2, mixed_targets @ brightness.astype(np.float32), atol=0.01)


def own_shares(count: int, **changes: object) -> tuple[np.ndarray, np.ndarray]:
    """(the share of each of so many images that stays its own, whether it is blended): black and white images, two classes."""
    white = np.arange(count) % 2
    images = np.broadcast_to((255 * white.astype(np.uint8))[:, None, None, None], (count, 24, 24, 1))[None]
    targets = np.eye(2, dtype=np.float32)[white][None]
    mixed, mixed_targets = Loop(augment(**changes), 1, 24, 2).epoch(images, targets)
    values = (mixed[0] - 1) / 2
    return mixed_targets[0, np.arange(count), white], ((values > 1) & (values < 254)).any(axis=(1, 2, 3))


def test_mixup_blends_and_cutmix_pastes_by_shares_from_a_beta_distribution() -> None:
    for changes, is_blended in (({"mixup": 1.0}, True), ({"cutmix": 1.0}, False)):
        shares, blended = own_shares(4000, **changes)
        other = shares < 1  # mixed with an image of the other class: half of them

        assert 0.47 < other.mean() < 0.53
        assert 0.48 < shares[other].mean() < 0.52  # Beta(1, 1) is uniform
        assert 0.27 < shares[other].std() < 0.31
        assert blended[other & (shares > 0.05) & (shares < 0.95)].all() == is_blended
        assert blended.any() == is_blended


def test_a_low_alpha_mixes_little() -> None:
    shares, _ = own_shares(4000, mixup=0.1)
    nearest = np.maximum(shares, 1 - shares)

    assert np.isfinite(shares).all()
    assert np.median(nearest) > 0.99


def test_with_mixup_and_cutmix_each_image_gets_one_of_them() -> None:
    shares, blended = own_shares(4000, mixup=1.0, cutmix=1.0)
    clearly = (shares > 0.05) & (shares < 0.95)

    assert 0.46 < blended[clearly].mean() < 0.54


def test_random_erasing_blanks_a_rectangle_of_its_share_of_the_images() -> None:
    images = np.full((1, 1000, 20, 20, 1), 100, np.uint8)

    result, _ = Loop(augment(random_erase_fraction=0.3), 1, 20, 1).epoch(images, np.ones((1, 1000, 1), np.float32))
    share = (result[0] == 0).mean(axis=(1, 2, 3))

    assert 0.26 < (share > 0).mean() < 0.34
    assert 0.01 < share[share > 0].min() < 0.04
    assert 0.31 < share.max() <= 0.35  # 33 %, its sides rounded to whole pixels


def test_brightness_adds_up_to_its_share_of_white() -> None:
    values = augmented(np.full((2000, 4, 4, 1), 100, np.uint8), brightness=0.2)[:, 0, 0, 0]

    assert 49 <= values.min() < 51
    assert 149 < values.max() <= 151.01
    assert abs(values.mean() - 100) < 2


def test_contrast_goes_down_as_well_as_up() -> None:
    images = np.tile(np.array([80, 120], np.uint8), (2000, 4, 2))[..., None]
    spread = np.ptp(augmented(images, contrast=0.5)[..., 0], axis=(1, 2)) / 40

    assert 0.5 <= spread.min() < 0.51
    assert 1.49 < spread.max() <= 1.501
    assert abs(spread.mean() - 1) < 0.02


def test_saturation_keeps_the_brightest_channel_and_stays_within_range() -> None:
    images = np.broadcast_to(np.array([200, 150, 100], np.uint8), (2000, 4, 4, 3))
    values = augmented(images, saturation=0.2)[:, 0, 0]
    saturation = 1 - values[:, 2] / values[:, 0]  # 0.5 of the image as it is

    assert np.allclose(values[:, 0], 200, atol=0.01)
    assert 0.333 <= saturation.min() < 0.34  # times 0.4 / 0.6
    assert 0.74 < saturation.max() <= 0.7501  # times 0.6 / 0.4
    assert augmented(images, saturation=1.0).min() >= -1e-3


def test_hue_turns_both_ways_and_keeps_the_value() -> None:
    images = np.broadcast_to(np.array([200, 100, 100], np.uint8), (2000, 4, 4, 3))
    values = augmented(images, hue=0.2)[:, 0, 0]  # up to 36 degrees either way, 60 % of the way to yellow or magenta

    assert np.allclose(values.max(axis=1), 200, atol=0.01)
    assert 158 < values[:, 1].max() <= 160.01
    assert 158 < values[:, 2].max() <= 160.01


@pytest.mark.parametrize("changes", [{"brightness": 0.3}, {"contrast": 0.6}, {"saturation": 0.6}, {"hue": 0.4}, CHOICES["colour"]])
def test_the_preview_changes_colours_as_training_does(changes: dict[str, object]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (1, 5, 5, 3), dtype=np.uint8)
    images = np.repeat(image, 4000, axis=0)

    shown, trained = jitter(images, augment(**changes), np.random.default_rng(1)).astype(np.float32), augmented(images, **changes)

    assert np.abs(shown.mean(axis=0) - trained.mean(axis=0)).max() < 6
    assert np.abs(shown.std(axis=0) - trained.std(axis=0)).max() < 3
    assert np.abs(shown.min(axis=0) - trained.min(axis=0)).max() < 14
