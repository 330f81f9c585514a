"""Random transforms mean what their parameters say, and TensorFlow applies them as SciPy does."""

from typing import Any

import numpy as np
import pytest

from pipeline.augmentation.transforms import compose, sample_boxes, sample_rectangles, sample_transforms, warp
from pipeline.augmentation.warp import erase_boxes, warp_images
from pipeline.params.augment import FitAugment

OFF = {**dict.fromkeys(FitAugment.model_fields, 0.0), "horizontal_flip": False, "fill": "nearest"}
COUNT = 4000
IDENTITY = np.array([1, 0, 0, 0, 1, 0, 0, 0], np.float32)
FILLED = {"nearest": [10, 10, 10, 20], "reflect": [20, 10, 10, 20], "constant": [0, 0, 10, 20]}


def augment(**changes: object) -> FitAugment:
    return FitAugment.model_validate({**OFF, **changes})


def draw(height: int = 20, width: int = 30, **changes: object) -> np.ndarray:
    return sample_transforms(augment(**changes), COUNT, height, width, np.random.default_rng(1))


def test_a_flip_mirrors_about_half_of_the_images_pixel_by_pixel() -> None:
    transforms = draw(horizontal_flip=True)
    flipped = transforms[:, 0] == -1
    images = np.random.default_rng(0).integers(0, 256, (1, 20, 30, 1), dtype=np.uint8)

    assert (draw() == IDENTITY).all()
    assert 0.46 < flipped.mean() < 0.54
    assert (transforms[~flipped] == IDENTITY).all()
    assert (warp(images, transforms[flipped][:1], "constant") == images[:, :, ::-1]).all()


def test_boxes_lie_inside_the_image_and_reach_its_edges() -> None:
    boxes = sample_boxes(augment(erase_fraction=0.5), COUNT, 20, 30, np.random.default_rng(0))

    assert (boxes[:, 2] - boxes[:, 0] == 10).all()
    assert (boxes[:, 3] - boxes[:, 1] == 15).all()
    assert (boxes[:, :2].min(), boxes[:, 2].max(), boxes[:, 3].max()) == (0, 20, 30)


def test_a_transform_is_a_rotation_then_a_shear_a_zoom_and_a_flip_about_the_centre_then_a_shift_each_up_to_its_limit() -> None:
    settings: dict[str, Any] = {
        "rotation_degrees": 30.0,
        "shear_degrees": 20.0,
        "zoom_fraction": 0.2,
        "shift_fraction": 0.1,
        "horizontal_flip": True,
    }
    transforms = draw(**settings).astype(np.float64)
    back = transforms[:, [0, 1, 3, 4]].reshape(-1, 2, 2)
    determinant = np.linalg.det(back)
    zoom, flip = 1 / np.sqrt(np.abs(determinant)), np.sign(determinant)
    angle = np.arctan2(back[:, 1, 0] * flip, back[:, 0, 0] * flip)
    straightened = np.stack([np.stack([np.cos(angle), np.sin(angle)], -1), np.stack([-np.sin(angle), np.cos(angle)], -1)], 1)
    slanted = zoom[:, None] * (straightened @ back)[:, :, 1]
    shifted = np.linalg.inv(back) @ (np.array([14.5, 9.5]) - transforms[:, [2, 5]])[..., None]

    assert np.abs(slanted[:, 1] - 1).max() < 1e-5
    for values, limit in ((np.degrees(angle), 30), (np.degrees(np.arctan(slanted[:, 0])), 20), (zoom - 1, 0.2)):
        assert 0.98 * limit < values.max() < 1.001 * limit
        assert -1.001 * limit < values.min() < -0.98 * limit
    assert abs(np.degrees(angle).std() - 60 / np.sqrt(12)) < 0.5  # of a uniform distribution
    assert 2.9 < np.abs(shifted[:, 0, 0] - 14.5).max() <= 3.001  # a tenth of the width
    assert 1.9 < np.abs(shifted[:, 1, 0] - 9.5).max() <= 2.001


def test_a_flip_mirrors_the_turned_image() -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 12, 15, 1), dtype=np.uint8)
    plain, mirrored = (
        sample_transforms(augment(rotation_degrees=40.0, shear_degrees=10.0, horizontal_flip=flip), 20, 12, 15, np.random.default_rng(3))
        for flip in (False, True)
    )
    flipped = np.linalg.det(mirrored[:, [0, 1, 3, 4]].reshape(-1, 2, 2)) < 0
    turned = warp(images, plain, "nearest")

    assert 3 < flipped.sum() < 17
    assert np.abs(warp(images, mirrored, "nearest") - np.where(flipped[:, None, None, None], turned[:, :, ::-1], turned)).max() <= 1


def test_composed_transforms_move_one_after_the_other() -> None:
    images = np.zeros((1, 9, 9, 1), np.uint8)
    images[0, 4, 6] = 200  # two to the right of the centre
    quarter_turn, shift = np.array([[[0.0, -1.0], [1.0, 0.0]]]), np.array([[1.0, 0.0]])

    moved = warp(images, compose(IDENTITY[None], quarter_turn, shift, 9, 9), "constant")

    assert np.argwhere(moved[0, ..., 0] == 200).tolist() == [[2, 5]]  # above the centre, then one to the right


@pytest.mark.parametrize("fill", FILLED)
def test_what_appears_behind_a_moved_image_is_as_fill_says(fill: str) -> None:
    images = np.array([10, 20, 30, 40], np.uint8).reshape(1, 1, 4, 1)
    two_to_the_right = IDENTITY[None] + np.array([0, 0, -2, 0, 0, 0, 0, 0], np.float32)

    assert warp(images, two_to_the_right, fill).ravel().tolist() == FILLED[fill]  # type: ignore[arg-type]
    assert warp_images(images, two_to_the_right, augment(shift_fraction=0.5, fill=fill)).numpy().ravel().tolist() == FILLED[fill]


def test_rectangles_cover_2_to_33_per_cent_of_their_share_of_the_images() -> None:
    top, left, bottom, right = sample_rectangles(augment(random_erase_fraction=0.4), COUNT, 40, 60, np.random.default_rng(0)).T
    erased = bottom > top
    area = ((bottom - top) * (right - left))[erased] / (40 * 60)
    aspect = ((bottom - top) / np.maximum(right - left, 1))[erased]

    assert 0.38 < erased.mean() < 0.42
    assert 0.017 < area.min() < 0.03
    assert 0.32 < area.max() < 0.345
    assert 0.16 < area.mean() < 0.19  # uniform: 0.175
    assert abs(np.median(np.log(aspect))) < 0.1
    assert (top.min(), left.min(), bottom.max(), right.max()) == (0, 0, 40, 60)


@pytest.mark.parametrize("fill", ["nearest", "reflect", "constant"])
def test_tensorflow_warps_as_the_preview_does(fill: str) -> None:
    settings = augment(horizontal_flip=True, rotation_degrees=25.0, shift_fraction=0.2, shear_degrees=10.0, zoom_fraction=0.2, fill=fill)
    images = np.random.default_rng(0).integers(0, 256, (6, 12, 15, 3), dtype=np.uint8)
    transforms = sample_transforms(settings, 6, 12, 15, np.random.default_rng(2))

    ours = warp(images, transforms, fill)  # type: ignore[arg-type]
    theirs = warp_images(images, transforms, settings).numpy()

    assert np.abs(ours - theirs).max() <= 0.6  # rounding to whole numbers


def test_what_is_erased_is_the_mean_colour() -> None:
    result = erase_boxes(np.full((1, 4, 4, 1), 2.0, np.float32), np.array([[1, 0, 3, 2]], np.int32)).numpy()[0, ..., 0]

    assert result.tolist() == [[2] * 4, [0, 0, 2, 2], [0, 0, 2, 2], [2] * 4]
