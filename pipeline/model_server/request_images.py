"""The images in a request: JSON in the forms of MLflow and TensorFlow Serving, an encoded image as it is, or the files of a form. Nothing is decoded."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

JSON_FORMS = '{"instances": ["<base64>", …]}, {"inputs": …}, {"dataframe_split": …} or {"dataframe_records": …}'
COLUMN = "image"
MOST_FILES = 1_000


class BadRequestError(Exception):
    """What is wrong with a request, in one line, and the status that says so."""

    def __init__(self, line: str, status: int = 400) -> None:
        super().__init__(line)
        self.status = status


async def images_in(request: Request, most_bytes: int) -> list[Any]:
    """One value per image: bytes, base64 text, or an object with base64 text. Raises BadRequestError, and ClientDisconnect if the client hangs up."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _in_form(request, most_bytes)
    body = await _body(request, most_bytes)
    if kind.startswith("image/") or kind == "application/octet-stream":
        return [body]
    if kind in ("application/json", "") or kind.endswith("+json"):
        return in_json(body)
    raise BadRequestError(f"Content-Type {kind}: expected application/json, image/png or another image, or multipart/form-data.", 415)


async def _body(request: Request, most_bytes: int) -> bytes:
    _check_length(request, most_bytes)
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most_bytes:
            raise _too_large(most_bytes)
        parts.append(part)
    return b"".join(parts)


async def _in_form(request: Request, most_bytes: int) -> list[Any]:
    _check_length(request, most_bytes, is_required=True)
    try:
        async with request.form(max_files=MOST_FILES) as form:
            texts = [name for name, value in form.multi_items() if not isinstance(value, UploadFile)]
            images = [await value.read() for _, value in form.multi_items() if isinstance(value, UploadFile)]
    except (HTTPException, AssertionError, KeyError, ValueError) as error:
        reason = error.detail if isinstance(error, HTTPException) else str(error) or type(error).__name__
        raise BadRequestError(f"The form cannot be read: {reason.rstrip('.')}.") from None
    if texts:
        raise BadRequestError(
            f"The part {texts[0]} of the form is text, not a file. Send each image as a file, with curl: -F {texts[0]}=@my.png."
        )
    if not images:
        raise BadRequestError("The form has no file. Send each image as a file of the form.")
    return images


def _check_length(request: Request, most_bytes: int, *, is_required: bool = False) -> None:
    """Refuse by the length that the client says, before it is received. A form is kept on disk as it comes, so its length must be known."""
    said = request.headers.get("content-length", "")
    if said.isdigit() and int(said) > most_bytes:
        raise _too_large(most_bytes)
    if is_required and not said.isdigit():
        raise BadRequestError("A form needs a Content-Length.", 411)


def _too_large(most_bytes: int) -> BadRequestError:
    return BadRequestError(f"The request is larger than {most_bytes // 2**20:,} MB. Send fewer or smaller images at a time.", 413)


def in_json(body: bytes) -> list[Any]:
    """One value per image of a JSON text. Raises BadRequestError if it has none of the known forms."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequestError("The body is not JSON. Send an image as it is with its Content-Type, such as image/png.") from None
    if not isinstance(content, Mapping):
        raise BadRequestError(f"Expected {JSON_FORMS}.")
    known = {"dataframe_split": _of_split, "dataframe_records": _of_values, "instances": _of_values, "inputs": _of_inputs}
    found = [name for name in known if name in content]
    if len(found) != 1:
        what = f"found {' and '.join(found)}" if found else f"found {', '.join(map(str, content)) or 'nothing'}"
        raise BadRequestError(f"Expected one of {JSON_FORMS}; {what}.")
    return known[found[0]](found[0], content[found[0]])


def _of_split(name: str, content: Any) -> list[Any]:
    columns, data = (content.get("columns"), content.get("data")) if isinstance(content, Mapping) else (None, None)
    if not isinstance(data, list) or not all(isinstance(row, list) for row in data):
        raise BadRequestError(f'{name}: expected {{"columns": ["{COLUMN}"], "data": [["<base64>"], …]}}.')
    if columns is None and all(len(row) == 1 for row in data):
        return [row[0] for row in data]
    if not isinstance(columns, list) or columns.count(COLUMN) != 1:
        raise BadRequestError(f"{name}: expected a column named {COLUMN}, found {columns}.")
    at = columns.index(COLUMN)
    for number, row in enumerate(data):
        if len(row) != len(columns):
            raise BadRequestError(f"{name}: row {number} has {len(row)} values for {len(columns)} columns.")
    return [row[at] for row in data]


def _of_values(name: str, content: Any) -> list[Any]:
    if not isinstance(content, list):
        raise BadRequestError(f"{name}: expected a list with one value per image.")
    values = []
    for number, value in enumerate(content):
        if isinstance(value, Mapping) and not {COLUMN, "b64"} & set(value):
            raise BadRequestError(
                f"{name}: expected an image as {COLUMN} in row {number}, found {', '.join(map(str, value)) or 'nothing'}."
            )
        values.append(value[COLUMN] if isinstance(value, Mapping) and COLUMN in value else value)
    return values


def _of_inputs(name: str, content: Any) -> list[Any]:
    if isinstance(content, Mapping) and "b64" not in content:
        content = content.get(COLUMN)
    return _of_values(name, content if isinstance(content, Sequence) and not isinstance(content, str) else [content])
