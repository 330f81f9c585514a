"""How many wrong labels are found: 5 % of the labels of a data set are changed, and the training images are ranked by how doubtful their labels are.

    python benchmarks/label_errors.py SOURCE [--images 10000] [--seeds 1 2 3] [--keep FOLDER]

SOURCE is a data set as `ingest.source` takes it; of data/fashion-mnist, `--images` takes the first training images. Runs ingest and preprocess once in
a temporary project; then, for each seed and way, changes 5 % of the training labels (a) to any other class, all equally likely, or (b) to the class
that the class is most often confused with when nothing is changed, runs cross_validate on them, by the method that train chose first, and ranks.
Prints Markdown rows: the share of the changed labels among the 5 % most doubtful, and the share that was changed of the 100 most doubtful. Labels that
were wrong before count as right, so the true numbers are a little higher.
"""

import argparse
import gzip
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import yaml

from pipeline.labels.neighbours import find_neighbours, neighbour_doubts, votes
from pipeline.labels.scores import fitting_doubts, margin_doubts, mean_rank, model_doubts

ROOT = Path(__file__).parent.parent
SHARE = 0.05
WAYS = ("uniform", "confused")
IDX_HEADER = {"images": 16, "labels": 8}


def main() -> None:
    """Measure every way and seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--fine-tune", default="auto", help="as train.fine_tune: none fits a classifier on pretrained features, in seconds")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--keep", type=Path, help="a folder for the predictions, so that a second call only ranks")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kept = options.keep or Path(folder) / "kept"
        kept.mkdir(parents=True, exist_ok=True)
        predict_all(Path(folder) / "project", options, kept)
        print(
            "| labels changed | seed | accuracy of the folds | score | found in the top 5 % | right of the first 100 |\n|---|---|---|---|---|---|"
        )
        for way in WAYS:
            for seed in options.seeds:
                with np.load(kept / f"{way}-{seed}.npz") as arrays:
                    measure(way, seed, dict(arrays))


def measure(way: str, seed: int, arrays: dict[str, np.ndarray]) -> None:
    """Print a row for each score."""
    true, given, probabilities, embeddings, groups = (arrays[name] for name in ("true", "given", "probabilities", "embeddings", "groups"))
    is_changed = true != given
    accuracy = (probabilities.argmax(axis=1) == given).mean()
    probability, margin = model_doubts(given, probabilities), margin_doubts(given, probabilities)
    scores = {"model, used": mean_rank([probability, margin]), "model, probability": probability, "model, margin": margin}
    scores["model, confident learning"] = margin_doubts(given, less_confident(given, probabilities))
    if "margins" in arrays:
        scores["while fitted, used"] = fitting_doubts(arrays["margins"])
        scores["model and while fitted, used"] = mean_rank([scores["model, used"], scores["while fitted, used"]])
    if len(embeddings) == len(given):
        shares = votes(find_neighbours(embeddings[:, 0], groups, np.arange(len(given))), given, probabilities.shape[1])
        scores["neighbours, used"] = neighbour_doubts(shares, given)
        scores["model and neighbours, used"] = mean_rank([scores["model, used"], scores["neighbours, used"]])
        if "margins" in arrays:
            scores["all three"] = mean_rank([scores["model, used"], scores["while fitted, used"], scores["neighbours, used"]])
    for name, score in scores.items():
        order = np.argsort(-score, kind="stable")
        found = is_changed[order[: round(SHARE * len(given))]].sum() / is_changed.sum()
        print(f"| {way} | {seed} | {accuracy:.3f} | {name} | {found:.3f} | {is_changed[order[:100]].mean():.2f} |", flush=True)


def less_confident(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """float (N, K): the probabilities less the mean that the images of each class give to it, as cleanlab's adjust_pred_probs (Northcutt et al., 2021)."""
    confidence = np.array([probabilities[labels == k, k].mean() for k in range(probabilities.shape[1])])
    adjusted = probabilities - confidence + confidence.max()
    result: np.ndarray = adjusted / adjusted.sum(axis=1, keepdims=True)
    return result


def predict_all(root: Path, options: argparse.Namespace, kept: Path) -> None:
    """Write what the folds predict, NAME.npz for the unchanged labels and each way and seed, unless it is there."""
    names = ["clean", *(f"{way}-{seed}" for seed in options.seeds for way in WAYS)]
    if all((kept / f"{name}.npz").exists() for name in names):
        return
    source = options.source.resolve()
    root.mkdir()
    if (source / "train-images-idx3-ubyte.gz").exists():
        source = first_images(source, root, options.images)
    make_project(root, source, options.fine_tune)
    run_stage(root, "ingest")
    run_stage(root, "preprocess")
    train = root / "data" / "preprocess" / "train"
    true = np.load(train / "labels.npy")
    for name in names:
        file = kept / f"{name}.npz"
        if file.exists():
            continue
        given = true if name == "clean" else changed(true, np.load(kept / "clean.npz")["probabilities"], *name.split("-"))
        (train / "labels.npy").chmod(0o644)
        np.save(train / "labels.npy", given.astype(np.int32))
        if not (root / "data" / "train" / "choice.json").exists():  # the method is chosen once
            run_stage(root, "train")
        run_stage(root, "cross_validate")
        print(name, (root / "data" / "cross_validate" / "metrics.json").read_text(), file=sys.stderr, flush=True)
        table = pq.read_table(root / "data" / "cross_validate" / "out_of_fold.parquet")
        columns = [column for column in table.column_names if column.startswith("probability ")]
        probabilities = np.stack([table[column].to_numpy() for column in columns], axis=1)
        arrays = {"embeddings": np.load(train / "embeddings.npy"), "groups": np.load(train / "groups.npy")}
        if "margin" in table.column_names:
            arrays["margins"] = table["margin"].to_numpy()
        np.savez(file, true=true, given=given, probabilities=probabilities, **arrays)


def changed(true: np.ndarray, probabilities: np.ndarray, way: str, seed: str) -> np.ndarray:
    """The labels int (N,) with a share of them changed. probabilities: out of fold, of the unchanged labels."""
    generator = np.random.default_rng(int(seed))
    classes = probabilities.shape[1]
    rows = generator.choice(len(true), round(SHARE * len(true)), replace=False)
    given = true.copy()
    if way == "uniform":
        given[rows] = (true[rows] + generator.integers(1, classes, len(rows))) % classes
        return given
    confused = np.zeros((classes, classes), np.int64)
    np.add.at(confused, (true, probabilities.argmax(axis=1)), 1)
    np.fill_diagonal(confused, -1)
    given[rows] = confused.argmax(axis=1)[true[rows]]
    return given


def first_images(folder: Path, to: Path, count: int) -> Path:
    """The first training images of a set in MNIST's format, with its test images, as an .npz file."""
    arrays = {}
    for part, prefix, most in (("train", "train", count), ("test", "t10k", count)):
        for kind, name in (("images", "images-idx3-ubyte.gz"), ("labels", "labels-idx1-ubyte.gz")):
            values = np.frombuffer(gzip.decompress((folder / f"{prefix}-{name}").read_bytes()), np.uint8, offset=IDX_HEADER[kind])
            arrays[f"{'x' if kind == 'images' else 'y'}_{part}"] = values.reshape(-1, 28, 28)[:most] if kind == "images" else values[:most]
    np.savez(to / "first.npz", **arrays)
    return to / "first.npz"


def make_project(root: Path, source: Path, fine_tune: str) -> None:
    """A project that differs from this one in its source and `train.fine_tune`."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["ingest"]["source"] = str(source)
    params["train"]["fine_tune"] = int(fine_tune) if fine_tune.isdigit() else fine_tune
    (root / "data").mkdir()
    (root / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    shutil.copy(ROOT / "dvc.yaml", root)


def run_stage(root: Path, stage: str) -> None:
    """Run a stage in a process of its own."""
    subprocess.run(
        [sys.executable, "-m", "pipeline", "stage", stage], cwd=root, env=dict(os.environ), check=True, stdout=subprocess.DEVNULL
    )


if __name__ == "__main__":
    main()
