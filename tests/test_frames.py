"""Of a file with several pages or frames the first is read, and the file is named with their number."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from pipeline.images.decoding import decode
from pipeline.images.frames import count_frames
from pipeline.quality.inspection import FACTS, inspect
from tests.sample_images import write_class_folders
from tests.test_ingest import run


def pictures(count: int) -> list[Image.Image]:
    return [Image.fromarray(np.random.default_rng(i).integers(0, 256, (16, 16, 3), np.uint8)) for i in range(count)]


def written(image_format: str, count: int, **options: object) -> bytes:
    """A file of several images."""
    first, *others = pictures(count)
    buffer = io.BytesIO()
    first.save(buffer, image_format, save_all=True, append_images=others, **options)
    return buffer.getvalue()


def tiff_of(*subfile_types: int) -> bytes:
    """A TIFF with a page for each type of subfile, a set of bits: 1 a smaller version, 2 a page, 4 a mask."""
    buffer = io.BytesIO()
    with TiffImagePlugin.AppendingTiffWriter(buffer) as file:
        for picture, subfile_type in zip(pictures(len(subfile_types)), subfile_types, strict=True):
            picture.save(file, "TIFF", tiffinfo={254: subfile_type})
            file.newFrame()
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("image_format", "content", "expected"),
    [
        *[(name, written(name, 3), 3) for name in ("TIFF", "GIF", "WEBP", "PNG")],
        *[(name, written(name, 1), 1) for name in ("TIFF", "GIF", "WEBP", "PNG")],
        ("TIFF", written("TIFF", 4, compression="tiff_lzw"), 4),
        ("TIFF", written("TIFF", 4, big_tiff=True), 4),
        ("TIFF", tiff_of(0, 1, 1), 1),
        ("TIFF", tiff_of(2, 2, 4, 2), 3),
        ("MPO", written("MPO", 2), 1),
    ],
)
def test_pages_and_frames_are_counted_and_those_of_a_photograph_with_depth_are_not(
    image_format: str, content: bytes, expected: int
) -> None:
    assert count_frames(content, image_format) == expected
    assert inspect(content)[(FACTS.names or ()).index("frames")] == expected


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_a_file_that_ends_within_its_second_image_still_has_a_first_one(image_format: str) -> None:
    content = written(image_format, 3)

    counts = [count_frames(content[:length], image_format) for length in range(40, len(content))]

    assert min(counts) == 1
    assert max(counts) <= 3


def test_tags_that_lead_in_a_circle_end() -> None:
    content = bytearray(written("TIFF", 1))
    first = int.from_bytes(content[4:8], "little")
    end = first + 2 + 12 * int.from_bytes(content[first : first + 2], "little")
    content[end : end + 4] = content[4:8]

    assert count_frames(bytes(content), "TIFF") == 1


@pytest.mark.parametrize("image_format", ["GIF", "TIFF"])
def test_the_first_one_is_read(image_format: str) -> None:
    (first,) = pictures(1)

    shown = np.asarray(decode(written(image_format, 3)).convert("RGB")).astype(int)

    assert np.abs(shown - np.asarray(first)).mean() < 20  # a GIF has 256 colours


def test_files_of_several_images_are_kept_and_named_with_their_number(tmp_path: Path) -> None:
    source = write_class_folders(tmp_path / "source", classes=2, per_class=30)
    (source / "circle" / "stack.tif").write_bytes(written("TIFF", 12))
    (source / "circle" / "moving.gif").write_bytes(written("GIF", 2))

    found = run(tmp_path, source)

    told = {line["path"]: (line["action"], line["note"]) for line in found.findings if line["finding"] == "more_pages"}
    assert told == {
        "circle/stack.tif": ("kept", "12 images in the file, of which only the first is read"),
        "circle/moving.gif": ("kept", "2 images in the file, of which only the first is read"),
    }
    assert "2 files with several pages or frames" in found.printed
    assert found.report["images"] == 62
