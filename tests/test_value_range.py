"""Images of more than 8 bits per channel are scaled from one range for the whole data set, in the packed arrays and in the served model."""

import contextlib
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.errors import ImageError, SourceError
from pipeline.files import write_bytes, write_json
from pipeline.images.decoding import ImageSpec, array_to_input, decode, encode_png, encoded_to_input, pixel_digest
from pipeline.images.thumbnails import thumbnail
from pipeline.images.values import find_extremes, values_of
from pipeline.models.network import to_bytes
from pipeline.models.predict import load_model, predict
from pipeline.params.reader import Config
from pipeline.paths import Paths
from pipeline.quality.fingerprints import LUMA, fingerprint
from pipeline.quality.inspection import VALUES
from pipeline.quality.value_range import Uneven, ValueRange, find_range, find_uneven
from pipeline.serving.served_model import load
from pipeline.stages import preprocess
from tests.deep_images import encoded, unsigned_tiff, write_images
from tests.test_fit import configure as configure_fit
from tests.test_fit import fit, shapes
from tests.test_ingest import Outputs, configure, contents
from tests.test_ingest import run as run_ingest

SIDE = 8
QUARTER = 64  # 63.75, rounded


def scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """The formula of the documentation."""
    return np.clip(np.rint((values.astype(np.float64) - low) / (high - low) * 255), 0, 255).astype(np.uint8)


def image_between(low: float, high: float, kind: type, seed: int) -> np.ndarray:
    """Random values; the first three pixels are the least, that at a quarter of the way, and the largest."""
    image: np.ndarray = np.random.default_rng(seed).uniform(low, high, (SIDE, SIDE)).astype(kind)
    image[0, :3] = low, low + (high - low) / 4, high
    return image


def images_between(low: float, high: float, kind: type, count: int = 40) -> dict[str, np.ndarray]:
    return {
        f"{name}/{i:02d}": image_between(low, high, kind, seed=2 * i + n) for n, name in enumerate(("cat", "dog")) for i in range(count)
    }


class Packed(NamedTuple):
    """What the first two stages made of a source."""

    found: Outputs
    images: dict[str, np.ndarray]
    spec: dict[str, Any]
    printed: str
    folder: Path


def pack(root: Path, source: Path, value_range: str | list[float] = "auto", **changes: object) -> Packed:
    found = run_ingest(root, source, **changes)
    config = configure(source, **changes).model_dump(by_alias=True)
    config["preprocess"]["value_range"] = value_range
    paths = Paths(root / "project")
    with contextlib.redirect_stderr(io.StringIO()) as printed:
        preprocess.run(Config.model_validate(config), paths, None)
    folder = paths.stage("preprocess")
    images: dict[str, np.ndarray] = {}
    for split in ("train", "test"):
        names = pq.read_table(folder / split / "index.parquet")["path"].to_pylist()
        images |= {
            Path(name).with_suffix("").as_posix(): image for name, image in zip(names, np.load(folder / split / "images.npy"), strict=True)
        }
    return Packed(found, images, json.loads((folder / "spec.json").read_text(encoding="utf-8")), printed.getvalue(), folder)


def pack_arrays(root: Path, arrays: Mapping[str, np.ndarray], value_range: str | list[float] = "auto") -> Packed:
    return pack(root, write_images(root / "source", {name: encoded(image) for name, image in arrays.items()}), value_range)


@pytest.mark.parametrize(
    ("least", "most", "kind", "low", "high", "is_guessed"),
    [
        pytest.param(0, 4095, np.uint16, 0, 4095, True, id="12 bits in 16"),
        pytest.param(0, 65535, np.uint16, 0, 65535, False, id="16 bits"),
        pytest.param(-100, 100_000, np.int32, -100, 100_000, True, id="whole numbers of 32 bits"),
        pytest.param(300, 4400, np.float32, 300, 4400, True, id="floats of a camera"),
        pytest.param(0, 1.02, np.float32, 0, np.float32(1.02), True, id="reflectance"),
        pytest.param(0, 1, np.float32, 0, 1, False, id="fractions"),
        pytest.param(0, 255, np.float32, 0, 255, False, id="floats from 0 to 255"),
        pytest.param(-1, 1, np.float32, -1, 1, True, id="a vegetation index"),
    ],
)
def test_the_whole_set_is_scaled_from_one_range(
    tmp_path: Path, least: float, most: float, kind: type, low: float, high: float, is_guessed: bool
) -> None:
    arrays = images_between(least, most, kind)

    packed = pack_arrays(tmp_path, arrays)

    assert packed.spec["value_range"] == [low, high]
    assert {name: packed.images[name][..., 0].tolist() for name in arrays} == {
        name: scaled(image, low, high).tolist() for name, image in arrays.items()
    }
    assert {tuple(image[0, :3, 0].tolist()) for image in packed.images.values()} == {(0, QUARTER, 255)}
    report = packed.found.report["value_range"]
    assert (report["low"], report["high"], report["guessed"]) == (low, high, is_guessed)
    assert packed.found.report["findings"] == ({"guessed_range": 1} if is_guessed else {})
    assert (
        f"become 0 to 255 ({'guessed: ' if is_guessed else ''}{report['how']}); preprocess.value_range sets another range"
        in packed.found.printed
    )
    page = (tmp_path / "project" / "data" / "ingest" / "report.html").read_text(encoding="utf-8")
    assert report["how"] in page


def measured(*images: np.ndarray) -> np.ndarray:
    return np.array([find_extremes(image) for image in images], VALUES)


def ramp(least: float, most: float, kind: type = np.uint16, side: int = 50) -> np.ndarray:
    return np.linspace(least, most, side * side).reshape(side, side).astype(kind)


@pytest.mark.parametrize(
    ("images", "low", "high", "is_guessed"),
    [
        ([ramp(0, 200)], 0, 255, True),
        ([ramp(0, 900)], 0, 1023, True),
        ([ramp(0, 900), ramp(7, 4000)], 0, 4095, True),
        ([ramp(0, 4096)], 0, 16383, True),
        ([ramp(20_000, 30_000)], 0, 65535, False),
        ([ramp(0, 70_000, np.int32)], 0, 70_000, True),
        ([ramp(-5, 4000, np.int32)], -5, 4000, True),
    ],
)
def test_whole_numbers_take_the_fewest_bits_that_hold_all(images: list[np.ndarray], low: float, high: float, is_guessed: bool) -> None:
    assert find_range(measured(*images), floating=False)[:3] == (low, high, is_guessed)


@pytest.mark.parametrize(
    ("images", "low", "high", "is_guessed"),
    [
        ([ramp(0, 0.1, float)], 0, 1, False),
        ([ramp(0, 250, float), ramp(3, 9, float)], 0, 255, False),
        ([ramp(0, 250, float), ramp(0, 0.5, float)], 0, 250, True),  # an image of fractions among them
        ([ramp(220, 250, float)], 220, 250, True),  # degrees Kelvin
        ([ramp(7, 7, float)], 7, 8, True),
    ],
)
def test_floats_take_a_usual_range_or_their_own(images: list[np.ndarray], low: float, high: float, is_guessed: bool) -> None:
    assert find_range(measured(*images), floating=True)[:3] == (low, high, is_guessed)


def with_pixel(image: np.ndarray, value: float) -> np.ndarray:
    changed = image.copy()
    changed[3, 3] = value
    return changed


def test_a_hot_pixel_does_not_make_all_others_black() -> None:
    hot = measured(ramp(0, 4000), with_pixel(ramp(0, 4000), 65535))
    dead = measured(with_pixel(ramp(0, 4000, np.int32), -32768))
    mild = measured(with_pixel(ramp(0, 4000), 15_000))

    assert find_range(hot, floating=False)[:3] == (0, 4095, True)
    assert "but for one pixel in a thousand, whose values go from 0 to 65535" in find_range(hot, floating=False).how
    assert find_range(dead, floating=False)[:3] == (0, 4095, True)
    assert find_range(mild, floating=False)[:2] == (0, 16383)  # less than four times as much: it may be a bright spot


def test_a_few_bright_spots_on_nothing_are_no_outliers() -> None:
    assert find_range(measured(with_pixel(ramp(0, 0), 4000)), floating=False)[:2] == (0, 4095)


def test_extremes_leave_out_one_pixel_in_a_thousand_and_what_is_no_number() -> None:
    image = np.arange(4000, dtype=np.float32).reshape(50, 80)
    image[0, 0], image[49, 79] = np.nan, np.inf  # were 0 and 3999

    assert find_extremes(image) == (1, 3998, 5, 3994, 2)  # 3998 values are left; four of them are dropped at either end
    assert np.isnan(find_extremes(np.full((2, 2), np.nan))).tolist() == [True] * 4 + [False]


def test_only_training_images_decide_and_what_others_have_outside_is_said(tmp_path: Path) -> None:
    arrays = {f"train/{name}": image for name, image in images_between(1000, 2000, np.float32).items()}
    arrays |= {f"test/{name}": image for name, image in images_between(1000, 1800, np.float32, count=3).items()}
    arrays["test/cat/bright"] = image_between(1500, 3000, np.float32, seed=99)

    packed = pack_arrays(tmp_path, arrays)

    assert packed.spec["value_range"] == [1000, 2000]
    assert packed.found.of("clipped_values") == [("test/cat/bright.tif", "")]
    (note,) = [finding["note"] for finding in packed.found.findings if finding["finding"] == "clipped_values"]
    assert note == "its values go from 1500 to 3000, the range is 1000 to 2000"
    assert packed.images["test/cat/bright"][0, :3, 0].tolist() == [128, 223, 255]  # 1500 is 127.5; 1875 is 223.1; 3000 is clipped


def test_what_is_no_number_becomes_the_low_end_and_is_counted(tmp_path: Path) -> None:
    arrays = images_between(-50, 50, np.float32)
    arrays["cat/00"][5, :2] = np.nan, np.inf

    packed = pack_arrays(tmp_path, arrays)

    assert packed.spec["value_range"] == [-50, 50]
    assert packed.images["cat/00"][5, :2, 0].tolist() == [0, 0]
    assert [finding["note"] for finding in packed.found.findings if finding["finding"] == "not_finite"] == [
        "2 of its values are NaN or infinite"
    ]


def test_a_range_that_is_set_is_used_without_a_change_to_ingest(tmp_path: Path) -> None:
    arrays = images_between(0, 4000, np.uint16)
    guessed = pack_arrays(tmp_path / "guessed", arrays)
    chosen = pack_arrays(tmp_path / "chosen", arrays, [0, 1000])

    assert chosen.spec["value_range"] == [0, 1000]
    assert chosen.images["cat/03"][..., 0].tolist() == scaled(arrays["cat/03"], 0, 1000).tolist()
    assert "preprocess: values 0 to 1000 become 0 to 255 (preprocess.value_range)" in chosen.printed
    assert "preprocess: values 0 to 4095 become 0 to 255 (guessed by ingest)" in guessed.printed
    assert chosen.found.report | {"source": ""} == guessed.found.report | {"source": ""}


def test_images_of_8_bits_are_as_they_were_whatever_the_range(tmp_path: Path) -> None:
    arrays = images_between(0, 200, np.uint8)
    usual, other = pack_arrays(tmp_path / "usual", arrays), pack_arrays(tmp_path / "other", arrays, [0, 100])

    assert all((usual.images[name][..., 0] == image).all() for name, image in arrays.items())
    assert not {"value_range", "max_pixels"} & usual.spec.keys()
    assert usual.found.report["value_range"] is None
    differing = {name for name, content in contents(usual.folder).items() if contents(other.folder)[name] != content}
    assert differing <= {"spec.json"}  # the path of the source
    assert "preprocess.value_range is not used: no image has more than 8 bits per channel" in other.printed


def test_a_mix_of_depths_is_said_and_each_kept_to_its_scale(tmp_path: Path) -> None:
    arrays = images_between(0, 4095, np.uint16)
    arrays |= {
        f"{name}/eight {i}": image_between(0, 200, np.uint8, seed=500 + 2 * i + n)
        for n, name in enumerate(("cat", "dog"))
        for i in range(10)
    }

    packed = pack_arrays(tmp_path, arrays)

    assert (packed.images["cat/eight 3"][..., 0] == arrays["cat/eight 3"]).all()
    assert (packed.images["dog/04"][..., 0] == scaled(arrays["dog/04"], 0, 4095)).all()
    (note,) = [finding["note"] for finding in packed.found.findings if finding["finding"] == "mixed_depths"]
    assert note == "20 of 8 bits, 80 of whole numbers of 16 or 32 bits; the range is 0 to 4095"


def test_without_a_deep_training_image_the_range_of_the_type_is_taken(tmp_path: Path) -> None:
    arrays = {f"train/{name}": image for name, image in images_between(0, 255, np.uint8).items()}
    arrays |= {f"test/{name}": image for name, image in images_between(0, 4095, np.uint16, count=3).items()}

    packed = pack_arrays(tmp_path, arrays)

    assert packed.spec["value_range"] == [0, 65535]
    assert packed.found.report["value_range"]["guessed"]


def test_a_range_far_wider_than_the_values_is_said(tmp_path: Path) -> None:
    packed = pack_arrays(tmp_path, images_between(27_000, 30_000, np.uint16))

    assert packed.found.report["findings"] == {"few_shades": 1}
    (finding,) = packed.found.findings
    assert finding["note"] == "about 13 of 256 shades for nearly all training pixels; the range is 0 to 65535"


def test_images_that_differ_in_the_lowest_bit_are_not_the_same() -> None:
    image = ramp(0, 4000)
    other = with_pixel(image, float(image[3, 3]) + 1)
    big_endian = io.BytesIO()
    Image.fromarray(image.astype(">u2")).save(big_endian, "TIFF")

    assert pixel_digest(decode(encoded(image))) != pixel_digest(decode(encoded(other)))
    assert pixel_digest(decode(encoded(image))) == pixel_digest(decode(big_endian.getvalue()))


def test_unsigned_numbers_of_32_bits_stay_positive() -> None:
    image = np.array([[0, 1], [3_000_000_000, 4_000_000_000]], np.uint32)

    assert values_of(decode(unsigned_tiff(image))).tolist() == image.tolist()
    spec = ImageSpec(2, 2, 1, "pad", (0, 4_000_000_000))
    assert encoded_to_input(unsigned_tiff(image), spec)[..., 0].tolist() == [[0, 0], [191, 255]]


def test_signed_numbers_of_8_bits_are_refused_by_name() -> None:
    buffer = io.BytesIO()
    Image.new("L", (4, 4), 200).save(buffer, "TIFF", tiffinfo={339: 2})

    with pytest.raises(ImageError, match="its values are signed and have 8 bits"):
        decode(buffer.getvalue())


@pytest.mark.parametrize("image", [ramp(0, 15), ramp(300, 4400, np.float32), ramp(-5, 3, np.int32), with_pixel(ramp(0, 4000), 65535)])
def test_pictures_for_people_and_for_comparison_are_neither_black_nor_white(image: np.ndarray) -> None:
    decoded = decode(encoded(image))
    with Image.open(io.BytesIO(thumbnail(decoded))) as picture:
        shown = np.asarray(picture)

    for shades in (shown, fingerprint(decoded)[LUMA]):
        assert shades.min() <= 10
        assert shades.max() >= 245
        assert 120 <= shades.mean() <= 135


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    write_bytes(folder / "model.keras", to_bytes(fit(configure_fit(), *shapes()).keep()))
    return folder


def served_with(model: Path, folder: Path, spec: Mapping[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "model.keras").write_bytes((model / "model.keras").read_bytes())
    write_json(folder / "spec.json", {**spec, "class_names": ["rows", "columns"]})
    return folder


@pytest.mark.parametrize(("least", "most", "kind"), [(0, 4000, np.uint16), (-3, 900, np.int32), (300, 4400, np.float32)])
def test_the_served_model_sees_what_was_packed(tmp_path: Path, model: Path, least: float, most: float, kind: type) -> None:
    arrays = images_between(least, most, kind, count=10)
    packed = pack_arrays(tmp_path, arrays)
    served = load(served_with(model, tmp_path / "served", packed.spec))

    by_file = served.predict(pd.DataFrame({"image": [encoded(image) for image in arrays.values()]}))
    by_array = served.predict(list(arrays.values()))

    expected = predict(load_model(model / "model.keras"), np.stack([packed.images[name] for name in arrays]))
    for answer in (by_file, by_array):
        assert [list(row.values()) for row in answer["probabilities"]] == expected.tolist()


@pytest.mark.parametrize(
    ("image", "value_range", "words"),
    [
        (
            ramp(0, 1, np.float32),
            [0, 4095],
            "values from 0 to 1, fractions, where the training images have whole numbers; the range is 0 to 4095",
        ),
        (ramp(0, 254.5, np.float32), [0, 4095], "fractions, where the training images have whole numbers"),
        (ramp(0, 255, np.uint16), [0, 65535], "values from 0 to 255, which all become about one of 256 shades; the range is 0 to 65535"),
        (ramp(0, 1, np.float32), [-300.5, 4000.5], "which all become about one of 256 shades"),
        (ramp(0, 4095, np.uint16), [0, 4095], ""),
        (np.full((50, 50), 1000, np.uint16), [0, 4095], ""),
        (ramp(0, 1, np.float32), [0, 1], ""),
        (ramp(0, 200.5, np.float32), [0, 255], ""),
        (np.rint(ramp(0, 4095, np.float32)), [0, 4095], ""),
    ],
)
def test_the_served_model_says_which_images_are_on_another_scale(
    tmp_path: Path, model: Path, caplog: pytest.LogCaptureFixture, image: np.ndarray, value_range: list[float], words: str
) -> None:
    spec = ImageSpec(SIDE, SIDE, 1, "pad", (value_range[0], value_range[1])).described()
    served = load(served_with(model, tmp_path / "served", spec))

    served.predict([encoded(image)])

    said = [record.getMessage() for record in caplog.records]
    assert [words in line for line in said] == ([True] if words else [])


def test_the_served_model_says_what_it_clips(tmp_path: Path, model: Path, caplog: pytest.LogCaptureFixture) -> None:
    spec = ImageSpec(SIDE, SIDE, 1, "pad", (0, 4095)).described()
    served = load(served_with(model, tmp_path / "served", spec))

    served.predict([encoded(ramp(0, 4095)), encoded(ramp(10, 5000))])

    assert [record.getMessage() for record in caplog.records] == ["image 1: values from 10 to 5000, 0 not finite: clipped to 0 to 4095"]


def test_a_model_of_8_bit_images_takes_full_16_bits_and_refuses_what_it_would_have_to_guess(tmp_path: Path, model: Path) -> None:
    before = {"height": SIDE, "width": SIDE, "channels": 1, "resize": "pad"}  # a spec.json without the new keys
    served = load(served_with(model, tmp_path / "served", before))
    eight = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE), dtype=np.uint8)

    answer = served.predict([encode_png(eight), encoded(eight.astype(np.uint16) * 257)])

    assert answer["probability"][0] == answer["probability"][1]
    for unknown in (np.float32, np.int32):
        with pytest.raises(SourceError, match=r"image 0: its values are .*, but the model was trained on images of 8 bits per channel"):
            served.predict([encoded(eight.astype(unknown))])


def test_a_spec_is_read_back_as_it_was_written() -> None:
    for spec in (ImageSpec(8, 9, 1, "crop"), ImageSpec(8, 9, 3, "pad", (-1.5, 4095.0), 500_000)):
        assert ImageSpec.read(json.loads(json.dumps(spec.described()))) == spec


def test_an_array_of_whole_numbers_is_scaled_if_the_model_has_a_range() -> None:
    spec = ImageSpec(2, 2, 1, "pad", (0, 4095))

    assert array_to_input(np.array([[0, 4095], [2048, 5000]]), spec)[..., 0].tolist() == [[0, 255], [128, 255]]
    assert array_to_input(np.array([[0, 200], [100, 255]], np.uint8), spec)[..., 0].tolist() == [[0, 200], [100, 255]]


def test_a_range_says_itself_in_words() -> None:
    assert ValueRange(0.0, 4095.0, True, "12 bits").sentence == (
        "values 0 to 4095 become 0 to 255 (guessed: 12 bits); preprocess.value_range sets another range"
    )
    assert ValueRange(-0.25, 4_000_000_000.0, False, "").in_words == "-0.25 to 4000000000"


def uneven(*images: np.ndarray) -> Uneven | None:
    values = measured(*images)
    return find_uneven(values, find_range(values, floating=images[0].dtype.kind == "f"))


def test_images_of_12_bits_among_a_few_of_16_are_found_with_their_numbers(tmp_path: Path) -> None:
    arrays = images_between(0, 4095, np.uint16) | {
        f"{name}/new {i}": image_between(0, 65535, np.uint16, seed=500 + 2 * i + n)
        for n, name in enumerate(("cat", "dog"))
        for i in range(9)
    }

    found = pack_arrays(tmp_path, arrays).found

    (note,) = [finding["note"] for finding in found.findings if finding["finding"] == "uneven_range"]
    said = re.fullmatch(
        r"(\d+) of (\d+) training images have values from \d+ to (4\d{3}), which become at most 1[67] of 256 shades each; "
        r"all together go from \d+ to 6\d{4}; preprocess\.value_range sets another range",
        note,
    )
    assert said
    training = [path for path, split in found.splits.items() if split == "train"]
    assert (int(said[1]), int(said[2])) == (sum("new" not in path for path in training), len(training))
    assert f"ingest: 1 uneven range of values: {note}" in found.printed


def test_a_range_is_uneven_only_if_other_images_need_most_of_it() -> None:
    found = uneven(*[ramp(0, 4095)] * 3, ramp(0, 65535))
    assert found
    assert found == pytest.approx((3, 4, 0, 65535, 0, 4095, 4095 / 65535 * 255 + 1), rel=0.01, abs=100)
    assert found.shades == pytest.approx(17, abs=0.2)
    assert uneven(*[ramp(-1, 1, np.float32)] * 9, ramp(-255, 255, np.float32))
    assert uneven(*[ramp(0, 4095)] * 2, *[ramp(0, 20_000)] * 2, ramp(0, 65535)) is None  # two of five, and as many in between
    assert uneven(*[ramp(0, 20_000)] * 9, ramp(0, 65535)) is None  # a third of the range
    assert uneven(*[ramp(low, low + 300) for low in range(7000, 9000, 100)]) is None  # brighter and darker
    assert uneven(np.full((4, 4), np.nan, np.float32)) is None


def test_two_depths_are_found_from_a_tenth_of_the_images_on_either_side() -> None:
    assert uneven(*[ramp(0, 4095)], *[ramp(0, 65535)] * 9)
    assert uneven(*[ramp(0, 4095)] * 4, *[ramp(0, 65535)] * 3)
    assert uneven(*[ramp(0, 4095)], *[ramp(0, 65535)] * 10) is None  # one of eleven
    assert uneven(*(ramp(0, most) for most in range(5000, 65535, 3000))) is None  # all exposures


def test_images_of_16_bits_added_to_those_of_12_are_found_and_the_range_of_the_last_run_is_named(tmp_path: Path) -> None:
    arrays = images_between(0, 4095, np.uint16, count=30)
    first = pack_arrays(tmp_path, arrays)
    again = pack(tmp_path, tmp_path / "source")
    added = {f"{name} new": image for name, image in images_between(0, 65535, np.uint16, count=20).items()}
    write_images(tmp_path / "source", {name: encoded(image) for name, image in added.items()})
    told = "ingest: the range was 0 to 4095 in the last run and is 0 to 65535 now"

    second = pack(tmp_path, tmp_path / "source")
    third = pack(tmp_path, tmp_path / "source")

    assert "in the last run" not in first.found.printed + again.found.printed + third.found.printed
    assert told in second.found.printed
    assert "[0, 4095] keeps the range of the last run" in second.found.printed
    assert second.found.report["findings"]["uneven_range"] == 1
    assert second.found.report | {"name": ""} == third.found.report | {"name": ""}  # running again changes no output
