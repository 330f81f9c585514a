"""10 clients for 60 s on loopback: `pipeline serve-model` beside MLflow's own server with the same network in its plain Keras flavour.

    python benchmarks/serving.py                          the champion of the project of the current folder
    python benchmarks/serving.py --seconds 20 --clients 4

Our server gets encoded images (PNG, base64 in JSON), which it decodes and resizes; MLflow's gets the arrays that the network takes, as lists of numbers
in JSON, since its Keras flavour takes nothing else. Both answer one image per request. The two take turns, and the table has the median of the rounds.
Memory is that of the server's processes at the start and the end of all rounds.
"""

import argparse
import base64
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import mlflow
import numpy as np
import psutil

from pipeline.images.decoding import encode_png
from pipeline.models.predict import load_model
from pipeline.paths import Paths, find_paths

IMAGES = 64
ROUNDS = 3
START_SECONDS = 300


def requests(paths: Paths) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Bodies for our server and for MLflow's, of the same test images."""
    arrays = np.load(paths.stage("preprocess") / "test" / "images.npy", mmap_mode="r")[:IMAGES]
    images = [encode_png(array[..., 0] if array.shape[-1] == 1 else array) for array in np.asarray(arrays)]
    ours: list[dict[str, object]] = [{"instances": [base64.b64encode(image).decode()]} for image in images]
    return ours, [{"instances": [array.tolist()]} for array in np.asarray(arrays)]


@contextmanager
def server(command: list[str], address: str, folder: Path, log: Path) -> Iterator[psutil.Process]:
    """A server that answers."""
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
    try:
        for _ in range(START_SECONDS):
            try:
                if httpx.get(f"{address}/ping", timeout=5).status_code == 200:
                    break
            except httpx.HTTPError:
                pass
            if process.poll() is not None:
                raise SystemExit(f"A server has stopped: {log.read_text()[-2000:]}")
            time.sleep(1)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def ask(address: str, bodies: list[dict[str, object]], clients: int, seconds: float) -> tuple[list[float], int]:
    """Seconds per request, and the number of requests that failed."""
    taken: list[float] = []
    failed = [0]
    end = time.monotonic() + seconds

    def client(number: int) -> None:
        with httpx.Client(timeout=60) as http:
            at = number
            while time.monotonic() < end:
                start = time.perf_counter()
                try:
                    good = http.post(f"{address}/invocations", json=bodies[at % len(bodies)]).status_code == 200
                except httpx.HTTPError:
                    good = False
                taken.append(time.perf_counter() - start)
                failed[0] += not good
                at += 1

    threads = [threading.Thread(target=client, args=[number]) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken, failed[0]


def memory(process: psutil.Process) -> float:
    """MB of a server with its children."""
    return float(sum(each.memory_info().rss for each in (process, *process.children(recursive=True)))) / 2**20


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    paths = find_paths(Path.cwd())
    ours, theirs = requests(paths)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        mlflow.keras.save_model(load_model(paths.stage("train") / "model.keras"), str(folder / "plain"))
        mine = [sys.executable, "-m", "pipeline", "serve-model", "--port", "8091"]
        plain = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(folder / "plain"), "--env-manager", "local", "--port", "8092"]
        rows: dict[str, list[tuple[float, float, float, int]]] = {"pipeline serve-model": [], "MLflow, plain Keras": []}
        sizes: dict[str, list[float]] = {name: [] for name in rows}
        with (
            server(mine, "http://127.0.0.1:8091", paths.root, folder / "mine.log") as first,
            server(plain, "http://127.0.0.1:8092", folder, folder / "plain.log") as second,
        ):
            sides = (("pipeline serve-model", first, 8091, ours), ("MLflow, plain Keras", second, 8092, theirs))
            for _, _, port, bodies in sides:
                ask(f"http://127.0.0.1:{port}", bodies, options.clients, 5)
            for name, process, _, _ in sides:
                sizes[name].append(memory(process))
            for _ in range(ROUNDS):
                for name, _, port, bodies in sides:
                    taken, failed = ask(f"http://127.0.0.1:{port}", bodies, options.clients, options.seconds)
                    p50, p99 = np.percentile(taken, [50, 99])
                    rows[name].append((len(taken) / options.seconds, 1000 * p50, 1000 * p99, failed))
            for name, process, _, _ in sides:
                sizes[name].append(memory(process))
    print(f"{options.clients} clients, {ROUNDS} rounds of {options.seconds:g} s, {os.cpu_count()} cores\n")
    print("| | requests/s | p50, ms | p99, ms | failed | memory, MB |")
    print("|---|---|---|---|---|---|")
    for name, measured in rows.items():
        rate, p50, p99 = (statistics.median(row[at] for row in measured) for at in range(3))
        failures = sum(row[3] for row in measured)
        print(f"| {name} | {rate:.0f} | {p50:.1f} | {p99:.1f} | {failures} | {sizes[name][0]:.0f}, then {sizes[name][1]:.0f} |")


if __name__ == "__main__":
    main()
