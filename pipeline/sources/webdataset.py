"""WebDataset: each image with files of the same name beside it, `0001.jpg` and `0001.cls`, in the tar archives called shards."""

import json
from collections.abc import Iterator

from pipeline.errors import ImageError, SourceError
from pipeline.folders.places import Place
from pipeline.listing.listing import Folder, Listing
from pipeline.listing.split_words import split_in_name

LABEL_KEYS = ("label", "cls", "class", "class_name", "label_name")


def read_samples(listing: Listing) -> dict[str, Place] | None:
    """The label of each image by its path; None if the source is no WebDataset. Raises SourceError if only some images have labels."""
    with_labels = [
        folder
        for folder in listing.folders.values()
        if folder.names and (any(_is_label(name) for name in folder.others) or _has_described_labels(folder))
    ]
    if not with_labels:
        return None
    places: dict[str, Place] = {}
    missing: list[str] = []
    for folder in with_labels:
        for path, label in _labels(folder):
            if label:
                places[path] = Place(label, _split(folder))
            else:
                missing.append(path)
    if len(places) < 0.5 * listing.images:
        return None
    if missing:
        raise SourceError(
            f"ingest.source: {len(missing):,} of {listing.images:,} samples have no label, for example {missing[0]} has no .cls file beside it. "
            "Add it, or leave the images out with ingest.ignore."
        )
    for folder in with_labels:
        for path in _label_files(folder):
            listing.forget(path)
    return places


def _label_files(folder: Folder) -> list[str]:
    """The files that gave the labels of the images of a folder."""
    keys = {name.partition(".")[0] for name in folder.names}
    labels = {name.partition(".")[0]: name for name in folder.others if _is_label(name)}
    described = {key: name for name in folder.others if name.lower().endswith(".json") and (key := name.partition(".")[0]) not in labels}
    return [folder.below(name) for key, name in (labels | described).items() if key in keys]


def _has_described_labels(folder: Folder) -> bool:
    """Whether the first image has a .json of its name beside it that has a label."""
    described = {name.partition(".")[0]: name for name in folder.others if name.lower().endswith(".json")}
    key = folder.names[0].partition(".")[0]
    return key in described and bool(_described(folder, described[key]))


def _is_label(name: str) -> bool:
    return name.lower().endswith((".cls", ".cls.txt", ".cls.json"))


def _labels(folder: Folder) -> Iterator[tuple[str, str]]:
    """(path, label) of each image of a folder; the label is empty if there is none."""
    labels = {name.partition(".")[0]: name for name in folder.others if _is_label(name)}
    described = {name.partition(".")[0]: name for name in folder.others if name.lower().endswith(".json")}
    for name in folder.names:
        key = name.partition(".")[0]
        if key in labels:
            yield folder.below(name), _text(folder, labels[key])
        else:
            yield folder.below(name), _described(folder, described[key]) if key in described else ""


def _text(folder: Folder, name: str) -> str:
    try:
        return folder.content(name)().decode("utf-8-sig").strip()
    except (ImageError, OSError, UnicodeDecodeError) as error:
        raise SourceError(f"ingest.source: {folder.below(name)} is not a label: {error}.") from None


def _described(folder: Folder, name: str) -> str:
    try:
        document = json.loads(_text(folder, name))
    except ValueError:
        return ""
    found = next((document[key] for key in LABEL_KEYS if key in document), "") if isinstance(document, dict) else ""
    return str(found) if isinstance(found, str | int) else ""


def _split(folder: Folder) -> str | None:
    return next((found.split for part in folder.parts if (found := split_in_name(part))), None)
