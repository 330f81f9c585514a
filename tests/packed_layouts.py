"""Well-known data sets whose pictures are packed into files of many: pickles, binary batches, TFRecord, WebDataset, npz, Parquet, idx."""

import gzip
import io
import json
import os
import pickle
import struct
import tarfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.layout_trees import Tree, each, reads, reads_or_stops, stops
from tests.source_trees import write_idx

CIFAR = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FINE = ("apple", "aquarium_fish", "baby", "bear", "beaver")
COARSE = ("aquatic_mammals", "fish", "fruit_and_vegetables", "large_carnivores", "people")
COARSE_OF_FINE = (2, 1, 4, 3, 0)


def python_2_pickle(value: Any) -> bytes:
    """What Python 2 wrote for dictionaries, lists, text, numbers and arrays of bytes, as the files of CIFAR were made."""
    return b"\x80\x02" + _pickled(value) + b"."


def _pickled(value: dict[str, Any] | list[Any] | int | str | np.ndarray) -> bytes:
    if isinstance(value, dict):
        return b"}(" + b"".join(_pickled(key) + _pickled(one) for key, one in value.items()) + b"u"
    if isinstance(value, list):
        return b"](" + b"".join(map(_pickled, value)) + b"e"
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, str):
        return b"U" + bytes([len(value)]) + value.encode()
    made = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\x01b\x87R(K\x01"
    shape = _pickled(value.shape[0]) + _pickled(value.shape[1]) + b"\x86"
    kind = b"cnumpy\ndtype\nU\x02u1K\0K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
    return made + shape + kind + b"\x89T" + struct.pack("<i", value.size) + value.tobytes() + b"tb"


def _arrays(tree: Tree, labels: Sequence[str], split: str | None, side: int = 32, channels: int = 3) -> np.ndarray:
    """Noise, uint8 (N, side, side, channels), of which the tree remembers what each picture is."""
    shape = (len(labels), side, side, channels)
    pixels = np.random.default_rng(7000 + tree.next_number()).integers(0, 255, shape, dtype=np.uint8)
    for i, label in enumerate(labels):
        tree.known_pixels(pixels[i].squeeze(), f"{split}/{i}", label, split)
    return pixels


def _planes(pixels: np.ndarray) -> np.ndarray:
    """Pixels (N, 32, 32, 3) as rows of 3,072: all red ones, then green, then blue."""
    return pixels.transpose(0, 3, 1, 2).reshape(len(pixels), -1)


def _cifar_10_pickles(tree: Tree, root: str = "cifar-10-batches-py") -> None:
    for k in range(1, 7):
        name, split, count = (f"data_batch_{k}", "train", 20) if k < 6 else ("test_batch", "test", 20)
        numbers = [(i * 3 + k) % 10 for i in range(count)]
        data = _planes(_arrays(tree, [CIFAR[n] for n in numbers], split))
        batch = {
            "batch_label": f"batch {k}",
            "labels": numbers,
            "data": data,
            "filenames": [f"{CIFAR[n]}_s_{i}.png" for i, n in enumerate(numbers)],
        }
        tree.put(f"{root}/{name}", python_2_pickle(batch))
    tree.put(f"{root}/batches.meta", python_2_pickle({"num_cases_per_batch": 10000, "label_names": list(CIFAR), "num_vis": 3072}))
    tree.text(f"{root}/readme.html", '<meta HTTP-EQUIV="REFRESH" content="0; url=http://www.cs.toronto.edu/~kriz/cifar.html">')


@reads(train=each(10, *CIFAR), test=each(2, *CIFAR))
def cifar_10(tree: Tree) -> None:
    """cifar-10-batches-py/{data_batch_1,…,data_batch_5,test_batch,batches.meta,readme.html}: pickles of Python 2."""
    _cifar_10_pickles(tree)


@reads(train=each(10, *CIFAR), test=each(2, *CIFAR))
def cifar_10_archive(tree: Tree) -> Path:
    """cifar-10-python.tar.gz, as downloaded."""
    _cifar_10_pickles(tree)
    with tarfile.open(tree.root / "cifar-10-python.tar.gz", "w:gz") as archive:
        archive.add(tree.root / "cifar-10-batches-py", "cifar-10-batches-py")
    return tree.root / "cifar-10-python.tar.gz"


@reads(train=each(4, *FINE), test=each(2, *FINE))
def cifar_100(tree: Tree) -> None:
    """cifar-100-python/{train,test,meta,file.txt~}: the classes are the fine labels."""
    for name, count in (("train", 20), ("test", 10)):
        numbers = [i % 5 for i in range(count)]
        data = _planes(_arrays(tree, [FINE[n] for n in numbers], name))
        labels = {"fine_labels": numbers, "coarse_labels": [COARSE_OF_FINE[n] for n in numbers]}
        names = [f"{FINE[n]}_s_{i}.png" for i, n in enumerate(numbers)]
        tree.put(f"cifar-100-python/{name}", python_2_pickle({"filenames": names, "batch_label": "batch 1 of 1", **labels, "data": data}))
    tree.put("cifar-100-python/meta", python_2_pickle({"fine_label_names": list(FINE), "coarse_label_names": list(COARSE)}))
    tree.text("cifar-100-python/file.txt~", "x")


@reads(train=each(10, *CIFAR), test=each(2, *CIFAR))
def cifar_10_binary(tree: Tree) -> None:
    """cifar-10-batches-bin/{data_batch_1.bin,…,test_batch.bin,batches.meta.txt,readme.html}: a byte of label, 3,072 of pixels."""
    for k in range(1, 7):
        name, split = (f"data_batch_{k}", "train") if k < 6 else ("test_batch", "test")
        numbers = [(i * 7 + k) % 10 for i in range(20)]
        rows = _planes(_arrays(tree, [CIFAR[n] for n in numbers], split))
        tree.put(f"cifar-10-batches-bin/{name}.bin", b"".join(bytes([n]) + row.tobytes() for n, row in zip(numbers, rows, strict=True)))
    tree.lines("cifar-10-batches-bin/batches.meta.txt", [*CIFAR, ""])
    tree.text("cifar-10-batches-bin/readme.html", "<html></html>")


@reads(train=each(4, *FINE), test=each(2, *FINE))
def cifar_100_binary(tree: Tree) -> None:
    """cifar-100-binary/{train.bin,test.bin,fine_label_names.txt,coarse_label_names.txt}: two bytes of labels, coarse first."""
    for name, count in (("train", 20), ("test", 10)):
        numbers = [i % 5 for i in range(count)]
        rows = _planes(_arrays(tree, [FINE[n] for n in numbers], name))
        content = (bytes([COARSE_OF_FINE[n], n]) + row.tobytes() for n, row in zip(numbers, rows, strict=True))
        tree.put(f"cifar-100-binary/{name}.bin", b"".join(content))
    tree.lines("cifar-100-binary/fine_label_names.txt", FINE)
    tree.lines("cifar-100-binary/coarse_label_names.txt", COARSE)


class Trap:
    """An object whose pickle makes a folder when it is loaded without care."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.path),)


@stops("data_batch_1")
def cifar_10_with_a_trap(tree: Tree) -> None:
    """The same, with a first batch that runs a program when it is unpickled: refused."""
    _cifar_10_pickles(tree)
    tree.put("cifar-10-batches-py/data_batch_1", pickle.dumps({"labels": [0], "data": Trap(tree.root / "ran")}, protocol=2))


def crc32c(content: bytes) -> int:
    """The checksum of TFRecord, with the mask that its format asks for."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _crc_row(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    return byte


CRC_TABLE = [_crc_row(byte) for byte in range(256)]


def _field(number: int, content: bytes) -> bytes:
    """A field of a protocol buffer that holds bytes."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def example(features: dict[str, bytes | int]) -> bytes:
    """A tf.train.Example: lists of one value each, bytes or whole numbers."""
    entries = b""
    for key, value in features.items():
        feature = _field(1, _field(1, value)) if isinstance(value, bytes) else _field(3, _field(1, _varint(value)))
        entries += _field(1, _field(1, key.encode()) + _field(2, feature))
    return _field(1, entries)


def tf_records(examples: Iterable[dict[str, bytes | int]]) -> bytes:
    out = b""
    for one in examples:
        content = example(one)
        length = struct.pack("<Q", len(content))
        out += length + struct.pack("<I", crc32c(length)) + content + struct.pack("<I", crc32c(content))
    return out


SYNSETS = ("n01440764", "n01443537")


def _image(tree: Tree, label: str | None, split: str | None, number: int, ending: str = "jpg") -> bytes:
    return tree.known(tree.draw(ending), f"{split}/{number}", label, split)


@reads(none=each(6, *SYNSETS), validation=each(3, *SYNSETS), naming={"n01440764": "1", "n01443537": "2"})
def imagenet_tf_records(tree: Tree) -> None:
    """train-00000-of-00002, train-00001-of-00002, validation-00000-of-00001 (image/encoded, image/class/label, image/class/text,
    image/filename): the files have no ending."""
    number = 0
    for name, split, count in (
        ("train-00000-of-00002", None, 6),
        ("train-00001-of-00002", None, 6),
        ("validation-00000-of-00001", "validation", 6),
    ):
        examples: list[dict[str, bytes | int]] = []
        for i in range(count):
            number += 1
            content = _image(tree, SYNSETS[i % 2], split, number)
            text = SYNSETS[i % 2].encode()
            label = 1 + i % 2
            examples.append(
                {"image/encoded": content, "image/class/label": label, "image/class/text": text, "image/filename": b"n_%d.JPEG" % number}
            )
        tree.put(name, tf_records(examples))


@reads(none=each(6, "0", "1", "2"), validation=each(3, "0", "1", "2"))
def flowers_on_tpu(tree: Tree) -> None:
    """tfrecords-jpeg-192x192/{train,val,test}/00-192x192-18.tfrec (class, id, image; test without class), sample_submission.csv (id,label 0)."""
    for word, split, count in (("train", None, 18), ("val", "validation", 9), ("test", None, 6)):
        examples: list[dict[str, bytes | int]] = []
        for i in range(count):
            label = None if word == "test" else str(i % 3)
            one: dict[str, bytes | int] = {"id": b"%08x" % i, "image": _image(tree, label, split, i)}
            examples.append(one if label is None else {"class": i % 3, **one})
        tree.put(f"tfrecords-jpeg-192x192/{word}/00-192x192-{count}.tfrec", tf_records(examples))
    tree.table("sample_submission.csv", "id,label", [(f"{i:08x}", 0) for i in range(6)])


@reads_or_stops("tfrecord", train=each(6, "cat", "dog"), test=each(3, "cat", "dog"), naming={"cat": "0", "dog": "1"})
def tfds(tree: Tree) -> None:
    """tensorflow_datasets: pets/1.0.0/{pets-train.tfrecord-00000-of-00001,pets-test.tfrecord-00000-of-00001,label.labels.txt,features.json,
    dataset_info.json} (image, label): the numbers have names."""
    for word, count in (("train", 12), ("test", 6)):
        examples: list[dict[str, bytes | int]] = [
            {"image": _image(tree, ("cat", "dog")[i % 2], word, i, "png"), "label": i % 2} for i in range(count)
        ]
        tree.put(f"pets/1.0.0/pets-{word}.tfrecord-00000-of-00001", tf_records(examples))
    tree.lines("pets/1.0.0/label.labels.txt", ("cat", "dog"))
    tree.json("pets/1.0.0/features.json", {"type": "tensorflow_datasets.core.features.features_dict.FeaturesDict"})
    tree.json("pets/1.0.0/dataset_info.json", {"name": "pets", "version": "1.0.0"})


@reads_or_stops("tfrec", none=each(6, "0", "1", "2"))
def cassava_with_tf_records(tree: Tree) -> None:
    """train_images/x.jpg, train.csv (image_id,label), and train_tfrecords/ld_train00-18.tfrec with the same pictures again: read once."""
    pictures = tree.pictures("train_images/{i}.jpg", each(6, "0", "1", "2"))
    tree.table("train.csv", "image_id,label", [(f"{one.i}.jpg", one.label) for one in pictures])
    examples: list[dict[str, bytes | int]] = [
        {"image": (tree.root / one.path).read_bytes(), "image_name": f"{one.i}.jpg".encode(), "target": int(one.label)} for one in pictures
    ]
    tree.put("train_tfrecords/ld_train00-18.tfrec", tf_records(examples))


def _tar(tree: Tree, path: str, members: Iterable[tuple[str, bytes]]) -> Path:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return tree.put(path, buffer.getvalue())


@reads(train=each(8, "0", "1"), test=each(3, "0", "1"))
def web_dataset(tree: Tree) -> None:
    """{train-000000,train-000001,test-000000}.tar of 000000.jpg and 000000.cls (a number as text)."""
    for name, split, count, start in (("train-000000", "train", 8, 0), ("train-000001", "train", 8, 8), ("test-000000", "test", 6, 0)):
        members = []
        for i in range(start, start + count):
            members += [(f"{i:06}.jpg", _image(tree, str(i % 2), split, i)), (f"{i:06}.cls", str(i % 2).encode())]
        _tar(tree, f"{name}.tar", members)


@reads(none=each(6, "cat", "dog"))
def web_dataset_with_json(tree: Tree) -> Path:
    """One shard, pets-000000.tar, of sample_0.png and sample_0.json ({"label": "cat", "width": 16}), named as the source itself."""
    members = []
    for i in range(12):
        label = ("cat", "dog")[i % 2]
        members += [
            (f"sample_{i}.png", _image(tree, label, None, i, "png")),
            (f"sample_{i}.json", json.dumps({"label": label, "width": 16}).encode()),
        ]
    return _tar(tree, "pets-000000.tar", members)


@reads(train=each(6, "cat", "dog"), validation=each(3, "cat", "dog"), test=each(2, "cat", "dog"))
def web_dataset_in_split_folders(tree: Tree) -> None:
    """{train,val,test}/00000.tar of 000.jpg and 000.cls, whose text is the class's name; 00000.json with the shard's statistics beside."""
    for word, split, count in (("train", "train", 12), ("val", "validation", 6), ("test", "test", 4)):
        members = []
        for i in range(count):
            label = ("cat", "dog")[i % 2]
            members += [(f"{i:03}.jpg", _image(tree, label, split, i)), (f"{i:03}.cls", label.encode())]
        _tar(tree, f"{word}/00000.tar", members)
        tree.json(f"{word}/00000_stats.json", {"count": count})


@stops("caption or txt")
def web_dataset_of_captions(tree: Tree) -> None:
    """00000.tar of 0.jpg and 0.txt with a sentence, as img2dataset writes it: no class."""
    members = []
    for i in range(12):
        members += [(f"{i:09}.jpg", tree.draw("jpg")), (f"{i:09}.txt", f"a photo of thing {i}".encode())]
    _tar(tree, "00000.tar", members)


def _numbers(count: int) -> list[str]:
    return [str(i % 2) for i in range(count)]


def _npz(tree: Tree, path: str, **arrays: np.ndarray) -> Path:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return tree.put(path, buffer.getvalue())


@reads(train=each(8, "0", "1"), test=each(3, "0", "1"))
def keras_mnist(tree: Tree) -> Path:
    """mnist.npz of x_train, y_train, x_test, y_test."""
    x_train, x_test = (_arrays(tree, _numbers(count), split, 28, 1)[..., 0] for split, count in (("train", 16), ("test", 6)))
    return _npz(tree, "mnist.npz", x_train=x_train, y_train=np.arange(16) % 2, x_test=x_test, y_test=np.arange(6) % 2)


@reads(train=each(8, "0", "1"), validation=each(2, "0", "1"), test=each(3, "0", "1"))
def med_mnist(tree: Tree) -> Path:
    """pathmnist.npz of {train,val,test}_images and {train,val,test}_labels, whose shape is (N, 1)."""
    arrays = {}
    for word, split, count in (("train", "train", 16), ("val", "validation", 4), ("test", "test", 6)):
        arrays[f"{word}_images"] = _arrays(tree, _numbers(count), split, 28)
        arrays[f"{word}_labels"] = (np.arange(count) % 2).astype(np.uint8)[:, None]
    return _npz(tree, "pathmnist.npz", **arrays)


@reads(none=each(8, "0", "1"))
def npz_with_channels_first(tree: Tree) -> Path:
    """d.npz of X (16, 3, 20, 20) and y, as PyTorch has images."""
    return _npz(tree, "d.npz", X=_arrays(tree, _numbers(16), None, 20).transpose(0, 3, 1, 2), y=np.arange(16) % 2)


@reads(none=each(8, "0", "1"))
def npz_with_one_grey_channel_first(tree: Tree) -> Path:
    """d.npz of images (16, 1, 20, 20) and labels."""
    return _npz(tree, "d.npz", images=_arrays(tree, _numbers(16), None, 20, 1).transpose(0, 3, 1, 2), labels=np.arange(16) % 2)


@reads_or_stops("20, 20, 3, 16 or shape", none=each(8, "0", "1"))
def npz_with_images_last(tree: Tree) -> Path:
    """d.npz of X (20, 20, 3, 16) and y (16, 1), in the order of SVHN."""
    return _npz(tree, "d.npz", X=_arrays(tree, _numbers(16), None, 20).transpose(1, 2, 3, 0), y=(np.arange(16) % 2)[:, None])


@reads(none=each(8, "0", "1"))
def npz_with_one_hot_labels(tree: Tree) -> Path:
    """d.npz of x and y (16, 2): each row has a one."""
    return _npz(tree, "d.npz", x=_arrays(tree, _numbers(16), None, 20), y=np.eye(2)[np.arange(16) % 2])


@reads(none=each(8, "0", "1"))
def npz_with_one_hot_labels_of_ten(tree: Tree) -> Path:
    """d.npz of x and y (16, 10), of whose ten classes two occur."""
    return _npz(tree, "d.npz", x=_arrays(tree, _numbers(16), None, 20), y=np.eye(10, dtype=np.float32)[np.arange(16) % 2])


@reads(train=each(8, "0", "1"), test=each(3, "0", "1"))
def npz_per_split(tree: Tree) -> None:
    """train.npz and test.npz, each of x and y."""
    for split, count in (("train", 16), ("test", 6)):
        _npz(tree, f"{split}.npz", x=_arrays(tree, _numbers(count), split, 20), y=np.arange(count) % 2)


@reads_or_stops("kmnist-train-labels.npz or labels", train=each(8, "0", "1"), test=each(3, "0", "1"))
def kmnist(tree: Tree) -> None:
    """kmnist-{train,test}-{imgs,labels}.npz, each of arr_0: the labels are in files of their own."""
    for split, count in (("train", 16), ("test", 6)):
        _npz(tree, f"kmnist-{split}-imgs.npz", arr_0=_arrays(tree, _numbers(count), split, 28, 1)[..., 0])
        _npz(tree, f"kmnist-{split}-labels.npz", arr_0=(np.arange(count) % 2).astype(np.uint8))


@stops("full_numpy_bitmap_cat.npy or .npy")
def quick_draw(tree: Tree) -> None:
    """full_numpy_bitmap_{cat,dog}.npy (N, 784): a file per class, which is named."""
    for number, label in enumerate(("cat", "dog")):
        buffer = io.BytesIO()
        np.save(buffer, np.random.default_rng(number).integers(0, 255, (12, 784), dtype=np.uint8))
        tree.put(f"full_numpy_bitmap_{label}.npy", buffer.getvalue())


def image_table(tree: Tree, labels: Sequence[int | None], names: Sequence[str] | None, split: str | None, image: str = "image") -> pa.Table:
    """A table as the library `datasets` writes it: pictures with their paths, and numbers whose names stand in its metadata."""
    rows = []
    for i, label in enumerate(labels):
        known = None if label is None or (names and label < 0) else names[label] if names else str(label)
        rows.append({"bytes": _image(tree, known, split, i, "png"), "path": f"{i}.png"})
    features: dict[str, Any] = {
        image: {"_type": "Image"},
        "label": {"names": list(names), "_type": "ClassLabel"} if names else {"dtype": "int64", "_type": "Value"},
    }
    table = pa.table({image: pa.array(rows), "label": pa.array(labels, pa.int64())})
    return table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def _write(tree: Tree, path: str, table: pa.Table) -> Path:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return tree.put(path, buffer.getvalue())


@reads(train=each(6, "cat", "dog"), test=each(3, "cat", "dog"))
def hugging_face_parquet(tree: Tree) -> None:
    """data/{train-00000-of-00001,test-00000-of-00001}.parquet, README.md, .gitattributes: the numbers have names."""
    for split, count in (("train", 12), ("test", 6)):
        _write(tree, f"data/{split}-00000-of-00001.parquet", image_table(tree, [i % 2 for i in range(count)], ("cat", "dog"), split))
    tree.text("README.md", "---\nlicense: mit\n---\n")
    tree.text(".gitattributes", "*.parquet filter=lfs diff=lfs merge=lfs -text")


@reads(none=each(6, "cat", "dog"))
def hugging_face_parquet_with_an_unlabelled_test(tree: Tree) -> None:
    """The same, with -1 as the label of each test picture: where numbers have names, -1 has none and means that there is no label."""
    _write(tree, "data/train-00000-of-00001.parquet", image_table(tree, [i % 2 for i in range(12)], ("cat", "dog"), None))
    _write(tree, "data/test-00000-of-00001.parquet", image_table(tree, [-1] * 6, ("cat", "dog"), None))


@reads(none=each(6, "-1", "0", "1"))
def parquet_with_minus_one(tree: Tree) -> Path:
    """x.parquet of pictures and the labels -1, 0 and 1, with no word of what they mean: three classes."""
    return _write(tree, "x.parquet", image_table(tree, [i % 3 - 1 for i in range(18)], None, None))


@reads(none=each(6, "cat", "dog"))
def parquet_of_plain_bytes(tree: Tree) -> Path:
    """x.parquet of a column of bytes, `image`, and one of text, `label`."""
    labels = [("cat", "dog")[i % 2] for i in range(12)]
    return _write(tree, "x.parquet", pa.table({"image": [_image(tree, label, None, i) for i, label in enumerate(labels)], "label": labels}))


@stops("default", "cropped")
def two_configurations(tree: Tree) -> None:
    """{default,cropped}/train-00000-of-00001.parquet: two configurations of one data set, of which one must be named."""
    for name in ("default", "cropped"):
        _write(tree, f"{name}/train-00000-of-00001.parquet", image_table(tree, [i % 2 for i in range(12)], ("cat", "dog"), None))


@stops("train_image_data_0.parquet or train.csv")
def bengali(tree: Tree) -> None:
    """train_image_data_0.parquet (image_id and a column per pixel), train.csv (image_id,grapheme_root,vowel_diacritic,consonant_diacritic)."""
    columns: dict[str, list[Any]] = {"image_id": [f"Train_{i}" for i in range(12)]}
    columns.update({str(k): [(i * k) % 255 for i in range(12)] for k in range(60)})
    _write(tree, "train_image_data_0.parquet", pa.table(columns))
    tree.table(
        "train.csv", "image_id,grapheme_root,vowel_diacritic,consonant_diacritic", [(f"Train_{i}", i % 4, i % 3, i % 2) for i in range(12)]
    )


@reads(train=each(8, "0", "1"), test=each(3, "0", "1"))
def torchvision_mnist(tree: Tree) -> None:
    """MNIST/raw/train-images-idx3-ubyte and the same as .gz beside it, as torchvision leaves them: read once."""
    for prefix, split, count in (("train-", "train", 16), ("t10k-", "test", 6)):
        pixels = _arrays(tree, _numbers(count), split, 28, 1)[..., 0]
        for ending in ("", ".gz"):
            write_idx(tree.root / "MNIST/raw", pixels, [i % 2 for i in range(count)], prefix, ending)


@stops("emnist-letters or letters", "emnist-balanced or balanced")
def emnist(tree: Tree) -> None:
    """gzip/emnist-{balanced,letters}-{train,test}-images-idx3-ubyte.gz: several data sets in one folder."""
    for kind in ("balanced", "letters"):
        for word, count in (("train", 16), ("test", 6)):
            write_idx(
                tree.root / "gzip",
                _arrays(tree, _numbers(count), None, 28, 1)[..., 0],
                [i % 2 for i in range(count)],
                f"emnist-{kind}-{word}-",
                ".gz",
            )


def _one_file(name: str, words: Sequence[str], path: str, content: bytes) -> None:
    def build(tree: Tree) -> None:
        tree.put(path, content)
        tree.text("README.md", "# A data set")

    build.__name__ = f"file_of_{name}"
    stops(*words)(build)


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0a" * 32 + b"\nsize 123456789\n"
for kind, words_of_kind, path_of_kind, content_of_kind in (
    ("hdf5", ("train_catvnoncat.h5",), "datasets/train_catvnoncat.h5", b"\x89HDF\r\n\x1a\n" + bytes(900)),
    (
        "pcam",
        ("camelyonpatch_level_2_split_train_x.h5.gz",),
        "camelyonpatch_level_2_split_train_x.h5.gz",
        gzip.compress(b"\x89HDF\r\n\x1a\n" + bytes(90)),
    ),
    ("matlab", ("train_32x32.mat",), "train_32x32.mat", b"MATLAB 5.0 MAT-file, Platform: GLNXA64" + bytes(200)),
    ("lmdb", ("data.mdb or LMDB",), "bedroom_train_lmdb/data.mdb", bytes(16) + b"\xde\xc0\xef\xbe" + bytes(4000)),
    ("arrow", ("data-00000-of-00001.arrow",), "train/data-00000-of-00001.arrow", b"\xff\xff\xff\xff\x10\0\0\0" + bytes(200)),
    ("pickle", ("train.p",), "train.p", pickle.dumps({"features": [1, 2], "labels": [0, 1]}, protocol=2)),
    ("rar", ("Concrete Crack Images.rar",), "Concrete Crack Images.rar", b"Rar!\x1a\7\1\0" + bytes(200)),
    ("seven_zip", ("train.7z",), "train.7z", b"7z\xbc\xaf\x27\x1c\0\4" + bytes(200)),
    ("archive_part", ("train.tar.gz.aa or part",), "train.tar.gz.aa", b"\x1f\x8b\x08\0" + bytes(200)),
    ("split_zip", ("train.z01 or part",), "train.z01", b"PK\7\x08PK\3\4" + bytes(200)),
    ("bson", ("train.bson",), "train.bson", b"\x16\0\0\0\x02hello\0\6\0\0\0world\0\0" * 20),
    ("stl_10", ("train_X.bin",), "stl10_binary/train_X.bin", bytes(27648)),
    ("lfs_parquet", ("git lfs pull",), "data/train-00000-of-00001.parquet", LFS),
    ("lfs_zip", ("git lfs pull",), "images.zip", LFS),
    (
        "dvc_pointer",
        ("images.dvc", "dvc pull"),
        "images.dvc",
        b"outs:\n- md5: 0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a.dir\n  nfiles: 9\n  path: images\n",
    ),
    ("half_a_zip", ("photos.zip",), "photos.zip", b"PK\3\4\x14\0\0\0\x08\0" + bytes(500)),
    ("part_of_a_download", ("photos.zip.crdownload or .crdownload",), "photos.zip.crdownload", b"PK\3\4\x14\0\0\0\x08\0" + bytes(500)),
):
    _one_file(kind, words_of_kind, path_of_kind, content_of_kind)
