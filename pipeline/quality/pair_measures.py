"""Whether the two fingerprints of a pair are copies of one picture. Pure functions of P pairs: first, second, uint8 (P, FINGERPRINT_BYTES) each."""

import numpy as np
from scipy.ndimage import maximum_filter, minimum_filter

from pipeline.quality.fingerprints import CHROMA, DETAIL, LUMA
from pipeline.quality.resemblance import SIDE, coarse_motion, equal_contrast, likeness, register, stretch, waves

STRUCTURE = np.array([0.2, 0.5, 0.8])  # with little structure, an outline or two,
LEAST_LIKENESS = np.array([0.95, 0.86, 0.75])  # different images are easily alike
LEAST_STRUCTURE = 0.15  # below, an image is too flat to be registered and must be equal
# The result of `register` for 5 % cropped off every side, with a margin; a different image does not fit and is moved further
MOST_MOTION = np.array([0.15, 0.95, 0.15, 0.95], np.float32)
MOST_GAIN = 1.25  # ratio of the contrasts
MOST_BRIGHTER = 40  # grey values
CHROMA_NOISE = 6  # allowed difference of colours
CHROMA_SHARE = 0.15  # of their strength: allowed on top of that
GREY_CHROMA = 3  # of any cell of a grey image
MOST_FLAT_DIFFERENCE = 2  # grey values, of a cell
MOST_FLAT_MEAN = 1.25  # grey values, of all cells
MOST_FLAT_DETAIL = 6  # above, the picture has details that the thumbnail does not show


def left_unexplained(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """float32 (P,): the share of the energy of the lowest waves that no small motion explains."""
    images, others, _ = equal_contrast(first[:, LUMA], second[:, LUMA])
    return coarse_motion(waves(images), waves(others))[1]


def left_of_copies(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """float32 (P,): as `left_unexplained`, but inf if brightness or contrast rule out copies."""
    images, others, gain = equal_contrast(first[:, LUMA], second[:, LUMA])
    brighter = np.abs(first[:, LUMA].mean(axis=1, dtype=np.float32) - second[:, LUMA].mean(axis=1, dtype=np.float32))
    possible = (np.abs(np.log(gain)) <= np.log(MOST_GAIN)) & (brighter <= MOST_BRIGHTER)
    result: np.ndarray = np.where(possible, coarse_motion(waves(images), waves(others))[1], np.float32(np.inf))
    return result


def likeness_as_they_lie(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """float32 (P,), 0 to 1, without registration."""
    images, others, _ = equal_contrast(first[:, LUMA], second[:, LUMA])
    alike: np.ndarray = np.clip(likeness(images, others)[0], 0, 1)
    return alike


def likeness_as_copies(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """float32 (P,), 0 to 1, after registration; 0 if it is too low or colours rule out copies; for flat images 1 if they are equal, else 0."""
    images, others, _ = equal_contrast(first[:, LUMA], second[:, LUMA])
    motion, _ = coarse_motion(waves(images), waves(others))
    motion = register(images, others, motion)
    alike, structure = likeness(stretch(images, motion / 2), stretch(others, -motion / 2))
    possible = _same_colours(first[:, CHROMA], second[:, CHROMA])
    possible &= (np.abs(motion) <= MOST_MOTION).all(axis=1) & (alike >= np.interp(structure, STRUCTURE, LEAST_LIKENESS))
    result: np.ndarray = np.where(possible, alike, 0).astype(np.float32)
    flat = np.flatnonzero(structure < LEAST_STRUCTURE)
    result[flat] = equal_enough(first[flat], second[flat])
    return result


def _same_colours(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """bool (P,): chroma, uint8 (P, 32), differs by little, or one of the two is grey."""
    chroma, other = first.astype(np.float32) - 128, second.astype(np.float32) - 128
    grey = np.minimum(np.abs(chroma).max(axis=1), np.abs(other).max(axis=1)) <= GREY_CHROMA
    difference = np.sqrt(((chroma - other) ** 2).mean(axis=1))
    strength = np.sqrt((chroma**2 + other**2).mean(axis=1) / 2)
    same: np.ndarray = grey | (difference <= CHROMA_NOISE + CHROMA_SHARE * strength)
    return same


def equal_enough(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """bool (P,): the cells differ by a few grey values only, by more next to edges, which resizing shifts; and there are no finer details."""
    luma, other = (each[:, LUMA].reshape(-1, SIDE, SIDE).astype(np.int16) for each in (first, second))
    difference = np.abs(luma - other)
    brightest = maximum_filter(np.maximum(luma, other), (1, 3, 3))
    darkest = minimum_filter(np.minimum(luma, other), (1, 3, 3))
    alike = (difference <= MOST_FLAT_DIFFERENCE + (brightest - darkest) // 4).all(axis=(1, 2))
    alike &= difference.mean(axis=(1, 2)) <= MOST_FLAT_MEAN
    alike &= np.abs(first[:, CHROMA].astype(np.int16) - second[:, CHROMA]).max(axis=1, initial=0) <= MOST_FLAT_DIFFERENCE
    equal: np.ndarray = alike & (np.maximum(first[:, DETAIL], second[:, DETAIL]) <= MOST_FLAT_DETAIL)
    return equal
