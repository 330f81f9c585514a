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
    """Wall seconds, CPU seconds of all processes, peak memory in MB, and what the stage said of its own time."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


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
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}  # compiled once, as for a user
    command = [sys.executable, "-m", "pipeline", "stage", stage]
    started = time.monotonic()
    process = psutil.Popen(command, cwd=root, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    watcher = Watcher(process)
    errors = process.stderr.read() if process.stderr else b""
    if process.wait():
        raise RuntimeError(errors.decode())
    seconds = time.monotonic() - started
    return Measured(seconds, watcher.cpu_seconds, watcher.peak_mb)


class Watcher:
    """Looks at a process and its children every 0.3 s, until it ends."""

    def __init__(self, process: psutil.Popen) -> None:
        self._process = process
        self._cpu: dict[int, float] = {}
        self.peak_mb = 0.0
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def cpu_seconds(self) -> float:
        """Of all processes, as last seen."""
        return sum(self._cpu.values())

    def _watch(self) -> None:
        while True:
            try:
                family = [self._process, *self._process.children(recursive=True)]
                self.peak_mb = max(self.peak_mb, sum(self._pss(process) for process in family) / 2**20)
            except psutil.Error:
                return
            time.sleep(0.3)

    def _pss(self, process: psutil.Process) -> float:
        try:
            times = process.cpu_times()
            self._cpu[process.pid] = times.user + times.system
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
    once = name == "large"
    loops: list[float] = []
    fresh: dict[str, list[Measured]] = {stage: [] for stage in STAGES}
    for attempt in range(1 if once else RUNS):
        root = folder / f"project {attempt}"
        make_workspace(root, source, data_set)
        for stage in STAGES:
            fresh[stage].append(run_stage(root, stage))
        if not once:
            loops.append(plain_loop(source, data_set))
    replace_some(source, data_set)
    again = {stage: [run_stage(root, stage)] for stage in STAGES}
    for label, runs in (("all new", fresh), ("1 % new", again)):
        for stage in STAGES:
            yield row(f"{name}, {label}: {stage}", data_set.count, runs[stage])
        together = [
            Measured(sum(m.seconds for m in pair), sum(m.cpu_seconds for m in pair), max(m.peak_mb for m in pair))
            for pair in zip(*runs.values(), strict=True)
        ]
        yield row(f"{name}, {label}: **both**", data_set.count, together)
    if loops:
        yield row(
            f"{name}: plain loop, one process, no checks", data_set.count, [Measured(seconds, seconds, float("nan")) for seconds in loops]
        )


def replace_some(source: Path, data_set: DataSet) -> None:
    """Replace 1 % of the images by new ones."""
    files = sorted(source.rglob(f"*.{data_set.ending}"))[::100]
    for i, file in enumerate(files):
        file.unlink()
        _write_files(source, data_set, range(data_set.count + i, data_set.count + i + 1))


def row(label: str, count: int, runs: list[Measured]) -> str:
    """One line of the table, of medians."""
    seconds, cpu_seconds, peak_mb = (statistics.median(values) for values in zip(*runs, strict=True))
    return f"| {label} | {count / seconds:,.0f} | {seconds:.1f} | {cpu_seconds:.1f} | {'' if np.isnan(peak_mb) else f'{peak_mb:,.0f}'} |"


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
