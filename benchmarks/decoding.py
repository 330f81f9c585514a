"""Large photographs: what `ingest` and `preprocess` do with each image, beside bare Pillow that decodes it at the same scale and does nothing else.

    python benchmarks/decoding.py --images 24

Makes JPEGs of 24 megapixels (6000 x 4000), of parts of scikit-learn's two photographs with noise. `ingest` reads, hashes, decodes, describes and stores
each image; `preprocess` reads what is stored, hashes it and brings it to 224 x 224 px. One process for each core has a share of the files; all of them
run the same side at the same time, in turn with the others, without the start of the processes. Prints Markdown rows of medians: per image and process,
and the rate as a share of that of bare Pillow, by the clock and by processor time. Files are in the page cache, as they have just been written.
"""

import argparse
import io
import multiprocessing
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable
from functools import partial
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
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
from pipeline.params.ingest import Ingest
from pipeline.params.reader import load_config
from pipeline.sources.layouts import open_source

ROOT = Path(__file__).parent.parent
SIZE = (6000, 4000)
SCALED = (750, 500)
SPEC = ImageSpec(224, 224, 3, "pad")
NOISE = 10
CLASSES = ("first", "second")
STAGES = ("ingest", "preprocess")
RUNS = 9


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


def run_bare(files: list[Path], size: tuple[int, int] | None, side_px: int | None = None) -> None:
    """Read and decode files, at a scale that still gives `size`, or all pixels; with `side_px`, also resize."""
    for path in files:
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            image.draft(None, size)
            image.load()
            if side_px:
                image.resize((side_px, side_px), RESAMPLING)


def run_ingest(folder: Path, root: Path, settings: Ingest) -> None:
    """What `ingest` does with each image; nothing is cached yet."""
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


def sides(folder: Path) -> dict[str, Callable[[], None]]:
    """What is measured on the files of one process."""
    source, ingested, prepared = (folder / name for name in ("images", "ingest", "preprocess"))
    files, settings = sorted(source.rglob("*.jpg")), load_config(ROOT / "params.yaml").ingest
    return {
        "bare Pillow, all pixels": partial(run_bare, files, None),
        f"bare Pillow, at {SCALED[0]} x {SCALED[1]}": partial(run_bare, files, SCALED),
        "ingest": partial(run_ingest, source, ingested, settings),
        f"bare Pillow, resized to {SPEC.width} x {SPEC.height}": partial(run_bare, files, SCALED, SPEC.width),
        "preprocess": partial(run_preprocess, ingested / "shards", prepared),
    }


def measure(folder: Path, count: int, barrier: Barrier, results: "Queue[np.ndarray]") -> None:
    """Put float (RUNS, sides, 2), seconds per image by the clock and of the processor, of one process. A first round is not counted."""
    for number in range(count):
        write_photograph(folder / "images", number)
    seconds = []
    with joblib.parallel_config(backend="sequential"):
        runs = sides(folder).values()
        for _ in range(1 + RUNS):
            for run in runs:
                barrier.wait()
                started = np.array([time.monotonic(), time.process_time()])
                run()
                seconds.append(np.array([time.monotonic(), time.process_time()]) - started)
    results.put(np.array(seconds).reshape(1 + RUNS, -1, 2)[1:] / count)


def measure_all(folder: Path, count: int) -> dict[str, np.ndarray]:
    """Median seconds per image, by the clock and of the processor, of each side; the mean of all processes."""
    processes = joblib.cpu_count()
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(processes), context.Queue()
    started = [context.Process(target=measure, args=(folder / str(i), count // processes, barrier, results)) for i in range(processes)]
    for process in started:
        process.start()
    seconds = np.mean([results.get() for _ in started], axis=0)
    for process in started:
        process.join()
    return dict(zip(sides(folder), np.median(seconds, axis=0), strict=True))


def main() -> None:
    """Measure all sides."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=24)
    count = parser.parse_args().images
    print(f"{joblib.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {count} images\n")
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=os.environ.get("TMPDIR")) as folder:
        seconds = measure_all(Path(folder), count)
    print("| | s | CPU s | of the rate of bare Pillow above | by CPU s |\n|---|---|---|---|---|")
    above = np.zeros(2)
    for name, each in seconds.items():
        shares = [f"{share:.0%}" if name in STAGES else "" for share in above / each]
        above = above if name in STAGES else each
        print(f"| {name} | {each[0]:.3f} | {each[1]:.3f} | {shares[0]} | {shares[1]} |")


if __name__ == "__main__":
    main()
