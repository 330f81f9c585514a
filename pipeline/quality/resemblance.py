"""How alike two thumbnails are once they are aligned. Pure functions of arrays; knows nothing of files or labels.

A copy with a few percent cropped off is the original, stretched and shifted by less than a cell: four numbers, found by least squares.
"""

import functools

import numpy as np

SIDE = 16
COARSE_WAVES = 5  # maximum of horizontal plus vertical half waves in the coarse registration
FAINT = 8.0  # grey values: below this contrast an image is not amplified for comparison
NOISE = 5.0  # grey values: steps between cells that recompression may change
LARGEST_SHIFT = 1.3  # cells, of the centre: about 8 % of a side
LARGEST_STRETCH = 0.2  # of a side: 9 % off both ends
REFINEMENTS = 2
FINENESS = 128  # positions per cell for which weights are stored
STIFFNESS = np.array([4.0, 0.2, 4.0, 0.2, 0.02], np.float32)  # keeps flat images from being stretched to fit noise
CELLS = (np.arange(SIDE) - (SIDE - 1) / 2).astype(np.float32)  # positions, in cells, from the centre
INNER = slice(1, -1)  # the outermost cells may lie outside the other image


def likeness(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The likeness of P pairs, float32 (P,) up to 1, and the amount of structure that it is based on, float32 (P,) 0 to 1, without registration.

    first, second: float32 (P, 16, 16) grey values of equal contrast. Compares the steps between cells relative to their own size and NOISE: a faint fold
    weighs as much as a hard outline, so that differences inside two shirts of the same cut count.
    """
    steps, others = _steps(first[:, INNER, INNER]), _steps(second[:, INNER, INNER])
    energy = (steps**2 + others**2).sum(axis=0)
    steps -= others
    difference = (steps**2).sum(axis=0)
    scale = energy + 4 * NOISE**2
    structure = (energy / scale).mean(axis=(1, 2))
    return 1 - (difference / scale).mean(axis=(1, 2)) / np.maximum(structure, 1e-6), structure


def equal_contrast(luma: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two sets of thumbnails float32 (P, 16, 16), mean 0, each pair scaled to the same contrast; and the ratio of the contrasts, first to second, (P,).

    luma, other: uint8 (P, 256).
    """
    first, second = (_centred(each) for each in (luma, other))
    gain = np.sqrt((_contrast(first) + 0.5) / (_contrast(second) + 0.5))
    return first / gain[:, None, None], second * gain[:, None, None], gain**2


def register(first: np.ndarray, second: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """float32 (P, 4), the stretch and shift across, then down, in cells, that moves each first image half way to its second, and the second to the first.

    first, second: float32 (P, 16, 16), mean 0. motion: a start, from `coarse_motion`. Gauss-Newton steps (Lucas and Kanade 1981), gradients taken from
    the mean of both images, which makes it symmetric.
    """
    scale = 1 / np.sqrt((first**2 + second**2).mean(axis=(1, 2)) / 2 + FAINT**2)[:, None, None]
    first, second = first * scale, second * scale
    slopes = np.ones((len(first), 5, SIDE - 2, SIDE - 2), np.float32)  # the fifth row accounts for a change of brightness
    for _ in range(REFINEMENTS):
        here, there = stretch(first, motion / 2), stretch(second, -motion / 2)
        middle = here + there
        across, down = slopes[:, 1], slopes[:, 3]
        np.subtract(middle[:, INNER, 2:], middle[:, INNER, :-2], out=across)
        np.subtract(middle[:, 2:, INNER], middle[:, :-2, INNER], out=down)
        across /= 4
        down /= 4
        np.multiply(across, CELLS[INNER], out=slopes[:, 0])
        np.multiply(down, CELLS[INNER, None], out=slopes[:, 2])
        rows = slopes.reshape(len(first), 5, -1)
        gap = (there - here)[:, INNER, INNER].reshape(len(first), -1, 1)
        normal = rows @ rows.transpose(0, 2, 1) + np.diag(STIFFNESS)
        motion = _bounded(motion + np.linalg.solve(normal, rows @ gap)[:, :4, 0])
    return motion


def coarse_motion(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A first estimate of the motion, float32 (P, 4), and the share of the energy (P,) that it leaves unexplained, of the lowest waves only.

    first, second: float32 (P, waves), from `waves`, mean 0. One linear step in a space of 20 numbers: the tangent distance of Simard et al. 1993.
    """
    # A stack of small products: BLAS starts no threads, and the sums of a pair do not depend on the number of pairs
    middle = (first + second)[:, None] / 2
    tangents = (middle @ _motion_of_waves()).reshape(len(first), 4, -1)
    gap = second - first
    size = ((first**2).sum(axis=1) + (second**2).sum(axis=1)) / 2 + SIDE**2 * FAINT**2
    normal = tangents @ tangents.transpose(0, 2, 1) + (STIFFNESS[:4, None] * np.eye(4, dtype=np.float32)) * (size / SIDE**2)[:, None, None]
    along = tangents @ gap[..., None]
    motion = _bounded(np.linalg.solve(normal, along)[..., 0])
    left = ((gap - (motion[:, None] @ tangents)[:, 0]) ** 2).sum(axis=1)
    return motion, left / size


def waves(thumbnails: np.ndarray) -> np.ndarray:
    """float32 (P, waves), the lowest two-dimensional cosine waves, without the mean, lowest first, of thumbnails (P, 16, 16)."""
    cosines, order = _cosines()
    products: np.ndarray = cosines @ thumbnails @ cosines.T
    return products.reshape(len(thumbnails), -1)[:, order]


def stretch(images: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """float32 (P, 16, 16) read from images at positions stretched and shifted by motion (P, 4); cubic, with the outermost cells extended."""
    moved: np.ndarray = _reading(motion[:, 2], motion[:, 3]) @ images @ _reading(motion[:, 0], motion[:, 1]).transpose(0, 2, 1)
    return moved


def _reading(stretches: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """float32 (P, 16, 16): row i holds the weights of the cells around position i."""
    positions = (CELLS * (1 + stretches[:, None]) + shifts[:, None] - CELLS[0]) * FINENESS
    weights: np.ndarray = _weights_by_position()[np.clip(np.rint(positions), 0, (SIDE - 1) * FINENESS).astype(np.intp)]
    return weights


@functools.cache
def _weights_by_position() -> np.ndarray:
    """float32 (15 * FINENESS + 1, 16): the weights of the cells around each position, FINENESS to a cell; cubic convolution (Keys 1981)."""
    positions = np.arange((SIDE - 1) * FINENESS + 1) / FINENESS
    distance = np.abs(positions[:, None] - np.arange(SIDE))
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    weights = np.where(distance < 1, near, np.where(distance < 2, far, 0))
    shares: np.ndarray = weights / weights.sum(axis=1, keepdims=True)
    return shares.astype(np.float32)


def _steps(images: np.ndarray) -> np.ndarray:
    """float32 (2, P, H - 1, W - 1): the steps to the cell on the right, and to the cell below."""
    return np.stack([images[:, :-1, 1:] - images[:, :-1, :-1], images[:, 1:, :-1] - images[:, :-1, :-1]])


def _centred(luma: np.ndarray) -> np.ndarray:
    images: np.ndarray = luma.reshape(-1, SIDE, SIDE).astype(np.float32)
    images -= images.mean(axis=(1, 2), keepdims=True)
    return images


def _contrast(images: np.ndarray) -> np.ndarray:
    contrast: np.ndarray = np.sqrt((images**2).mean(axis=(1, 2)))
    return contrast


def _bounded(motion: np.ndarray) -> np.ndarray:
    limits = np.array([LARGEST_STRETCH, LARGEST_SHIFT] * 2, np.float32)
    bounded: np.ndarray = np.clip(motion, -limits, limits)
    return bounded


@functools.cache
def _cosines() -> tuple[np.ndarray, np.ndarray]:
    """Half waves along a side, orthonormal, float32 (COARSE_WAVES + 1, 16); and which of their products are waves, lowest first, flat indices."""
    numbers = np.arange(COARSE_WAVES + 1)
    cosines = np.cos(np.pi * numbers[:, None] * (np.arange(SIDE) + 0.5) / SIDE) * np.sqrt(np.where(numbers == 0, 1, 2) / SIDE)[:, None]
    kept = [(down, across) for down in numbers for across in numbers if 0 < down + across <= COARSE_WAVES]
    kept.sort(key=lambda wave: (sum(wave), max(wave), wave))
    order = np.array([down * len(numbers) + across for down, across in kept])
    return cosines.astype(np.float32), order


@functools.cache
def _motion_of_waves() -> np.ndarray:
    """float32 (waves, 4 * waves): how each wave changes with the stretch and shift across, then down."""
    cosines, order = _cosines()
    basis = np.einsum("dy,ax->dayx", cosines, cosines).reshape(-1, SIDE, SIDE)[order]
    down, across = np.gradient(basis, axis=(1, 2))
    moved = np.stack([across * CELLS, across, down * CELLS[:, None], down], axis=1)
    return waves(moved.reshape(-1, SIDE, SIDE)).reshape(len(basis), -1)
