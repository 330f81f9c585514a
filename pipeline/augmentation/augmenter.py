"""All random augmentation of training images, as one step of the training graph.

In order: one affine warp, RandAugment, colours, standardisation, erasing, and MixUp or CutMix. Random numbers are drawn with NumPy, in `transforms.py`
and `rand_augment.py`, or by Keras's layers from seeds set by `begin_epoch`: the same seed and epoch give the same images. What is off costs nothing.
"""

import math

import keras
import numpy as np
import tensorflow as tf

from pipeline.augmentation.colour import changes_colour
from pipeline.augmentation.rand_augment import OPERATIONS_PER_IMAGE, change_pixels, movement, sample_operations
from pipeline.augmentation.transforms import compose, moves_between_pixels, sample_boxes, sample_rectangles, sample_transforms
from pipeline.augmentation.warp import erase_boxes, warp_images
from pipeline.params.augment import FitAugment

TRANSFORMS = tf.TensorSpec((None, None, 8), tf.float32)
BOXES = tf.TensorSpec((None, None, 4), tf.int32)
OPERATIONS = tf.TensorSpec((None, None, OPERATIONS_PER_IMAGE), tf.int32)
SIGNS = tf.TensorSpec((None, None, OPERATIONS_PER_IMAGE), tf.float32)


class Augmenter:
    """Augments images of one shape (H, W, C) with `class_count` classes. `signature`: the specs of the arrays from `draw`, in order."""

    def __init__(self, augment: FitAugment, shape: tuple[int, int, int], class_count: int) -> None:
        self._augment = augment
        self._shape = shape
        self._colour = _colour_layer(augment, shape[-1])
        self._mixup = keras.layers.MixUp(augment.mixup, seed=0, dtype="float32") if augment.mixup else None
        self._cutmix = keras.layers.CutMix((augment.cutmix, augment.cutmix), seed=0, dtype="float32") if augment.cutmix else None
        self._coin = keras.random.SeedGenerator(0)
        layers = [layer for layer in (self._colour, self._mixup, self._cutmix) if layer is not None]
        self._generators = [self._coin, *(layer.generator for layer in layers)]
        self.signature = tuple(self._specs().values())

    def begin_epoch(self, seed: int, epoch: int) -> None:
        """Seed the generators of Keras's layers for this epoch; each step advances them."""
        for i, generator in enumerate(self._generators):
            generator.state.assign(np.random.SeedSequence([seed, epoch, i]).generate_state(2).astype(np.int64))

    def draw(self, steps: tuple[int, int], rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """Random parameters for S steps of B images, `steps` (S, B): arrays (S, B, ...) as in `signature`."""
        augment, count, (height, width, _) = self._augment, math.prod(steps), self._shape
        drawn: dict[str, np.ndarray] = {}
        if "transforms" in self._specs():
            drawn["transforms"] = sample_transforms(augment, count, height, width, rng)
        if augment.rand_augment:
            drawn["operations"], drawn["signs"] = sample_operations(count, rng)
            for operations, signs in zip(drawn["operations"].T, drawn["signs"].T, strict=True):
                moves = movement(operations, signs, augment.rand_augment, height, width)
                drawn["transforms"] = compose(drawn["transforms"], *moves, height, width)
        if augment.erase_fraction:
            drawn["boxes"] = sample_boxes(augment, count, height, width, rng)
        if augment.random_erase_fraction:
            drawn["rectangles"] = sample_rectangles(augment, count, height, width, rng)
        return tuple(array.reshape(*steps, -1) for array in drawn.values())

    def apply(
        self, images: tf.Tensor, targets: tf.Tensor, draws: tuple[tf.Tensor, ...], scale: tf.Tensor, offset: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Standardised images float32 (B, H, W, C) and targets float32 (B, K) of images uint8 (B, H, W, C).

        draws: one step of the arrays from `draw`. scale, offset: float32 (C,).
        """
        drawn = dict(zip(self._specs(), draws, strict=True))
        if "transforms" in drawn:
            images = warp_images(images, drawn["transforms"], self._augment)
        images = tf.cast(images, tf.float32)
        if "operations" in drawn:
            for i in range(OPERATIONS_PER_IMAGE):
                images = change_pixels(images, drawn["operations"][:, i], drawn["signs"][:, i], self._augment.rand_augment)
        if self._colour is not None:
            images = self._colour(images / 255, training=True) * 255
        images = images * scale + offset
        for name in ("boxes", "rectangles"):
            if name in drawn:
                images = erase_boxes(images, drawn[name])
        return self._mix(images, targets)

    def _specs(self) -> dict[str, tf.TensorSpec]:
        """The specs of the arrays from `draw`, by name, in order."""
        augment = self._augment
        chosen = {
            "transforms": (TRANSFORMS, augment.horizontal_flip or moves_between_pixels(augment)),
            "operations": (OPERATIONS, augment.rand_augment > 0),
            "signs": (SIGNS, augment.rand_augment > 0),
            "boxes": (BOXES, augment.erase_fraction > 0),
            "rectangles": (BOXES, augment.random_erase_fraction > 0),
        }
        return {name: spec for name, (spec, is_chosen) in chosen.items() if is_chosen}

    def _mix(self, images: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Each image mixed with another of the batch by MixUp or CutMix; if both are on, one of them is chosen at random for each image."""
        results = []
        for layer in (self._mixup, self._cutmix):
            if layer is not None:
                drawn = layer.get_random_transformation(images)
                if layer is self._cutmix:
                    # Keras computes the weight from the box before rounding to whole pixels: off by up to 0.07 at 28 x 28
                    drawn["mix_weight"] = 1 - tf.reduce_mean(tf.cast(drawn["batch_masks"], tf.float32), axis=(1, 2, 3))
                results.append((layer.transform_images(images, drawn), layer.transform_labels(targets, drawn)))
        if len(results) < 2:
            return results[0] if results else (images, targets)
        heads = keras.random.uniform((tf.shape(images)[0],), seed=self._coin) < 0.5
        (blended, blended_targets), (pasted, pasted_targets) = results
        return tf.where(heads[:, None, None, None], blended, pasted), tf.where(heads[:, None], blended_targets, pasted_targets)


def _colour_layer(augment: FitAugment, channels: int) -> keras.layers.Layer | None:
    """Keras's colour jitter for images from 0 to 1, or None if all of it is off.

    For (0, 255), Keras 3.15's RandomSaturation clips the saturation at 255 instead of 1, which gives colours down to -2000; for a single number, its
    RandomContrast only raises the contrast. Hence images from 0 to 1, and pairs.
    """
    if not changes_colour(augment, channels):
        return None
    in_colour = channels == 3
    return keras.layers.RandomColorJitter(
        value_range=(0, 1),
        brightness_factor=augment.brightness or None,
        contrast_factor=(augment.contrast, augment.contrast) if augment.contrast else None,
        saturation_factor=(0.5 - augment.saturation / 2, 0.5 + augment.saturation / 2) if in_colour and augment.saturation else None,
        hue_factor=augment.hue if in_colour and augment.hue else None,
        seed=0,
        dtype="float32",
    )
