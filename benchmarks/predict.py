"""Images per second of `pipeline predict`, beside what its model alone does on decoded arrays, in one run; and memory.

    python benchmarks/predict.py FOLDER --model champion            small images, by a registered model
    python benchmarks/predict.py FOLDER --photographs               EfficientNet-Lite0 at 224 px with pretrained weights and a drawn classifier
    PIPELINE_RUNTIME=tensorflow python benchmarks/predict.py …      by TensorFlow instead of ONNX Runtime
    python benchmarks/predict.py FOLDER --passes 10 --memory        memory, with the images of the folder ten times over
    python benchmarks/predict.py --make 200 --side 640 FOLDER       makes JPEGs of this longer side first

Each round measures every row once, so that other load on the machine meets all of them; the table holds medians. Imports, the loading of the model
and the start of its graph are not counted; the start of the processes that decode is. Memory and CPU time are
those of this process, without those that decode; on a busy machine, CPU time says more than images/s.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import psutil
from PIL import Image
from sklearn.datasets import load_sample_images

from pipeline.conversion.verified import add_verified_onnx
from pipeline.files import write_bytes, write_json
from pipeline.models.network import build_to_fit, build_to_keep, input_standardisation, to_bytes
from pipeline.params.model import FitModel
from pipeline.params.reader import load_config
from pipeline.predicting.inputs import find_images
from pipeline.serving import Classifier, load
from pipeline.serving.batches import in_batches

ROOT = Path(__file__).parent.parent
CLASSES = 10
SIDE_PX = 224


def make_photographs(folder: Path, count: int, side: int) -> None:
    """JPEGs of parts of scikit-learn's two photographs, tinted, with the noise of a sensor."""
    for number in range(count):
        rng = np.random.default_rng(number)
        photograph = Image.fromarray(load_sample_images().images[number % 2])
        scale = rng.uniform(0.5, 0.9)
        left, top = (rng.uniform(0, whole * (1 - scale)) for whole in photograph.size)
        box = (left, top, left + photograph.width * scale, top + photograph.height * scale)
        pixels = np.asarray(photograph.resize((side, side * 3 // 4), Image.Resampling.BICUBIC, box=box)) * rng.uniform(0.7, 1.1, 3)
        pixels += rng.normal(0, 5, (*pixels.shape[:2], 1))
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / f"{number:05d}.jpg", quality=90)


def model_for_photographs(folder: Path) -> str:
    """A .keras file of EfficientNet-Lite0 and a classifier that nobody has fitted, with its spec beside it."""
    settled = {"name": "efficientnet_lite0", "weights": "imagenet", "width": 1.0, "dropout": 0.0, "flip_average": False}
    options = FitModel(**(load_config(ROOT / "params.yaml").model.model_dump() | settled))
    fitted = build_to_fit((SIDE_PX, SIDE_PX, 3), CLASSES, options, "float32")
    scale, offset = input_standardisation(np.zeros((1, 1, 1, 3), np.uint8), options)
    write_bytes(folder / "model.keras", to_bytes(build_to_keep(fitted, options, scale, offset)))
    spec = {"height": SIDE_PX, "width": SIDE_PX, "channels": 3, "resize": "pad", "class_names": [f"class {i}" for i in range(CLASSES)]}
    write_json(folder / "spec.json", spec)
    add_verified_onnx(folder, np.random.default_rng(0).integers(0, 256, (8, SIDE_PX, SIDE_PX, 3), dtype=np.uint8))
    return str(folder / "model.keras")


def measure(classifier: Classifier, images: list[Any], rounds: int) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Seconds of each row in each round, and those of the processor in this process."""
    preparation, runtime = classifier._served.preparation, classifier._served.runtime
    spec = preparation.spec
    input_bytes = spec.height * spec.width * spec.channels

    def prepare() -> list[np.ndarray]:
        return [batch.prepared for batch in in_batches(images, preparation, input_bytes)]

    arrays = prepare()

    def compute() -> None:
        for array in arrays:
            runtime.probabilities(array)

    def predict() -> None:
        for _ in classifier.stream(images):
            pass

    rows: dict[str, Callable[[], object]] = {"predict": predict, "its model alone, on arrays": compute, "decoding alone": prepare}
    for run in rows.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in rows}
    of_processor: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(rounds):
        for name, run in rows.items():
            started, used = time.perf_counter(), time.process_time()
            run()
            seconds[name].append(time.perf_counter() - started)
            of_processor[name].append(time.process_time() - used)
    return seconds, of_processor


def measure_memory(classifier: Classifier, images: list[Any]) -> None:
    """Print the memory of this process at each tenth of the way."""
    process, found = psutil.Process(), []
    for number, _ in enumerate(classifier.stream(images)):
        if number % max(1, len(images) // 10) == 0:
            found.append(f"{process.memory_info().rss / 2**20:.0f}")
    print(f"MB at each tenth of {len(images):,} images: {', '.join(found)}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="champion")
    parser.add_argument("--photographs", action="store_true")
    parser.add_argument("--make", type=int, default=0, metavar="COUNT")
    parser.add_argument("--side", type=int, default=640, metavar="PX")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--passes", type=int, default=1)
    parser.add_argument("--memory", action="store_true")
    options = parser.parse_args()
    if options.make:
        make_photographs(options.folder, options.make, options.side)
    with tempfile.TemporaryDirectory() as folder:
        model = model_for_photographs(Path(folder)) if options.photographs else options.model
        classifier = load(model)
        images = [image.content for image in find_images([str(options.folder)], Path(folder)).images] * options.passes
        print(f"{joblib.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {len(images):,} images, {classifier.shown}\n")
        if options.memory:
            measure_memory(classifier, images)
            return
        seconds, of_processor = measure(classifier, images, options.rounds)
    alone = seconds["its model alone, on arrays"]
    print("| | images/s | of its model alone | per second of CPU time here |\n|---|---|---|---|")
    for name, each in seconds.items():
        share = statistics.median(other / own for own, other in zip(each, alone, strict=True))
        used = len(images) / statistics.median(of_processor[name])
        print(f"| {name} | {len(images) / statistics.median(each):,.0f} | {share:.0%} | {used:,.0f} |")


if __name__ == "__main__":
    main()
