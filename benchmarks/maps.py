"""How long the maps of the report take: those of the first 48 test images.

    python benchmarks/maps.py

After `make run`, whose model and test images it reads. Prints wall and CPU seconds, loading the model left out; the first time includes what TensorFlow
prepares.
"""

import time
from pathlib import Path

import numpy as np

from pipeline.explanation.kept_model import KeptModel
from pipeline.paths import Paths

COUNT = 48
TIMES = 2


def main() -> None:
    """Make the maps twice."""
    paths = Paths(Path(__file__).parent.parent)
    images = np.load(paths.stage("preprocess") / "test" / "images.npy", mmap_mode="r")[:COUNT]
    model = KeptModel(paths.stage("train") / "model.keras")
    for _ in range(TIMES):
        wall, cpu = time.perf_counter(), time.process_time()
        model.maps(images, np.zeros(len(images), np.int64))
        print(f"{len(images)} images of {images.shape[1:]}: {time.perf_counter() - wall:.1f} s, {time.process_time() - cpu:.1f} CPU s")


if __name__ == "__main__":
    main()
