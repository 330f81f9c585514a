"""RandAugment's operations are those of Pillow, one of them per image, and half of them go each way."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from pipeline.augmentation.rand_augment import CHANGING, OPERATIONS, change_pixels, movement, sample_operations

STRENGTH = 0.5
ENHANCED = 1 + 0.9 * STRENGTH
PILLOW: dict[str, Callable[[Image.Image], Image.Image]] = {
    "brightness": lambda image: ImageEnhance.Brightness(image).enhance(ENHANCED),
    "contrast": lambda image: ImageEnhance.Contrast(image).enhance(ENHANCED),
    "colour": lambda image: ImageEnhance.Color(image).enhance(ENHANCED),
    "sharpness": lambda image: ImageEnhance.Sharpness(image).enhance(ENHANCED),
    "posterize": lambda image: ImageOps.posterize(image, 6),
    "solarize": lambda image: ImageOps.solarize(image, 128),
    "auto_contrast": ImageOps.autocontrast,
    "equalize": ImageOps.equalize,
}


def photo(seed: int) -> np.ndarray:
    """A smooth random image uint8 (24, 24, 3), its values between 30 and 220."""
    small = np.random.default_rng(seed).integers(30, 220, (4, 4, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((24, 24), Image.Resampling.BILINEAR))


def change(images: np.ndarray, names: list[str]) -> np.ndarray:
    operations = np.array([OPERATIONS.index(name) for name in names], np.int32)
    changed: np.ndarray = change_pixels(images.astype(np.float32), operations, np.ones(len(names), np.float32), STRENGTH).numpy()
    return changed


@pytest.mark.parametrize("name", CHANGING)
def test_an_operation_on_values_does_what_pillow_does(name: str) -> None:
    image = photo(1)

    ours = change(image[None], [name])[0]
    theirs = np.asarray(PILLOW[name](Image.fromarray(image))).astype(np.float32)

    difference = np.abs(ours - theirs)[1:-1, 1:-1]  # Pillow leaves the border as it is when it sharpens
    assert difference.max() <= 1.5  # Pillow rounds on the way
    assert np.abs(theirs - image).max() >= 2


def test_each_image_goes_through_its_own_operation_and_no_other() -> None:
    images = np.stack([photo(seed) for seed in range(len(OPERATIONS))])

    together = change(images, list(OPERATIONS))

    for i, name in enumerate(OPERATIONS):
        assert np.allclose(together[i], change(images[i : i + 1], [name])[0], atol=1e-3), name
    assert (together[:6] == images[:6]).all()  # those that move pixels, and the one that does nothing


def test_grey_images_are_changed_as_they_are() -> None:
    grey = photo(1)[..., :1]

    changed = change(np.stack([grey] * len(CHANGING)), list(CHANGING))

    assert np.abs(changed[CHANGING.index("colour")] - grey).max() < 1e-3
    assert (changed.min(), changed.max()) == (0, 255)  # equalised


def test_an_image_of_one_colour_stays_finite() -> None:
    flat = np.full((len(CHANGING), 8, 8, 3), 77, np.uint8)

    changed = change(flat, list(CHANGING))

    assert [changed[CHANGING.index(name)].mean() for name in ("auto_contrast", "equalize", "sharpness")] == pytest.approx([77, 77, 77])


def test_operations_are_drawn_alike_and_signed_both_ways() -> None:
    operations, signs = sample_operations(7000, np.random.default_rng(0))
    counts = np.bincount(operations.ravel(), minlength=len(OPERATIONS))

    assert len(counts) == 14
    assert 900 < counts.min() < 1000 < counts.max() < 1100
    assert 0.48 < (signs == 1).mean() < 0.52


def test_movements_are_of_the_strength_asked_for() -> None:
    names = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y", "identity")
    operations = np.array([OPERATIONS.index(name) for name in names])

    linear, shift = movement(operations, np.ones(len(names), np.float32), 0.5, height=20, width=40)

    assert np.degrees(np.arctan2(linear[0, 1, 0], linear[0, 0, 0])) == pytest.approx(15)
    assert np.allclose(linear[1:3], np.array([[[1, 0.15], [0, 1]], [[1, 0], [0.15, 1]]]))
    assert (linear[3:] == np.eye(2)).all()
    assert np.allclose(shift, np.array([[0, 0], [0, 0], [0, 0], [9, 0], [0, 4.5], [0, 0]]))
