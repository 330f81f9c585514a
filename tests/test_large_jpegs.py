"""Large JPEGs are decoded at a smaller scale; what is found about them, and the side that they are on, is as with all of their pixels."""

import io
import random
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.dataset import whole_pixels
from pipeline.dataset.intake import DEEP, KEPT_FACTS, Images
from pipeline.dataset.ledger import Ledger, read_ledger
from pipeline.errors import ImageError, SourceError
from pipeline.images import decoding, large_jpegs
from pipeline.images.decoding import ImageSpec as Spec
from pipeline.images.decoding import decode, encoded_to_input, pixel_digest
from pipeline.images.sharpness import OF_PIXELS
from pipeline.quality.fingerprints import LUMA
from pipeline.quality.inspection import FACTS, inspect
from tests.sample_images import CLASSES, draw
from tests.test_ingest import Outputs, run

SIZE = (2500, 2000)
RGB_JPEGS: Mapping[str, Mapping[str, Any]] = {
    "baseline": {},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_rows": 1},
    "full colour": {"subsampling": 0},
}


def photograph(number: int, size: tuple[int, int] = SIZE) -> Image.Image:
    """A picture with shades, outlines and noise; each number another one."""
    rng = np.random.default_rng(number)
    small = draw(CLASSES[number % len(CLASSES)], rng).resize((size[0] // 4, size[1] // 4), Image.Resampling.BICUBIC)
    noise = rng.integers(-8, 9, (small.height, small.width, 1))
    return Image.fromarray(np.clip(np.asarray(small) + noise, 0, 255).astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def facts(content: bytes) -> np.void:
    found: np.void = np.array([inspect(content)], FACTS)[0]
    return found


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def kinds() -> dict[str, bytes]:
    """The same picture in every kind of JPEG."""
    image = photograph(1)
    return {
        **{name: encoded(image, **options) for name, options in RGB_JPEGS.items()},
        "grey": encoded(image.convert("L")),
        "CMYK": encoded(image.convert("CMYK")),
        "MPO": encoded(image, "MPO", save_all=True, append_images=[image.resize((200, 160))]),
        "turned": encoded(image, exif=turned(6)),
    }


KINDS = kinds()


def whole(content: bytes, monkeypatch: pytest.MonkeyPatch) -> np.void:
    """The facts as of an image that is not large."""
    with monkeypatch.context() as patched:
        patched.setattr(large_jpegs, "LARGE_PIXELS", 10**9)
        return facts(content)


@pytest.mark.parametrize("kind", KINDS)
def test_the_facts_are_those_of_all_pixels(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found, expected = facts(KINDS[kind]), whole(KINDS[kind], monkeypatch)

    assert found["scaled"]
    assert not expected["scaled"]
    for name in set(FACTS.names or ()) - {"pixels", "scaled", "fingerprint", *OF_PIXELS}:
        assert found[name] == expected[name], name
    assert np.abs(found["fingerprint"].astype(int) - expected["fingerprint"]).max() <= 4


@pytest.mark.parametrize("size", [(2500, 2000), (3001, 1999), (2407, 2411), (6000, 1000)])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_the_fingerprint_lies_as_that_of_all_pixels(size: tuple[int, int], orientation: int, monkeypatch: pytest.MonkeyPatch) -> None:
    content = encoded(photograph(2, size), exif=turned(orientation))
    found, expected = facts(content), whole(content, monkeypatch)

    assert found["scaled"]
    assert np.abs(found["fingerprint"][LUMA].astype(int) - expected["fingerprint"][LUMA]).max() <= 6


@pytest.mark.parametrize(
    ("size", "scaled"),
    [
        ((2000, 2000), (2000, 2000)),
        ((2001, 2000), (251, 250)),
        ((4200, 1000), (1050, 250)),
        ((9000, 500), (4500, 250)),
        ((9000, 460), (9000, 460)),
    ],
)
def test_the_scale_follows_from_the_size(size: tuple[int, int], scaled: tuple[int, int]) -> None:
    assert decode(encoded(photograph(3, size)), reduce_large_jpegs=True).size == scaled


def test_other_images_and_flat_ones_have_the_digest_of_all_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    stripes = np.tile(np.array([[100, 140]], np.uint8), (2000, 1250))
    upright, flat = encoded(Image.fromarray(stripes.T), quality=98), encoded(Image.fromarray(stripes), quality=98)
    png = encoded(photograph(1), "PNG", compress_level=1)

    assert facts(upright)["pixels"] != facts(flat)["pixels"]  # at 1/8 both are the same grey
    for content in (upright, flat, png, encoded(photograph(1, (1999, 2000)))):
        assert facts(content) == whole(content, monkeypatch)
        assert facts(content)["pixels"].tobytes() == pixel_digest(decode(content))


def test_metadata_do_not_change_the_digest_but_the_orientation_does() -> None:
    plain = KINDS["baseline"]
    comment = plain[:2] + b"\xff\xfe\x00\x06abcd" + plain[2:]
    exif = Image.Exif()
    exif[0x010F] = "a camera"

    assert facts(comment)["pixels"] == facts(encoded(photograph(1), exif=exif, dpi=(300, 300)))["pixels"] == facts(plain)["pixels"]
    assert len({facts(KINDS[kind])["pixels"].tobytes() for kind in KINDS}) == len(KINDS)
    assert len({facts(encoded(photograph(1), exif=turned(way)))["pixels"].tobytes() for way in range(1, 9)}) == 8


def test_the_same_coefficients_compressed_in_another_way_keep_the_key() -> None:
    plain, others = facts(KINDS["baseline"]), [facts(KINDS["progressive"]), facts(encoded(photograph(1), optimize=True))]

    for other in others:
        assert other["pixels"].tobytes()[:8] == plain["pixels"].tobytes()[:8]
        assert other["pixels"] != plain["pixels"]
        assert (other["fingerprint"] == plain["fingerprint"]).all()


def test_equal_scaled_pixels_of_different_images_are_not_the_same_digest() -> None:
    content = KINDS["baseline"]
    scan = content.index(b"\xff\xda") + 14
    changed = next(
        other
        for at in range(len(content) // 2, len(content) - 2)
        if 0xFF not in content[at - 1 : at + 2] and (other := content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]) and at > scan
    )

    assert facts(changed)["pixels"].tobytes()[8:] != facts(content)["pixels"].tobytes()[8:]


def verdict(content: bytes, *, reduced: bool) -> str:
    try:
        decode(content, reduce_large_jpegs=reduced)
    except ImageError as error:
        return str(error)
    return "decoded"


@pytest.mark.parametrize("kind", KINDS)
def test_a_truncated_or_damaged_file_is_found_as_with_all_pixels(kind: str) -> None:
    content, rng = KINDS[kind], random.Random(kind)
    size = content.index(b"\xff\xd9", len(content) // 2) + 2 if kind == "MPO" else len(content)
    cut = [content[:length] for length in (size - 3, size - 20, size - 2000, size // 2, size // 10, 1500)]
    damaged = []
    for count in (1, 10, 100):
        other = bytearray(content)
        for _ in range(count):
            other[rng.randrange(700, len(other))] = rng.randrange(256)
        damaged.append(bytes(other))

    assert all("cannot be decoded" in verdict(part, reduced=True) for part in cut)
    for part in (*cut, *damaged):
        assert verdict(part, reduced=True) == verdict(part, reduced=False)


def test_what_is_not_made_of_cosines_or_has_an_unusual_structure_is_decoded_whole() -> None:
    content = KINDS["baseline"]
    fill_bytes = content[:2] + b"\xff\xff" + content[2:]

    assert "reduced" not in decode(fill_bytes, reduce_large_jpegs=True).info
    assert facts(fill_bytes)["pixels"].tobytes() == pixel_digest(decode(content))
    lossless = content.replace(b"\xff\xc0\x00\x11", b"\xff\xc3\x00\x11", 1)
    assert large_jpegs.reduce_large(Image.open(io.BytesIO(content)), lossless) == 1


def test_the_input_of_a_network_is_that_of_a_whole_image(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = Spec(224, 224, 3, "pad")
    for kind in ("baseline", "turned", "MPO", "CMYK"):
        found = encoded_to_input(KINDS[kind], spec)
        with monkeypatch.context() as patched:
            patched.setattr(decoding, "_draft", lambda image, spec: None)
            expected = encoded_to_input(KINDS[kind], spec)
        assert np.abs(found.astype(int) - expected).mean() < 1


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def many(first: int = 10, count: int = 6) -> dict[str, bytes]:
    return {f"{'ab'[i % 2]}/{i:03d}.jpg": encoded(photograph(first + i)) for i in range(count)}


SET = many()


def test_copies_with_the_same_pixels_are_found_whatever_the_container(tmp_path: Path) -> None:
    image = photograph(10)
    with Image.open(io.BytesIO(SET["a/000.jpg"])) as opened:
        png = encoded(opened, "PNG", compress_level=1)
    copies = {"a/copy.png": png, "a/optimised.jpg": encoded(image, optimize=True), "a/tagged.jpg": encoded(image, dpi=(300, 300))}
    nearly = {"a/recompressed.jpg": encoded(image, quality=60)}

    outputs = run(tmp_path, write(tmp_path / "set", {**SET, **copies, **nearly}), test_fraction=0.5)

    assert {path for path, _ in outputs.of("duplicate")} == set(copies)
    assert {path for pair in outputs.of("near_duplicate") for path in pair} >= set(nearly)
    assert len({outputs.splits[path] for path in (*copies, *nearly, "a/000.jpg")}) == 1


def test_leaks_and_conflicts_across_containers_are_rejected(tmp_path: Path) -> None:
    files = {f"{part}/{path}": content for part in ("train", "test") for path, content in many(10 if part == "train" else 30).items()}
    with Image.open(io.BytesIO(files["test/a/000.jpg"])) as opened:
        files["train/a/leak.png"] = encoded(opened, "PNG", compress_level=1)
    files["train/b/conflict.jpg"] = encoded(photograph(10), progressive=True)

    outputs = run(tmp_path, write(tmp_path / "set", files), max_rejected_fraction=0.5)

    assert outputs.of("leak") == [("train/a/leak.png", "test/a/000.jpg")]
    assert {path for path, _ in outputs.of("conflict")} == {"train/b/conflict.jpg", "train/a/000.jpg"}


@pytest.fixture
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what is patched is patched where images are decoded."""
    monkeypatch.setattr("joblib.effective_n_jobs", lambda workers=-1: 1)


@pytest.fixture
def decoded_whole(monkeypatch: pytest.MonkeyPatch, one_process: None) -> list[int]:
    """The sizes of the large JPEGs that were decoded whole because of what is recorded."""
    sizes: list[int] = []

    def noted(content: bytes, max_pixels: int) -> Image.Image:
        sizes.append(len(content))
        return decode(content, max_pixels=max_pixels)

    monkeypatch.setattr(whole_pixels, "decode", noted)
    return sizes


def run_as_before(root: Path, source: Path, monkeypatch: pytest.MonkeyPatch, **changes: object) -> Outputs:
    """A run of an earlier version, which took all pixels of every image."""
    with monkeypatch.context() as patched:
        patched.setattr(large_jpegs, "LARGE_PIXELS", 10**9)
        outputs = run(root, source, **changes)
    shutil.rmtree(root / "project" / ".checkpoints")
    return outputs


def test_images_recorded_by_all_their_pixels_keep_their_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoded_whole: list[int]
) -> None:
    source, ledger = write(tmp_path / "set", many(10, 12)), tmp_path / "project" / "data" / "splits.csv"
    before = run_as_before(tmp_path, source, monkeypatch, test_fraction=0.4)
    recorded = ledger.read_bytes()

    after = run(tmp_path, source, test_fraction=0.4)

    assert after.splits == before.splits
    assert set(after.splits.values()) == {"train", "test"}
    assert ledger.read_bytes().startswith(recorded)
    assert len(read_ledger(ledger).keys) == 2 * 12
    assert len(decoded_whole) == 12
    new = encoded(photograph(99))
    again = run(tmp_path, write(source, {"a/new.jpg": new}), test_fraction=0.4)
    assert {path: side for path, side in again.splits.items() if path != "a/new.jpg"} == before.splits
    assert decoded_whole[12:] == [len(new)]
    assert run(tmp_path, source, test_fraction=0.4).splits == again.splits
    assert len(decoded_whole) == 13


def test_nothing_is_decoded_whole_while_all_recorded_images_are_there(tmp_path: Path, decoded_whole: list[int]) -> None:
    source = write(tmp_path / "set", many(10, 8))
    first = run(tmp_path, source, test_fraction=0.4)

    second = run(tmp_path, write(source, {"a/new.jpg": encoded(photograph(99))}), test_fraction=0.4)

    assert {path: side for path, side in second.splits.items() if path != "a/new.jpg"} == first.splits
    assert decoded_whole == []


def in_split_folders(root: Path) -> Path:
    return write(
        root / "set",
        {f"{part}/{path}": content for part, first in (("train", 10), ("test", 30)) for path, content in many(first).items()},
    )


@pytest.mark.usefixtures("one_process")
def test_a_sample_recorded_by_all_pixels_is_recognized(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = in_split_folders(tmp_path)
    run_as_before(tmp_path, source, monkeypatch)
    run(tmp_path, source)  # not another data set

    (source / "train/a/000.jpg").rename(source / "test/a/moved.jpg")
    with pytest.raises(SourceError, match=r"1 of 12 images .* from train to test"):
        run(tmp_path, source)


@pytest.mark.usefixtures("one_process")
def test_a_move_between_the_source_s_splits_is_noticed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = in_split_folders(tmp_path)
    run_as_before(tmp_path, source, monkeypatch)

    (source / "train/a/000.jpg").rename(source / "test/a/moved.jpg")
    with pytest.raises(SourceError, match=r"1 of 12 images .* from train to test"):
        run(tmp_path, source)


@pytest.fixture
def smaller(monkeypatch: pytest.MonkeyPatch, one_process: None) -> tuple[int, int]:
    """A size that is large, so that a test of many images is quick."""
    monkeypatch.setattr(large_jpegs, "LARGE_PIXELS", 250_000)
    monkeypatch.setattr(whole_pixels, "LARGE_PIXELS", 250_000)
    return 600, 500


def as_png(content: bytes) -> bytes:
    with Image.open(io.BytesIO(content)) as opened:
        return encoded(opened, "PNG", compress_level=1)


def crowd(size: tuple[int, int]) -> dict[str, bytes]:
    """So many copies of one picture that they are not kept together, and others."""
    copies = {f"a/copy {quality}.jpg": encoded(photograph(1, size), quality=quality) for quality in range(60, 90)}
    return {**copies, **{f"{'ab'[i % 2]}/{i}.jpg": encoded(photograph(10 + i, size)) for i in range(6)}}


def test_copies_in_another_container_stay_with_a_large_jpeg_in_a_crowd_of_look_alikes(tmp_path: Path, smaller: tuple[int, int]) -> None:
    files = crowd(smaller)
    jpegs = [path for path in files if path.startswith("a/copy")]
    pngs = {path.replace(".jpg", ".png"): as_png(files[path]) for path in jpegs[::3]}

    found = run(tmp_path, write(tmp_path / "set", {**files, **pngs}), test_fraction=0.5)

    assert {frozenset(pair) for pair in found.of("duplicate")} == {frozenset([path, path.replace(".png", ".jpg")]) for path in pngs}
    assert {found.splits[path] for path in jpegs} == {"train", "test"}
    for path in pngs:
        assert found.splits[path] == found.splits[path.replace(".png", ".jpg")]


def test_an_image_recorded_by_all_its_pixels_keeps_its_side_beside_a_new_copy_in_another_container(
    tmp_path: Path, smaller: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = crowd(smaller)
    before = run_as_before(tmp_path, write(tmp_path / "set", files), monkeypatch, test_fraction=0.5)
    pngs = {path.replace(".jpg", ".png"): as_png(content) for path, content in files.items()}

    after = run(tmp_path, write(tmp_path / "set", pngs), test_fraction=0.5)

    assert {after.splits[path] for path in files} == {"train", "test"}
    for path, side in before.splits.items():
        assert after.splits[path] == after.splits[path.replace(".jpg", ".png")] == side


def digest(key: int) -> bytes:
    return key.to_bytes(8, "big") + bytes(8)


@pytest.mark.parametrize(("doubtful", "found"), [([0], [(7, 5)]), ([], [])])
def test_a_recorded_image_is_recognized_although_its_copy_has_the_recorded_key(doubtful: list[int], found: list[tuple[int, int]]) -> None:
    facts = np.zeros(2, KEPT_FACTS)
    facts["pixels"], facts["scaled"] = [digest(7), digest(5)], [True, False]
    images = Images(facts, np.empty(0, DEEP), ["cat"], [2], [])
    ledger = Ledger(np.array([5], np.uint64), np.array([3], np.uint64))

    aliases = whole_pixels.find_aliases(
        images, ledger, np.empty(0, np.uint64), np.array(doubtful, int), lambda rows: np.array([digest(5)] * len(rows), "V16")
    )

    assert list(zip(aliases.now.tolist(), aliases.before.tolist(), strict=True)) == found
    also, now, founders = aliases.in_ledger(ledger)
    assert (also.keys.tolist(), also.founders.tolist()) == (([5, 7], [3, 3]) if found else ([5], [3]))
    assert (now.tolist(), founders.tolist()) == (([7], [3]) if found else ([], []))


def test_a_class_that_repeats_another_one_in_another_container_is_found(tmp_path: Path, smaller: tuple[int, int]) -> None:
    files = {f"{'ab'[i % 2]}/{i}.jpg": encoded(photograph(10 + i, smaller)) for i in range(24)}
    copies = {path.replace("a/", "copy/").replace(".jpg", ".png"): as_png(content) for path, content in files.items() if path[0] == "a"}

    with pytest.raises(SourceError, match=r"class .* repeats class"):
        run(tmp_path, write(tmp_path / "set", {**files, **copies}))


def test_a_few_large_jpegs_among_other_images_keep_their_recorded_sides(
    tmp_path: Path, smaller: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = {f"{part}/{'ab'[i % 2]}/{i + 40 * (part == 'test')}.png": i for part in ("train", "test") for i in range(12)}
    small = {path: encoded(photograph(100 + i + 50 * ("test" in path), (96, 80)), "PNG") for path, i in pixels.items()}
    large = {f"{part}/a/{part}.jpg": encoded(photograph(first, smaller)) for part, first in (("train", 10), ("test", 30))}
    source = write(tmp_path / "set", {**small, **large})
    run_as_before(tmp_path, source, monkeypatch)

    (source / "train/a/train.jpg").rename(source / "test/a/moved.jpg")

    with pytest.raises(SourceError, match=r"1 of .* images .* from train to test"):
        run(tmp_path, source)
