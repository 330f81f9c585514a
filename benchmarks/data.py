"""Speed and memory of `ingest` and `preprocess` beside the plainest loop that decodes and resizes, on data sets that this script makes.

    python benchmarks/data.py small          70,000 PNGs of 28 x 28 px (Fashion-MNIST)
    python benchmarks/data.py photographs    5,000 JPEGs of 400 x 300 px, brought to 96 x 96
    python benchmarks/data.py small large    the memory for 70,000 and for 700,000 PNGs

Prints Markdown rows: images per second of the two stages, each a process of its own with all its imports, and of a loop in one process with no
checks; medians of 3 runs in turn. Then 1 % of the images are replaced and both stages run again. Peak memory is the proportional set size of a
stage's processes together. Files are in the page cache, as they have just been written.
"""

import functools
import gzip
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import joblib
import numpy as np
import psutil
from PIL import Image
from sklearn.datasets import load_sample_images

ROOT = Path(__file__).parent.parent
RUNS = 3
STAGES = ("ingest", "preprocess")
FASHION_MNIST = ROOT / "data" / "fashion-mnist"


class Measured(NamedTuple):
    """Wall seconds, and CPU seconds of all processes."""

    seconds: float
    cpu_seconds: float


class DataSet(NamedTuple):
    """How one file of a set is made, by its number; how many there are; what the loop resizes to."""

    write: Callable[[Path, int], None]
    count: int
    size_px: int
    channels: int
    ending: str


@functools.cache
def fashion_mnist() -> np.ndarray:
    """uint8 (70000, 28, 28)."""
    parts = [gzip.decompress((FASHION_MNIST / f"{part}-images-idx3-ubyte.gz").read_bytes())[16:] for part in ("train", "t10k")]
    return np.frombuffer(b"".join(parts), np.uint8).reshape(-1, 28, 28)


@functools.cache
def photographs() -> list[np.ndarray]:
    """Two, uint8 (427, 640, 3) each."""
    images: list[np.ndarray] = load_sample_images().images
    return images


def write_small(path: Path, number: int) -> None:
    """A PNG of 28 x 28 px: one of Fashion-MNIST, or two of them blended, moved and with noise."""
    images = fashion_mnist()
    rng = np.random.default_rng(number)
    if number < len(images):
        pixels = images[number]
    else:
        first, second = images[rng.integers(0, len(images), 2)]
        share = rng.uniform(0.3, 0.7)
        blended = first * share + second[:, ::-1] * (1 - share) + rng.integers(0, 12, first.shape)
        pixels = np.clip(np.roll(blended, rng.integers(-3, 4, 2), (0, 1)), 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path)


def write_photograph(path: Path, number: int) -> None:
    """A JPEG of 400 x 300 px: a part of one of scikit-learn's two photographs, turned, mirrored and tinted at random."""
    rng = np.random.default_rng(number)
    photograph = Image.fromarray(photographs()[number % 2])
    scale = rng.uniform(0.35, 0.6)
    left, top = (rng.uniform(0, side * (1 - scale)) for side in photograph.size)
    part = photograph.crop((int(left), int(top), int(left + photograph.width * scale), int(top + photograph.height * scale)))
    pixels = np.asarray(part.resize((400, 300))) * rng.uniform(0.6, 1.2, 3)
    flipped = pixels[:, ::-1] if number % 4 > 1 else pixels
    Image.fromarray(np.clip(flipped, 0, 255).astype(np.uint8)).save(path, quality=90)


SETS = {
    "small": DataSet(write_small, 70_000, 28, 1, "png"),
    "photographs": DataSet(write_photograph, 5_000, 96, 3, "jpg"),
    "large": DataSet(write_small, 700_000, 28, 1, "png"),
}


def write_set(folder: Path, data_set: DataSet, numbers: range) -> None:
    """Files in ten class folders."""
    chunks = [range(first, min(first + 1000, numbers.stop)) for first in range(numbers.start, numbers.stop, 1000)]
    joblib.Parallel(n_jobs=-1, backend="multiprocessing")(joblib.delayed(_write_files)(folder, data_set, chunk) for chunk in chunks)


def _write_files(folder: Path, data_set: DataSet, numbers: range) -> None:
    for number in numbers:
        path = folder / f"class {number % 10}" / f"{number:06d}.{data_set.ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        data_set.write(path, number)


def make_workspace(root: Path, source: Path, data_set: DataSet) -> None:
    """A project whose only difference is its source and the size in px."""
    params = (ROOT / "params.yaml").read_text(encoding="utf-8")
    params = params.replace("source: data/fashion-mnist", f"source: {source}")
    params = params.replace("image_size: auto ", f"image_size: [{data_set.size_px}, {data_set.size_px}] ")
    (root / "data").mkdir(parents=True)
    (root / "params.yaml").write_text(params, encoding="utf-8")
    shutil.copy(ROOT / "dvc.yaml", root)


def run_stage(root: Path, stage: str) -> Measured:
    """Run a stage as `dvc repro` does."""
    started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    _wait(_start(root, stage))
    seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured(seconds, cpu_seconds)


def peak_memory(root: Path, stage: str) -> float:
    """Peak memory of a stage in MB. It is looked at every 0.3 s, which takes time: so in a run that is not timed."""
    process = _start(root, stage)
    watcher = Watcher(process)
    _wait(process)
    return watcher.peak_mb


def _start(root: Path, stage: str) -> psutil.Popen:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}  # compiled once, as for a user
    command = [sys.executable, "-m", "pipeline", "stage", stage]
    return psutil.Popen(command, cwd=root, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def _wait(process: psutil.Popen) -> None:
    errors = process.stderr.read() if process.stderr else b""
    if process.wait():
        raise RuntimeError(errors.decode())


class Watcher:
    """Looks at a process and its children every 0.3 s, until it ends."""

    def __init__(self, process: psutil.Popen) -> None:
        self._process = process
        self.peak_mb = 0.0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            try:
                family = [self._process, *self._process.children(recursive=True)]
            except psutil.Error:
                return
            self.peak_mb = max(self.peak_mb, sum(map(_pss, family)) / 2**20)
            time.sleep(0.3)


def _pss(process: psutil.Process) -> float:
    try:
        return float(process.memory_full_info().pss)
    except psutil.Error:
        return 0.0


def plain_loop(source: Path, data_set: DataSet) -> float:
    """Wall seconds of the plainest loop that could do it: decode, resize, stack, save."""
    started = time.monotonic()
    mode = "L" if data_set.channels == 1 else "RGB"
    images = []
    for path in sorted(source.rglob(f"*.{data_set.ending}")):
        with Image.open(path) as image:
            images.append(np.asarray(image.convert(mode).resize((data_set.size_px, data_set.size_px), Image.Resampling.BICUBIC)))
    with tempfile.TemporaryFile() as file:
        np.save(file, np.stack(images))
    return time.monotonic() - started


def measure(name: str, folder: Path) -> Iterator[str]:
    """The rows of one data set."""
    data_set = SETS[name]
    source = folder / "images"
    write_set(source, data_set, range(data_set.count))
    large = name == "large"
    loops: list[float] = []
    fresh: dict[str, list[Measured]] = {stage: [] for stage in STAGES}
    for attempt in range(1 if large else RUNS):
        root = folder / f"project {attempt}"
        make_workspace(root, source, data_set)
        for stage in STAGES:
            fresh[stage].append(run_stage(root, stage))
        if not large:
            loops.append(plain_loop(source, data_set))
    root = folder / "project for the memory"
    make_workspace(root, source, data_set)
    peaks = {stage: peak_memory(root, stage) for stage in STAGES}
    replace_some(source, data_set)
    again = {stage: [run_stage(root, stage)] for stage in STAGES}
    for label, runs in (("all new", fresh), ("1 % new", again)):
        for stage in STAGES:
            yield row(f"{name}, {label}: {stage}", data_set.count, runs[stage], peaks[stage] if label == "all new" else None)
        together = [
            Measured(sum(each.seconds for each in pair), sum(each.cpu_seconds for each in pair))
            for pair in zip(*runs.values(), strict=True)
        ]
        yield row(f"{name}, {label}: **both**", data_set.count, together)
    if loops:
        yield row(f"{name}: plain loop, one process, no checks", data_set.count, [Measured(seconds, seconds) for seconds in loops])


def replace_some(source: Path, data_set: DataSet) -> None:
    """Replace 1 % of the images by new ones."""
    files = sorted(source.rglob(f"*.{data_set.ending}"))[::100]
    for i, file in enumerate(files):
        file.unlink()
        _write_files(source, data_set, range(data_set.count + i, data_set.count + i + 1))


def row(label: str, count: int, runs: list[Measured], peak_mb: float | None = None) -> str:
    """One line of the table, of medians."""
    seconds, cpu_seconds = (statistics.median(values) for values in zip(*runs, strict=True))
    return f"| {label} | {count / seconds:,.0f} | {seconds:.1f} | {cpu_seconds:.1f} | {'' if peak_mb is None else f'{peak_mb:,.0f}'} |"


def main(names: list[str]) -> None:
    """Measure each data set."""
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    print("| | images/s | wall s | CPU s | peak MB |\n|---|---|---|---|---|")
    for name in names:
        with tempfile.TemporaryDirectory(prefix="benchmark-", dir=os.environ.get("TMPDIR")) as folder:
            for line in measure(name, Path(folder)):
                print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or ["small", "photographs"])
