"""The images of a finished run whose labels a person should look at. Reads what the stages wrote and what people have said; computes nothing itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq

from pipeline.certainty.kept_answers import OUT_OF_FOLD, TEST, read_kept_answers
from pipeline.errors import StageError, StorageError
from pipeline.evaluation.counts import count_hits
from pipeline.evaluation.proportion import accuracy_interval
from pipeline.files import read_json
from pipeline.labels.ranking import Ranking, rank
from pipeline.labels.verdict import Verdict
from pipeline.names import shown
from pipeline.paths import Paths

NEIGHBOURS_SHOWN = 6
OTHER_RUNS = "They are from different runs: `dvc repro` re-runs what is out of date."


@dataclass(frozen=True)
class Suspect:
    """An image with a doubtful label. row: in the packed arrays. probability, of_label: what a model not fitted to it gives to the suggested class and to
    its label. by_model, by_neighbours: how doubtful the label is by each, 0 to 1; by_neighbours is None without features. margin: how far the logit of
    the label was above the others while networks were fitted to the image, None if that is not known. choices: all classes, the most probable first.
    neighbours: rows of the images most like it.
    """

    row: int
    path: str
    sha256: str
    label: str
    suggested: str
    probability: float
    of_label: float
    by_model: float
    by_neighbours: float | None
    margin: float | None
    choices: Sequence[str]
    neighbours: Sequence[int]


@dataclass(frozen=True)
class Labelled:
    """Images with what models say of them that were not fitted to them: paths, sha256, labels int (N,), probabilities float (N, K), groups int (N,),
    features float (N, F), None without a pretrained network. margins: as in `KeptAnswers`.
    """

    class_names: Sequence[str]
    paths: Sequence[str]
    sha256: Sequence[str]
    labels: np.ndarray
    probabilities: np.ndarray
    groups: np.ndarray
    features: np.ndarray | None
    margins: np.ndarray | None = None


@dataclass(frozen=True)
class Suspects:
    """found: the most doubtful first, without those that a person has judged. left: how many there are in all. note: why there are none to be trusted;
    then none is found.
    """

    found: Sequence[Suspect]
    left: int
    note: str = ""


def find_suspects(images: Labelled, verdicts: Mapping[str, Verdict], most: int | None = None) -> Suspects:
    """The suspects among some images, at most `most` of them; of copies of one image the first."""
    if note := why_none(images):
        return Suspects([], 0, note)
    ranking = rank(images.labels, images.probabilities, images.groups, images.features, images.margins)
    names, seen, places = images.class_names, set(), []
    for place, row in enumerate(ranking.rows.tolist()):
        verdict = verdicts.get(images.sha256[row])
        if images.sha256[row] not in seen and not (verdict and verdict.settles(names[images.labels[row]])):
            places.append(place)
        seen.add(images.sha256[row])
    return Suspects([_suspect(place, ranking, images) for place in places[:most]], len(places))


def why_none(images: Labelled) -> str:
    """Why the doubts of the models say nothing; empty if they are clearly better than the majority-class baseline."""
    predicted, names = images.probabilities.argmax(axis=1), images.class_names
    score = count_hits((names[k] for k in images.labels), (names[k] for k in predicted))
    low, high = accuracy_interval(predicted == images.labels, images.groups)
    if score.is_shown_better(low):
        return ""
    return (
        f"The model is right for {score.accuracy:.1%} of the images that it was not fitted to (95 % interval {low:.1%} to {high:.1%}), which is "
        f"not clearly better than always guessing {shown(score.majority_class)} ({score.majority_share:.1%}). So its doubts say nothing about the labels."
    )


def labelled_training_images(paths: Paths) -> Labelled:
    """The training images with what the folds say. Raises StorageError where a stage has not run, StageError for outputs of different runs."""
    return _labelled(paths, "train", OUT_OF_FOLD)


def labelled_test_images(paths: Paths) -> Labelled:
    """The test images with what the model says, which was not fitted to them. Raises as `labelled_training_images` does."""
    return _labelled(paths, "test", TEST)


def _labelled(paths: Paths, split: str, answers: tuple[str, str]) -> Labelled:
    stage, file = answers
    names = _class_names(paths)
    _need(paths, f"data/{stage}/{file}")
    folder = paths.stage("preprocess") / split
    index = pq.read_table(folder / "index.parquet", columns=["path", "sha256"]).to_pydict()
    kept = read_kept_answers(paths, answers, names, len(index["sha256"]))
    if kept.sha256 != index["sha256"]:
        raise StageError(f"data/{stage} has predictions of other images than data/preprocess. {OTHER_RUNS}")
    embeddings = np.load(folder / "embeddings.npy", mmap_mode="r")
    features = np.asarray(embeddings[:, 0]) if len(embeddings) == len(kept.labels) else None
    groups = np.load(folder / "groups.npy")
    return Labelled(names, index["path"], index["sha256"], kept.labels, kept.probabilities, groups, features, kept.margins)


def _suspect(place: int, ranking: Ranking, images: Labelled) -> Suspect:
    row, suggested = int(ranking.rows[place]), int(ranking.suggested[place])
    label, probabilities, names = int(images.labels[row]), images.probabilities[row], images.class_names
    near = np.empty(0, np.int64) if ranking.near is None else ranking.near[row]
    return Suspect(
        row,
        images.paths[row],
        images.sha256[row],
        names[label],
        names[suggested],
        float(probabilities[suggested]),
        float(probabilities[label]),
        float(ranking.by_model[row]),
        None if ranking.by_neighbours is None else float(ranking.by_neighbours[row]),
        None if images.margins is None or np.isnan(images.margins[row]) else float(images.margins[row]),
        [names[k] for k in np.argsort(-probabilities, kind="stable")],
        near[near >= 0][:NEIGHBOURS_SHOWN].tolist(),
    )


def _class_names(paths: Paths) -> list[str]:
    _need(paths, "data/preprocess/spec.json")
    return list(read_json(paths.stage("preprocess") / "spec.json")["class_names"])


def _need(paths: Paths, name: str) -> None:
    if not (paths.root / name).is_file():
        raise StorageError(f"{name} does not exist, and it says which labels are doubtful. `dvc repro` makes it.")
