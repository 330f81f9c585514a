"""Tags of registered versions that are longer than MLflow stores: kept in parts. Pure functions of tags.

A value of more than LONGEST_PART characters is in the tags `key`, `key part 2`, `key part 3`, …; `key parts` has their number and the sha256 of the
value, so that a value of which not all parts were written is no value.
"""

import hashlib
from collections.abc import Mapping

LONGEST_PART = 16_000
"""MLflow refuses a value of more than 100,000 characters; in MySQL a tag has room for 65,535 bytes, of which a character takes up to four."""


def in_parts(tags: Mapping[str, str], before: Mapping[str, str] | None = None) -> dict[str, str]:
    """The tags as they are to be stored. before: what is stored, if they replace other values."""
    stored: dict[str, str] = {}
    for key, value in tags.items():
        count = max(1, -(-len(value) // LONGEST_PART))
        if count > 1 or _summary_key(key) in (before or {}):
            stored[_summary_key(key)] = _summary(value, count)
        stored |= {_part_key(key, i): value[i * LONGEST_PART : (i + 1) * LONGEST_PART] for i in range(count)}
    return stored


def joined(stored: Mapping[str, str]) -> dict[str, str]:
    """The tags, from what is stored."""
    tags = dict(stored)
    for key in stored:
        count, _, _ = stored.get(_summary_key(key), "").partition(" ")
        if count.isdecimal():
            value = "".join(tags.pop(_part_key(key, i), "") for i in range(int(count)))
            if _summary(value, int(count)) == tags.pop(_summary_key(key)):
                tags[key] = value
    return tags


def _summary(value: str, count: int) -> str:
    return f"{count} {hashlib.sha256(value.encode()).hexdigest()}"


def _summary_key(key: str) -> str:
    return f"{key} parts"


def _part_key(key: str, i: int) -> str:
    return f"{key} part {i + 1}" if i else key
