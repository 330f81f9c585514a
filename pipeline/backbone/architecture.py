"""The networks EfficientNet-Lite as tables: what is computed, block by block. Numbers only.

Tan and Le, 2019, without squeeze and excitation and with ReLU6; width and depth are those of the authors' Lite models, in which the stem, the
head and the numbers of blocks of the first and the last stage are not scaled.
"""

import math
from dataclasses import dataclass

STEM_FILTERS = 32
FEATURE_COUNT = 1280
EPSILON = 1e-3
"""Added to the variance by every batch normalisation."""
SMALLEST_PX = 128
"""Images whose shorter side is below this are enlarged first."""
MEAN, SCALE = 127.0, 128.0
"""The network sees (value - MEAN) / SCALE."""
STEP = 8
FEATURES = "features"
"""The output float32 (N, FEATURE_COUNT) of a network: the head, averaged over the image."""

STAGES = (
    # kernel, strides, expansion, filters, blocks
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
COEFFICIENTS = {"efficientnet_lite0": (1.0, 1.0, 224), "efficientnet_lite1": (1.0, 1.1, 240), "efficientnet_lite2": (1.1, 1.2, 260)}
"""(width, depth, image size in px that it was trained with) by name."""


@dataclass(frozen=True)
class Block:
    """An inverted residual block: pointwise to `expansion` times the filters, depthwise with `kernel` and `strides`, pointwise to `filters_out`.

    With `residual`, its input is added to its output. `stage` counts from 1 to 7.
    """

    kernel: int
    strides: int
    expansion: int
    filters_in: int
    filters_out: int
    residual: bool
    stage: int

    @property
    def filters_inside(self) -> int:
        return self.filters_in * self.expansion


@dataclass(frozen=True)
class Architecture:
    """A stem of STEM_FILTERS, the blocks, a head of FEATURE_COUNT filters. `image_size_px`: side of the images that it was trained with."""

    name: str
    image_size_px: int
    blocks: tuple[Block, ...]

    def first_block(self, stage: int) -> int:
        """The number of the first block of a stage, from 0."""
        return next(i for i, block in enumerate(self.blocks) if block.stage == stage)

    def stage_shape(self, stage: int, height: int, width: int) -> tuple[int, int, int]:
        """(H', W', C') of what goes into a stage for images of (height, width), which are enlarged if they are small."""
        first = self.first_block(stage)
        strides = 2 * math.prod(block.strides for block in self.blocks[:first])
        factor = enlargement(height, width)
        return -(-height * factor // strides), -(-width * factor // strides), self.blocks[first].filters_in


def architecture(name: str) -> Architecture:
    """The network called `name`, one of COEFFICIENTS."""
    width, depth, image_size_px = COEFFICIENTS[name]
    blocks: list[Block] = []
    filters = STEM_FILTERS
    for stage, (kernel, strides, expansion, base, count) in enumerate(STAGES, 1):
        following = _scaled_filters(base, width)
        for i in range(count if stage in (1, len(STAGES)) else math.ceil(count * depth)):
            step = strides if i == 0 else 1
            blocks.append(Block(kernel, step, expansion, filters, following, step == 1 and filters == following, stage))
            filters = following
    return Architecture(name, image_size_px, tuple(blocks))


def stage_input(stage: int) -> str:
    """The output float16 (N, H', W', C') of a network: what goes into a stage."""
    return f"stage{stage}"


def enlargement(height: int, width: int) -> int:
    """The smallest whole factor that makes the shorter side of an image at least SMALLEST_PX."""
    return -(-SMALLEST_PX // min(height, width))


def _scaled_filters(base: int, width: float) -> int:
    """`base` times `width`, rounded to a multiple of STEP, but never down by more than a tenth."""
    scaled = base * width
    rounded = max(STEP, int(scaled + STEP / 2) // STEP * STEP)
    return rounded + STEP if rounded < 0.9 * scaled else rounded
