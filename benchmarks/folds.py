"""Time of a cross-validation: fresh processes one after the other, one process with one network, and several workers, in one run.

    python benchmarks/folds.py [--steps 176] [--workers 1 2] [--rounds 3]

After `make run`, whose data/preprocess it reads. `--steps`: of each fold (0: the whole fit of params.yaml). Whole processes are timed, imports included.
Says whether the predictions of fresh processes and of the reused network are the same.
"""

import argparse
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from pipeline.config import Config, load_config
from pipeline.fold_fits import FoldJob, fit_fold, fit_folds_in_parallel
from pipeline.paths import find_paths
from pipeline.stores.arrays import read_index


def main() -> None:
    """Print the table, or with --child fit some folds and print a digest of their predictions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=176)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", nargs="*", type=int, metavar="WORKERS FOLD", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(fit(options.steps, options.child[0], options.child[1:]))
        return
    folds = sorted(set(read_index(find_paths(Path.cwd()).stage("preprocess"), "train")["fold"]))
    ways = {"fresh processes, one after the other": [(1, [fold]) for fold in folds]}
    ways |= {f"{n} at a time" if n > 1 else "one process, one network": [(n, folds)] for n in options.workers}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    digests: dict[str, set[str]] = {name: set() for name in ways}
    for _ in range(options.rounds):
        for name, children in ways.items():
            started = time.perf_counter()
            printed = [child(options.steps, workers, some) for workers, some in children]
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


def child(steps: int, workers: int, folds: list[object]) -> str:
    """What a process of its own prints of these folds: a digest each."""
    command = [sys.executable, __file__, "--steps", str(steps), "--child", str(workers), *map(str, folds)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def fit(steps: int, workers: int, folds: list[int]) -> str:
    """Fit some folds; a digest of each one's predictions."""
    paths = find_paths(Path.cwd())
    config = load_config(paths.params)
    assignment = np.array(read_index(paths.stage("preprocess"), "train")["fold"])
    if steps:
        config = shortened(config, steps, int((assignment != folds[0]).sum()))
    with tempfile.TemporaryDirectory() as scratch:
        params, images = config.model_dump_json(by_alias=True), paths.stage("preprocess")
        jobs = [FoldJob(fold, assignment, params, images, Path(scratch), workers) for fold in folds]
        results = fit_folds_in_parallel(jobs) if workers > 1 else map(fit_fold, jobs)
        return " ".join(hashlib.sha256(result.probabilities.tobytes()).hexdigest()[:12] for result in results)


def shortened(config: Config, steps: int, image_count: int) -> Config:
    """The parameters with one epoch of about `steps` steps."""
    values = config.model_dump(by_alias=True)
    values["train"] |= {"epochs": 1, "min_steps": 0, "batch_size": max(1, image_count // steps)}
    return Config.model_validate(values)


if __name__ == "__main__":
    main()
