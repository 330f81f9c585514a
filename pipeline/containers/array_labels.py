"""The labels of an array as text: numbers, names, or one column per class."""

import math
from collections.abc import Sequence

import numpy as np

from pipeline.containers.npy_arrays import StoredArray, read_whole
from pipeline.errors import SourceError
from pipeline.tables.cells import text_of


def class_names_in(arrays: Sequence[StoredArray]) -> list[str] | None:
    """The names of the classes, if there are any. Raises SourceError if they are no names, or if two arrays differ."""
    named = [_names(array) for array in arrays]
    for array, names in zip(arrays, named, strict=True):
        if names != named[0]:
            raise SourceError(f"ingest.source: {array} names other classes than {arrays[0]}. Expected one list of names.")
    return named[0] if named else None


def label_texts(array: StoredArray, class_names: list[str] | None) -> list[str]:
    """The text of each label: its class name, if there are class names; "" if there is none.

    Raises SourceError for fractions, for several classes per image, and for a number without a name.
    """
    values = _one_per_image(array)
    unique, places = np.unique(values, return_inverse=True)
    if unique.dtype.kind == "f" and (fractions := [value for value in unique.tolist() if not (value.is_integer() or math.isnan(value))]):
        raise SourceError(f"ingest.source: {array} has labels with fractions, such as {fractions[0]:g}. Expected classes.")
    texts = [text_of(value, str(array)) for value in unique.tolist()]
    if class_names is not None and unique.dtype.kind in "iuf":
        if not all(text.isdecimal() and int(text) < len(class_names) for text in texts if text):
            raise SourceError(
                f"ingest.source: {array} goes from {texts[0]} to {texts[-1]}, but {len(class_names)} classes are named, from 0."
            )
        texts = [class_names[int(text)] if text else "" for text in texts]
    if class_names is not None and not set(texts) <= {"", *class_names}:
        raise SourceError(f"ingest.source: {array} has labels that are not among the class names.")
    return [texts[place] for place in places.reshape(-1).tolist()]


def _one_per_image(array: StoredArray) -> np.ndarray:
    """The labels (N,), of an array of shape (N,), (N, 1) or (1, N), or (N, K) with a 1 in the column of the class."""
    values = _read_text_or_numbers(array)
    if values.ndim == 1 or (values.ndim == 2 and 1 in values.shape):
        return values.reshape(-1)
    if values.ndim != 2 or values.dtype.kind not in "biuf":
        raise SourceError(f"ingest.source: {array} should have one label per image. Found {values.dtype} {values.shape}.")
    if not np.isin(values, (0, 1)).all():
        raise SourceError(
            f"ingest.source: {array} of shape {values.shape} has values other than 0 and 1. Expected one label per image, or a 1 for its class."
        )
    per_image = values.sum(axis=1)
    if (per_image != 1).any():
        wrong = int(np.flatnonzero(per_image != 1)[0])
        raise SourceError(
            f"ingest.source: {array} marks {int(per_image[wrong])} classes for image {wrong}. Expected one: images of several classes are not "
            "supported."
        )
    columns: np.ndarray = values.argmax(axis=1)
    return columns


def _read_text_or_numbers(array: StoredArray) -> np.ndarray:
    values: np.ndarray = read_whole(array)
    if values.dtype.kind == "S":
        try:
            values = np.char.decode(values, "utf-8")
        except UnicodeDecodeError as error:
            raise SourceError(f"ingest.source: {array} has text that is not UTF-8: {error}.") from None
    if values.dtype.kind not in "biufU":
        raise SourceError(f"ingest.source: {array} should be numbers or text. Found {values.dtype} {values.shape}.")
    return values


def _names(array: StoredArray) -> list[str]:
    values = _read_text_or_numbers(array)
    if values.dtype.kind != "U" or values.ndim != 1 or len(set(values.tolist())) < len(values):
        raise SourceError(f"ingest.source: {array} should be a list of names, each once. Found {values.dtype} {values.shape}.")
    return [text_of(name, str(array)) for name in values.tolist()]
