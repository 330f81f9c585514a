"""Random colours for the preview of augmentation: as keras.layers.RandomColorJitter changes them during training, in NumPy without TensorFlow."""

import numpy as np
from matplotlib.colors import hsv_to_rgb, rgb_to_hsv

from pipeline.params.augment import FitAugment


def changes_colour(augment: FitAugment, channels: int) -> bool:
    """Whether brightness or contrast is on or, for colour images, saturation or hue."""
    return any((augment.brightness, augment.contrast)) or (channels == 3 and any((augment.saturation, augment.hue)))


def jitter(images: np.ndarray, augment: FitAugment, rng: np.random.Generator) -> np.ndarray:
    """Images uint8 (N, H, W, C), each with its own brightness, contrast, saturation and hue, in this order; nothing is drawn for what is off."""
    if not changes_colour(augment, images.shape[-1]):
        return images
    values = images / 255.0
    shape = (len(images), 1, 1, 1)
    if augment.brightness:
        values = np.clip(values + rng.uniform(-augment.brightness, augment.brightness, shape), 0, 1)
    if augment.contrast:
        mean = values.mean(axis=(1, 2), keepdims=True)
        values = np.clip((values - mean) * rng.uniform(1 - augment.contrast, 1 + augment.contrast, shape) + mean, 0, 1)
    if images.shape[-1] == 3 and (augment.saturation or augment.hue):
        hue, saturation, value = np.split(rgb_to_hsv(values), 3, axis=-1)
        share = rng.uniform(0.5 - augment.saturation / 2, 0.5 + augment.saturation / 2, shape)
        turned = hue + rng.uniform(-augment.hue / 2, augment.hue / 2, shape)
        values = hsv_to_rgb(np.concatenate([turned % 1, np.clip(saturation * share / (1 - share + 1e-7), 0, 1), value], axis=-1))
    return np.rint(values * 255).astype(np.uint8)
