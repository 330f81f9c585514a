"""The columns and cells of tables and Parquet files: which name says what, and their values as text."""

import ast
import contextlib
import json
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.errors import SourceError
from pipeline.listing.names import normalised
from pipeline.listing.split_words import split_of_name

# fmt: off
PATH = (
    "path", "file_path", "filepath", "filepaths", "file_paths", "file", "file_name", "filename", "filenames", "image_path", "image_file",
    "image_name", "imagename", "image_id", "imageid", "image", "img_path", "img", "img_name", "id_code", "image_index", "name", "id", "data_image",
)
LABEL = (
    "class_name", "classname", "label_name", "label", "labels", "class", "category", "target", "class_label", "fine_label", "diagnosis", "dx",
    "breed", "species", "choice", "emotion", "finding_labels", "class_id", "classid", "label_id", "category_id", "tag", "tags",
)
SPLIT = ("split", "subset", "partition", "set", "data_set", "usage", "phase")
GROUP = (
    "group", "group_id", "patient_id", "patientid", "patient", "subject_id", "subjectid", "subject", "participant_id", "participantid",
    "participant", "lesion_id", "lesionid", "person_id", "person", "individual", "individual_id", "animal_id", "animal", "specimen_id",
    "plant_id", "tree_id", "case_id", "study_id", "exam_id", "slide_id", "session_id", "session", "video_id", "video", "scene_id", "scene",
    "sequence_id", "sequence", "seq_id", "clip_id", "clip", "burst_id", "burst",
)  # the largest first: a patient has several studies, a video several clips
NO_COLUMN = "none"  # in ingest.columns
MAYBE_CLASS = ("animal", "scene")  # without numbers, as in zebra, groups only beside a column of labels
# fmt: on
LONGEST_STRUCTURE = 10_000


def find_column(names: Iterable[str], known: Sequence[str]) -> str | None:
    """The first of the known names that is among the columns, as written there."""
    found = {column_word(name): name for name in reversed(list(names))}
    return next((found[name] for name in known if name in found), None)


def column_word(name: str) -> str:
    """The name of a column as the lists have it: lower case, with `_` between words, `imageId` and `Image Id` alike."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", "_", name.strip())
    return re.sub(r"[\s.-]+", "_", parted).lower()


def split_of(text: str, where: str) -> str | None:
    """train, validation or test; None for an empty text. Raises SourceError, naming the place, for any other text."""
    split = split_of_name(text)
    if text and not split:
        raise SourceError(
            f"ingest.source: {where}: {text!r} is not a split. Expected train, validation or test, or a word like them, or nothing. "
            "Write such a word for each value, or rename the column if it says something else, to have the images split anew."
        )
    return split


def text_of(value: object, where: str) -> str:
    """A cell as stripped text; whole numbers have no decimal point. Raises SourceError, naming the place, for a list or an object."""
    if isinstance(value, list | tuple | dict | bytes):
        raise SourceError(f"ingest.source: {where}: expected one label, split or group, found {str(value)[:60]}.")
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return normalised(str(value).lower() if isinstance(value, bool) else str(value).strip())


def structured(cell: str) -> Any:
    """The list or object that a cell has as text, in JSON or in Python's spelling; any other text as it is."""
    if cell[:1] not in ("[", "{") or cell[-1:] not in ("]", "}") or len(cell) > LONGEST_STRUCTURE:
        return cell
    for read in (json.loads, ast.literal_eval):
        with contextlib.suppress(ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            found = read(cell)
            if isinstance(found, dict) and isinstance(found.get("choices"), list):  # Label Studio's
                return found["choices"]
            return found if isinstance(found, list | dict) else cell
    return cell


def only_value(cell: Mapping[Any, Any]) -> str:
    """The value of an object with one key and a text, as {"animal": "cat"}; empty for any other."""
    value = next(iter(cell.values())) if len(cell) == 1 else ""
    return value.strip() if isinstance(value, str) and all(isinstance(key, str) for key in cell) else ""


def numeric_order(labels: Iterable[str]) -> list[str] | None:
    """Labels in numeric order; None if one is not a whole number."""
    labels = list(labels)
    return sorted(labels, key=lambda label: (int(label), label)) if all(re.fullmatch(r"-?[0-9]+", label) for label in labels) else None


def is_image_type(kind: pa.DataType) -> bool:
    """Whether a column of this type holds encoded images: bytes, or the Hugging Face Hub's struct of bytes and path."""
    if pa.types.is_struct(kind):
        return any(is_image_type(kind.field(i).type) for i in range(kind.num_fields) if kind.field(i).name == "bytes")
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


@contextmanager
def naming_parquet_damage(file: Path) -> Iterator[None]:
    """Turns any error of a Parquet file into a one-line SourceError."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = (str(error).splitlines() or ["unreadable"])[0]
        raise SourceError(f"ingest.source: {file} cannot be read as Parquet: {reason.rstrip('.')}. Get the file again.") from None


def unread_roles(columns: Mapping[str, str]) -> frozenset[str]:
    """Those of "split" and "group" that no column has, by `ingest.columns`."""
    return frozenset(role for role in ("split", "group") if columns.get(role) == NO_COLUMN)


def refuse_column_called_none(table: str, names: Collection[str], roles: Collection[str]) -> None:
    """Raise SourceError if a table has a column of that name, which may be meant."""
    if roles and NO_COLUMN in names:
        raise SourceError(
            f"ingest.columns.{min(roles)}: {NO_COLUMN} stands for no column, but {table} has a column that is called so. Rename the column, and name "
            "it if it is meant."
        )
