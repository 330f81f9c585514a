"""Parquet files with images in them, as the Hugging Face Hub has them and as others write them."""

import json
import pickle
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.containers import image_parquet
from pipeline.errors import ImageError, SourceError
from tests.container_sources import labels_of, left_out_of, mutations, read_folder, readable, records_of, survives
from tests.source_trees import png

NAMES = ["airplane", "bird", "cat"]
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def hub_shard(file: Path, labels: Sequence[int | None], names: Sequence[str] = NAMES, image: str = "image", **more: list[object]) -> Path:
    """A shard as `datasets` writes it: images as structs, and the features in the schema."""
    file.parent.mkdir(parents=True, exist_ok=True)
    images = pa.array([{"bytes": f"{file.stem} {i}".encode(), "path": f"{i}.PNG"} for i in range(len(labels))], IMAGE)
    features = {image: {"_type": "Image"}, "label": {"names": list(names), "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    table = pa.table({image: images, "label": pa.array(labels, pa.int64()), **more})
    pq.write_table(table.replace_schema_metadata(metadata), file)
    return file


def write(file: Path, columns: Mapping[str, object]) -> Path:
    pq.write_table(pa.table(columns), file)
    return file


@pytest.mark.parametrize("folder", ["", "data/"])
def test_shards_of_the_hub_give_classes_in_order_and_splits(tmp_path: Path, folder: str) -> None:
    hub_shard(tmp_path / f"{folder}train-00000-of-00002.parquet", [2, 0])
    hub_shard(tmp_path / f"{folder}train-00001-of-00002.parquet", [1] * 11)
    hub_shard(tmp_path / f"{folder}test-00000-of-00001.parquet", [1], image="img")
    hub_shard(tmp_path / f"{folder}validation-00000-of-00001.parquet", [1])

    reading = readable(image_parquet, tmp_path)
    records = records_of(reading)

    assert (reading.class_names, len(records)) == (NAMES, 15)
    assert reading.counts == {
        ("train", "cat"): 1,
        ("train", "airplane"): 1,
        ("train", "bird"): 11,
        ("test", "bird"): 1,
        ("validation", "bird"): 1,
    }
    assert [(record.path, record.label, record.split) for record in records[:3]] == [
        (f"{folder}test-00000-of-00001/0.PNG", "bird", "test"),
        (f"{folder}train-00000-of-00002/0.PNG", "cat", "train"),
        (f"{folder}train-00000-of-00002/1.PNG", "airplane", "train"),
    ]
    assert records[4].path == f"{folder}train-00001-of-00002/01.PNG"
    assert records[-1].split == "validation"
    assert pickle.loads(pickle.dumps(records[0])).read() == b"test-00000-of-00001 0"
    assert records[0].size_bytes == 21


def test_shards_in_folders_of_splits_are_found(tmp_path: Path) -> None:
    hub_shard(tmp_path / "train" / "0000.parquet", [0, 1])
    hub_shard(tmp_path / "test" / "0000.parquet", [2])

    assert [record[:3] for record in records_of(readable(image_parquet, tmp_path))] == [
        ("test/0000/0.PNG", "cat", "test"),
        ("train/0000/0.PNG", "airplane", "train"),
        ("train/0000/1.PNG", "bird", "train"),
    ]


def test_one_configuration_of_the_hub_is_read_and_two_are_named(tmp_path: Path) -> None:
    hub_shard(tmp_path / "default" / "train-00000-of-00001.parquet", [0, 1])
    hub_shard(tmp_path / "default" / "test" / "0000.parquet", [2])
    assert labels_of(readable(image_parquet, tmp_path)) == [("cat", "test"), ("airplane", "train"), ("bird", "train")]

    hub_shard(tmp_path / "cropped" / "train-00000-of-00001.parquet", [0, 1])
    with pytest.raises(SourceError, match=r"are in cropped and in default\. Expected one data set: set ingest\.source to one of them"):
        read_folder(image_parquet, tmp_path)


def test_two_data_sets_in_a_folder_are_told_by_their_names(tmp_path: Path) -> None:
    for name in ("mnist-train", "mnist-test", "fashion-train", "fashion-test"):
        hub_shard(tmp_path / f"{name}.parquet", [0, 1])
    with pytest.raises(SourceError, match=r"are in fashion-test\.parquet and in mnist-test\.parquet"):
        read_folder(image_parquet, tmp_path)

    for name in ("fashion-train", "fashion-test"):
        (tmp_path / f"{name}.parquet").unlink()
    assert [split for _, split in labels_of(readable(image_parquet, tmp_path))] == ["test", "test", "train", "train"]


def test_bytes_with_text_labels_and_columns_for_split_and_group_are_read(tmp_path: Path) -> None:
    columns = {"jpg": [b"1", b"2"], "class": pa.array(["b", "a"]).dictionary_encode(), "split": ["train", "test"], "patient_id": [7, None]}
    reading = readable(image_parquet, write(tmp_path / "my images.parquet", columns))

    assert reading.class_names is None
    assert [record[:4] for record in records_of(reading)] == [("my images/0", "b", "train", "7"), ("my images/1", "a", "test", None)]


def test_the_only_column_of_bytes_is_read_if_it_has_images(tmp_path: Path) -> None:
    reading = readable(image_parquet, write(tmp_path / "a.parquet", {"pixels_of_mine": [None, png(), png()], "target": [9, 10, 9]}))
    assert reading.class_names == ["9", "10"]

    (tmp_path / "b").mkdir()
    write(tmp_path / "b" / "a.parquet", {"path": ["a.png"], "sha256": [bytes(32)], "label": ["x"]})
    write(tmp_path / "b" / "b.parquet", {"path": ["a.png"], "label": ["x"]})
    assert read_folder(image_parquet, tmp_path / "b") is None


def test_a_number_below_zero_without_names_is_a_label(tmp_path: Path) -> None:
    reading = readable(image_parquet, write(tmp_path / "a.parquet", {"image": [b"1", b"2", b"3"], "label": [-1, 0, 1]}))

    assert labels_of(reading) == [("-1", None), ("0", None), ("1", None)]
    assert reading.class_names == ["-1", "0", "1"]


def test_rows_without_a_label_or_an_image_are_left_out(tmp_path: Path) -> None:
    hub_shard(tmp_path / "a" / "train-0.parquet", [0, 1, None])
    hub_shard(tmp_path / "a" / "test-0.parquet", [-1, -1])
    images = pa.array([{"bytes": b"x", "path": None}, {"bytes": None, "path": "somewhere.png"}, None], IMAGE)
    (tmp_path / "b").mkdir()
    empty = write(tmp_path / "b" / "a.parquet", {"image": images, "label": ["a", "b", "b"]})

    reading = readable(image_parquet, tmp_path / "a")
    assert labels_of(reading) == [("airplane", "train"), ("bird", "train")]
    assert left_out_of(reading) == [
        ("test-0/0.PNG", "unlabelled", "its label is -1, which means no label"),
        ("test-0/1.PNG", "unlabelled", "its label is -1, which means no label"),
        ("train-0/2.PNG", "unlabelled", "its row has no label"),
    ]
    records = records_of(readable(image_parquet, empty))
    assert records[0].read() == b"x"
    for record in records[1:]:
        with pytest.raises(ImageError, match="its row has no image") as error:
            record.read()
        assert error.value.finding == "empty"


def test_rows_come_a_few_at_a_time_however_many_there_are(tmp_path: Path) -> None:
    file = write(tmp_path / "a.parquet", {"image": [bytes([i % 256]) * 100 for i in range(1000)], "label": [i % 2 for i in range(1000)]})

    records = records_of(readable(image_parquet, file))

    assert [record.read()[0] for record in records] == [i % 256 for i in range(1000)]
    assert (records[0].path, records[-1].path) == ("a/000", "a/999")


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"image": [b"1"], "name": ["x"]}, r"has no column of labels \(one of class_name, .*Found: image: binary, name: string"),
        ({"image": [b"1"], "label": pa.array([None], pa.string())}, "found no row with a label"),
        ({"image": [b"1"], "label": [["x", "y"]]}, "expected one label per image in the column label, found list"),
        ({"image": [b"1", b"2"], "label": ["x", "y"], "split": ["train", "extra"]}, "'extra' is not a split"),
    ],
)
def test_columns_that_cannot_be_understood_are_named(tmp_path: Path, columns: Mapping[str, object], words: str) -> None:
    with pytest.raises(SourceError, match=words):
        readable(image_parquet, write(tmp_path / "a.parquet", columns))


def test_a_label_without_a_name_and_other_names_in_another_file_are_refused(tmp_path: Path) -> None:
    hub_shard(tmp_path / "train-0.parquet", [0, 3])
    with pytest.raises(SourceError, match="has the label 3, but names 3 classes"):
        read_folder(image_parquet, tmp_path)

    hub_shard(tmp_path / "train-0.parquet", [0, 1])
    hub_shard(tmp_path / "test-0.parquet", [0], ["x"])
    with pytest.raises(SourceError, match="name their classes differently"):
        read_folder(image_parquet, tmp_path)


def test_a_file_that_is_damaged_inside_is_one_line(tmp_path: Path) -> None:
    file = write(tmp_path / "a.parquet", {"image": [bytes(range(256)) * 40] * 9, "label": list("abcabcabc")})
    content = bytearray(file.read_bytes())
    content[4:400] = b"\xff" * 396
    file.write_bytes(content)

    with pytest.raises(SourceError, match=r"a\.parquet cannot be read as Parquet"):
        records_of(readable(image_parquet, file))


def test_a_file_that_is_not_parquet_is_named(tmp_path: Path) -> None:
    hub_shard(tmp_path / "train-0.parquet", [0, 1])
    (tmp_path / "train-1.parquet").write_bytes(b"PAR1")

    with pytest.raises(SourceError, match=r"train-1\.parquet cannot be read as Parquet"):
        read_folder(image_parquet, tmp_path)


def test_any_damage_is_refused_or_harmless(tmp_path: Path) -> None:
    file = hub_shard(tmp_path / "a.parquet", [0, 1, 2])
    ends: Counter[str] = Counter()

    for content in mutations(file.read_bytes(), 400, seed=8):
        file.write_bytes(content)
        ends[survives(image_parquet, {"a.parquet": file})] += 1

    assert ends["refused"] > 200
    assert set(ends) <= {"refused", "read", "nothing"}


def test_the_fine_labels_are_the_classes_unless_another_column_is_named(tmp_path: Path) -> None:
    file = write(
        tmp_path / "x.parquet",
        {"img": [png(i) for i in range(8)], "fine_label": [i % 4 for i in range(8)], "coarse_label": [i % 2 for i in range(8)]},
    )

    fine, coarse = image_parquet.read({"x.parquet": file}), image_parquet.read({"x.parquet": file}, "coarse_label")

    assert fine is not None
    assert coarse is not None
    assert fine.counts == {(None, "0"): 2, (None, "1"): 2, (None, "2"): 2, (None, "3"): 2}
    assert coarse.counts == {(None, "0"): 4, (None, "1"): 4}


def test_two_columns_called_as_labels_that_differ_are_refused(tmp_path: Path) -> None:
    same = write(
        tmp_path / "a.parquet", {"img": [png(i) for i in range(4)], "label": [0, 1, 0, 1], "class_name": ["cat", "dog", "cat", "dog"]}
    )
    other = write(tmp_path / "b.parquet", {"img": [png(i) for i in range(4)], "label": [0, 1, 0, 1], "species": ["a", "a", "b", "b"]})

    read = image_parquet.read({"a.parquet": same})

    assert read is not None
    assert read.counts == {(None, "cat"): 2, (None, "dog"): 2}
    with pytest.raises(
        SourceError, match=r"labels in label and in species, which differ\. Name the column of the classes in ingest\.columns\.label"
    ):
        image_parquet.read({"b.parquet": other})
