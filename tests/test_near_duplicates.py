"""Copies of one picture are linked, two pictures are not; the answer depends neither on the order nor on how many are alike."""

import functools
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from scipy.ndimage import gaussian_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.datasets import load_sample_images

from pipeline.quality.fingerprints import FINGERPRINT_BYTES, LUMA, fingerprint
from pipeline.quality.near_duplicates import near_duplicates

CHINA, FLOWER = 0, 1


@functools.cache
def photographs() -> list[Image.Image]:
    """scikit-learn's two photographs, 640 x 427 px."""
    return [Image.fromarray(image) for image in load_sample_images().images]


@functools.cache
def texture(seed: int) -> Image.Image:
    """A blurred colour noise: much structure, no two alike."""
    smooth = gaussian_filter(np.random.default_rng(seed).normal(size=(120, 120, 3)), (6, 6, 0))
    return Image.fromarray(np.clip(128 + smooth / smooth.std() * 50, 0, 255).astype(np.uint8))


def recompressed(image: Image.Image, kind: str = "JPEG", quality: int = 60) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, kind, quality=quality)
    return Image.open(buffer)


def cropped(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    width, height = image.size
    return image.crop((round(left * width), round(top * height), round((1 - right) * width), round((1 - bottom) * height)))


def pairs_of(*images: Image.Image) -> list[list[int]]:
    pairs: list[list[int]] = near_duplicates(np.stack([fingerprint(image) for image in images])).tolist()
    return pairs


def groups(fingerprints: np.ndarray) -> np.ndarray:
    return groups_of(near_duplicates(fingerprints), len(fingerprints))


def groups_of(pairs: np.ndarray, count: int) -> np.ndarray:
    """The group of each of `count` images: the number of its first."""
    labels = connected_components(coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), (count, count)), directed=False)[1]
    firsts: np.ndarray = np.unique(labels, return_index=True)[1]
    return firsts[labels]


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.resize((320, 213)),
        lambda image: image.resize((64, 64)),
        lambda image: recompressed(image, quality=50),
        lambda image: recompressed(image, "WEBP"),
        lambda image: image.convert("L"),
        lambda image: ImageEnhance.Brightness(image).enhance(1.1),
        lambda image: ImageEnhance.Brightness(image).enhance(0.9),
        lambda image: cropped(image, 0.03, 0.03, 0.03, 0.03),
        lambda image: cropped(image, 0.05, 0, 0, 0),
        lambda image: cropped(image, 0, 0.04, 0.03, 0),
        lambda image: recompressed(cropped(image, 0.02, 0.02, 0.02, 0.02).resize((300, 200))).convert("L"),
    ],
)
def test_a_copy_of_a_photograph_is_found(change: Callable[[Image.Image], Image.Image]) -> None:
    china, flower = photographs()

    assert pairs_of(china, flower, change(flower), change(china)) == [[CHINA, 3], [FLOWER, 2]]


def test_different_pictures_are_not_linked() -> None:
    china, flower = photographs()
    mirrored = [image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for image in (china, flower)]
    tiles = [image.crop((x, y, x + 106, y + 106)) for image in (china, flower) for x in range(0, 535, 106) for y in range(0, 320, 106)]

    assert pairs_of(*(texture(seed) for seed in range(100))) == []
    assert pairs_of(china, flower, *mirrored) == []
    assert len(pairs_of(*tiles)) <= 1  # of 48, among them much sky


def test_one_cut_in_two_colours_is_two_pictures_but_grey_goes_with_both() -> None:
    shape = np.asarray(texture(1).convert("L")).astype(float) / 255
    red, blue = (Image.fromarray((shape[..., None] * colour).astype(np.uint8)) for colour in ((250, 60, 60), (60, 100, 250)))

    assert pairs_of(red, blue) == []
    assert pairs_of(red, red.convert("L")) == [[0, 1]]


def test_small_look_alikes_with_another_inside_are_not_linked() -> None:
    """As T-shirts of one cut are: one bright outline on black, other prints."""
    outline = np.zeros((28, 28))
    outline[3:25, 7:21] = 190
    prints = [gaussian_filter(np.random.default_rng(seed).normal(size=(28, 28)), 1.5) * 120 for seed in range(60)]
    shirts = [Image.fromarray(np.clip(outline + (outline > 0) * print_, 0, 255).astype(np.uint8)) for print_ in prints]
    copies = [recompressed(shirt, quality=90).resize((56, 56), Image.Resampling.BICUBIC) for shirt in shirts[:5]]

    assert pairs_of(*shirts) == []
    assert pairs_of(*shirts, *copies) == [[i, 60 + i] for i in range(5)]


def test_flat_images_are_linked_only_if_nearly_equal() -> None:
    blacks = [Image.new("L", (100, 100), value) for value in (0, 1, 8, 20)]
    spotted = Image.new("L", (100, 100), 20)
    spotted.paste(60, (40, 40, 52, 52))

    assert pairs_of(*blacks, spotted) == [[0, 1]]
    assert pairs_of(Image.new("RGB", (9, 9), (80, 80, 80)), Image.new("RGB", (9, 9), (110, 66, 80))) == []


def test_textures_finer_than_the_thumbnail_are_not_taken_for_equal() -> None:
    noises = [Image.fromarray(np.random.default_rng(seed).integers(100, 156, (800, 800), dtype=np.uint8)) for seed in (0, 1)]

    assert np.ptp([fingerprint(noise)[LUMA] for noise in noises]) <= 3  # next to nothing is left of it
    assert pairs_of(*noises) == []


def test_equal_fingerprints_are_linked_with_the_first_of_them() -> None:
    picture = texture(0)

    assert pairs_of(texture(1), picture, picture, picture) == [[1, 2], [1, 3]]


@pytest.mark.parametrize("noise", [1, 2])
def test_a_crowd_gets_few_links_but_one_group(noise: int) -> None:
    """1,000 nearly black images, and 1,000 of one photograph with a little noise, no two equal: a million pairs."""
    crowds = np.zeros((2_000, FINGERPRINT_BYTES), np.uint8)
    crowds[1_000:] = fingerprint(photographs()[0])
    crowds[:, LUMA] += np.random.default_rng(0).integers(0, noise + 1, (2_000, 256), dtype=np.uint8)

    pairs = near_duplicates(crowds)

    assert groups_of(pairs, 2_000).tolist() == [0] * 1_000 + [1_000] * 1_000
    assert len(pairs) <= 2_000 * 7


def test_many_copies_of_one_picture_are_one_group() -> None:
    """Every copy's neighbours are other copies: what tells a copy from a look-alike must not rule them out."""
    china, flower = photographs()
    crops = [(0.01 * a, 0.01 * b, 0.01 * c, 0) for a in range(3) for b in range(3) for c in range(2)]
    copies = [recompressed(cropped(image, *crop)) for image in (china, flower) for crop in crops]

    result = groups(np.stack([fingerprint(image) for image in [*copies, *(texture(seed) for seed in range(50))]]))

    assert result.tolist() == [0] * 18 + [18] * 18 + list(range(36, 86))


def test_the_groups_do_not_depend_on_the_order() -> None:
    pictures = [texture(seed) for seed in range(40)]
    copies = [recompressed(cropped(pictures[i % 40], 0.02, 0, 0.01, 0)) for i in range(60)]
    fingerprints = np.stack([fingerprint(image) for image in [*pictures, *copies]])
    order = np.random.default_rng(0).permutation(len(fingerprints))

    straight, shuffled = groups(fingerprints), groups(fingerprints[order])

    expected = {frozenset(np.flatnonzero(straight == group).tolist()) for group in straight}
    assert {frozenset(order[shuffled == group].tolist()) for group in shuffled} == expected
    assert len(expected) == 40


@pytest.mark.parametrize("count", [0, 1])
def test_of_nothing_or_one_there_are_no_pairs(count: int) -> None:
    pairs = near_duplicates(np.zeros((count, FINGERPRINT_BYTES), np.uint8))

    assert pairs.shape == (0, 2)
    assert pairs.dtype == np.int64


def test_a_memory_map_gives_the_same(tmp_path: Path) -> None:
    fingerprints = np.stack([fingerprint(recompressed(texture(seed // 2), quality=95 - seed % 2 * 20)) for seed in range(20)])
    np.save(tmp_path / "fingerprints.npy", fingerprints)

    pairs = near_duplicates(np.load(tmp_path / "fingerprints.npy", mmap_mode="r"))

    assert pairs.tolist() == [[2 * i, 2 * i + 1] for i in range(10)]
