import io

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from pipeline.evaluation.metrics import reliability_bins
from pipeline.reports import pictures
from pipeline.reports.chart_style import DARK, LIGHT, Theme

HISTORY = [
    {"epoch": 1, "loss": 1.2, "accuracy": 0.6, "validation_loss": 1.0, "validation_accuracy": 0.7},
    {"epoch": 2, "loss": 0.8, "accuracy": 0.8, "validation_loss": 0.7, "validation_accuracy": 0.75},
]
LONG_NAME = "Painted bunting of the southern dunes, juvenile, $x_1^$ {"


def opened(png: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(png))
    image.load()
    return image


def confusions(class_count: int) -> np.ndarray:
    return np.eye(class_count, dtype=np.int64) * 90 + np.arange(class_count)


def draw_all(theme: Theme) -> list[bytes]:
    bins = reliability_bins(np.array([0, 1, 0]), np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7]]))
    return [
        pictures.learning_curves(HISTORY, theme=theme),
        pictures.confusion_matrix(confusions(3), ["a", "b", "c"], theme=theme),
        pictures.reliability_diagram(bins, theme=theme),
        pictures.cross_validation_folds([0.9, 0.92, 0.91], (0.88, 0.94), 0.93, (0.92, 0.95), theme=theme),
    ]


@pytest.mark.parametrize(("theme", "corner"), [(LIGHT, (255, 255, 255, 255)), (DARK, (255, 255, 255, 0))], ids=["light", "dark"])
def test_charts_have_the_same_bytes_twice_whatever_a_persons_own_matplotlib_settings(theme: Theme, corner: tuple[int, ...]) -> None:
    charts = draw_all(theme)
    with mpl.rc_context({"font.size": 20, "savefig.dpi": 50, "axes.facecolor": "red", "axes.linewidth": 5}):
        assert draw_all(theme) == charts
        assert mpl.rcParams["font.size"] == 20
    assert all(min(opened(png).size) > 200 for png in charts)
    assert not any(b"Software" in png or b"matplotlib" in png for png in charts)
    assert opened(charts[0]).convert("RGBA").getpixel((1, 1)) == corner  # the dark theme has no background


@pytest.mark.parametrize("class_count", [2, 20, 120])  # with counts, with all names, with some names
def test_a_confusion_matrix_takes_any_number_of_classes_with_long_names(class_count: int) -> None:
    width, height = opened(pictures.confusion_matrix(confusions(class_count), [f"{LONG_NAME} {i}" for i in range(class_count)])).size
    assert 400 < width < 2400
    assert 400 < height < 2400


def test_a_confusion_matrix_without_images_of_a_class() -> None:
    assert min(opened(pictures.confusion_matrix(np.array([[0, 0], [1, 4]]), ["nothing", "猫"])).size) > 200


def test_learning_curves_of_one_epoch_without_validation() -> None:
    history = [{"epoch": 1, "loss": 1.2, "accuracy": 0.6, "validation_loss": float("nan"), "validation_accuracy": float("nan")}]
    assert opened(pictures.learning_curves(history)).width > opened(pictures.learning_curves(history, ["loss"])).width


def test_what_augmentation_does_not_show_is_named_beneath() -> None:
    images = np.zeros((2, 8, 6, 6, 1), np.uint8)
    plain, captioned = (opened(pictures.augmented_samples(images, ["a", "b"], notes=names)) for names in ((), ("mixup", "cutmix")))
    assert captioned.height > plain.height
