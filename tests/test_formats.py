"""What a file is comes from its content; a file that is not read says its format and the way out, and the way out leads to an image."""

import base64
import gzip
import importlib.metadata
import io
import os
import random
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from matplotlib.figure import Figure
from PIL import Image

from pipeline.errors import ImageError
from pipeline.images.decoding import FORMATS, ImageSpec, decode, encoded_to_input
from pipeline.images.format_marks import MARKS_BY_START
from pipeline.images.formats import SNIFF_BYTES, describe_formats, identify
from pipeline.images.header_formats import is_heic_read
from pipeline.quality.inspection import FACTS, inspect, is_misnamed
from tests.format_samples import DOCUMENTED, NOISE, PICTURE, dng, encoded, heic, old_tar, psd, tiff, written, zipped

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
BANDS = np.arange(6 * 8 * 13, dtype=np.uint16).reshape(6, 8, 13)


def pixels(encoded_image: bytes) -> object:
    return np.asarray(decode(encoded_image)).tolist()


def refusal(content: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        decode(content)
    return str(caught.value)


def test_what_libraries_write_is_known_by_its_content(tmp_path: Path) -> None:
    found = [(identify(content[:SNIFF_BYTES], name), name, kind) for content, name, *kind in written(tmp_path)]

    assert [(name, kind, one) for one, name, kind in found if one is None or [one.name, one.kind] != kind] == []


@pytest.mark.parametrize(("content", "name", "expected", "kind", "source"), DOCUMENTED, ids=[f"{row[2]}: {row[4]}" for row in DOCUMENTED])
def test_a_header_is_known_as_documented(content: bytes, name: str, expected: str, kind: str, source: str) -> None:
    found = identify(content[:SNIFF_BYTES], name)

    assert found is not None
    assert (found.name, found.kind) == (expected, kind)


def test_every_mark_is_found_and_no_longer_one_is_hidden_by_a_shorter_one() -> None:
    pairs = [pair for group in MARKS_BY_START.values() for pair in group]

    assert len({mark for mark, _ in pairs}) == len(pairs)
    for mark, expected in pairs:
        found = identify(mark.ljust(40, b"\x7f"))
        assert found is not None
        assert found.name == expected.name


@pytest.mark.parametrize("name", ["", "a.tga", "a.dcm", "a.nii.gz", "a.tfrecord", "a.csv", "…/a", ".", "a.b/"])
def test_any_bytes_of_any_length_and_name_have_a_format_or_none(tmp_path: Path, name: str) -> None:
    rng = random.Random(0)
    samples = [row[0] for row in written(tmp_path)] + [row[0] for row in DOCUMENTED]

    for content in samples:
        for length in (*range(40), *rng.choices(range(SNIFF_BYTES + 1), k=20)):
            identify(content[:length], name)
        changed = bytearray(content[:SNIFF_BYTES])
        for _ in range(len(changed) and 20):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
            identify(bytes(changed), name)


def test_what_is_not_read_has_advice_and_what_is_read_needs_none(tmp_path: Path) -> None:
    samples = [row[:2] for row in written(tmp_path)] + [row[:2] for row in DOCUMENTED]
    found = {one for content, name in samples if (one := identify(content[:SNIFF_BYTES], name))}

    assert [one.name for one in found if one.kind in ("picture", "video", "archive") and not one.advice] == []
    assert [one.name for one in found if one.kind == "image" and one.advice] == []


def test_bytes_without_a_mark_are_unknown() -> None:
    assert identify(bytes(range(200, 256)) + bytes(range(40)), "a.jpg") is None
    assert refusal(bytes(range(200, 256)) + bytes(range(40))) == "not an image, or in an unknown format"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'<svg xmlns="http://www.w3.org/2000/svg">', "SVG is not read: export it as PNG (it is a drawing, not a photograph)"),
        (bytes(128) + b"DICM", "DICOM is not read: export its frames or slices as PNG (16-bit) or TIFF"),
        (encoded("PDF"), "PDF is not read: export its pages or pictures as PNG"),
        (encoded("TGA"), "TGA is not read: export it as PNG"),
        (b"\0\0\0\x18ftypmp42", "MP4 is not read: extract its frames as PNG or JPEG"),
        (b"version https://git-lfs.github.com/spec/v1\n", "not an image (Git LFS pointer): run `git lfs pull` in the clone"),
        (
            b"<!doctype html><p>Not found",
            "not an image (HTML): download the image again, this is a web page or an error page saved in its place",
        ),
        (zipped(("a.jpg", b"")), "not an image (zip): unpack it"),
        (b"path,label\na.jpg,cat\n", "not an image (CSV)"),
        (bytes(700), "not an image (file of zero bytes): download it from the cloud storage or copy it again"),
        (b"\xff\xd8\xff\xe0", "cannot be decoded: a damaged JPEG, or of a kind that is not read"),
    ],
)
def test_what_cannot_be_decoded_is_named_with_the_way_out(content: bytes, message: str) -> None:
    assert refusal(content) == message


def test_every_sample_decodes_or_is_refused_by_name(tmp_path: Path) -> None:
    for content, _, name, kind in written(tmp_path):
        found = identify(content[:SNIFF_BYTES])
        if kind == "image":
            assert decode(content).size == PICTURE.size
        elif found and found.name == name:  # without its name
            assert name in refusal(content)


@pytest.mark.parametrize("kind", ["ICO", "TGA", "PCX", "SGI", "DDS", "QOI"])
def test_a_picture_exported_as_png_is_read(kind: str) -> None:
    content = encoded(kind, sizes=[PICTURE.size])  # an icon has several sizes, by default squares
    assert refusal(content) == f"{kind} is not read: export it as PNG"

    with Image.open(io.BytesIO(content)) as image:
        exported = encoded("PNG", image.convert("RGB"))

    assert pixels(exported) == NOISE.tolist()


def test_a_flattened_psd_is_read() -> None:
    assert refusal(psd()) == "PSD is not read: export the flattened picture as PNG"

    with Image.open(io.BytesIO(psd())) as image:
        flattened = encoded("PNG", image)

    assert pixels(flattened) == NOISE.tolist()


@pytest.mark.parametrize("kind", ["svg", "pdf", "eps"])
def test_a_drawing_exported_as_png_is_read(kind: str) -> None:
    figure = Figure(figsize=(1, 1), dpi=40)
    figure.text(0.1, 0.5, "drawn")
    drawing, exported = io.BytesIO(), io.BytesIO()
    figure.savefig(drawing, format=kind)
    figure.savefig(exported, format="png")

    assert refusal(drawing.getvalue()).startswith(f"{kind.upper()} is not read: export it")
    assert decode(exported.getvalue()).size == (40, 40)


def test_a_tiff_of_many_bands_says_how_many_and_its_bands_exported_as_rgb_are_read() -> None:
    assert refusal(tiff(BANDS)) == "13 bands: export the bands that you need as RGB or grey"

    red, green, blue = (BANDS[..., band] // 3 for band in (3, 2, 1))
    exported = encoded("TIFF", Image.fromarray(np.dstack([red, green, blue]).astype(np.uint8)))

    assert encoded_to_input(exported, ImageSpec(6, 8, 3, "stretch"))[0, 1].tolist() == [16 // 3, 15 // 3, 14 // 3]  # 13 + 3, 2, 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(tiff(BANDS[..., :4]), "4 bands: ", id="4 bands, none said to be a colour"),
        pytest.param(tiff(BANDS[..., :2].astype(np.uint8)), "2 bands: ", id="2 bands, of which Pillow would read one"),
        pytest.param(
            tiff(BANDS[..., :5].astype(np.uint8), t262=(2,), t338=(0, 0)), "5 bands: ", id="RGB and two more, which Pillow would drop"
        ),
        pytest.param(
            tiff(BANDS[..., :3].astype(np.float32)), "TIFF with pixels of 3 x 32 bits floating point is not read: export", id="float RGB"
        ),
        pytest.param(
            tiff(BANDS[..., :1].astype(np.float64)), "TIFF with pixels of 1 x 64 bits floating point is not read: export", id="float64"
        ),
        pytest.param(tiff(BANDS)[:60], "cannot be decoded: a damaged TIFF", id="cut off"),
        pytest.param(dng(), "a raw photograph, of which only the preview could be read: develop it", id="DNG"),
        pytest.param(encoded("TIFF", tiffinfo={254: 1, 330: 8}), "a raw photograph, of which only the preview", id="a reduced first page"),
    ],
)
def test_a_tiff_that_is_not_grey_or_colour_says_what_it_is(content: bytes, message: str) -> None:
    assert refusal(content).startswith(message)


def test_a_tiff_with_spot_colours_or_alpha_is_an_image() -> None:
    inks = tiff(BANDS[..., :5].astype(np.uint8), t262=(5,), t338=(0,))
    alpha = tiff(BANDS[..., :4].astype(np.uint8), t262=(2,), t338=(2,))

    assert decode(inks).mode == "CMYK"
    assert decode(alpha).mode == "RGBA"


def test_nothing_is_printed_of_an_unusual_tiff() -> None:
    script = "import sys; from pipeline.images.decoding import decode\ntry: decode(sys.stdin.buffer.read())\nexcept Exception as error: print(error)"

    done = subprocess.run([sys.executable, "-c", script], input=tiff(BANDS), capture_output=True, cwd=ROOT, check=True)

    assert done.stdout.decode().startswith("13 bands")
    assert done.stderr == b""


def test_arrays_exported_as_png_are_read(tmp_path: Path) -> None:
    file = tmp_path / "images.mat"
    scipy.io.savemat(file, {"images": NOISE[None]})
    assert refusal(file.read_bytes()) == "not an image (MAT): export its images as PNG"

    images = scipy.io.loadmat(file)["images"]

    assert pixels(encoded("PNG", Image.fromarray(images[0]))) == NOISE.tolist()


def test_what_is_packed_or_written_as_text_is_read_once_unpacked() -> None:
    image = encoded("PNG")
    packed, text = gzip.compress(image), b"data:image/png;base64," + base64.b64encode(image)

    assert refusal(packed) == "not an image (gzip): unpack it"
    assert refusal(text) == "not an image (data URI): decode the base64 text after the comma into a file"
    assert pixels(gzip.decompress(packed)) == pixels(base64.b64decode(text.partition(b",")[2])) == NOISE.tolist()
    assert refusal(old_tar()) == "not an image (tar): unpack it"


def test_a_dvc_pointer_becomes_an_image_by_dvc_pull(tmp_path: Path) -> None:
    project, remote = tmp_path / "project", tmp_path / "remote"
    project.mkdir()
    (project / "1.png").write_bytes(encoded("PNG"))

    def dvc(*arguments: str) -> None:
        environ = os.environ | {"DVC_SITE_CACHE_DIR": str(tmp_path / "site"), "DVC_NO_ANALYTICS": "1"}
        subprocess.run([str(BIN / "dvc"), *arguments, "--quiet"], cwd=project, env=environ, check=True)

    dvc("init", "--no-scm")
    dvc("remote", "add", "--default", "there", str(remote))
    dvc("add", "1.png")
    dvc("push")
    (project / "1.png").unlink()
    pointer = (project / "1.png.dvc").read_bytes()

    assert refusal(pointer) == "not an image (DVC pointer): run `dvc pull` in the project that it belongs to"
    dvc("pull")

    assert pixels((project / "1.png").read_bytes()) == NOISE.tolist()


@pytest.fixture
def no_heic_reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """As if pillow-heif was not installed; undoing the patch installs it."""
    is_heic_read.cache_clear()
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    yield monkeypatch
    is_heic_read.cache_clear()


def test_heic_without_its_reader_names_the_package_and_with_it_is_read(no_heic_reader: pytest.MonkeyPatch) -> None:
    message = refusal(heic())
    assert message == "HEIC is not read: install its reader with `pip install pillow-heif`, or export it as JPEG"
    assert identify(heic()[:SNIFF_BYTES]).kind == "picture"  # type: ignore[union-attr]

    no_heic_reader.undo()
    is_heic_read.cache_clear()

    package = re.search(r"pip install ([\w-]+)`", message)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert package
    assert [name for name in ("heic", "dev") if any(line.startswith(package[1]) for line in extras[name])] == ["heic", "dev"]
    assert {name.replace("_", "-") for name in importlib.metadata.packages_distributions()["pillow_heif"]} == {package[1]}
    assert np.abs(np.asarray(decode(heic()), int) - NOISE).max() <= 1
    assert identify(heic()[:SNIFF_BYTES]).kind == "image"  # type: ignore[union-attr]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("where", ["exif", "xmp", "both"])
def test_a_heic_is_turned_upright_once(orientation: int, where: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    xmp = f'<rdf:Description tiff:Orientation="{orientation}"/>'.encode()
    said = {name: content for name, content in (("exif", exif.tobytes()), ("xmp", xmp)) if where in (name, "both")}
    upright = np.asarray(decode(encoded("PNG", exif=exif)), int)

    image = decode(heic(PICTURE, **said))

    assert image.size == upright.shape[1::-1]
    assert np.abs(np.asarray(image, int) - upright).max() <= 1


def test_a_heic_goes_the_same_way_as_every_image() -> None:
    facts = np.array([inspect(heic())], FACTS)[0]

    assert (facts["width"], facts["height"]) == PICTURE.size
    assert FORMATS[facts["format"]] == "HEIF"
    assert decode(heic(PICTURE.convert("L"))).mode == "L"
    assert encoded_to_input(heic(Image.new("RGBA", (8, 8), (0, 0, 0, 0))), ImageSpec(8, 8, 3, "pad")).min() >= 254  # on white


def test_a_damaged_heic_is_named_or_says_what_is_missing() -> None:
    assert refusal(heic()[:200]) == "cannot be decoded: a damaged HEIC, or of a kind that is not read"
    assert refusal(heic()[:-100]).startswith("cannot be decoded: ")


def test_the_reader_of_heic_is_loaded_when_one_is_met() -> None:
    script = """
import sys
from pipeline.images.decoding import decode
png, heic = (bytes.fromhex(line) for line in sys.stdin)
decode(png)
print('pillow_heif' in sys.modules)
decode(heic)
print('pillow_heif' in sys.modules)
"""
    content = f"{encoded('PNG').hex()}\n{heic().hex()}\n"

    done = subprocess.run([sys.executable, "-c", script], input=content, text=True, capture_output=True, cwd=ROOT, check=True)

    assert done.stdout.split() == ["False", "True"]


def test_numbers_of_formats_that_are_stored_stay() -> None:
    assert FORMATS == ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000", "HEIF")


@pytest.mark.parametrize(
    ("path", "image_format", "misnamed"),
    [
        ("a.jfif", "JPEG", False),
        ("a.jpg_large", "JPEG", False),
        ("a/picture", "WEBP", False),
        ("v1.2/picture", "PNG", False),
        ("a.jpeg", "MPO", False),
        ("IMG_1.HEIC", "HEIF", False),
        ("IMG_1.heif", "HEIF", False),
        ("IMG_1.HEIC", "JPEG", True),
        ("IMG_1.jpg", "HEIF", True),
    ],
)
def test_only_an_extension_that_says_another_format_is_wrong(path: str, image_format: str, misnamed: bool) -> None:
    assert is_misnamed(path, FORMATS.index(image_format)) is misnamed


def test_formats_are_counted_the_most_common_first() -> None:
    assert describe_formats({"SVG": 3, "HEIC": 20}) == "20 HEIC, 3 SVG"
    assert describe_formats({"PDF": 1, "EPS": 1, "Git LFS pointer": 12_345}) == "12,345 Git LFS pointers, 1 EPS, 1 PDF"
    assert describe_formats({"empty file": 1}) == "1 empty file"
    assert describe_formats({}) == ""
