"""Tables in JSON: lines, lists of objects or names, names by split or label, labels by name; and what Label Studio and FiftyOne write."""

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import SourceError
from pipeline.listing.split_words import split_of_name
from pipeline.tables.table import Table, naming_faults

MOST_COLUMNS = 1000
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
SCALARS = (str, int, float)
LARGEST_JSON_BYTES = 512 * 2**20


def json_table(path: str, file: Path, *, is_lines: bool) -> Table | None:
    """JSON lines, a list of objects or names, or one object with a value for each of many names, or with many names for each value."""
    if is_lines:
        keys = _keys(values for _, values in _json_lines(path, file))
        return Table(path, keys, lambda: ((place, [values.get(key) for key in keys]) for place, values in _json_lines(path, file)))
    if file.stat().st_size > LARGEST_JSON_BYTES:
        raise SourceError(
            f"ingest.source: {path} has more than {LARGEST_JSON_BYTES // 2**20} MB of JSON. Write it as JSON lines, or as CSV."
        )
    with naming_faults(path):
        try:
            text = file.read_text(encoding="utf-8-sig")
            document = json.loads(text)
            if SURROGATE.search(text):
                json.dumps(document, ensure_ascii=False).encode()  # half of a pair cannot be stored as text
        except (ValueError, RecursionError) as error:
            raise SourceError(f"ingest.source: {path} is not valid JSON: {error}.") from None
    objects = _objects(document)
    if not objects:
        return None
    keys = _keys(objects)
    return Table(path, keys, lambda: ((f"entry {i}", [values.get(key) for key in keys]) for i, values in enumerate(objects, 1)))


def _keys(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The keys of all rows, since only some may have a split or a group; the first ones, where each row has keys of its own."""
    return list(itertools.islice(dict.fromkeys(key for values in rows for key in values), MOST_COLUMNS))


def _objects(document: object) -> list[dict[str, Any]]:
    """The rows of a JSON document; empty if it has none."""
    if isinstance(document, list) and document and all(isinstance(entry, dict) for entry in document):
        return [_flat(entry) for entry in document]
    if isinstance(document, dict) and all(isinstance(document.get(key), list) for key in ("images", "annotations", "categories")):
        return _coco_labels(document)
    if isinstance(document, dict) and isinstance(document.get("classes"), list) and isinstance(document.get("labels"), dict):  # FiftyOne
        classes = document["classes"]
        return [
            {"name": key, "label": classes[value] if isinstance(value, int) and 0 <= value < len(classes) else value}
            for key, value in document["labels"].items()
        ]
    if isinstance(document, dict) and len(document) > 1:
        return _by_name(document) or list(_by_key(document, {}))
    return [{"name": name} for name in document] if isinstance(document, list) and _are_names(document) else []


def _by_name(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of an object that says of each name a value, or an object of values."""
    if all(isinstance(value, SCALARS) for value in document.values()):
        return [{"name": name, "value": value} for name, value in document.items()]
    if all(_is_flat(value) for value in document.values()):
        if all(place.isdigit() for value in document.values() for place in value):  # pandas: an object for each column, by number of row
            places = dict.fromkeys(place for value in document.values() for place in value)
            return [{name: value.get(place) for name, value in document.items()} for place in places]
        return [{"name": name, **value} for name, value in document.items()]
    return []


def _by_key(document: Mapping[str, Any], above: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The rows of {"train": ["a.png"], "test": ["b.png"]}, also with labels instead of splits, or below them; of splits, also with objects."""
    is_of_splits = all(split_of_name(key) for key in document)
    role = "split" if is_of_splits else "key"
    if role in above or not all(isinstance(value, list | dict) for value in document.values()):
        return
    for key, value in document.items():
        said = {**above, role: key}
        if isinstance(value, dict):
            yield from _by_key(value, said)
        elif _are_names(value):
            yield from ({"name": name, **said} for name in value)
        elif is_of_splits and all(_is_flat(entry) for entry in value):
            yield from ({**entry, **said} for entry in value)


def _are_names(values: Sequence[Any]) -> bool:
    return all(isinstance(name, str) for name in values)


def _is_flat(value: object) -> bool:
    return isinstance(value, dict) and bool(value) and all(entry is None or isinstance(entry, SCALARS) for entry in value.values())


def _flat(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An object with its inner objects' keys, `data.image`; of Label Studio's annotations, the choices."""
    flat: dict[str, Any] = {}
    for key, value in entry.items():
        if key in ("annotations", "completions") and isinstance(value, list):
            choices = [choice for choice in _choices(value) if choice]
            flat["choice"] = choices[0] if len(choices) == 1 else choices or None
        elif isinstance(value, dict):
            flat.update({f"{key}.{inner}": content for inner, content in value.items() if not isinstance(content, dict)})
        else:
            flat[key] = value
    return flat


def _choices(annotations: Sequence[Any]) -> list[str]:
    """The choices in annotations that were not cancelled: a skipped task keeps what had been ticked before."""
    finished = [annotation for annotation in annotations if isinstance(annotation, dict) and not annotation.get("was_cancelled")]
    results = [result for annotation in finished for result in annotation.get("result") or []]
    values = [result.get("value", {}) for result in results if isinstance(result, dict)]
    return list(dict.fromkeys(str(choice) for value in values if isinstance(value, dict) for choice in value.get("choices") or []))


def _json_lines(path: str, file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(line, object) of each line that is not empty."""
    with naming_faults(path), file.open(encoding="utf-8-sig") as text:
        for number, line in enumerate(text, start=1):
            if line.strip():
                try:
                    values = json.loads(line)
                    json.dumps(values, ensure_ascii=False).encode()  # half of a surrogate pair, "\\ud83d", cannot be stored as text
                except (ValueError, RecursionError) as error:
                    raise SourceError(f"ingest.source: {path}, line {number} is not valid JSON: {error}.") from None
                if not isinstance(values, dict):
                    raise SourceError(f"ingest.source: {path}, line {number}: expected an object, {{…}}, found {line[:30].strip()}.")
                yield f"line {number}", _flat(values)


def _coco_labels(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The categories of images in COCO's form, as iNaturalist has them; empty if the annotations are boxes or shapes."""
    if any(
        entry.get("bbox") or entry.get("segmentation") or entry.get("keypoints")
        for entry in document["annotations"]
        if isinstance(entry, dict)
    ):
        return []
    files = {str(entry.get("id")): entry.get("file_name") for entry in document["images"] if isinstance(entry, dict)}
    names = {str(entry.get("id")): entry.get("name") for entry in document["categories"] if isinstance(entry, dict)}
    entries = [entry for entry in document["annotations"] if isinstance(entry, dict)]
    return [
        {"file_name": files.get(str(entry.get("image_id"))), "label": names.get(str(entry.get("category_id")), entry.get("category_id"))}
        for entry in entries
    ]
