"""Images as they are sent over HTTP: base64 in any of its spellings, as text or in an object. Travels with the registered model."""

import base64
import re
from collections.abc import Mapping
from typing import Any

from pipeline.errors import SourceError

KEYS = ("b64", "image")
"""An object with one of these, and nothing else, is the image in it: {"b64": …} is TensorFlow Serving's."""
DATA_URL = re.compile(r"data:[^,;]*(?P<options>(;[^,;]*)*),", re.IGNORECASE)
URL_SAFE = str.maketrans("-_", "+/")
FOREIGN = re.compile(r"[^A-Za-z0-9+/]")
PLACES = ("http://", "https://", "file:", "s3://", "/", "./", "../", "~")
SHOWN = 40


def image_bytes(value: Any) -> bytes:
    """The encoded image in a value: bytes, base64 text, or an object that holds one of them.

    Text may have line breaks, no padding, the alphabet of URLs, and `data:image/png;base64,` before it. Raises SourceError for anything else.
    """
    if isinstance(value, Mapping) and len(value) == 1 and next(iter(value)) in KEYS:
        return image_bytes(next(iter(value.values())))
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, str):
        return _decoded(value)
    is_nothing = value is None or value != value  # pandas writes null as NaN
    found = "nothing (null)" if is_nothing else f"a value of type {type(value).__name__}"
    raise SourceError(f"expected an image as base64 text, found {found}")


def _decoded(text: str) -> bytes:
    body = text.strip()
    if opening := DATA_URL.match(body):
        if not opening["options"].lower().endswith(";base64"):
            raise SourceError("a data: URL that is not base64: expected data:image/png;base64,…")
        body = body[opening.end() :]
    body = "".join(body.split()).translate(URL_SAFE).rstrip("=")
    if not body:
        raise SourceError("an empty text, expected an image as base64")
    if foreign := FOREIGN.search(body):
        raise SourceError(_why_foreign(text.strip(), foreign[0]))
    if len(body) % 4 == 1:
        raise SourceError(f"base64 that is cut off: {len(body):,} letters")
    return base64.b64decode(body + "=" * (-len(body) % 4))


def _why_foreign(text: str, letter: str) -> str:
    if text.startswith(PLACES) or re.search(r"\.\w{3,5}$", text):
        place = text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
        return f"a path or an address ({place}), not an image: send the content of the file as base64"
    return f"not base64: it has the letter {letter!r}"
