"""Large photographs: what `ingest` and `preprocess` do with each image, beside bare Pillow that decodes it at the same scale and does nothing else.

    python benchmarks/decoding.py --images 80

Makes JPEGs of 24 megapixels (6000 x 4000), of parts of scikit-learn's two photographs with noise. The sides read the same files, in as many processes,
in turn. `ingest` reads, hashes, decodes, describes and stores each image; `preprocess` reads what is stored, hashes it and brings it to 224 x 224 px.
Prints Markdown rows of medians, with the rate as a share of that of bare Pillow. Files are in the page cache, as they have just been written.
"""

import argparse
import io
import os
import shutil
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import pyarrow.parquet as pq
from PIL import Image
from sklearn.datasets import load_sample_images

from pipeline.dataset.arrays import packed_array
from pipeline.dataset.intake import take_images
from pipeline.dataset.packing import Prepare, ShardToPack
from pipeline.dataset.shards import shard_files
from pipeline.images.decoding import MOST_PIXELS, RESAMPLING, ImageSpec
from pipeline.parallel import parallel_map
from pipeline.params.reader import load_config
from pipeline.sources.layouts import open_source

ROOT = Path(__file__).parent.parent
SIZE = (6000, 4000)
SCALED = (750, 500)
SPEC = ImageSpec(224, 224, 3, "pad")
NOISE = 10
CLASSES = ("first", "second")
STAGES = ("ingest", "preprocess")
RUNS = 5


def write_photograph(folder: Path, number: int) -> None:
    """A part of a photograph, enlarged, tinted at random, and with the noise of a sensor, so that the file is as large as that of a phone."""
    rng = np.random.default_rng(number)
    photograph = Image.fromarray(load_sample_images().images[number % 2])
    scale = rng.uniform(0.35, 0.6)
    left, top = (rng.uniform(0, side * (1 - scale)) for side in photograph.size)
    box = (left, top, left + photograph.width * scale, top + photograph.height * scale)
    pixels = np.asarray(photograph.resize(SIZE, Image.Resampling.BICUBIC, box=box)) * rng.uniform(0.7, 1.1, 3).astype(np.float32)
    pixels += rng.integers(-NOISE, NOISE + 1, (*pixels.shape[:2], 1), dtype=np.int8)
    path = folder / CLASSES[number % 2] / f"{number:03d}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path, quality=90)


def bare(paths: list[Path], size: tuple[int, int] | None, side_px: int | None) -> None:
    """Read and decode files, at a scale that still gives `size`, or all pixels; with `side_px`, also resize."""
    for path in paths:
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            image.draft(None, size)
            image.load()
            if side_px:
                image.resize((side_px, side_px), RESAMPLING)


def run_bare(files: list[Path], size: tuple[int, int] | None, side_px: int | None = None) -> None:
    """In as many processes as the stages."""
    for _ in parallel_map(partial(bare, size=size, side_px=side_px), ([file] for file in files)):
        pass


def run_ingest(folder: Path, root: Path) -> None:
    """What `ingest` does with each image; nothing is cached yet."""
    settings = load_config(ROOT / "params.yaml").ingest.model_copy(update={"source": str(folder)})
    shutil.rmtree(root, ignore_errors=True)
    (root / "shards").mkdir(parents=True)
    with tempfile.TemporaryFile(dir=root) as fingerprints:
        images = take_images(open_source(folder, settings), root / "shards", fingerprints, root / "scratch", MOST_PIXELS)
    if not images.facts["scaled"].all():
        raise RuntimeError("some images were decoded whole")


def run_preprocess(shards: Path, root: Path) -> None:
    """What `preprocess` does with each image; nothing is cached yet."""
    shutil.rmtree(root, ignore_errors=True)
    rows = [(path, pq.ParquetFile(path).metadata.num_rows) for path in shard_files(shards)]
    starts = np.cumsum([0, *(count for _, count in rows)]).tolist()
    with packed_array(root / "images.npy", (starts[-1], SPEC.height, SPEC.width, SPEC.channels)) as file:
        tasks = (ShardToPack(path, [(np.arange(count), file, start)]) for (path, count), start in zip(rows, starts, strict=False))
        for _ in parallel_map(Prepare(SPEC, root / "scratch", uuid.uuid4().hex), tasks):
            pass


def measure(sides: dict[str, Callable[[], None]]) -> dict[str, float]:
    """Median seconds of each side, run in turn; a first round, which is not counted, fills the page cache."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(1 + RUNS):
        for name, run in sides.items():
            started = time.monotonic()
            run()
            seconds[name].append(time.monotonic() - started)
    return {name: statistics.median(each[1:]) for name, each in seconds.items()}


def main() -> None:
    """Measure all sides on one set of files."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=80)
    count = parser.parse_args().images
    print(f"{joblib.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {count} images\n")
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=os.environ.get("TMPDIR")) as folder:
        source, ingested, prepared = (Path(folder) / name for name in ("images", "ingest", "preprocess"))
        joblib.Parallel(n_jobs=-1)(joblib.delayed(write_photograph)(source, number) for number in range(count))
        files = sorted(source.rglob("*.jpg"))
        seconds = measure(
            {
                "bare Pillow, all pixels": partial(run_bare, files, None),
                f"bare Pillow, at {SCALED[0]} x {SCALED[1]}": partial(run_bare, files, SCALED),
                "ingest": partial(run_ingest, source, ingested),
                f"bare Pillow, resized to {SPEC.width} x {SPEC.height}": partial(run_bare, files, SCALED, SPEC.width),
                "preprocess": partial(run_preprocess, ingested / "shards", prepared),
            }
        )
    print("| | s per image | images/s | of bare Pillow above |\n|---|---|---|---|")
    above = 0.0
    for name, each in seconds.items():
        share = f"{above / each:.0%}" if name in STAGES else ""
        above = above if name in STAGES else each
        print(f"| {name} | {each / count:.3f} | {count / each:.1f} | {share} |")


if __name__ == "__main__":
    main()
