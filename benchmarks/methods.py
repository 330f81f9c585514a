"""Ways to fit one data set: a small network from scratch, a classifier on pretrained features, and the last stages fine-tuned.

    python benchmarks/methods.py SOURCE [SOURCE ...] [--seeds 1 2 3]

For each source and way, runs the stages ingest, preprocess and train as `dvc repro` does, in a temporary project that differs from this one in
`ingest.source` and the parameters of the row, then scores the kept model on the test images. Prints Markdown rows: accuracy with its 95 % interval
(Wilson), seconds and CPU seconds of preprocess and train with all their imports, and the arithmetic in TFLOP, counted from the layers: two operations per
multiply-add, forward once where features are kept, three times that per image and epoch where layers are fitted. Features that one row has
computed are computed again in the next.
"""

import argparse
import csv
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import yaml

from pipeline.evaluation.proportion import wilson_interval
from pipeline.files import read_json
from pipeline.fitting.choice import Choice
from pipeline.models.efficientnet_lite import LAST_STAGE, stage_starts
from pipeline.models.predict import load_model, predict
from pipeline.params.recipe import CLASSIFIER_ALONE

ROOT = Path(__file__).parent.parent
WAYS: dict[str, dict[str, dict[str, Any]]] = {
    "from scratch": {"model": {"name": "resnet"}},
    "frozen features": {"model": {"name": "efficientnet_lite0"}, "train": {"fine_tune": "none"}},
    "last stage": {"model": {"name": "efficientnet_lite0"}, "train": {"fine_tune": 1}},
    "last two stages": {"model": {"name": "efficientnet_lite0"}, "train": {"fine_tune": 2}},
    "auto": {},
}


def main() -> None:
    """Print a table per source."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", type=Path, nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    options = parser.parse_args()
    for source in options.sources:
        print(f"\n{source.name}, load {os.getloadavg()[0]:.1f}\n")
        print("| way | seed | accuracy | 95 % interval | s | CPU s | TFLOP | fitted |\n|---|---|---|---|---|---|---|---|")
        for way in options.ways:
            for seed in options.seeds:
                with tempfile.TemporaryDirectory() as folder:
                    print(f"| {way} | {seed} | {measure(Path(folder), source.resolve(), WAYS[way], seed)} |", flush=True)


def measure(root: Path, source: Path, changes: dict[str, dict[str, Any]], seed: int) -> str:
    """The cells of a row."""
    make_project(root, source, changes, seed)
    run_stage(root, "ingest")
    started, started_cpu = time.monotonic(), cpu_seconds()
    run_stage(root, "preprocess")
    run_stage(root, "train")
    seconds, cpu = time.monotonic() - started, cpu_seconds() - started_cpu
    test, train = root / "data" / "preprocess" / "test", root / "data" / "train"
    labels, model = np.load(test / "labels.npy"), load_model(train / "model.keras")
    hits = int((predict(model, np.load(test / "images.npy", mmap_mode="r")).argmax(axis=1) == labels).sum())
    low, high = wilson_interval(hits, len(labels))
    cost = teraflops(root, model)
    method = Choice.read(read_json(train / "choice.json")).method
    return f"{hits / len(labels):.4f} | {low:.3f} to {high:.3f} | {seconds:.0f} | {cpu:.0f} | {cost:.0f} | {method}"


def make_project(root: Path, source: Path, changes: dict[str, dict[str, Any]], seed: int) -> None:
    """A project with some parameters changed."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["seed"] = seed
    params["ingest"]["source"] = str(source)
    for section, values in changes.items():
        params[section] |= values
    (root / "data").mkdir()
    (root / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    shutil.copy(ROOT / "dvc.yaml", root)


def run_stage(root: Path, stage: str) -> None:
    """Run a stage in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}  # compiled once, as for a user
    subprocess.run([sys.executable, "-m", "pipeline", "stage", stage], cwd=root, env=environment, check=True, stdout=subprocess.DEVNULL)


def cpu_seconds() -> float:
    """Of all processes that have ended, on all cores."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def teraflops(root: Path, model: keras.Model) -> float:
    """The arithmetic of all that `train` tried, and of the features that preprocess computed."""
    spec = read_json(root / "data" / "preprocess" / "spec.json")
    embedded = sum(math.prod(np.load(path, mmap_mode="r").shape[:2]) for path in (root / "data" / "preprocess").glob("*/embeddings.npy"))
    labels = np.load(root / "data" / "preprocess" / "train" / "labels.npy", mmap_mode="r")
    with (root / "data" / "train" / "history.csv").open(encoding="utf-8") as file:
        epochs = len(list(csv.DictReader(file)))
    method = Choice.read(read_json(root / "data" / "train" / "choice.json")).method
    total = float(embedded * multiply_adds(model))
    if method.stages is None:
        total += 3 * epochs * len(labels) * multiply_adds(model)
    elif method.stages != CLASSIFIER_ALONE:
        start = stage_starts(spec["backbone"]["name"])[LAST_STAGE + 1 - method.stages]
        views = len(labels) * 2
        last = multiply_adds(model, start)
        total += views * (multiply_adds(model) - last) + 3 * epochs * views * last
    return 2 * total / 1e12


def multiply_adds(model: keras.Model, after: str | None = None) -> int:
    """Of the convolutions and dense layers of one image, once; only of those after the layer called `after`, if it is given."""
    layers = [layer for layer in model._flatten_layers(include_self=False) if isinstance(layer.output, keras.KerasTensor)]
    names = [layer.name for layer in layers]
    chosen = layers[names.index(after) + 1 :] if after else layers
    count = 0
    for layer in chosen:
        kernel = next((weight for weight in layer.weights if weight.name == "kernel" or weight.name.endswith("depthwise_kernel")), None)
        if kernel is None:
            continue
        places = math.prod(layer.output.shape[1:-1]) if len(layer.output.shape) == 4 else 1
        count += places * int(np.prod(kernel.shape))
    return count


if __name__ == "__main__":
    main()
