"""What is known of the test images beside their content: size, folder, colour mode and continuous properties. Reads what `ingest` has written."""

from pathlib import PurePosixPath

import numpy as np
import pyarrow.parquet as pq

from pipeline.dataset.shards import SIZE, read_properties
from pipeline.errors import StageError
from pipeline.paths import Paths


def columns_of_test(paths: Paths) -> dict[str, np.ndarray]:
    """By name, of the N test images in the order of data/preprocess: numbers or text (N,). A folder that says no more than the class is left out.

    Raises StageError if these are not the images in data/ingest.
    """
    folder = paths.stage("ingest")
    index = pq.read_table(folder / "index.parquet", columns=["path", "label", "sha256", "width", "height", "mode", "split"])
    rows = np.flatnonzero(np.array([split == "test" for split in index["split"].to_pylist()]))
    tested = index.take(rows)
    if (
        tested["sha256"].to_pylist()
        != pq.read_table(paths.stage("preprocess") / "test" / "index.parquet", columns=["sha256"])["sha256"].to_pylist()
    ):
        raise StageError(
            "data/preprocess is not of the images in data/ingest. They are from different runs: `dvc repro` re-runs what is out of date."
        )
    width, height = (tested[name].to_numpy() for name in ("width", "height"))
    columns: dict[str, np.ndarray] = {
        "longer side, px": np.maximum(width, height),
        "width by height": width / height,
        "colour mode": np.array(tested["mode"].to_pylist(), dtype=object),
    }
    columns |= {name: values[rows] for name, values in read_properties(folder).items() if name != SIZE}
    folders = [str(PurePosixPath(path).parent) for path in tested["path"].to_pylist()]
    labels = tested["label"].to_pylist()
    if len(set(zip(folders, labels, strict=True))) > len(set(labels)) or len(set(folders)) < len(set(labels)):
        columns["folder"] = np.array(folders, dtype=object)
    return columns
