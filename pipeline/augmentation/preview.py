"""Augmented versions of a few images, for a picture, without transforms that need TensorFlow or other images. Arrays in, arrays and words out."""

from collections.abc import Sequence

import numpy as np

from pipeline.augmentation.colour import jitter
from pipeline.augmentation.transforms import erase, sample_boxes, sample_rectangles, sample_transforms, warp
from pipeline.names import listed
from pipeline.params.augment import FitAugment

NOT_SHOWN = ("rand_augment", "mixup", "cutmix")


def versions(images: np.ndarray, augment: FitAugment, count: int, rng: np.random.Generator) -> np.ndarray:
    """uint8 (N, count, H, W, C): each of the images uint8 (N, H, W, C), then augmented versions of it."""
    height, width = images.shape[1:3]
    rows = []
    for image in images:
        copies = np.repeat(image[None], count - 1, axis=0)
        moved = warp(copies, sample_transforms(augment, len(copies), height, width, rng), augment.fill)
        moved = jitter(moved, augment, rng)
        erased = erase(moved, sample_boxes(augment, len(copies), height, width, rng))
        if augment.random_erase_fraction:
            erased = erase(erased, sample_rectangles(augment, len(copies), height, width, rng))
        rows.append(np.concatenate([image[None], erased]))
    return np.stack(rows)


def preview_notes(augment: FitAugment, by_features: Sequence[str]) -> list[str]:
    """What `versions` does not show, and which networks are trained on less than it shows, as their features are computed once."""
    hidden = [name for name in NOT_SHOWN if getattr(augment, name)]
    notes = [f"not shown: {', '.join(hidden)}"] if hidden else []
    return notes + (
        [f"{listed(by_features)}: only the image and its mirror image, whose features are computed once"] if by_features else []
    )
