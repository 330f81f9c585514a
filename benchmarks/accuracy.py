"""Test accuracy of params.yaml's recipe over several seeds, fitted exactly as `train` does on data/preprocess.

    python benchmarks/accuracy.py 1 2 3

Prints a Markdown row per seed and the mean. Times are wall seconds of the fit, tracing included, on whatever else the machine does.
"""

import os
import sys
import time
from pathlib import Path

import numpy as np

from pipeline.config import load_config
from pipeline.ml.device import choose_compute
from pipeline.ml.fit import Fitter
from pipeline.ml.metrics import calibration_error, reliability_bins
from pipeline.ml.predict import predict
from pipeline.ml.splits import stratified_holdout
from pipeline.paths import find_paths
from pipeline.stores.arrays import read_training_set


def main(seeds: list[int]) -> None:
    """Fit and score each seed."""
    paths = find_paths(Path.cwd())
    config = load_config(paths.params)
    compute = choose_compute(config.train.device, config.train.precision)
    training = read_training_set(paths.stage("preprocess"))
    test = paths.stage("preprocess") / "test"
    images, labels = np.load(test / "images.npy", mmap_mode="r"), np.load(test / "labels.npy")
    print(f"{config.model.name}, {compute.device} in {compute.precision}, load {os.getloadavg()[0]:.1f}")
    print("| seed | fit s | CPU s | test accuracy | calibration error |\n|---|---|---|---|---|")
    accuracies = []
    for seed in seeds:
        seeded = config.model_copy(update={"seed": seed})
        held_out = stratified_holdout(training.labels, training.groups, config.train.validation_fraction, seed=seed)
        started, cpu = time.monotonic(), time.process_time()
        fitter = Fitter(training.images.shape[1:], len(training.class_names), seeded, compute)
        fitted = fitter.fit(training.images, training.labels, held_out, on_epoch=lambda epoch: None)
        seconds, cpu_seconds = time.monotonic() - started, time.process_time() - cpu
        probabilities = predict(fitted.model, images)
        accuracies.append(float((probabilities.argmax(axis=1) == labels).mean()))
        error = calibration_error(reliability_bins(labels, probabilities))
        print(f"| {seed} | {seconds:.1f} | {cpu_seconds:.0f} | {accuracies[-1]:.4f} | {error:.4f} |", flush=True)
    print(f"| mean | | | {np.mean(accuracies):.4f} | |")


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or [1, 2, 3])
