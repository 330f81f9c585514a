"""Images that show nothing and classes that repeat are said in words; what cannot be used at all stops the run with the remedy."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.dataset.intake import DEEP, KEPT_FACTS, Images
from pipeline.dataset.judged import Judged
from pipeline.dataset.pixel_findings import limits_of_model, odd_files
from pipeline.errors import SourceError
from pipeline.images.decoding import FORMATS
from pipeline.quality.inspection import MODES
from pipeline.quality.repeated_classes import Repetition, SharedImages, count_pictures, find_shared
from tests.deep_images import colour_png, colour_tiff, encoded, write_images
from tests.sample_images import write_class_folders
from tests.test_ingest import Outputs, run
from tests.test_value_range import pack

COUNT = 32


def noise(most: int, kind: type, seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, most + 1, (8, 8, *shape)).astype(kind)


def two_classes(make: Callable[[int], bytes]) -> dict[str, bytes]:
    """Images of two classes, each made from its number."""
    return {f"{name}/{i:02d}": make(2 * i + n) for n, name in enumerate(("cat", "dog")) for i in range(COUNT)}


def notes(found: Outputs, kind: str) -> list[str]:
    return [finding["note"] for finding in found.findings if finding["finding"] == kind]


def test_images_of_one_colour_are_named(tmp_path: Path) -> None:
    source = write_class_folders(tmp_path / "source", classes=2, per_class=30)
    Image.new("RGB", (50, 40), "black").save(source / "circle" / "black.png")
    Image.new("RGB", (50, 40), "red").save(source / "circle" / "red.png")
    almost = Image.new("RGB", (50, 40), "red")
    almost.putpixel((20, 20), (255, 1, 0))
    almost.save(source / "cross" / "almost.png")
    (source / "cross" / "deep.tif").write_bytes(encoded(np.full((9, 9), -3, np.int32)))

    found = run(tmp_path, source)

    assert sorted(found.of("one_colour")) == [("circle/black.png", ""), ("circle/red.png", ""), ("cross/deep.tif", "")]
    assert "3 images of a single colour" in found.printed


def test_a_set_of_images_of_one_colour_each_is_refused(tmp_path: Path) -> None:
    source = write_images(tmp_path / "source", two_classes(lambda i: encoded(np.full((8, 8), i, np.uint8))))

    with pytest.raises(SourceError, match="each of the 64 images of source is of a single colour, so there is nothing to learn"):
        run(tmp_path, source)


def test_nearly_black_images_are_named_with_their_largest_value(tmp_path: Path) -> None:
    source = write_class_folders(tmp_path / "source", classes=2, per_class=30)
    write_images(
        source,
        {
            "circle/mask": encoded(noise(1, np.uint8, 0)),
            "cross/night": encoded(noise(15, np.uint8, 1)),
            "cross/dusk": encoded(noise(16, np.uint8, 2)),
        },
    )

    found = run(tmp_path, source)

    assert found.of("nearly_black") == [("circle/mask.png", ""), ("cross/night.png", "")]
    assert notes(found, "nearly_black") == ["its largest value is 1 of 255", "its largest value is 15 of 255"]


def test_a_set_of_masks_of_0_and_1_is_refused_with_the_remedy(tmp_path: Path) -> None:
    source = write_images(tmp_path / "source", two_classes(lambda i: encoded(noise(1, np.uint8, i))))

    with pytest.raises(
        SourceError, match=r"have no values but 0 and 1 of 255, as masks have: they are black\. Multiply their values by 255"
    ):
        run(tmp_path, source)


@pytest.mark.parametrize("write", [colour_png, colour_tiff])
def test_colour_of_16_bits_is_said_and_refused_if_it_has_12(tmp_path: Path, write: Callable[[np.ndarray], bytes]) -> None:
    full = write_images(tmp_path / "full", two_classes(lambda i: write(noise(65535, np.uint16, i, 3))))
    twelve = write_images(tmp_path / "twelve", two_classes(lambda i: write(noise(4095, np.uint16, i, 3))))

    packed = pack(tmp_path / "1", full)
    assert packed.images["cat/00"].tolist() == (noise(65535, np.uint16, 0, 3) >> 8).tolist()
    assert notes(packed.found, "sixteen_bit_colour") == ["64 of 64 images"]
    with pytest.raises(
        SourceError, match=r"have 16 bits per channel, but no value above 4095.*the values 0 to 15 of 255\. Multiply the values"
    ):
        run(tmp_path / "2", twelve)


def test_classes_of_one_picture_each_are_refused_in_words(tmp_path: Path) -> None:
    source = write_images(tmp_path / "source", two_classes(lambda i: encoded(noise(255, np.uint8, i % 2))))

    with pytest.raises(
        SourceError, match=r"every class of source is one picture \(32 images of cat are 1 picture, 32 images of dog are 1 picture\)"
    ):
        run(tmp_path, source)


def test_a_class_of_few_pictures_is_named(tmp_path: Path) -> None:
    images = two_classes(lambda i: encoded(noise(255, np.uint8, i)))
    images |= {f"fox/{i}": encoded(noise(255, np.uint8, 1000 + i % 3)) for i in range(30)}

    found = run(tmp_path, write_images(tmp_path / "source", images))

    assert notes(found, "repeated_picture") == ["30 images of fox are 3 pictures"]


def test_a_nested_copy_of_a_data_set_is_refused_by_the_names_of_its_classes(tmp_path: Path) -> None:
    images = two_classes(lambda i: encoded(noise(255, np.uint8, i)))
    images |= {f"copy/{name}": content for name, content in images.items()}

    with pytest.raises(
        SourceError, match=r"class cat repeats class copy \(32 of 32 images\), class dog repeats class copy \(32 of 32 images\)"
    ):
        run(tmp_path, write_images(tmp_path / "source", images), class_from="first_folder")


def test_a_class_that_repeats_a_part_of_another_is_named(tmp_path: Path) -> None:
    images = two_classes(lambda i: encoded(noise(255, np.uint8, i)))
    images |= {f"kitten/{i:02d}": images[f"cat/{i:02d}"] for i in range(8)} | {
        f"kitten/own {i}": encoded(noise(255, np.uint8, 2000 + i)) for i in range(6)
    }

    found = run(tmp_path, write_images(tmp_path / "source", images))

    assert [(finding["label"], finding["note"]) for finding in found.findings if finding["finding"] == "repeated_class"] == [
        ("kitten", "class kitten repeats class cat (8 of 14 images)")
    ]


def test_pictures_and_shared_images_are_counted_by_class() -> None:
    pictures = np.array([7, 7, 7, 8, 9, 7, 8], np.uint64)
    labels = np.array([0, 0, 0, 0, 1, 1, 2])

    assert count_pictures(pictures, labels, ["a", "b", "c", "empty"]) == [
        Repetition("a", 4, 2),
        Repetition("b", 2, 2),
        Repetition("c", 1, 1),
    ]
    # of a, 3 of 4 images are also in b, but of b only 1 of 2: a repeats b; c repeats a
    assert find_shared(pictures, labels, ["a", "b", "c", "empty"]) == [SharedImages("a", "b", 3, 4), SharedImages("c", "a", 1, 1)]


def test_two_classes_of_the_same_images_are_one_finding() -> None:
    pictures = np.array([1, 2, 1, 2], np.uint64)

    assert find_shared(pictures, np.array([0, 0, 1, 1]), ["a", "b"]) == [SharedImages("a", "b", 2, 2)]


def test_the_limit_of_pixels_is_a_parameter_that_the_error_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_class_folders(tmp_path / "source", classes=2, per_class=30)
    Image.effect_noise((150, 100), 80).save(source / "circle" / "large.png")
    run(tmp_path, source)  # its facts are cached

    smaller = run(tmp_path, source, max_pixels=10_000)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 7_000)  # Pillow itself refuses twice as many
    larger = pack(tmp_path / "afresh", source, max_pixels=15_000)

    assert smaller.rejected == [["circle/large.png", "too_large", "150 x 100 px is more than 10,000 pixels (ingest.max_pixels)"]]
    assert larger.found.rejected == []
    assert "circle/large" in larger.images
    assert Image.MAX_IMAGE_PIXELS == 7_000


@pytest.mark.parametrize(("width", "expected"), [(5_000, 100_000_000), (20_000, 200_000_000)])
def test_a_model_takes_larger_images_if_it_was_trained_on_some(width: int, expected: int) -> None:
    facts = np.zeros(2, KEPT_FACTS)
    facts["width"], facts["height"] = [10, width], [10, 9_000]
    judged = Judged(
        Images(facts, np.empty(0, DEEP), ["cat"], [2], []),
        [],
        facts["pixels"],
        np.zeros(2, np.int8),
        np.ones(2, bool),
        max_pixels=200_000_000,
    )

    assert limits_of_model(judged) == {"value_range": None, "max_pixels": expected}


def plain_facts(count: int) -> np.ndarray:
    """Facts of so many JPEGs in colour of 500 × 375 px."""
    facts = np.zeros(count, KEPT_FACTS)
    facts["format"], facts["mode"] = FORMATS.index("JPEG"), MODES.index("RGB")
    facts["width"], facts["height"] = 500, 375
    return facts


def test_a_placeholder_among_photographs_is_named_with_what_is_odd_about_it() -> None:
    facts = plain_facts(200)
    facts["format"][7], facts["mode"][7] = FORMATS.index("GIF"), MODES.index("P")
    facts["width"][9], facts["height"][9] = 60, 20

    assert odd_files(facts, np.arange(200)) == [
        ("odd_file", 7, "the only one in GIF; the only one in P"),
        ("odd_file", 9, "60 × 20 px, where the median is 500 × 375 px"),
    ]
    assert odd_files(facts, np.arange(10, 200)) == []  # of those that are kept


def test_what_one_in_a_hundred_images_has_is_odd_and_what_more_have_is_not() -> None:
    facts = plain_facts(200)
    facts["format"][:2] = FORMATS.index("PNG")

    assert [(row, note) for _, row, note in odd_files(facts, np.arange(200))] == [(0, "one of 2 in PNG"), (1, "one of 2 in PNG")]
    facts["format"][2] = FORMATS.index("PNG")
    assert odd_files(facts, np.arange(200)) == []


def test_where_sizes_and_formats_vary_none_is_odd() -> None:
    facts = plain_facts(300)
    facts["width"] = np.exp(np.random.default_rng(0).uniform(np.log(20), np.log(4000), 300))
    facts["format"][:100] = FORMATS.index("PNG")
    facts["format"][0] = FORMATS.index("GIF")

    assert odd_files(facts, np.arange(300)) == []


def test_an_odd_file_is_a_finding_with_its_picture_on_the_page(tmp_path: Path) -> None:
    source = write_class_folders(tmp_path / "source", classes=2, per_class=60)
    Image.new("P", (50, 40), 7).save(source / "circle" / "imageNotFound.gif")

    found = run(tmp_path, source)

    assert found.of("odd_file") == [("circle/imageNotFound.gif", "")]
    assert notes(found, "odd_file") == ["the only one in GIF; the only one in P"]
    assert "1 odd file" in found.printed
