"""What a model cannot know of an image is its note: size, colours and values that no training image has."""

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.images.decoding import ImageSpec
from pipeline.serving.notes import TrainingImages
from pipeline.serving.preparing import Preparation

GREY, COLOUR = ImageSpec(16, 16, 1, "pad"), ImageSpec(16, 16, 3, "pad")
RNG = np.random.default_rng(0)


def encoded(pixels: np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, kind, **options)
    return content.getvalue()


def noise(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def notes(image: bytes, spec: ImageSpec, sides_px: tuple[int, ...] = (), modes: set[str] | None = None) -> list[str]:
    return Preparation(spec, TrainingImages(sides_px, frozenset(modes or set())))([image]).notes[0]


@pytest.mark.parametrize(("side", "is_far"), [(20, False), (19, True), (200, False), (201, True)])
def test_a_size_is_noted_beyond_a_factor_of_two(side: int, is_far: bool) -> None:
    found = notes(encoded(noise(side, 10)), GREY, (40, 100))

    assert found == ([f"10 x {side} px, where the longer side of the training images has 40 to 100 px"] if is_far else [])


def test_the_size_of_a_jpeg_is_that_in_the_file_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter

    (found,) = notes(encoded(noise(600, 800, 3), "JPEG", exif=exif), COLOUR, (16, 16))

    assert found == "600 x 800 px, where the longer side of the training images has 16 px"


def test_colours_are_noted_where_all_training_images_are_grey_and_the_reverse() -> None:
    colour, grey = noise(16, 16, 3), np.repeat(noise(16, 16, 1), 3, axis=2)

    assert notes(encoded(colour), GREY, modes={"L"}) == ["in colour, where the model sees grey"]
    assert notes(encoded(colour), GREY, modes={"L", "RGB"}) == []
    assert notes(encoded(grey), GREY, modes={"L"}) == []  # grey, though saved as RGB
    for picture in (encoded(grey), encoded(grey, "JPEG"), encoded(grey[..., 0])):
        assert notes(picture, COLOUR, modes={"RGB"}) == ["grey, where the training images are in colour"]
        assert notes(picture, COLOUR, modes={"RGB", "L"}) == []
    assert notes(encoded(colour), COLOUR, modes={"RGB"}) == []
    long = np.zeros((2, 400, 3), np.uint8)
    long[..., 0] = 255
    assert notes(encoded(long), COLOUR, modes={"RGB"}) == []


def test_sixteen_bits_are_noted_where_the_training_images_have_eight() -> None:
    deep = encoded(RNG.integers(0, 65536, (16, 16)).astype(np.uint16))

    assert notes(deep, GREY, modes={"L"}) == ["more than 8 bits per channel, where the training images have 8"]
    assert notes(deep, GREY) == []


def test_nothing_is_noted_of_a_model_that_says_nothing_of_its_images() -> None:
    assert TrainingImages.read({}) == TrainingImages()
    report = {"sizes_px": {"width": [10, 20, 90], "height": [30, 40, 50]}, "modes": {"L": 5}}
    assert TrainingImages.read(report) == TrainingImages((30, 90), frozenset({"L"}))
