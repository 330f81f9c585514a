"""The first question of a scheduled run: has enough changed? Counted by names, sizes and times; in doubt it runs."""

import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.drift import FEWEST
from pipeline.params.reader import load_config
from pipeline.params.retrain import Retrain
from pipeline.paths import Paths
from pipeline.unattended import worth
from pipeline.unattended.source_record import Changed, SourceRecord, compare, list_files, read_record, write_record
from pipeline.unattended.worth import Worth, by_files, judge_worth
from tests.dummy_project import BIN, copy_project, environment, within, write_graph

READ_AT = datetime(2026, 11, 2, 6, tzinfo=UTC)
RECORD = SourceRecord("source", "d", READ_AT, {})


def limits(images: int, days: float | None = None) -> Retrain:
    return Retrain(min_new_images=images, max_days="none" if days is None else days, drift="ignore")


def new(count: int, kind: str = "jpg") -> Changed:
    return Changed([f"cat/{i}.{kind}" for i in range(count)], [], [])


@pytest.mark.parametrize(
    ("changed", "asked", "days_later", "answer"),
    [
        (new(49), limits(50), 400, Worth(False, "49 images changed (49 new) since 2026-11-02, fewer than 50 (retrain.min_new_images)", True)),
        (new(50), limits(50), 1, Worth(True, "50 images changed (50 new) since 2026-11-02")),
        (Changed(["a.png"], ["b.png"], ["c.png"]), limits(3), 1, Worth(True, "3 images changed (1 new, 1 gone, 1 replaced) since 2026-11-02")),
        (
            new(1),
            limits(50, 30),
            29,
            Worth(
                False,
                "1 image changed (1 new) since 2026-11-02, fewer than 50 (retrain.min_new_images); it runs with them from 2026-12-02 on "
                "(retrain.max_days)",
                True,
            ),
        ),
        (
            new(1),
            limits(50, 30),
            30,
            Worth(
                True,
                "1 image changed (1 new) since 2026-11-02, fewer than 50 (retrain.min_new_images), but that is 30 days ago (retrain.max_days)",
            ),
        ),
        (new(1, "csv"), limits(50), 1, Worth(True, "cat/0.csv in the source changed")),
        (new(0), limits(50), 1, Worth(True, "the source has changed, but no file has another name, size or time")),
    ],
)  # fmt: skip
def test_images_are_counted_and_anything_else_is_enough(changed: Changed, asked: Retrain, days_later: int, answer: Worth) -> None:
    assert by_files(changed, RECORD, asked, READ_AT + timedelta(days=days_later)) == answer


def test_a_file_of_another_size_or_time_is_replaced() -> None:
    changed = compare({"a": (1, 1), "b": (1, 1), "c": (1, 1)}, {"b": (1, 2), "c": (1, 1), "d": (9, 9)})

    assert (changed.new, changed.gone, changed.replaced) == (["d"], ["a"], ["b"])
    assert len(changed) == 3


def test_files_behind_links_are_listed_and_circles_end(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "1.png").write_bytes(b"12345")
    (tmp_path / "near").mkdir()
    (tmp_path / "near" / "far").symlink_to(tmp_path / "far")
    (tmp_path / "far" / "back").symlink_to(tmp_path / "near")

    files = list_files(tmp_path / "near")

    assert files is not None
    assert {path: size for path, (size, _) in files.items()} == {"far/1.png": 5}
    assert list_files(tmp_path / "gone") is None
    assert list((list_files(tmp_path / "far" / "1.png") or {}).keys()) == ["1.png"]


@pytest.fixture(scope="module")
def finished(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that DVC has brought up to date, and whose files are recorded."""
    root = copy_project(template, tmp_path_factory.mktemp("worth") / "project")
    write_graph(root, ingest="mkdir -p data/ingest; ls -R source > data/ingest/out")
    graph = (root / "dvc.yaml").read_text(encoding="utf-8").replace("- source/image", "- source")
    (root / "dvc.yaml").write_text(graph, encoding="utf-8")
    files = list_files(root / "source")
    subprocess.run([str(BIN / "dvc"), "repro", "-q"], cwd=root, check=True, env=environment(root))
    write_record(Paths(root), root / "source", files, was_read=True, now=READ_AT)
    return root


@pytest.fixture
def root(finished: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy at the same times: DVC and the record go by them."""
    root = copy_project(finished, tmp_path / "project")
    record = read_record(root / ".checkpoints")
    assert record is not None
    write_record(Paths(root), root / "source", record.files, was_read=True, now=READ_AT)
    with within(root):
        yield root


def ask(root: Path, images: int = 3) -> Worth:
    params = root / "params.yaml"
    params.write_text(params.read_text(encoding="utf-8").replace("min_new_images: 1 ", f"min_new_images: {images} "), encoding="utf-8")
    return judge_worth(load_config(params), Paths(root), READ_AT + timedelta(days=1))


def test_nothing_changed_is_not_worth_a_run(root: Path) -> None:
    assert ask(root) == Worth(False, "nothing has changed since the last run: neither images, parameters nor code")


def test_a_file_with_another_time_and_the_same_content_is_no_change(root: Path) -> None:
    os.utime(root / "source" / "cat" / "0.png", (1, 1))

    assert not ask(root).is_worth_it


def test_too_few_new_images_are_postponed_and_enough_are_not(root: Path) -> None:
    for i in range(2):
        (root / "source" / "cat" / f"new{i}.png").write_bytes(b"new %d" % i)
    few = ask(root)
    (root / "source" / "cat" / "0.png").unlink()

    assert few == Worth(False, "2 images changed (2 new) since 2026-11-02, fewer than 3 (retrain.min_new_images)", True)
    assert ask(root) == Worth(True, "3 images changed (2 new, 1 gone) since 2026-11-02")


@pytest.mark.parametrize(
    ("found", "answer"),
    [
        ([], Worth(False, "few; the new ones look like the known ones (retrain.drift)", True)),
        (["looks", "content"], Worth(True, "few, but the new ones differ from the known ones in looks, content (retrain.drift)")),
    ],
)
def test_images_that_look_new_are_worth_a_run(found: list[str], answer: Worth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worth, "find_differences", lambda images, _paths: found[: len(images)])

    assert worth.by_drift(Worth(False, "few", True), [Path("a")] * FEWEST, Paths(Path())) == answer


def test_fewer_images_than_drift_can_tell_are_postponed() -> None:
    found = worth.by_drift(Worth(False, "few", True), [Path("a")] * 19, Paths(Path()))

    assert found == Worth(False, "few; drift is looked for from 20 new images on (retrain.drift)", True)


def test_drift_that_cannot_be_told_is_worth_a_run(root: Path) -> None:
    for i in range(FEWEST):
        (root / "source" / "cat" / f"new{i}.png").write_bytes(b"new %d" % i)
    params = root / "params.yaml"
    params.write_text(params.read_text(encoding="utf-8").replace("drift: ignore", "drift: run"), encoding="utf-8")

    found = ask(root, images=50)

    assert found.is_worth_it
    assert "fewer than 50 (retrain.min_new_images), but whether they look new could not be told (retrain.drift: " in found.why
    assert "has no model at all" in found.why
    assert not (root / ".checkpoints" / "drift" / "new_images.csv").exists()


def test_a_changed_parameter_or_output_is_worth_a_run(root: Path) -> None:
    params = root / "params.yaml"
    params.write_text(params.read_text(encoding="utf-8").replace("seed: 1 ", "seed: 2 "), encoding="utf-8")
    (root / "data" / "evaluate" / "out").write_text("edited", encoding="utf-8")

    assert ask(root) == Worth(True, "seed, data/evaluate/out changed")


def test_without_a_record_of_this_very_run_any_change_is_worth_it(root: Path) -> None:
    (root / "source" / "cat" / "new.png").write_bytes(b"new")
    unknown = Worth(True, "the source has changed, and how much of it can be told only by reading it")
    lock = root / "dvc.lock"
    lock.write_text(lock.read_text(encoding="utf-8").replace(digest_of_source(root), "0" * 32 + ".dir"), encoding="utf-8")

    assert ask(root) == unknown

    (root / ".checkpoints" / "source_files.json.gz").write_bytes(b"not a record")
    assert ask(root) == unknown


def digest_of_source(root: Path) -> str:
    record = read_record(root / ".checkpoints")
    assert record is not None
    return record.digest


def test_what_dvc_cannot_tell_is_worth_a_run_which_will_say_it(root: Path) -> None:
    (root / "dvc.yaml").write_text("stages: [\n", encoding="utf-8")

    found = ask(root)

    assert found.is_worth_it
    assert found.why.startswith("what has changed could not be found out (dvc status: dvc.yaml")


def test_a_project_without_a_run_is_worth_one(project: Path) -> None:
    assert ask(project) == Worth(True, "there has been no run yet")


def test_the_date_of_the_record_stays_while_ingest_reads_nothing(root: Path) -> None:
    later = READ_AT + timedelta(days=9)
    files = {**(list_files(root / "source") or {}), "cat/0.png": (1, 1)}

    write_record(Paths(root), root / "source", files, was_read=False, now=later)
    unread = read_record(root / ".checkpoints")
    write_record(Paths(root), root / "source", files, was_read=True, now=later)
    read = read_record(root / ".checkpoints")

    assert unread is not None
    assert read is not None
    assert (unread.read_at, unread.files["cat/0.png"]) == (READ_AT, (1, 1))
    assert read.read_at == later
