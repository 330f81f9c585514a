"""How doubtful labels are, in numbers worked out by hand, and which images are suspects."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import StageError, StorageError
from pipeline.labels.neighbours import find_neighbours, neighbour_doubts, votes
from pipeline.labels.ranking import rank
from pipeline.labels.scores import fitting_doubts, margin_doubts, mean_rank, model_doubts
from pipeline.labels.suspects import Labelled, find_suspects, labelled_test_images, labelled_training_images, why_none
from pipeline.labels.verdict import Verdict
from pipeline.paths import Paths
from tests.labelled_run import MOVED, write_labelled_run

LABELS = np.array([0, 0, 1, 1])
PROBABILITIES = np.array([[0.9, 0.1], [0.5, 0.5], [0.4, 0.6], [0.8, 0.2]])


def test_a_label_is_as_doubtful_as_it_is_improbable() -> None:
    assert model_doubts(LABELS, PROBABILITIES) == pytest.approx([0.1, 0.5, 0.4, 0.8])
    assert margin_doubts(LABELS, PROBABILITIES) == pytest.approx([(1 - 0.8) / 2, 0.5, (1 - 0.2) / 2, (1 + 0.6) / 2])


def test_ranks_are_averaged_so_that_each_score_counts_alike() -> None:
    # shares of images with no higher score: 1/3, 2/3, 3/3 and 3/3, 1/3, 2/3
    assert mean_rank([np.array([0.1, 0.2, 90.0]), np.array([0.9, 0.1, 0.5])]) == pytest.approx([4 / 6, 3 / 6, 5 / 6])


def test_the_lower_the_margin_while_fitted_the_more_doubtful_and_one_that_is_not_known_is_usual() -> None:
    margins = np.array([5.0, -3.0, 1.0, np.nan], np.float32)

    assert fitting_doubts(margins).tolist() == [-5, 3, -1, -1]
    assert fitting_doubts(margins).dtype == np.float64


def test_margins_while_fitted_count_as_much_as_the_model() -> None:
    labels, groups = np.array([0, 0, 0, 1]), np.arange(4)
    probabilities = np.array([[0.4, 0.6], [0.3, 0.7], [0.2, 0.8], [0.1, 0.9]])

    by_model = rank(labels, probabilities, groups, None)
    by_both = rank(labels, probabilities, groups, None, np.array([-6.0, 2.0, -1.0, 8.0]))

    assert by_model.rows.tolist() == [2, 1, 0]
    # of 4 images, ranks by the model: 2, 3, 4; while fitted: 4, 2, 3
    assert by_both.rows.tolist() == [2, 0, 1]
    assert by_both.suggested.tolist() == [1, 1, 1]


FEATURES = np.array([[1, 0], [1, 0.1], [1, 0.2], [0, 1], [0.1, 1], [0.2, 1]], np.float32)


def test_the_nearest_images_vote_with_their_likeness_and_a_group_not_on_itself() -> None:
    groups = np.array([0, 0, 1, 2, 3, 4])
    labels = np.array([0, 0, 1, 1, 1, 1])

    found = find_neighbours(FEATURES, groups, np.arange(6), count=2)
    shares = votes(found, labels, 2)

    assert found.rows[0, 0] == 2, "not 1, which is of the same group"
    assert found.rows[2].tolist() == [1, 0]
    assert found.likeness[2] == pytest.approx([1.02 / np.sqrt(1.01 * 1.04), 1 / np.sqrt(1.04)])
    assert shares[2].tolist() == [1, 0]
    assert neighbour_doubts(shares, labels)[2:4].tolist() == [1, 0]
    assert find_neighbours(FEATURES, groups, np.array([2]), count=2).rows.tolist() == [[1, 0]]


def test_an_image_whose_group_is_all_there_is_has_no_neighbour_and_no_vote() -> None:
    found = find_neighbours(FEATURES[:2], np.array([7, 7]), np.arange(2), count=2)

    assert found.rows.tolist() == [[-1, -1], [-1, -1]]
    assert neighbour_doubts(votes(found, np.array([0, 1]), 2), np.array([0, 1])).tolist() == [1, 1]


def test_a_suspect_is_an_image_that_the_model_or_its_neighbours_would_call_otherwise() -> None:
    labels, groups = np.array([0, 0, 1, 1, 1, 1]), np.arange(6)
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.1, 0.9], [0.1, 0.9], [0.7, 0.3]])

    by_model = rank(labels, probabilities, groups, None)
    by_both = rank(labels, probabilities, groups, FEATURES)

    assert by_model.rows.tolist() == [5]
    assert by_model.suggested.tolist() == [0]
    assert by_model.near is None
    assert dict(zip(by_both.rows.tolist(), by_both.suggested.tolist(), strict=True))[2] == 0, "its neighbours are of class 0"
    assert 5 in by_both.rows.tolist()


def test_of_many_images_only_the_most_doubtful_are_asked_for_their_neighbours() -> None:
    labels, groups = np.array([0, 0, 1, 1, 1, 1]), np.arange(6)
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.1, 0.9], [0.1, 0.9], [0.7, 0.3]])

    found = rank(labels, probabilities, groups, FEATURES, most_asked=2)

    assert found.by_neighbours is not None
    assert found.near is not None
    assert np.flatnonzero(found.by_neighbours).tolist() == [2, 5]
    assert found.near[0].tolist() == [-1] * found.near.shape[1]
    assert found.near[2, 0] == 1


def test_doubts_say_something_only_if_the_interval_of_the_models_beats_guessing() -> None:
    labels = np.array([0] * 6 + [1] * 4)
    right = Labelled(["a", "b"], [""] * 10, [""] * 10, labels, np.eye(2)[labels], np.arange(10), None)

    # Wilson's interval of 10 of 10 begins at 10 / (10 + 1.96²) = 0.722, that of 8 of 10 at 0.490
    assert why_none(right) == ""
    assert "80.0% of the images that it was not fitted to (95 % interval 49.0% to" in why_none(
        replace(right, probabilities=np.eye(2)[[0] * 6 + [0, 0, 1, 1]])
    )
    assert "not clearly better than always guessing a (60.0%)" in why_none(replace(right, probabilities=np.eye(2)[np.zeros(10, int)]))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return write_labelled_run(tmp_path_factory.mktemp("labelled"))


@pytest.fixture
def images(run: Paths) -> Labelled:
    return labelled_training_images(run)


def test_the_images_in_the_wrong_folder_are_the_suspects(images: Labelled) -> None:
    suspects = find_suspects(images, {})

    assert suspects.left == len(suspects.found) == MOVED
    assert {(suspect.label, suspect.suggested) for suspect in suspects.found} == {("circle", "square")}
    assert all("square" in suspect.path for suspect in suspects.found)
    assert suspects.found[0].choices[0] == "square"
    assert suspects.found[0].probability == pytest.approx(0.9, abs=0.002)
    assert [suspect.by_model for suspect in suspects.found] == sorted((suspect.by_model for suspect in suspects.found), reverse=True)
    assert len(find_suspects(images, {}, most=5).found) == 5


def test_what_a_person_has_settled_never_comes_back_and_a_class_corrected_since_does(images: Labelled) -> None:
    first, second, third, fourth, *_ = find_suspects(images, {}).found
    verdicts = [
        Verdict(first.sha256, "keep", was="circle"),
        Verdict(second.sha256, "change", "square", "circle"),
        Verdict(third.sha256, "unsure", was="circle"),
        Verdict(fourth.sha256, "keep", was="cross"),
    ]

    left = find_suspects(images, {verdict.sha256: verdict for verdict in verdicts})

    assert left.left == MOVED - 3
    assert left.found[0].sha256 == fourth.sha256


def test_copies_are_asked_about_once(images: Labelled) -> None:
    first, second, *_ = find_suspects(images, {}).found
    shas = list(images.sha256)
    shas[second.row] = first.sha256

    assert find_suspects(replace(images, sha256=shas), {}).left == MOVED - 1


def test_with_embeddings_the_most_similar_images_are_named(images: Labelled) -> None:
    shapes = np.array([["circle", "cross", "square"].index(Path(path).name.split()[0]) for path in images.paths])
    features = np.eye(3, dtype=np.float32)[shapes] + 0.001 * np.arange(len(shapes), dtype=np.float32)[:, None]
    labels = np.where(np.arange(len(shapes)) < 3, 1 + shapes, shapes) % 3

    suspects = find_suspects(replace(images, labels=labels, features=features), {})

    assert sorted(suspect.row for suspect in suspects.found) == [0, 1, 2]
    shape = images.class_names[shapes[suspects.found[0].row]]
    assert suspects.found[0].suggested == shape
    assert suspects.found[0].by_neighbours == pytest.approx(1, abs=0.3)
    assert len(suspects.found[0].neighbours) == 6
    assert all(shape in images.paths[row] for row in suspects.found[0].neighbours)


def test_a_model_that_does_not_beat_guessing_doubts_nothing(tmp_path: Path) -> None:
    suspects = find_suspects(labelled_training_images(write_labelled_run(tmp_path, knows=False)), {})

    assert (suspects.found, suspects.left) == ([], 0)
    assert "not clearly better than always guessing circle (58.3%). So its doubts say nothing about the labels." in suspects.note


def test_test_images_are_doubted_by_the_model_itself(run: Paths) -> None:
    assert find_suspects(labelled_test_images(run), {}).left == 0
    assert labelled_test_images(run).margins is None


def test_margins_while_fitted_are_read_where_the_folds_were_fitted_in_epochs(tmp_path: Path) -> None:
    paths = write_labelled_run(tmp_path)
    assert find_suspects(labelled_training_images(paths), {}).found[0].margin is None
    file = paths.stage("cross_validate") / "out_of_fold.parquet"
    table = pq.read_table(file)
    margins = pa.array([None, *np.arange(1.0, len(table))], pa.float32())
    pq.write_table(table.append_column("margin", margins), file)

    suspects = find_suspects(labelled_training_images(paths), {}).found

    assert {suspect.margin for suspect in suspects} == {float(suspect.row) or None for suspect in suspects}


def test_predictions_that_are_missing_or_of_another_run_are_errors(tmp_path: Path) -> None:
    paths = write_labelled_run(tmp_path, moved=1)
    (paths.stage("evaluate") / "predictions.parquet").unlink()
    with pytest.raises(StorageError, match=r"data/evaluate/predictions.parquet does not exist.*`dvc repro` makes it"):
        labelled_test_images(paths)
    file = paths.stage("cross_validate") / "out_of_fold.parquet"
    table = pq.read_table(file)
    pq.write_table(table.take(np.arange(len(table))[::-1]), file)
    with pytest.raises(StageError, match=r"has predictions of other images than data/preprocess\. They are from different runs"):
        labelled_training_images(paths)
