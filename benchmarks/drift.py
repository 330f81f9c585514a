"""How often `pipeline drift` raises an alarm: where nothing has changed, and for four changes, on folders of photographs.

    python benchmarks/drift.py FOLDER [FOLDER …] [--images 500] [--trials 40] [--splits 200]

A folder has class folders, at any depth. In each trial the photographs are split by chance: so many images are new, all others the reference, at most
2,000. The changes are made to the encoded images (JPEG quality 88, as the originals of trashnet): brightness x 0.8, JPEG quality 20; a tenth of the
new images of a class that the reference lacks; half of the classes twice as often as the others. The probabilities are those of logistic regressions
on the features, each of photographs that it was not fitted to.
"""

import argparse
import io
import json
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pipeline.drift.verdict import Side, find_drift
from pipeline.features.extractor import embedder
from pipeline.images.decoding import ImageSpec
from pipeline.watching.embedding import Embedding
from pipeline.watching.seen_images import Seen, look_at

MOST_REFERENCE = 2000
CHANGES = ("10 % of an unseen class", "class mix 2 : 1", "brightness x 0.8", "JPEG quality 20", "none")


def encode(image: Image.Image, quality: int = 88) -> bytes:
    """An image as JPEG."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def dimmed(encoded: bytes) -> bytes:
    """An image at 0.8 of its brightness."""
    return encode(Image.open(io.BytesIO(encoded)).convert("RGB").point(lambda value: value * 0.8))


def coarse(encoded: bytes) -> bytes:
    """An image at JPEG quality 20."""
    return encode(Image.open(io.BytesIO(encoded)).convert("RGB"), 20)


class Photographs:
    """All photographs of a folder, seen as they are and changed, and what a classifier that does not know a photograph says of it."""

    def __init__(self, folder: Path, px: int, scratch: Path) -> None:
        files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in (".jpg", ".jpeg", ".png"))
        names = sorted({file.parent.name for file in files})
        self.labels = np.array([names.index(file.parent.name) for file in files])
        embedding = Embedding(embedder("efficientnet_lite0", (px, px, 3)), scratch)
        encoded = [file.read_bytes() for file in files]
        spec = ImageSpec(px, px, 3, "crop")

        def seen(change: Callable[[bytes], bytes]) -> Seen:
            found = look_at([partial(bytes, change(each)) for each in encoded], spec, embedding)
            assert len(found.rows) == len(files), "an image cannot be read"
            return found

        self.seen = {"none": seen(bytes), "brightness x 0.8": seen(dimmed), "JPEG quality 20": seen(coarse)}
        self.groups = self.seen["none"].groups
        self.probabilities = {name: np.empty((len(files), len(names))) for name in self.seen}
        folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
        for known, asked in folds.split(self.labels, self.labels, self.groups):
            model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=200))
            model.fit(self.seen["none"].features[known], self.labels[known])
            for name, found in self.seen.items():
                self.probabilities[name][asked] = model.predict_proba(found.features[asked])

    def side(self, rows: np.ndarray, change: str, unseen: int) -> Side:
        """Some of the photographs; the class `unseen` is not among the answers."""
        found = self.seen.get(change, self.seen["none"])
        probabilities = self.probabilities[change if change in self.seen else "none"][rows]
        if unseen >= 0:
            probabilities = np.delete(probabilities, unseen, axis=1)
            probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
        labels = self.labels[rows] - (self.labels[rows] > unseen) * (unseen >= 0)
        return Side(found.features[rows], found.properties[rows], self.groups[rows], probabilities, labels)


def trial(data: Photographs, change: str, images: int, rng: np.random.Generator) -> list[str]:
    """The alarms of one trial."""
    classes = rng.permutation(data.labels.max() + 1)
    unseen = int(classes[0]) if change == "10 % of an unseen class" else -1
    order = rng.permutation(np.flatnonzero(data.labels != unseen))
    new = order[:images]
    if change == "class mix 2 : 1":
        weights = np.where(np.isin(data.labels[order], classes[: len(classes) // 2]), 2.0, 1.0)
        new = rng.choice(order, images, replace=False, p=weights / weights.sum())
    reference = rng.permutation(np.setdiff1d(order, new))[:MOST_REFERENCE]
    if unseen >= 0:
        others = rng.permutation(np.flatnonzero(data.labels == unseen))[: images // 10]
        new = np.concatenate([new[: images - len(others)], others])
    return list(find_drift(data.side(new, change, unseen), data.side(reference, "none", unseen)).alarms)


def main() -> None:
    """Print one line of JSON per folder and change."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--splits", type=int, default=200)
    parser.add_argument("--px", type=int, default=224)
    parser.add_argument("--scratch", type=Path, default=Path(".checkpoints/drift-benchmark"))
    options = parser.parse_args()
    for folder in options.folders:
        data = Photographs(folder, options.px, options.scratch)
        for change in CHANGES:
            rng = np.random.default_rng(0)
            trials = options.splits if change == "none" else options.trials
            found = [trial(data, change, options.images, rng) for _ in range(trials)]
            by_alarm = Counter(name for alarms in found for name in alarms)
            print(
                json.dumps({"folder": folder.name, "change": change, "trials": trials, "alarms": sum(map(bool, found)), **by_alarm}),
                flush=True,
            )


if __name__ == "__main__":
    main()
