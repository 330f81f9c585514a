"""Training speed of the tutorial's network and of the default one, beside the tutorial's own script, PyTorch, and the machine's peak, in one run.

    python benchmarks/speed.py [--torch /path/to/a/python/with/torch] [--rounds 3]

After `make run`, whose data/preprocess it reads. Each round measures every row once; the table holds medians. Load: of the machine before each row.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from pipeline.backbone.candidates import FROM_SCRATCH
from pipeline.dataset.arrays import TrainingSet, read_training_set
from pipeline.fitting.device import Compute, choose_compute
from pipeline.fitting.fit import Fitter
from pipeline.fitting.fit_state import Epoch
from pipeline.fitting.part import WholeNetwork
from pipeline.params.model import AUTO
from pipeline.params.reader import Config, load_config
from pipeline.params.recipe import FitConfig, Method, resolved
from pipeline.paths import find_paths

MOVED = {"rotation_degrees": 20.0, "shift_fraction": 0.1, "shear_degrees": 10.0, "zoom_fraction": 0.1, "horizontal_flip": True}
UNMOVED = dict.fromkeys(("rotation_degrees", "shift_fraction", "shear_degrees", "zoom_fraction", "erase_fraction"), 0.0) | {
    "horizontal_flip": False
}
IMAGES_PER_ROUND = 20_480
PEAK = "peak"
SCRIPT = "tutorial's own script (ImageDataGenerator)"
TORCH = "PyTorch, no augmentation"
PEAK_SIZES = (1024, 2048, 4096)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch", metavar="PYTHON", help="an interpreter that has PyTorch; without it that row is left out")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peak", metavar="PRECISION", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        print(max(matmul_speed(size, tf.as_dtype(options.peak)) for size in PEAK_SIZES))
        return
    paths = find_paths(Path.cwd())
    data = paths.stage("preprocess")
    config, training = load_config(paths.params), read_training_set(data)
    compute = choose_compute("cpu", "auto")
    rows = measurements(config, training, compute, data, options.torch)
    results: dict[str, list[tuple[float, float, float]]] = {name: [] for name in rows}
    for _ in range(options.rounds):
        for name, measure in rows.items():
            load, cpu = os.getloadavg()[0], sum(os.times()[:4])
            value = measure()
            results[name].append((value, sum(os.times()[:4]) - cpu, load))
            print(f"  {name}: {value:,.0f}", file=sys.stderr, flush=True)
    report(results, config, training, compute)


def measurements(config: Config, training: TrainingSet, compute: Compute, data: Path, torch: str | None) -> dict[str, Callable[[], float]]:
    """What is measured, by name: images/s, of the peak GFLOP/s."""
    tutorial = changed(config, model={"name": "tutorial", "width": 1.0}, augment=UNMOVED)
    fitters = {
        "tutorial's network, no augmentation": tutorial,
        "tutorial's network, a flip": changed(tutorial, augment={"horizontal_flip": True}),
        "tutorial's network, tutorial's augmentation": changed(tutorial, augment=MOVED),
        "default network and recipe": config,
    }
    rows: dict[str, Callable[[], float]] = {PEAK: lambda: matmul_peak(compute.precision)}
    for name, each in fitters.items():
        rows[name] = fit_speed(each, training, compute)
    arrays = [str(data / "train" / name) for name in ("images.npy", "labels.npy")]
    rows[SCRIPT] = lambda: child(sys.executable, "tutorial_script.py", *arrays)
    if torch:
        batch_size = to_images(config, training.images.shape[-1]).train.batch_size
        steps = (str(batch_size), str(IMAGES_PER_ROUND // batch_size))
        rows[TORCH] = lambda: child(torch, "torch_tutorial.py", *arrays, *steps, compute.precision)
    return rows


def child(python: str, script: str, *arguments: str) -> float:
    """The images/s that a script beside this one prints."""
    command = [python, str(Path(__file__).parent / script), *arguments]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(json.loads(printed)["images_per_second"])


def to_images(config: Config, channels: int) -> FitConfig:
    """The parameters for a network that is fitted to images, the default one for `auto`."""
    return resolved(config, Method(FROM_SCRATCH if config.model.name == AUTO else config.model.name, None), channels)


def new_fitter(config: Config, training: TrainingSet, compute: Compute) -> Fitter:
    """A network for the training images."""
    fitted, class_count = to_images(config, training.images.shape[-1]), len(training.class_names)
    return Fitter(lambda: WholeNetwork(training.images.shape[1:], class_count, fitted.model, fitted.augment), class_count, fitted, compute)


def changed(config: Config, **sections: Mapping[str, object]) -> Config:
    """The parameters with other values in some sections."""
    values = config.model_dump(by_alias=True)
    for section, keys in sections.items():
        values[section] |= keys
    return Config.model_validate(values)


def matmul_peak(precision: str) -> float:
    """GFLOP/s of large matrix products on all cores: by a process of its own, since a fit gives each operation a share of the cores only."""
    return float(subprocess.run([sys.executable, __file__, "--peak", precision], check=True, capture_output=True, text=True).stdout)


def matmul_speed(size: int, dtype: tf.DType) -> float:
    """GFLOP/s of the product of two square matrices, the best of ten."""
    a = tf.cast(tf.random.stateless_normal((size, size), (1, 2)), dtype)
    product = tf.function(lambda: tf.matmul(a, a)[0, 0])
    product()
    seconds = []
    for _ in range(10):
        started = time.perf_counter()
        product().numpy()
        seconds.append(time.perf_counter() - started)
    return 2 * size**3 / min(seconds) / 1e9


def fit_speed(config: Config, training: TrainingSet, compute: Compute) -> Callable[[], float]:
    """Images/s of an epoch through Fitter.fit, tracing and the first epoch not counted."""
    fitter = new_fitter(changed(config, train={"epochs": 2, "min_steps": 0}), training, compute)

    def measure() -> float:
        epochs: list[Epoch] = []
        fitter.fit(training.images, training.labels, np.arange(min(IMAGES_PER_ROUND, len(training.labels))), on_epoch=epochs.append)
        return epochs[-1].images_per_second

    return measure


def training_flops(network: keras.Model) -> float:
    """Floating-point operations of one training step per image: forward, and twice that backward; the first layer needs no gradient of its input."""
    total = first = 0.0
    for layer in network.layers:
        if not hasattr(layer, "kernel"):
            continue
        positions = np.prod(layer.output.shape[1:-1]) if len(layer.output.shape) == 4 else 1
        flops = 2.0 * positions * np.prod(layer.kernel.shape)
        total += 3 * flops
        first = first or flops
    return total - first


def report(results: dict[str, list[tuple[float, float, float]]], config: Config, training: TrainingSet, compute: Compute) -> None:
    """Print the table and the ratios."""
    median = {name: statistics.median(value for value, _, _ in values) for name, values in results.items()}
    tutorial = new_fitter(changed(config, model={"name": "tutorial", "width": 1.0}), training, compute)
    flops = {
        "tutorial": training_flops(tutorial._trainer.network),
        "default": training_flops(new_fitter(config, training, compute)._trainer.network),
    }
    peak = median.pop(PEAK)
    print(
        f"\nPeak: {peak:,.0f} GFLOP/s of matrix products in {compute.precision} on {compute.device}. Medians of {len(results[PEAK])} rounds.\n"
    )
    print("| | images/s | share of the peak | CPU s | load |\n|---|---|---|---|---|")
    for name, value in median.items():
        network = "default" if name.startswith("default") else "tutorial"
        _, cpu, load = (statistics.median(column) for column in zip(*results[name], strict=True))
        print(f"| {name} | {value:,.0f} | {value * flops[network] / peak / 1e9:.0%} | {cpu:.1f} | {load:.1f} |")
    ours, moved = median["tutorial's network, no augmentation"], median["tutorial's network, tutorial's augmentation"]
    script = median[SCRIPT]
    print(f"\n- {moved / script:.1f} times the tutorial's own script, with the same augmentation")
    if TORCH in median:
        print(f"- {ours / median[TORCH]:.2f} times PyTorch, without augmentation on either side")
    print(f"- the augmentation costs {1 - moved / ours:.1%} of the speed")


if __name__ == "__main__":
    main()
