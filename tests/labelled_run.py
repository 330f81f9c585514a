"""A finished run of drawn shapes in which some files lie in the folder of another class; what the folds predict is what the drawing shows."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.paths import Paths
from pipeline.stages import ingest, preprocess
from tests.sample_images import write_class_folders
from tests.test_ingest import configure

MOVED = 12
SURE, OTHER = 0.9, 0.05


def write_labelled_run(root: Path, moved: int = MOVED, knows: bool = True) -> Paths:
    """The project of a run on 60 circles, crosses and squares with test images, of which the first `moved` training squares are in the folder circle.

    knows: whether the predictions are what the drawings show, the first of them surest; else each is the circle.
    """
    source = write_class_folders(root / "shapes", per_class=20, split=True)
    for file in sorted((source / "train" / "square").iterdir())[:moved]:
        file.rename(source / "train" / "circle" / file.name)
    paths = Paths(root / "project")
    ingest_again(paths)
    write_predictions(paths, knows=knows)
    return paths


def ingest_again(paths: Paths) -> None:
    """Run the two stages without a fit."""
    config = configure(paths.root.parent / "shapes")
    config = config.model_copy(update={"model": config.model.model_copy(update={"name": "resnet"})})
    ingest.run(config, paths, None)
    preprocess.run(config, paths, None)


def write_predictions(paths: Paths, *, knows: bool = True) -> None:
    """What the folds and the model say of the training and test images: the shape that the name of the file has."""
    names = ["circle", "cross", "square"]
    for split, file in (("train", "cross_validate/out_of_fold.parquet"), ("test", "evaluate/predictions.parquet")):
        folder = paths.stage("preprocess") / split
        index = pq.read_table(folder / "index.parquet").select(["path", "sha256"]).to_pydict()
        labels = np.load(folder / "labels.npy")
        shown = [names.index(Path(path).name.split()[0]) if knows else 0 for path in index["path"]]
        sure = SURE + 0.001 * np.arange(len(shown))[::-1] / len(shown)
        table = {
            f"probability {name}": np.where(np.array(shown) == k, sure, (1 - sure) / 2).astype(np.float32) for k, name in enumerate(names)
        }
        said = {"label": [names[k] for k in labels], "predicted": [names[k] for k in shown]}
        (paths.root / "data" / file).parent.mkdir(exist_ok=True)
        pq.write_table(pa.table({**index, **said, **table}), paths.root / "data" / file)
