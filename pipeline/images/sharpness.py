"""How sharp an image is, and how blocky. Pillow images in, numbers out. Whole numbers are added up, so every machine gives the same."""

import numpy as np
from PIL import Image

OF_PIXELS = ("sharpness", "blockiness")
PATCH_PX = 40
BLOCK_PX = 8  # of JPEG


def of_pixels(image: Image.Image) -> tuple[float, float]:
    """(sharpness, blockiness) of an image of mode L or RGB.

    Sharpness: the mean second difference of the grey values of neighbours, in a row and in a column. Blockiness: how much larger neighbours in a row
    differ where blocks of 8 px meet than elsewhere, 1 if they differ as much; a JPEG of low quality has more. Both of the four patches in the middle
    of the quarters of a large image. Of a JPEG that is decoded at a smaller scale, as images/large_jpegs.py does, they are those of the smaller image.

    Source of blockiness: Wang, Sheikh and Bovik (2002), No-reference perceptual quality assessment of JPEG compressed images, ICIP, as a ratio, with
    one grey value more on both sides, so that flat images have 1.
    """
    values = _grey_values(image)
    along, down = values[:, :, 1:] - values[:, :, :-1], values[:, 1:] - values[:, :-1]  # np.diff takes three times as long
    bends = [np.abs(along[:, :, 1:] - along[:, :, :-1]), np.abs(down[:, 1:] - down[:, :-1])]
    count = sum(bend.size for bend in bends)
    steps = np.abs(along, out=along)
    edge = steps[:, :, BLOCK_PX - 1 :: BLOCK_PX]
    at_edges = int(edge.sum())
    elsewhere, others = int(steps.sum()) - at_edges, steps.size - edge.size
    blockiness = (1 + at_edges / edge.size) / (1 + elsewhere / others) if edge.size else 1.0
    return sum(int(bend.sum()) for bend in bends) / count if count else 0.0, blockiness


def _grey_values(image: Image.Image) -> np.ndarray:
    """int16 (1, H, W) of an image, or (4, PATCH_PX, PATCH_PX) of a large one: patches that begin where a block does."""
    width, height = image.size
    if width <= 2 * PATCH_PX or height <= 2 * PATCH_PX:
        patches = [image.crop((0, 0, min(width, 2 * PATCH_PX), min(height, 2 * PATCH_PX))) if max(width, height) > 2 * PATCH_PX else image]
    else:
        lefts, tops = ([(side * part // 4 - PATCH_PX // 2) // BLOCK_PX * BLOCK_PX for part in (1, 3)] for side in (width, height))
        patches = [image.crop((left, top, left + PATCH_PX, top + PATCH_PX)) for left in lefts for top in tops]
    grey = [patch if patch.mode == "L" else patch.convert("L") for patch in patches]
    joined = np.frombuffer(b"".join(patch.tobytes() for patch in grey), np.uint8)
    return joined.reshape(len(grey), grey[0].height, grey[0].width).astype(np.int16)
