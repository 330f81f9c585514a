"""One table of the ways to run a model: TensorFlow, ONNX Runtime and LiteRT in float32, and the last two in 8-bit whole numbers.

    python benchmarks/exports.py --model champion            needs the images of the model in data/preprocess
    python benchmarks/exports.py --rounds 3 --images 2000

Each way runs in fresh processes, one after the other, in each round, so that other load on the machine meets all of them; the table holds medians.
Cold start: from the start of Python to the first answer. Memory: the most that the process had resident (Linux). LiteRT is run by the package
ai-edge-litert, or, where that is not installed, by the interpreter in TensorFlow, whose cold start and memory are then TensorFlow's. Accuracy: on
all test images, with the paired 95 % interval (Tango) of the difference to the `.keras` file.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pipeline.exporting.agreement import Agreement, agreement
from pipeline.exporting.formats import write_model
from pipeline.exporting.images import read_images
from pipeline.exporting.processor import cpu_flags, needs_seven_bits
from pipeline.paths import find_paths
from pipeline.serving.located import locate

WAYS = ("TensorFlow", "ONNX Runtime", "LiteRT", "ONNX Runtime int8", "LiteRT int8")
FILES = dict(zip(WAYS, ("model.keras", "plain.onnx", "plain.tflite", "int8.onnx", "int8.tflite"), strict=True))
BATCH, SINGLE = 256, 300
# What each process runs; it prints JSON. `answer` takes images uint8 (N, H, W, C).
OPENING = {
    ".keras": "import keras\nmodel = keras.models.load_model(file, compile=False)\nanswer = model.predict_on_batch",
    ".onnx": "import onnxruntime\nsession = onnxruntime.InferenceSession(file, providers=['CPUExecutionProvider'])\n"
    "answer = lambda images: session.run(None, {'images': images})[0]",
    ".tflite": "try:\n    from ai_edge_litert.interpreter import Interpreter\nexcept ImportError:\n    import tensorflow\n"
    "    Interpreter = tensorflow.lite.Interpreter\n"
    "model = Interpreter(file, num_threads=threads)\n"
    "def answer(images):\n"
    "    if tuple(model.get_input_details()[0]['shape']) != images.shape or not ready:\n"
    "        model.resize_tensor_input(model.get_input_details()[0]['index'], images.shape)\n"
    "        model.allocate_tensors()\n        ready.append(True)\n"
    "    model.set_tensor(model.get_input_details()[0]['index'], images)\n    model.invoke()\n"
    "    return model.get_tensor(model.get_output_details()[0]['index'])",
}
MEASURED = """
import json, sys, time
import numpy as np
file, array, started, batch, single, threads = sys.argv[1], sys.argv[2], *map(float, sys.argv[3:4]), *map(int, sys.argv[4:])
ready = []
images = np.load(array)
{opening}
answer(images[:1])
cold = time.time() - started
one = []
for i in range(single):
    begun = time.perf_counter()
    answer(images[i % len(images)][None])
    one.append(time.perf_counter() - begun)
whole = [images[i : i + batch] for i in range(0, len(images) - batch + 1, batch)]
answer(whole[0])
begun = time.perf_counter()
for part in whole:
    answer(part)
rate = len(whole) * batch / (time.perf_counter() - begun)
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024  # getrusage counts the parent, too
print(json.dumps([cold, 1000 * float(np.median(one)), 1000 * float(np.quantile(one, 0.99)), rate, peak]))
"""


def measure(file: Path, images: Path) -> list[float]:
    """Seconds to the first answer, ms for one image (p50, p99), images/s in batches, MB: by one fresh process."""
    program = MEASURED.replace("{opening}", OPENING[file.suffix])
    arguments = [str(file), str(images), str(time.time()), str(BATCH), str(SINGLE), str(os.cpu_count())]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-P", "-c", program, *arguments], env=environment, capture_output=True, text=True, check=True)
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Export, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="champion")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=2560, help="for the speed in batches")
    options = parser.parse_args()
    paths = find_paths(Path.cwd())
    with tempfile.TemporaryDirectory() as temporary:
        import numpy as np

        from pipeline.models.predict import load_model, predict

        folder = Path(temporary)
        located = locate(options.model, paths, folder)
        keras_file = located.files / FILES["TensorFlow"]
        images = read_images(paths, keras_file.with_name("spec.json"), located.shown)
        np.save(folder / "some.npy", np.ascontiguousarray(images.test[: options.images]))
        expected = predict(load_model(keras_file), images.test)
        files, found = {"TensorFlow": keras_file}, {"TensorFlow": agreement(images.labels, expected, expected)}
        for way in WAYS[1:]:
            files[way] = folder / FILES[way]
            calibration = images.training if "int8" in way else None
            kind = "onnx" if files[way].suffix == ".onnx" else "litert"
            answer = write_model(kind, keras_file, files[way], calibration, seven_bits=needs_seven_bits(cpu_flags()))
            found[way] = agreement(images.labels, expected, answer(images.test))
        rounds = [{way: measure(files[way], folder / "some.npy") for way in WAYS} for _ in range(options.rounds)]
        print(f"{located.shown}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {', '.join(cpu_flags()) or 'processor unknown'}\n")
        print("| | one image, ms: p50 | p99 | images/s in batches of 256 | cold start s | memory MB | size KB | test accuracy | "
              "difference, points | same label |\n|---|---|---|---|---|---|---|---|---|---|")  # fmt: skip
        for way in WAYS:
            print(_row(way, [each[way] for each in rounds], files[way].stat().st_size, found[way]))


def _row(way: str, measured: list[list[float]], size: int, found: Agreement) -> str:
    cold, middle, late, rate, memory = (statistics.median(column) for column in zip(*measured, strict=True))
    interval = "" if way == "TensorFlow" else f"{100 * found.difference:+.2f} [{100 * found.low:+.2f}, {100 * found.high:+.2f}]"
    return (
        f"| {way} | {middle:.2f} | {late:.2f} | {rate:,.0f} | {cold:.2f} | {memory:,.0f} | {size / 1024:,.0f} | "
        f"{found.export_hits / found.images:.4f} | {interval} | {found.equal_labels / found.images:.2%} |"
    )


if __name__ == "__main__":
    main()
