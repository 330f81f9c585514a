"""TFRecord files of tf.train.Example: one image with its label per record, as TensorFlow's tutorials, TensorFlow Datasets and Kaggle have them.

The features are known by their names, or as the only ones that fit. Records are read one by one, their checksums compared.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from pipeline.containers.data_sets import refuse_several, split_of_file
from pipeline.containers.in_memory import EncodedImage, Pixels, is_encoded_image
from pipeline.containers.tf_example import Feature, parse_example, read_records, starts_like_records
from pipeline.errors import SourceError
from pipeline.listing.names import is_visible, normalised
from pipeline.listing.records import LeftOut, Reading, Record
from pipeline.tables.cells import GROUP, LABEL, numeric_order, refuse_column_called_none, text_of

SUFFIX = re.compile(r"\.(tfrecords?|tfrec)(\.gz)?(-\d+-of-\d+)?$", re.IGNORECASE)
NUMBERED = re.compile(r".+-\d{5}-of-\d{5}(\.gz)?$")
CLASS_NAMES = ".labels.txt"
IMAGES = ("image/encoded", "image", "image_raw", "image/raw", "encoded", "jpeg", "jpg", "png", "img", "image_bytes")
NAMES = ("image/class/text", "class_name", "label_name", "class/text", "label/text", "label_text")
LABELS = (*NAMES, "image/class/label", "image/label", *LABEL)
SIDES = (("height", "image/height", "rows"), ("width", "image/width", "cols"), ("depth", "channels", "image/channels", "image/depth"))
OBJECTS = re.compile(r"(^|/)(objects?|bbox|bboxes|boxes)(/|$)")


class _Columns(NamedTuple):
    """The features of the images, of the labels, of the numbers that go with labels that are names, and of groups; whether images are raw values."""

    image: str
    is_raw: bool
    label: str
    number: str | None
    group: str | None


class _Example(NamedTuple):
    """One record: its image, its label ("" if none), its number beside a name, and its group."""

    image: EncodedImage | Pixels
    size_bytes: int
    label: str
    number: int | None
    group: str | None


def candidates(paths: Sequence[str]) -> list[str]:
    """The files that are called like TFRecord files, and the names of classes that TensorFlow Datasets has beside them."""
    records = [path for path in paths if is_visible(path) and _is_candidate(path)]
    folders = {path.rpartition("/")[0] for path in records}
    return [*records, *(path for path in paths if path.endswith(CLASS_NAMES) and path.rpartition("/")[0] in folders)]


def read(files: Mapping[str, Path], label: str | None = None, unread: Collection[str] = ()) -> Reading | None:
    """The images of TFRecord files; `label` chooses the feature of the labels. unread: holds "group" if no feature has the groups.

    Raises SourceError for damage, for detection sets, for several data sets, and for features that can be understood in two ways.
    """
    paths = [path for path in sorted(files) if _is_candidate(path) and _is_records(path, files[path])]
    if not paths:
        return None
    refuse_several(paths, "TFRecord files")
    columns = _choose({path: _first(path, files[path]) for path in paths}, label, unread)
    splits = {path: split_of_file(path) if len(paths) > 1 else None for path in paths}
    named = _names_beside(columns.label, paths, files)
    counts: Counter[tuple[str | None, str]] = Counter()
    numbers: dict[str, int | None] = {}
    for path in paths:
        for example in _examples(path, files[path], columns, named):
            if example.label:
                counts[splits[path], example.label] += 1
                _refuse_other_number(path, example, numbers, columns)
    if not counts:
        raise SourceError(f"ingest.source: {paths[0]} should have images with labels; found no record with a label in {columns.label}.")

    def records(left_out: list[LeftOut]) -> Iterator[Record]:
        return (record for path in paths for record in _records(path, splits[path], _examples(path, files[path], columns, named), left_out))

    return Reading("TFRecord files", "ingest.format: tfrecord", named or _order(numbers), counts, records)


def _is_candidate(path: str) -> bool:
    name = PurePosixPath(path).name
    return SUFFIX.search(name) is not None or NUMBERED.fullmatch(name) is not None


def _is_records(path: str, file: Path) -> bool:
    """Whether a file has records. Raises SourceError if it is only called so."""
    if starts_like_records(file):
        return True
    if SUFFIX.search(path) and file.stat().st_size:
        raise SourceError(f"ingest.source: {path} is damaged, or no TFRecord file: it does not start with a length and its checksum.")
    return False


def _first(path: str, file: Path) -> dict[str, Feature]:
    return parse_example(next(read_records(path, file)), path)


def _choose(first: Mapping[str, dict[str, Feature]], label: str | None, unread: Collection[str]) -> _Columns:
    """The features that are read, by those of the first record of each file."""
    found: dict[str, Feature] = {}
    for features in first.values():
        found |= {name: values for name, values in features.items() if values not in ([], [b""])}
    path = next(iter(first))
    shown = f"Found: {', '.join(sorted(found)) or 'nothing'}"
    known = [name for name in ([label] if label else LABELS) if name in found]
    if not known and not label and any(OBJECTS.search(name) for name in found):
        raise SourceError(
            f"ingest.source: {path} is a detection set: it labels parts of images, and not images. Expected one label per image. {shown}."
        )
    if not known:
        raise SourceError(f"ingest.source: {path} has no feature {label or 'of labels, such as image/class/label or label'}. {shown}.")
    numbered = [name for name in known if name not in NAMES]
    refuse_column_called_none(path, found, unread)
    group = next((name for name in GROUP if name in found and "group" not in unread), None)
    return _Columns(*_image_feature(found, path, shown), known[0], numbered[0] if known[0] in NAMES and numbered else None, group)


def _image_feature(found: Mapping[str, Feature], path: str, shown: str) -> tuple[str, bool]:
    """(the feature of the images, whether they are raw values)."""
    images = [name for name, values in sorted(found.items()) if _only_bytes(values) and is_encoded_image(_only_bytes(values) or b"")]
    known = [name for name in IMAGES if name in images]
    if len(images) == 1 or known:
        return (known or images)[0], False
    raw = [name for name, values in sorted(found.items()) if (content := _only_bytes(values)) and _raw_shape(found, content)]
    if len(raw) == 1:
        return raw[0], True
    what = f"several features with images, {', '.join(images)}" if images else "no feature with an encoded image"
    raise SourceError(f"ingest.source: {path} has {what}. Expected one, such as image/encoded or image. {shown}.")


def _only_bytes(values: Feature) -> bytes | None:
    return values[0] if len(values) == 1 and isinstance(values[0], bytes) else None


def _raw_shape(features: Mapping[str, Feature], content: bytes) -> tuple[int, ...] | None:
    """The shape of an image of bytes, one per value, by the features for its sides; None if it has another size."""
    sides = [next((features[name] for name in names if name in features), [1]) for names in SIDES]
    if not all(len(side) == 1 and isinstance(side[0], int) and side[0] > 0 for side in sides):
        return None
    height, width, channels = (int(side[0]) for side in sides)
    if height * width * channels != len(content) or channels not in (1, 3, 4) or height * width == 1:
        return None
    return (height, width) if channels == 1 else (height, width, channels)


def _names_beside(label: str, paths: Sequence[str], files: Mapping[str, Path]) -> list[str] | None:
    """The names of the classes in `label.labels.txt` beside the records, one per line, as TensorFlow Datasets writes them."""
    places = [f"{path.rpartition('/')[0]}/{label}{CLASS_NAMES}".lstrip("/") for path in paths]
    found = next((place for place in places if place in files), None)
    if found is None:
        return None
    names = [
        normalised(line.strip()) for line in files[found].read_text(encoding="utf-8-sig", errors="replace").splitlines() if line.strip()
    ]
    if len(set(names)) < len(names):
        raise SourceError(f"ingest.source: {found} names a class twice. Expected one name per label, one per line.")
    return names


def _examples(path: str, file: Path, columns: _Columns, names: list[str] | None) -> Iterator[_Example]:
    for content in read_records(path, file):
        features = parse_example(content, path)
        encoded = _only_bytes(features.get(columns.image, []))
        shape = _raw_shape(features, encoded) if columns.is_raw and encoded else None
        image = Pixels(np.frombuffer(encoded or b"", np.uint8).reshape(shape)) if shape else EncodedImage(encoded)
        label = _label_text(features.get(columns.label, []), f"{path}: {columns.label}", names)
        number = features.get(columns.number, [None]) if columns.number else [None]
        group = _label_text(features.get(columns.group, []), f"{path}: {columns.group}", None) if columns.group else ""
        yield _Example(image, len(encoded or b""), label, number[0] if number and isinstance(number[0], int) else None, group or None)


def _label_text(values: Feature, where: str, names: list[str] | None) -> str:
    """The only value as text, or as the name of the class; "" if there is none."""
    if len(values) > 1:
        raise SourceError(f"ingest.source: {where} has {len(values)} values for one image. Expected one label.")
    value = values[0] if values else None
    if isinstance(value, bytes):
        try:
            return text_of(value.decode("utf-8"), where)
        except UnicodeDecodeError:
            raise SourceError(f"ingest.source: {where} has bytes that are no text in UTF-8. Expected a number or a name.") from None
    if isinstance(value, float) and not value.is_integer():
        raise SourceError(f"ingest.source: {where} has fractions, such as {value:g}. Expected classes.")
    if not names or value is None or value == -1:
        return "" if names else text_of(value, where)
    if not 0 <= value < len(names):
        raise SourceError(f"ingest.source: {where} has the label {value:g}, but {len(names)} classes are named, from 0.")
    return names[int(value)]


def _refuse_other_number(path: str, example: _Example, numbers: dict[str, int | None], columns: _Columns) -> None:
    """Raise SourceError if a name is that of two numbers, and remember its number."""
    number = numbers.setdefault(example.label, example.number)
    if number != example.number:
        raise SourceError(
            f"ingest.source: {path}: {columns.label} is {example.label!r} for {columns.number} {number} and {example.number}. "
            f"Expected a name of its own for each class."
        )


def _order(numbers: Mapping[str, int | None]) -> list[str] | None:
    """The classes in the order of their numbers, if they have some."""
    order = {label: number for label, number in numbers.items() if number is not None}
    if len(order) == len(numbers) and len(set(order.values())) == len(order):
        return sorted(order, key=lambda label: order[label])
    return numeric_order(numbers)


def _records(path: str, split: str | None, examples: Iterator[_Example], left_out: list[LeftOut]) -> Iterator[Record]:
    stem = normalised(SUFFIX.sub(lambda found: found[3] or "", path))
    for number, example in enumerate(examples):
        name = f"{stem}/{number:05d}{'.png' if isinstance(example.image, Pixels) else ''}"
        if example.label:
            yield Record(name, example.label, split, example.group, example.size_bytes, example.image)
        else:
            left_out.append(LeftOut(name, "unlabelled", "its record has no label"))
