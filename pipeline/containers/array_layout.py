"""What the axes of an array of images mean: which one counts the images, which one the channels. Shapes in, axes out: no files."""

from typing import NamedTuple

CHANNELS = (1, 3, 4)


class Layout(NamedTuple):
    """The order of the axes, such as "N, H, W, C", and where the images and the channels are."""

    order: str
    image_axis: int
    channel_axis: int | None

    def of_images(self) -> int | None:
        """The axis of the channels once the images are along the first axis."""
        if self.channel_axis is None:
            return None
        return self.channel_axis + (self.channel_axis < self.image_axis)


LAYOUTS = (
    Layout("N, H, W", 0, None),
    Layout("H, W, N", 2, None),
    Layout("N, H, W, C", 0, 3),
    Layout("N, C, H, W", 0, 1),
    Layout("H, W, C, N", 3, 2),
)


def layouts_of(shape: tuple[int, ...], count: int) -> list[Layout]:
    """The layouts in which an array of this shape holds `count` images of at least 2 x 2 px in 1, 3 or 4 channels."""
    return [layout for layout in LAYOUTS if len(layout.order.split(", ")) == len(shape) and _fits(layout, shape, count)]


def _fits(layout: Layout, shape: tuple[int, ...], count: int) -> bool:
    sides = [size for axis, size in enumerate(shape) if axis not in (layout.image_axis, layout.channel_axis)]
    channels = CHANNELS if layout.order != "N, C, H, W" else CHANNELS[:2]
    return (
        shape[layout.image_axis] == count > 0 and (layout.channel_axis is None or shape[layout.channel_axis] in channels) and min(sides) > 1
    )
