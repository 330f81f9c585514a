"""Cached results are found again by content, whichever process added them."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from pipeline.dataset.content_cache import ContentCache, cache_folder, drop_others, key_of
from pipeline.images import decoding as images

CONTENTS = [f"image {i}".encode() for i in range(20)]
KEYS = [key_of(content) for content in CONTENTS]


def rows(first: int, last: int) -> np.ndarray:
    return np.arange(first, last, dtype=np.uint8)[:, None] * np.ones(3, np.uint8)


def found(cache: ContentCache, keys: list[bytes]) -> list[list[int] | None]:
    return [None if row is None else np.asarray(row).tolist() for row in cache.find(keys)]


def prefixes(keys: list[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(key[:8] for key in keys), np.uint64)


def test_rows_are_found_in_every_segment_and_others_are_not(tmp_path: Path) -> None:
    ContentCache(tmp_path).add(KEYS[:5], rows(0, 5))
    ContentCache(tmp_path).add(KEYS[5:10], rows(5, 10))

    only_starts_the_same = KEYS[0][:8] + bytes(8)
    assert found(ContentCache(tmp_path), [KEYS[7], KEYS[12], KEYS[0], only_starts_the_same]) == [[7, 7, 7], None, [0, 0, 0], None]
    assert found(ContentCache(tmp_path / "not there"), KEYS[:2]) == [None, None]


@pytest.mark.parametrize("gone", ["*.keys.npy", "*.rows.npy"])
def test_a_segment_that_is_not_whole_is_passed_over(tmp_path: Path, gone: str) -> None:
    ContentCache(tmp_path).add(KEYS[:5], rows(0, 5))
    opened_before = ContentCache(tmp_path)
    next(tmp_path.glob(gone)).unlink()  # never written, or just dropped by another process

    assert found(ContentCache(tmp_path), KEYS[:1]) == found(opened_before, KEYS[:1]) == [None]


def test_what_is_used_stays_when_the_rest_goes(tmp_path: Path) -> None:
    ContentCache(tmp_path).add(KEYS[:10], rows(0, 10))
    ContentCache(tmp_path).add(KEYS[10:], rows(10, 20))

    ContentCache(tmp_path).keep(prefixes([KEYS[3], *KEYS[10:19]]))

    assert found(ContentCache(tmp_path), [KEYS[3], KEYS[4], KEYS[19]]) == [[3, 3, 3], None, [19, 19, 19]]


def test_what_a_killed_process_left_is_swept_up_after_an_hour(tmp_path: Path) -> None:
    ContentCache(tmp_path).add(KEYS[:5], rows(0, 5))
    for name, age in ((".a.rows.npy.partial", 7200), ("b.rows.npy", 7200), (".c.rows.npy.partial", 5)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - age,) * 2)

    ContentCache(tmp_path).keep(prefixes(KEYS[:5]))

    assert len(list(tmp_path.iterdir())) == 3
    assert (tmp_path / ".c.rows.npy.partial").exists()


def test_other_options_are_another_cache(tmp_path: Path) -> None:
    folder = cache_folder(tmp_path, {"height": 28}, modules=(images,))

    assert cache_folder(tmp_path, {"height": 28}, modules=(images,)) == folder
    assert cache_folder(tmp_path, {"height": 32}, modules=(images,)) != folder
    assert cache_folder(tmp_path, {"height": 28}, modules=()) != folder


def test_only_the_cache_in_use_is_kept(tmp_path: Path) -> None:
    for name in ("old", "new"):
        ContentCache(tmp_path / name).add(KEYS[:1], rows(0, 1))

    drop_others(tmp_path / "new")

    assert [folder.name for folder in tmp_path.iterdir()] == ["new"]
