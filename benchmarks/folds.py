"""Time of a cross-validation: fresh processes one after the other, one process with one network, and several workers, in one run.

    python benchmarks/folds.py [--images 60000] [--epochs 1] [--workers 1 2] [--rounds 3]

After `make run`, whose data/preprocess it reads, its first `--images` images, and whose choice of a method it takes. Whole processes are timed,
imports included. Prints how long the fit of a fold takes: the longer, the less the start of a process weighs.
Says whether the predictions of fresh processes and of the reused network are the same.
"""

import argparse
import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from pipeline.dataset.arrays import read_index
from pipeline.files import read_json
from pipeline.fitting.choice import Choice
from pipeline.fitting.folds import FoldJob, fit_fold, fit_folds_in_parallel
from pipeline.fitting.training_data import TrainingData
from pipeline.params.reader import Config, load_config
from pipeline.paths import find_paths


def main() -> None:
    """Print the table, or with --child fit some folds and print a digest of their predictions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", nargs="*", metavar="DATA WORKERS FOLD", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(fit(Path(options.child[0]), options.epochs, int(options.child[1]), [int(fold) for fold in options.child[2:]]))
        return
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "preprocess"
        folds = write_part(find_paths(Path.cwd()).stage("preprocess"), data, options.images)
        measure(data, folds, options)


def measure(data: Path, folds: list[int], options: argparse.Namespace) -> None:
    """Time every way in each round."""
    ways = {"fresh processes, one after the other": [(1, [fold]) for fold in folds]}
    ways |= {f"{n} at a time" if n > 1 else "one process, one network": [(n, folds)] for n in options.workers}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    digests: dict[str, set[str]] = {name: set() for name in ways}
    for _ in range(options.rounds):
        for name, children in ways.items():
            started = time.perf_counter()
            printed = [child(data, options.epochs, workers, some) for workers, some in children]
            seconds[name].append(time.perf_counter() - started)
            digests[name].add(" ".join(printed))
            print(f"  {name}: {seconds[name][-1]:.1f} s, load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
    report(seconds, digests)


def report(seconds: dict[str, list[float]], digests: dict[str, set[str]]) -> None:
    """Print the table."""
    fresh, *_ = (statistics.median(values) for values in seconds.values())
    print("| | s | of fresh processes | predictions |\n|---|---|---|---|")
    for name, values in seconds.items():
        same = "the same" if digests[name] == next(iter(digests.values())) else "other bits"
        print(f"| {name} | {statistics.median(values):.1f} | {statistics.median(values) / fresh:.2f} | {same} |")


def write_part(preprocess: Path, to: Path, count: int) -> list[int]:
    """Write the first images of data/preprocess as such a folder, with their folds in folds.npy; returns the folds' numbers."""
    (to / "train").mkdir(parents=True)
    shutil.copy(preprocess / "spec.json", to)
    for file in (preprocess / "train").glob("*.npy"):
        np.save(to / "train" / file.name, np.load(file, mmap_mode="r")[:count])
    folds = np.array(read_index(preprocess, "train")["fold"])[:count]
    np.save(to / "folds.npy", folds)
    return [int(fold) for fold in np.unique(folds)]


def child(data: Path, epochs: int, workers: int, folds: list[int]) -> str:
    """What a process of its own prints of these folds: a digest each."""
    command = [sys.executable, __file__, "--epochs", str(epochs), "--child", str(data), str(workers), *map(str, folds)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def fit(data: Path, epochs: int, workers: int, folds: list[int]) -> str:
    """Fit some folds; a digest of each one's predictions."""
    values = load_config(find_paths(Path.cwd()).params).model_dump(by_alias=True)
    values["train"] |= {"epochs": epochs, "min_steps": 0}
    config, assignment = Config.model_validate(values), np.load(data / "folds.npy")
    choice = Choice.read(read_json(find_paths(Path.cwd()).stage("train") / "choice.json"))
    opened = TrainingData(data, data.parent / "stage-rows")
    with tempfile.TemporaryDirectory() as scratch:
        jobs = [FoldJob(fold, assignment, config, choice, opened, Path(scratch), workers) for fold in folds]
        results = list(fit_folds_in_parallel(jobs) if workers > 1 else map(fit_fold, jobs))
    seconds = statistics.median(sum(epoch.seconds for epoch in result.history) for result in results)
    print(f"    a fold's fit: {seconds:.1f} s", file=sys.stderr)
    return " ".join(hashlib.sha256(result.probabilities.tobytes()).hexdigest()[:12] for result in results)


if __name__ == "__main__":
    main()
