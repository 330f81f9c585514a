"""How much disk a run needs is known before it starts, from the number of images and the headers of a few."""

import io
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
from PIL import Image

from pipeline.errors import StorageError
from pipeline.files import write_json
from pipeline.listing.records import Record
from pipeline.params.reader import load_config
from pipeline.paths import Paths
from pipeline.workspace.disk_check import refuse_too_little_disk
from pipeline.workspace.disk_need import Measured, Need, look_at_disk, need
from tests.dummy_project import call_pipeline

ROOT = Path(__file__).parent.parent
CONFIG = load_config(ROOT / "params.yaml")
PHOTOGRAPHS = Measured(count=50_000, listed=1_000, listed_bytes=100_000_000, sizes=[(500, 375, False)] * 5)
Usage = namedtuple("Usage", "total used free")


def record(label: str, size: tuple[int, int], mode: str = "RGB") -> Record:
    content = io.BytesIO()
    Image.new(mode, size).save(content, "PNG")
    return Record(f"{label}.png", label, None, None, 1000, content.getvalue)


def test_fifty_thousand_photographs_need_what_the_documentation_says() -> None:
    found = need(CONFIG, PHOTOGRAPHS)

    packed, embeddings, stage_rows = 50_000 * 192 * 256 * 3, 100_000 * 1280 * 4, 100_000 * 12 * 16 * 112 * 2
    assert found == Need(50_000 * 100_000, packed, 2 * 2**30, embeddings, stage_rows)
    assert found.after == 5_000_000_000 + packed + 2 * 2**30 + 2 * embeddings + stage_rows < 20e9


def test_small_images_and_what_is_set_need_less() -> None:
    small = Measured(count=70_000, listed=70_000, listed_bytes=70_000 * 300, sizes=[(28, 28, True)] * 5)
    set_size = CONFIG.model_copy(update={"preprocess": CONFIG.preprocess.model_copy(update={"image_size": [32, 48], "channels": 1})})
    set_size = set_size.model_copy(update={"model": CONFIG.model.model_copy(update={"name": "resnet"})})

    assert need(CONFIG, small) == Need(70_000 * 300, 70_000 * 28 * 28, 70_000 * 28 * 28, 0, 0)
    assert need(set_size, PHOTOGRAPHS).packed == 50_000 * 32 * 48
    assert need(set_size, PHOTOGRAPHS).embeddings == 0


def test_some_images_of_every_class_are_measured_by_their_headers() -> None:
    broken = record("fox", (8, 8))._replace(read=lambda: b"no image")
    records = [record("cat", (40, 30)) for _ in range(9)] + [record("dog", (60, 90), "L"), broken]
    measured = Measured()

    assert list(measured.watch(records)) == records
    assert measured.sizes == [(40, 30, False), (40, 30, False), (60, 90, True)]
    assert (measured.listed, measured.listed_bytes) == (11, 11_000)
    assert measured.report()["sizes_px"]["median_longer_side"] == 40
    assert measured.report()["grey"] is False


def test_what_does_not_fit_is_a_problem_unless_earlier_runs_have_the_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    few = Measured(count=2_000, listed=2_000, listed_bytes=2_000_000, sizes=[(500, 375, False)])
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(10**12, 10**12, 10**8))

    finding = look_at_disk(Paths(tmp_path), few)
    (tmp_path / "data").mkdir()
    with (tmp_path / "data" / "images.npy").open("wb") as file:
        file.truncate(2**30)  # a hole: it takes no space here

    assert finding.found == "a run on 2,000 images needs 904 MiB; 95 MiB are free"
    assert finding.fix.startswith("free 809 MiB more, or set a smaller preprocess.image_size")
    assert look_at_disk(Paths(tmp_path), few).fix == ""


def test_the_need_is_a_line_of_the_check(project: Path) -> None:
    _, output = call_pipeline(project, "check")

    assert "✓ space       a run on 4 images needs 0 MiB; " in output


def test_a_first_run_on_a_source_is_refused_if_it_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = tmp_path / "images"
    for name in ("cat/a.png", "cat/b.png", "dog/c.png", "dog/d.png"):
        (images / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (300, 300), sum(name.encode())).save(images / name)
    text = (ROOT / "params.yaml").read_text(encoding="utf-8").replace("source: data/fashion-mnist", f"source: {images}")
    project = tmp_path / "project"
    (project / "data").mkdir(parents=True)
    (project / "params.yaml").write_text(text, encoding="utf-8")
    paths, config = Paths(project), load_config(project / "params.yaml")
    refuse_too_little_disk(config, paths)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9, 1000))

    with pytest.raises(StorageError, match=r"a run on 4 images needs .* MiB; 0 MiB are free\. Fix: free .* more"):
        refuse_too_little_disk(config, paths)

    write_json(paths.stage("ingest") / "report.json", {"source": str(images)})
    refuse_too_little_disk(config, paths)  # an earlier run on them had the space
