"""TFRecord files and the tf.train.Example messages in them, without TensorFlow: bytes in, features out.

A record is its length (8 bytes), a checksum of the length, its content and a checksum of that; an Example is a map from names to lists in
protocol buffers' encoding. Formats: https://www.tensorflow.org/tutorials/load_data/tfrecord, https://protobuf.dev/programming-guides/encoding
"""

import gzip
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import google_crc32c

from pipeline.errors import SourceError

Feature = list[bytes] | list[float] | list[int]
BYTES_AT_ONCE = 2**24
MASK = 0xA282EAD8
GZIP = b"\x1f\x8b"
BITS_64 = 2**64
VARINT, FIXED_64, BYTES, FIXED_32 = 0, 1, 2, 5


def starts_like_records(file: Path) -> bool:
    """Whether a file starts with a length and its checksum, packed with gzip or not."""
    try:
        with open_records(file) as opened:
            head = opened.read(12)
    except (OSError, EOFError, zlib.error):
        return False
    return len(head) == 12 and _matches(head[:8], head[8:])


def read_records(path: str, file: Path) -> Iterator[bytes]:
    """The content of each record of a file, which is called `path` in the source. Raises SourceError where it is damaged."""
    number = 0
    try:
        with open_records(file) as opened:
            while head := opened.read(12):
                if len(head) < 12 or not _matches(head[:8], head[8:]):
                    raise _damaged(path, f"the length of record {number} does not match its checksum")
                content = _read_exactly(opened, struct.unpack("<Q", head[:8])[0])
                if content is None or not _matches(content, opened.read(4)):
                    raise _damaged(path, f"record {number} {'ends too early' if content is None else 'does not match its checksum'}")
                yield content
                number += 1
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise _damaged(path, str(error)) from None


def parse_example(content: bytes, path: str) -> dict[str, Feature]:
    """The features of an Example by their names. Raises SourceError if the content is none."""
    try:
        found: dict[str, Feature] = {}
        for number, features in _fields(content):
            if number != 1 or not isinstance(features, bytes):
                raise ValueError(f"field {number} in an Example")
            for _, entry in _fields(features):
                name, feature = _entry(entry)
                found[name] = feature
    except (ValueError, struct.error) as error:
        raise SourceError(
            f"ingest.source: {path} has records that are no tf.train.Example ({error}). Write one Example per image, with image and label."
        ) from None
    return found


def open_records(file: Path) -> IO[bytes] | gzip.GzipFile:
    """A file of records, unpacked if it is a gzip file."""
    with file.open("rb") as opened:
        head = opened.read(12)
    return gzip.open(file) if head[:2] == GZIP and not _matches(head[:8], head[8:]) else file.open("rb")


def _matches(content: bytes, checksum: bytes) -> bool:
    """Whether the masked CRC32C of the content is this one."""
    crc = google_crc32c.value(content)
    return len(checksum) == 4 and (((crc >> 15) | (crc << 17)) + MASK) % 2**32 == int.from_bytes(checksum, "little")


def _damaged(path: str, reason: str) -> SourceError:
    return SourceError(f"ingest.source: {path} is damaged: {reason}. Get the file again.")


def _read_exactly(file: IO[bytes] | gzip.GzipFile, count: int) -> bytes | None:
    """The next bytes, read in pieces, as a length can be wrong; None if the file ends before."""
    pieces, missing = [], count
    while missing:
        piece = file.read(min(missing, BYTES_AT_ONCE))
        if not piece:
            return None
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


def _fields(message: bytes | int) -> Iterator[tuple[int, bytes | int]]:
    """(number, value) of each field of a message; fixed-width values as their bytes. Raises ValueError where it is damaged."""
    if not isinstance(message, bytes):
        raise ValueError("a number instead of a message")
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == BYTES:
            length, at = _varint(message, at)
        else:
            length = {FIXED_64: 8, FIXED_32: 4}.get(kind, BITS_64)
        if at + length > len(message):
            raise ValueError(f"field {number} ends too early")
        yield number, message[at : at + length]
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """(number, where the next byte is)."""
    number = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        byte = message[at]
        number |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return number % BITS_64, at
    raise ValueError("a number that does not end")


def _entry(entry: bytes | int) -> tuple[str, Feature]:
    """(name, values) of an entry of the map of features."""
    name, feature = "", b""
    for number, value in _fields(entry):
        if not isinstance(value, bytes) or number not in (1, 2):
            raise ValueError(f"field {number} in the map of features")
        name, feature = (value.decode("utf-8"), feature) if number == 1 else (name, value)
    found: Feature = []
    for number, values in _fields(feature):
        found = _values(number, values)
    return name, found


def _values(kind: int, message: bytes | int) -> Feature:
    """The values of a list of bytes, of floats or of whole numbers, one by one or packed."""
    if kind == 1:
        return [value for _, value in _fields(message) if isinstance(value, bytes)]
    if kind == 2:
        packed = b"".join(value for _, value in _fields(message) if isinstance(value, bytes))
        return list(struct.unpack(f"<{len(packed) // 4}f", packed))
    if kind == 3:
        return [number - BITS_64 if number >= BITS_64 // 2 else number for value in _fields(message) for number in _whole_numbers(value[1])]
    raise ValueError(f"a list of an unknown kind, {kind}")


def _whole_numbers(value: bytes | int) -> Iterator[int]:
    if isinstance(value, int):
        yield value
        return
    at = 0
    while at < len(value):
        number, at = _varint(value, at)
        yield number
