"""Whatever comes, goes, is renamed or repeated: no image moves between train and test, and near duplicates go together."""

import io
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.dataset.ledger import extend_ledger, read_ledger
from pipeline.dataset.split_names import NO_SPLIT, TEST
from pipeline.dataset.splits import Sides, decide_sides, decided_by
from pipeline.errors import SourceError
from pipeline.paths import Paths
from pipeline.stages import ingest
from tests.sample_images import CLASSES, draw
from tests.test_ingest import configure

Week = list[int]
"""The contents that are there in a week, in the order of their names; one may be there several times."""


class World(NamedTuple):
    """Contents by their keys, which of them are near duplicates, and which are there in each week."""

    keys: list[int]
    near: list[tuple[int, int]]
    weeks: list[Week]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    keys = draw(st.lists(st.integers(1, 2**64 - 2), min_size=2, max_size=12, unique=True))
    content = st.integers(0, len(keys) - 1)
    near = draw(st.lists(st.tuples(content, content).filter(lambda pair: pair[0] != pair[1]), max_size=12))
    weeks = draw(st.lists(st.lists(content, min_size=1, max_size=16), min_size=2, max_size=5))
    return World(keys, near, weeks)


def decide(world: World, week: Week, ledger: Path, test_fraction: float = 0.3, group_of: Sequence[int] = ()) -> Sides:
    """The sides of one week's images; the ledger gets what is new. group_of: the group of each content, 0 for none."""
    places: dict[int, list[int]] = {}
    for row, content in enumerate(week):
        places.setdefault(content, []).append(row)
    pairs = [(i, j) for a, b in world.near for i in places.get(a, []) for j in places.get(b, [])]
    keys = np.array([world.keys[content] for content in week], np.uint64)
    groups = np.array([group_of[content] if group_of else 0 for content in week], np.uint64)
    recorded, earlier = read_ledger(ledger).find(decided_by(keys, groups))
    given_splits = np.full(len(week), NO_SPLIT, np.int8)
    near = np.array(pairs, np.int64).reshape(-1, 2)
    labels = np.array([content % 3 for content in week])
    sides = decide_sides(keys, labels, given_splits, groups, near, recorded, earlier, test_fraction=test_fraction)
    extend_ledger(ledger, sides.new_keys, sides.new_founders)
    return sides


def by_content(week: Week, sides: Sides) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for content, side in zip(week, sides.splits.tolist(), strict=True):
        found.setdefault(content, set()).add(side)
    return found


def new_groups(world: World, week: Week, old: set[int]) -> list[set[int]]:
    """The contents that are new this week, those that hang together by near duplicates as one set."""
    groups = [{content} for content in set(week) - old]
    for pair in world.near:
        if set(pair) <= set(week) - old:
            joined = [group for group in groups if group & set(pair)]
            groups = [group for group in groups if group not in joined] + [set().union(*joined)]
    return groups


PROPERTY = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@PROPERTY
@given(world=worlds())
def test_no_content_changes_its_side_and_what_is_new_goes_with_what_it_resembles(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ledger = tmp_path_factory.mktemp("ledger") / "splits.csv"
    side_of: dict[int, int] = {}

    for week in world.weeks:
        found = by_content(week, decide(world, week, ledger))
        assert all(len(sides) == 1 for sides in found.values())
        sides = {content: only for content, (only,) in found.items()}
        assert all(side_of.get(content, side) == side for content, side in sides.items())
        for group in new_groups(world, week, set(side_of)):
            resembled = {side_of[b] for pair in world.near for a, b in (pair, pair[::-1]) if a in group and b in set(week) & set(side_of)}
            assert len({sides[content] for content in group}) == 1
            assert len(resembled) != 1 or {sides[content] for content in group} == resembled
        side_of |= sides


@settings(PROPERTY, max_examples=50)
@given(world=worlds(), data=st.data())
def test_names_and_order_do_not_matter_and_once_more_is_the_same(
    world: World, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("ledger")
    for i, week in enumerate(world.weeks):
        renamed = data.draw(st.permutations(week), label="renamed")
        there = by_content(week, decide(world, week, folder / "splits.csv"))
        again = by_content(week, decide(world, week, folder / "splits.csv"))
        elsewhere = by_content(renamed, decide(world, renamed, folder / "other.csv"))

        assert there == again == elsewhere, f"week {i}"
    assert (folder / "splits.csv").read_bytes() == (folder / "other.csv").read_bytes()


@settings(PROPERTY, max_examples=50)
@given(world=worlds())
def test_a_larger_test_fraction_takes_from_train_only(world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    ledger = tmp_path_factory.mktemp("ledger") / "splits.csv"
    smaller = [decide(world, week, ledger, 0.2).splits == TEST for week in world.weeks]
    larger = [decide(world, week, ledger, 0.5).splits == TEST for week in world.weeks]

    assert all((before <= after).all() for before, after in zip(smaller, larger, strict=True))


@PROPERTY
@given(world=worlds(), data=st.data())
def test_no_group_of_the_source_changes_its_side_and_no_class_is_held_out_as_a_whole(
    world: World, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ledger = tmp_path_factory.mktemp("ledger") / "splits.csv"
    names = data.draw(st.lists(st.integers(1, 2**64 - 2).filter(lambda key: key not in world.keys), min_size=3, max_size=3, unique=True))
    group_of = data.draw(st.lists(st.sampled_from([0, *names]), min_size=len(world.keys), max_size=len(world.keys)))
    side_of: dict[int, int] = {}
    for week in world.weeks:
        splits = decide(world, week, ledger, group_of=group_of).splits.tolist()
        if not side_of:
            assert {content % 3 for content, side in zip(week, splits, strict=True) if side != TEST} == {content % 3 for content in week}
        for content, side in zip(week, splits, strict=True):
            assert side_of.setdefault(group_of[content] or world.keys[content], side) == side


@pytest.fixture(scope="module")
def pool() -> list[tuple[str, bytes]]:
    """(class, encoded image): ten pictures, of each three files that are near duplicates."""
    files = []
    for i in range(10):
        kind = CLASSES[i % 2]
        image = draw(kind, np.random.default_rng(i))
        half = image.resize((image.width // 2, image.height // 2))
        files += [(kind, encode(image, "PNG")), (kind, encode(half, "PNG")), (kind, encode(image, "JPEG"))]
    return files


def encode(image: Image.Image, file_format: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, quality=70)
    return buffer.getvalue()


@settings(PROPERTY, max_examples=10, phases=[Phase.generate])  # to shrink a failure takes minutes
@given(weeks=st.lists(st.lists(st.integers(0, 29), min_size=12, unique=True), min_size=2, max_size=3))
def test_real_images_keep_their_side_and_copies_go_together(
    weeks: list[Week], pool: list[tuple[str, bytes]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("weeks")
    config = configure(folder / "source", test_fraction=0.4)
    side_of: dict[int, str] = {}
    for number, week in enumerate(weeks):
        shutil.rmtree(folder / "source", ignore_errors=True)
        for content in week:
            kind, image = pool[content]
            path = folder / "source" / kind / f"{number} {content}.img"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(image)
        try:
            report = ingest.run(config, Paths(folder / "project"), None)
        except SourceError:  # a week with one class only, or with nothing on one side: nothing is recorded
            continue
        index = pq.read_table(folder / "project" / "data" / "ingest" / "index.parquet").to_pylist()
        sides = {int(row["path"].split()[1].removesuffix(".img")): row["split"] for row in index}
        assert all(side_of.get(content, side) == side for content, side in sides.items())
        assert side_of or "near_leak" not in report
        side_of |= sides
