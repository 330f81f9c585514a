"""TFRecord files as TensorFlow writes them, with the features that tutorials, TensorFlow Datasets and Kaggle use."""

import gzip
import pickle
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pytest
import tensorflow as tf

from pipeline.containers import tfrecord
from pipeline.containers.tf_example import parse_example
from pipeline.errors import ImageError, SourceError
from tests.container_sources import labels_of, left_out_of, mutations, pixels_of, read_folder, readable, records_of, survives
from tests.source_trees import png

Values = bytes | str | float | Sequence[Any]


def example(features: Mapping[str, Values]) -> bytes:
    """A serialised tf.train.Example."""
    made = {}
    for name, values in features.items():
        listed = [values] if isinstance(values, bytes | str | int | float) else list(values)
        if listed and isinstance(listed[0], bytes | str):
            encoded = [value.encode() if isinstance(value, str) else value for value in listed]
            made[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=encoded))
        elif listed and isinstance(listed[0], float):
            made[name] = tf.train.Feature(float_list=tf.train.FloatList(value=listed))
        else:
            made[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=listed))
    content: bytes = tf.train.Example(features=tf.train.Features(feature=made)).SerializeToString()
    return content


def write(file: Path, *rows: Mapping[str, Values] | bytes, compression: str = "") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(file), tf.io.TFRecordOptions(compression_type=compression)) as writer:
        for row in rows:
            writer.write(row if isinstance(row, bytes) else example(row))
    return file


def row(value: int, **features: Values) -> dict[str, Values]:
    return {"image": png(value), **features}


@pytest.mark.parametrize("compression", ["", "GZIP"])
@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train-00000-of-00001", "test-00000-of-00001"),
        ("mine-train.tfrecord-00000-of-00001", "mine-test.tfrecord-00000-of-00001"),
        ("train.tfrecord", "test.tfrecord"),
        ("train00-2.tfrec", "test00-1.tfrec"),
        ("train/a.tfrecords.gz", "test/a.tfrecords.gz"),
    ],
)
def test_records_become_images_with_the_split_of_their_file(tmp_path: Path, train: str, test: str, compression: str) -> None:
    write(tmp_path / train, row(1, label=10), row(2, label=9), compression=compression)
    write(tmp_path / test, row(3, label=10), compression=compression)

    reading = readable(tfrecord, tmp_path)
    records = records_of(reading)

    assert reading.class_names == ["9", "10"]
    assert labels_of(reading) == [("10", "test"), ("10", "train"), ("9", "train")]
    assert pixels_of(reading)[:, 0, 0].tolist() == [3, 1, 2]
    assert records[1].size_bytes == len(png(1))
    assert pickle.loads(pickle.dumps(records[1])).read() == png(1)


def test_a_record_is_named_after_its_file_and_number(tmp_path: Path) -> None:
    write(tmp_path / "a" / "train.tfrecord-00001-of-00002", row(1, label=0), row(2, label=1))

    assert [record.path for record in records_of(readable(tfrecord, tmp_path))] == [
        "a/train-00001-of-00002/00000",
        "a/train-00001-of-00002/00001",
    ]


@pytest.mark.parametrize(
    ("features", "other", "label", "order"),
    [
        (
            {"image/class/text": "cat", "image/class/label": 7},
            {"image/class/text": "dog", "image/class/label": 2},
            "cat",
            ["dog", "cat"],
        ),
        ({"image/class/text": "", "image/class/label": 7}, {"image/class/text": "", "image/class/label": 2}, "7", ["2", "7"]),
        ({"image/class/label": [7]}, {"image/class/label": 2}, "7", ["2", "7"]),
        ({"label": 7.0}, {"label": 2.0}, "7", ["2", "7"]),
        ({"class": "cat"}, {"class": "dog"}, "cat", None),
        ({"target": -1}, {"target": 2}, "-1", ["-1", "2"]),
    ],
)
def test_labels_are_names_if_there_are_any_in_the_order_of_their_numbers(
    tmp_path: Path, features: Mapping[str, Values], other: Mapping[str, Values], label: str, order: list[str] | None
) -> None:
    file = write(tmp_path / "a.tfrecord", row(1, **features), row(2, **other))

    reading = readable(tfrecord, file)

    assert labels_of(reading)[0] == (label, None)
    assert reading.class_names == order


def test_class_names_of_tensorflow_datasets_are_used(tmp_path: Path) -> None:
    write(tmp_path / "1.0.0" / "beans-train.tfrecord-00000-of-00001", row(1, label=1), row(2, label=0), row(2, label=-1))
    (tmp_path / "1.0.0" / "label.labels.txt").write_text("rust\nhealthy\n")

    reading = readable(tfrecord, tmp_path)

    assert (labels_of(reading), reading.class_names) == ([("healthy", None), ("rust", None)], ["rust", "healthy"])
    assert left_out_of(reading)[0][1] == "unlabelled"

    write(tmp_path / "1.0.0" / "beans-train.tfrecord-00000-of-00001", row(1, label=2))
    with pytest.raises(SourceError, match="has the label 2, but 2 classes are named"):
        read_folder(tfrecord, tmp_path)


def test_the_only_feature_that_is_an_image_is_read_and_a_group_is_kept(tmp_path: Path) -> None:
    rows: list[dict[str, Values]] = [{"name": b"x.png", "pixels_of_mine": png(i), "label": i, "patient_id": 70 + i} for i in range(2)]
    reading = readable(tfrecord, write(tmp_path / "a.tfrecord", *rows))

    assert pixels_of(reading)[:, 0, 0].tolist() == [0, 1]
    assert [record.group for record in records_of(reading)] == ["70", "71"]


@pytest.mark.parametrize("channels", [1, 3])
def test_raw_values_are_read_with_the_sides_beside_them(tmp_path: Path, channels: int) -> None:
    images = np.arange(2 * 3 * 5 * channels, dtype=np.uint8).reshape(2, 3, 5, channels)
    rows: list[dict[str, Values]] = [
        {"image_raw": image.tobytes(), "height": 3, "width": 5, "depth": channels, "label": i} for i, image in enumerate(images)
    ]

    reading = readable(tfrecord, write(tmp_path / "a.tfrecord", *rows))

    assert (pixels_of(reading).reshape(images.shape) == images).all()


def test_rows_without_a_label_or_an_image_are_left_out(tmp_path: Path) -> None:
    write(tmp_path / "train.tfrec", row(1, **{"class": 4}), row(2, **{"class": 5}), {"class": 4, "image": b""})
    write(tmp_path / "test.tfrec", row(3, id="x"))

    reading = readable(tfrecord, tmp_path)

    assert left_out_of(reading) == [("test/00000", "unlabelled", "its record has no label")]
    with pytest.raises(ImageError) as error:
        records_of(reading)[2].read()
    assert error.value.finding == "empty"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (
            [{"image/encoded": png(), "image/object/bbox/xmin": [0.1], "image/object/class/label": [1]}],
            "is a detection set: it labels parts",
        ),
        ([row(1, caption="a cat")], r"has no feature of labels, such as image/class/label or label\. Found: caption, image"),
        ([row(1, label=[1, 2])], r"a\.tfrecord: label has 2 values for one image"),
        ([row(1, label=0.5)], "label has fractions, such as 0.5"),
        ([row(1, label=b"\xff\xfe")], "label has bytes that are no text"),
        ([{"left": png(), "right": png(), "label": 1}], "has several features with images, left, right"),
        ([{"vector": [0.5, 0.1], "label": 1}], "has no feature with an encoded image"),
        ([{"image": bytes(12), "height": 3, "width": 5, "label": 1}], "has no feature with an encoded image"),
        (
            [row(1, **{"image/class/text": "crane", "image/class/label": i}) for i in (1, 2)],
            "image/class/text is 'crane' for image/class/label 1 and 2",
        ),
        ([b"no example"], r"has records that are no tf\.train\.Example"),
    ],
    ids=[
        "detection",
        "no label",
        "several labels",
        "fractions",
        "bytes",
        "two images",
        "no image",
        "other size",
        "one name twice",
        "no example",
    ],
)
def test_records_that_cannot_be_understood_are_named(tmp_path: Path, rows: list[Mapping[str, Values] | bytes], words: str) -> None:
    with pytest.raises(SourceError, match=words):
        readable(tfrecord, write(tmp_path / "a.tfrecord", *rows))


def test_labels_of_whole_images_are_read_beside_boxes_and_another_feature_can_be_chosen(tmp_path: Path) -> None:
    boxes = {"image/object/bbox/xmin": [0.1, 0.2]}
    file = write(tmp_path / "a.tfrecord", *(row(i, **{"image/class/label": i, "breed": i // 2}, **boxes) for i in range(4)))

    assert [label for label, _ in labels_of(readable(tfrecord, file))] == ["0", "1", "2", "3"]
    reading = tfrecord.read({"a.tfrecord": file}, "breed")
    assert reading is not None
    assert [label for label, _ in labels_of(reading)] == ["0", "0", "1", "1"]
    with pytest.raises(SourceError, match=r"has no feature colour\. Found: breed, image, image/class/label, image/object"):
        tfrecord.read({"a.tfrecord": file}, "colour")


def test_data_sets_in_several_folders_are_named(tmp_path: Path) -> None:
    for size in (192, 224):
        for split in ("train", "test"):
            write(tmp_path / f"jpeg-{size}" / split / "00.tfrec", row(1, label=0))

    with pytest.raises(SourceError, match=r"TFRecord files are in jpeg-192 and in jpeg-224\. Expected one data set"):
        read_folder(tfrecord, tmp_path)


def test_other_files_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "part-00000-of-00002").write_text("a table, perhaps")
    write(tmp_path / "empty.tfrecord")

    assert read_folder(tfrecord, tmp_path) is None
    assert tfrecord.candidates(["a.png", "label.labels.txt", "a/b.tfrecords", "a/label.labels.txt", ".x.tfrec"]) == [
        "a/b.tfrecords",
        "a/label.labels.txt",
    ]


def with_byte(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda content: with_byte(content, 0), "does not start with a length and its checksum"),
        (lambda content: with_byte(content, 40), "record 0 does not match its checksum"),
        (lambda content: with_byte(content, len(content) // 2), "the length of record 1 does not match|record 0 does not"),
        (lambda content: content[:-1], "record 1 does not match its checksum"),
        (lambda content: content[:-30], "record 1 ends too early"),
        (lambda content: content + b"more", "the length of record 2 does not match its checksum"),
        (lambda content: gzip.compress(content)[:-20], "is damaged"),
    ],
)
def test_damage_is_found_by_the_checksums(tmp_path: Path, spoil: Any, words: str) -> None:
    file = write(tmp_path / "a.tfrecord", row(1, label=0), row(2, label=1))
    file.write_bytes(spoil(file.read_bytes()))

    with pytest.raises(SourceError, match=rf"a\.tfrecord is damaged.*{words}|{words}"):
        readable(tfrecord, file)


def test_a_huge_length_with_a_right_checksum_takes_no_memory(tmp_path: Path) -> None:
    length = struct.pack("<Q", 2**62)
    crc = google_crc32c.value(length)
    masked = (((crc >> 15) | (crc << 17)) + 0xA282EAD8) % 2**32
    (tmp_path / "a.tfrecord").write_bytes(length + struct.pack("<I", masked) + b"little")

    with pytest.raises(SourceError, match="record 0 ends too early"):
        read_folder(tfrecord, tmp_path)


def test_values_come_as_protocol_buffers_have_them() -> None:
    features: dict[str, Values] = {"ints": [0, 1, -1, 2**62, -(2**63)], "floats": [0.5, -2.0], "bytes": [b"", b"x"], "": [3]}

    assert parse_example(example(features), "a") == features


def test_any_damage_is_refused_or_harmless(tmp_path: Path) -> None:
    file = write(tmp_path / "a.tfrecord", row(1, label=0, floats=[0.5, 1.5]), row(2, label=1, name="x"))
    good = file.read_bytes()
    ends: Counter[str] = Counter()
    for content in mutations(good, 300, seed=5):
        file.write_bytes(content)
        ends[survives(tfrecord, {"a.tfrecord": file})] += 1
    message = example(row(1, label=0, floats=[0.5, 1.5], ints=[1, 2, 300]))
    for content in mutations(message, 400, seed=6):
        write(file, row(2, label=1), content)
        ends[survives(tfrecord, {"a.tfrecord": file})] += 1

    assert ends["refused"] > 300
    assert set(ends) <= {"refused", "read", "nothing"}
