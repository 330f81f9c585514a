"""Test accuracy of a recipe over several seeds, fitted exactly as `train` does on data/preprocess, by the method that it has chosen.

    python benchmarks/accuracy.py [--params docs/presets/fashion-mnist-60s.yaml] [1 2 3]

After `make run`. Prints a Markdown row per seed and the mean. Times are wall seconds of the fit, tracing included, on whatever else the machine does.
With --validation the test images stay closed: fits to nine tenths of the training images and scores the others, to choose a recipe by.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np

from pipeline.dataset.arrays import TrainingSet
from pipeline.dataset.splits import stratified_holdout
from pipeline.evaluation.metrics import calibration_error, log_loss, reliability_bins
from pipeline.files import read_json
from pipeline.fitting.choice import Choice
from pipeline.fitting.device import choose_compute
from pipeline.fitting.methods import MethodFitter, Watcher
from pipeline.fitting.training_data import TrainingData
from pipeline.models.predict import predict
from pipeline.params.model import AUTO
from pipeline.params.reader import Config, load_config
from pipeline.params.recipe import Method, methods_to_try
from pipeline.paths import Paths, find_paths

VALIDATION_SEED = 12345


def main() -> None:
    """Fit and score each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seeds", type=int, nargs="*", default=[1, 2, 3])
    parser.add_argument("--params", type=Path, help="a params file other than the project's own")
    parser.add_argument("--validation", action="store_true")
    options = parser.parse_args()
    paths = find_paths(Path.cwd())
    config = load_config(options.params or paths.params)
    compute = choose_compute(config.train.device, config.train.precision)
    opened = TrainingData(paths.stage("preprocess"), paths.scratch / "stage-rows")
    training, method = opened.training, method_of(config, opened, paths)
    print(f"{method}, {compute.device} in {compute.precision}, load {os.getloadavg()[0]:.1f}")
    print("| seed | epochs | fit s | CPU s | images/s | accuracy | cross-entropy | calibration error |\n|---|---|---|---|---|---|---|---|")
    accuracies = []
    for seed in options.seeds:
        seeded = config.model_copy(update={"seed": seed})
        rows, images, labels = split(seeded, training, paths, options.validation)
        started, cpu = time.monotonic(), time.process_time()
        fitted = MethodFitter(method, seeded, opened.data, compute).fit(rows, rows[:0], Watcher())
        seconds, cpu_seconds = time.monotonic() - started, time.process_time() - cpu
        probabilities = predict(fitted.keep(), images)
        accuracies.append(float((probabilities.argmax(axis=1) == labels).mean()))
        error = calibration_error(reliability_bins(labels, probabilities))
        speed = np.mean([epoch.images_per_second for epoch in fitted.history])
        row = f"{len(fitted.history)} | {seconds:.1f} | {cpu_seconds:.0f} | {speed:,.0f} | {accuracies[-1]:.4f} | {log_loss(labels, probabilities):.4f}"
        print(f"| {seed} | {row} | {error:.4f} |", flush=True)
    print(f"| mean | | | | | {np.mean(accuracies):.4f} | | |")


def method_of(config: Config, opened: TrainingData, paths: Paths) -> Method:
    """The one that these parameters leave, else the one that `train` has chosen."""
    networks = opened.spec["networks"] if config.model.name == AUTO else [config.model.name]
    methods = methods_to_try(config, networks)
    return methods[0] if len(methods) == 1 else Choice.read(read_json(paths.stage("train") / "choice.json")).method


def split(config: Config, training: TrainingSet, paths: Paths, validation: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(rows to fit to, images and labels to score): the test images, or with `validation` a tenth of the training images."""
    if validation:
        held_out = stratified_holdout(training.labels, training.groups, 0.1, seed=VALIDATION_SEED)
        return np.flatnonzero(~held_out), training.images[held_out], training.labels[held_out]
    held_out = training.validation
    if not held_out.any():
        held_out = stratified_holdout(training.labels, training.groups, config.train.validation_fraction, seed=config.seed)
    test = paths.stage("preprocess") / "test"
    return np.flatnonzero(~held_out), np.load(test / "images.npy", mmap_mode="r"), np.load(test / "labels.npy")


if __name__ == "__main__":
    main()
