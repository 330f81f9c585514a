"""Random transforms mean what their parameters say, and TensorFlow applies them as SciPy does."""

import numpy as np
import pytest

from pipeline.config import Augment
from pipeline.ml.augment import IDENTITY, sample_boxes, sample_transforms, warp

NONE = {"horizontal_flip": False, "rotation_degrees": 0.0, "shift_fraction": 0.0, "shear_degrees": 0.0, "zoom_fraction": 0.0}
COUNT = 4000


def augment(**changes: object) -> Augment:
    return Augment.model_validate({**NONE, "fill": "nearest", "erase_fraction": 0.0, **changes})


def draw(height: int = 20, width: int = 30, **changes: object) -> np.ndarray:
    return sample_transforms(augment(**changes), COUNT, height, width, np.random.default_rng(1))


def test_without_augmentation_nothing_moves() -> None:
    assert (draw() == IDENTITY).all()


def test_a_flip_mirrors_about_half_of_the_images_pixel_by_pixel() -> None:
    transforms = draw(horizontal_flip=True)
    flipped = transforms[:, 0] == -1
    images = np.random.default_rng(0).integers(0, 256, (1, 20, 30, 1), dtype=np.uint8)

    assert 0.46 < flipped.mean() < 0.54
    assert (transforms[~flipped] == IDENTITY).all()
    assert (warp(images, transforms[flipped][:1], "constant") == images[:, :, ::-1]).all()


def test_rotation_turns_by_up_to_its_angle_about_the_centre() -> None:
    transforms = draw(rotation_degrees=30.0)
    angles = np.degrees(np.arctan2(transforms[:, 3], transforms[:, 0]))
    centre = np.array([14.5, 9.5])
    moved = np.stack([transforms[:, :2] @ centre + transforms[:, 2], transforms[:, 3:5] @ centre + transforms[:, 5]], axis=1)

    assert 29 < angles.max() <= 30.01
    assert -30.01 <= angles.min() < -29
    assert abs(angles.std() - 60 / np.sqrt(12)) < 0.5  # of a uniform distribution
    assert np.abs(moved - centre).max() < 1e-3


def test_shift_moves_by_up_to_its_share_of_width_and_height() -> None:
    transforms = draw(shift_fraction=0.1)

    assert 2.9 < transforms[:, 2].max() <= 3.001
    assert 1.9 < transforms[:, 5].max() <= 2.001


def test_zoom_scales_by_one_minus_to_one_plus_its_fraction() -> None:
    scale = 1 / draw(zoom_fraction=0.2)[:, 0]

    assert 0.799 <= scale.min() < 0.81
    assert 1.19 < scale.max() <= 1.201


def test_shear_slants_by_up_to_its_angle() -> None:
    slant = np.degrees(np.arctan(draw(shear_degrees=20.0)[:, 1]))

    assert 19.5 < slant.max() <= 20.001
    assert -20.001 <= slant.min() < -19.5


def test_boxes_lie_inside_the_image_and_reach_its_edges() -> None:
    boxes = sample_boxes(augment(erase_fraction=0.5), COUNT, 20, 30, np.random.default_rng(0))

    assert (boxes[:, 2] - boxes[:, 0] == 10).all()
    assert (boxes[:, 3] - boxes[:, 1] == 15).all()
    assert (boxes[:, :2].min(), boxes[:, 2].max(), boxes[:, 3].max()) == (0, 20, 30)


@pytest.mark.parametrize("fill", ["nearest", "reflect", "constant"])
def test_tensorflow_warps_as_the_preview_does(fill: str) -> None:
    import tensorflow as tf

    from pipeline.ml.warp import augment_images

    settings = augment(horizontal_flip=True, rotation_degrees=25.0, shift_fraction=0.2, shear_degrees=10.0, zoom_fraction=0.2, fill=fill)
    images = np.random.default_rng(0).integers(0, 256, (6, 12, 15, 3), dtype=np.uint8)
    transforms = sample_transforms(settings, 6, 12, 15, np.random.default_rng(2))

    ours = warp(images, transforms, fill)  # type: ignore[arg-type]
    theirs = augment_images(images, transforms, np.zeros((6, 4), np.int32), tf.ones(3), tf.zeros(3), settings).numpy()

    assert np.abs(ours - theirs).max() <= 0.6  # rounding to whole numbers


def test_what_is_erased_is_the_mean_colour() -> None:
    import tensorflow as tf

    from pipeline.ml.warp import augment_images

    images = np.full((1, 4, 4, 1), 200, np.uint8)
    boxes = np.array([[1, 0, 3, 2]], np.int32)

    result = augment_images(images, IDENTITY[None], boxes, tf.ones(1), tf.zeros(1), augment(erase_fraction=0.5)).numpy()[0, ..., 0]

    assert result.tolist() == [[200] * 4, [0, 0, 200, 200], [0, 0, 200, 200], [200] * 4]
