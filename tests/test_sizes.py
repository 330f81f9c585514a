"""The size that `auto` means: as found for a network from scratch, about 224 x 224 px for a pretrained one."""

from typing import Any

import pytest

from pipeline.images.sizes import auto_size, padding_notice


def sizes(longer_side: int, ratios: tuple[float, float, float] = (0.6, 1.2, 1.5), common: tuple[int, int] | None = None) -> dict[str, Any]:
    """As in report.json; common: (height, width) if all images have one size."""
    height, width = common or (longer_side, longer_side)
    spread = 0 if common else 10
    return {
        "width": [width - spread, width, width + spread],
        "height": [height - spread, height, height + spread],
        "median_longer_side": longer_side,
        "width_by_height": list(ratios),
    }


@pytest.mark.parametrize(
    ("found", "from_scratch", "for_pretrained"),
    [
        (sizes(28, (1.4, 1.4, 1.4), common=(20, 28)), (20, 28), (20, 28)),
        (sizes(61), (64, 64), (64, 64)),
        (sizes(96), (96, 96), (96, 96)),
        (sizes(100, (1.25, 1.25, 1.25), common=(80, 100)), (96, 96), (80, 100)),
        (sizes(112), (96, 96), (112, 112)),
        (sizes(113), (96, 96), (224, 224)),
        (sizes(500), (96, 96), (224, 224)),
    ],
)
def test_small_images_keep_their_size_and_larger_ones_depend_on_the_network(
    found: dict[str, Any], from_scratch: tuple[int, int], for_pretrained: tuple[int, int]
) -> None:
    assert auto_size(found, is_pretrained=False) == from_scratch
    assert auto_size(found, is_pretrained=True) == for_pretrained


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        ((1.333, 1.333, 1.333), (192, 256)),
        ((0.75, 0.75, 0.75), (256, 192)),
        ((1.333, 1.333, 1.5), (192, 256)),
        ((1.5, 1.5, 1.5), (192, 288)),
        ((1.778, 1.778, 1.778), (160, 288)),
        ((1.0, 1.0, 1.0), (224, 224)),
        ((0.75, 1.333, 1.333), (224, 224)),  # upright ones, too
        ((3.0, 3.2, 3.3), (160, 320)),
        ((0.2, 0.2, 0.2), (320, 160)),
    ],
)
def test_where_all_images_have_one_form_the_pretrained_network_gets_it(
    ratios: tuple[float, float, float], expected: tuple[int, int]
) -> None:
    assert auto_size(sizes(500, ratios), is_pretrained=True) == expected


def test_images_that_fill_less_than_half_of_the_size_are_said_to() -> None:
    assert padding_notice(sizes(500, (0.25, 1.0, 1.3)), (224, 224)) == (  # 224 * 112 / 2 of 224 * 224; 448 * 112 = 224 * 224
        "padded to 224 x 224 px, images that are 4.0 times as high as wide fill 25% of it. "
        "To show more of them, set preprocess.image_size: [448, 112], or preprocess.resize: crop or stretch"
    )
    assert "4.4 times as wide as high fill 45% of it" in padding_notice(sizes(500, (4.4, 4.4, 4.4)), (160, 320))
    assert padding_notice(sizes(500, (4.0, 4.0, 4.0)), (160, 320)) == ""
    assert padding_notice(sizes(500, (0.6, 1.0, 1.7)), (224, 224)) == ""
