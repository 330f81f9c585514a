"""Parameters are checked all at once, with file, line and the nearest known name."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.config import load_config
from pipeline.errors import ConfigError

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "params.yaml").read_text(encoding="utf-8")


def problems(tmp_path: Path, *changes: tuple[str, str]) -> list[str]:
    text = TEXT
    for before, after in changes:
        assert before in text
        text = text.replace(before, after, 1)
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    return str(caught.value).splitlines()


def line_of(start: str) -> int:
    return next(i for i, line in enumerate(TEXT.splitlines(), start=1) if line.strip().startswith(start))


def test_the_projects_own_parameters_are_valid() -> None:
    config = load_config(ROOT / "params.yaml")

    assert config.flat()["cross_validate.folds"] == 5
    assert config.flat()["preprocess.image_size"] == "auto"


def test_a_misspelt_parameter_is_told_with_its_line_and_the_nearest_name(tmp_path: Path) -> None:
    found = problems(tmp_path, ("  learning_rate:", "  learning_rte:"))
    line = line_of("learning_rate:")

    assert f"params.yaml:{line}: train.learning_rte is not a parameter. Did you mean learning_rate?" in found
    assert any("train.learning_rate is missing" in problem for problem in found)


def test_all_problems_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    found = problems(
        tmp_path, ("seed: 1", "seed: true"), ("channels: auto", "channels: 2"), ("folds: 5", "folds: 1"), ("name: resnet", "name: resnt")
    )

    assert [problem.split(": ")[1].split()[0] for problem in found] == ["seed", "preprocess.channels", "model.name", "cross_validate.folds"]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("image_size: auto", "image_size: [4, 2.5]", "should be auto or [height, width] in px, each 8 to 1024"),
        ("device: auto", "device: tpu", "should be one of auto, cpu, gpu; found 'tpu'"),
        ("  epochs: 7", '  epochs: "7"', "should be a valid integer; found '7'"),
        ("warmup_fraction: 0.2", "warmup_fraction: .nan", "warmup_fraction"),
        ("source: data/fashion-mnist", "source: ~/flowers", "~ is not expanded"),
        ("source: data/fashion-mnist", "source: https://me:secret@host/images.zip", "should hold no password or signature"),
        ("source: data/fashion-mnist", "source: https://host/images.zip?X-Amz-Signature=1", "should hold no password or signature"),
        ("model_name: auto", "model_name: a/b", "should be a name without / and :"),
        ("resize: pad", "resize:", "should be one of pad, crop, stretch; found None"),
        ("\ntrain:", "\ntrian:", "trian is not a parameter. Did you mean train?"),
    ],
)
def test_a_wrong_value_is_told_in_words(tmp_path: Path, before: str, after: str, words: str) -> None:
    assert any(words in problem for problem in problems(tmp_path, (before, after)))


def test_a_parameter_in_the_wrong_section_is_sent_to_the_right_one(tmp_path: Path) -> None:
    assert any("Did you mean model.width?" in problem for problem in problems(tmp_path, ("  margin: 0.0", "  margin: 0.0\n  width: 3")))


def test_a_password_is_not_repeated(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, ("source: data/fashion-mnist", "source: https://me:secret@host/images.zip?sig=hidden"))

    assert problem.endswith("found 'https://…@host/images.zip?…'.")


@pytest.mark.parametrize("text", ["seed: [1", "seed: 1\nseed: 2", "", "- 1", "\ttrain: 1"])
def test_a_file_that_is_not_yaml_with_sections_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(ConfigError, match=r"^params\.yaml:\d+: ") as caught:
        load_config(path)

    assert len(str(caught.value).splitlines()) == 1


def test_numbers_are_read_as_dvc_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(TEXT.replace("learning_rate: auto", "learning_rate: 3e-1"), encoding="utf-8")

    assert load_config(path).train.learning_rate == 0.3


def test_the_check_loads_neither_tensorflow_nor_mlflow_nor_prefect() -> None:
    code = "import sys; from pipeline.__main__ import build_parser; build_parser(); import pipeline.config; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()

    assert not {"tensorflow", "keras", "mlflow", "prefect", "matplotlib"} & set(loaded)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("~/photos", r"should be a whole path, /.*/photos for example: ~ is not expanded; found '~/photos'"),
        ("file:///data/photos", r"should be a path without file://, as in /data/photos; found"),
        ("FILE:/data/photos", r"should be a path without FILE://, as in /data/photos; found"),
        ("local://data/photos", r"should be a path without local://, as in /data/photos; found"),
        ('"/data/a\\nb"', r"should be one line of text, without control characters; found"),
    ],
)
def test_a_source_that_dvc_would_look_for_elsewhere_is_one_line(tmp_path: Path, source: str, words: str) -> None:
    (problem,) = problems(tmp_path, ("source: data/fashion-mnist", f"source: {source}"))

    assert re.search(rf"^params\.yaml:{line_of('source:')}: ingest\.source {words}", problem)


@pytest.mark.parametrize("value", ["fox", "[7]", "[fox, null]", "{fox: 1}", "null"])
def test_removed_classes_are_a_list_of_names(tmp_path: Path, value: str) -> None:
    (problem,) = problems(tmp_path, ("removed_classes: []", f"removed_classes: {value}"))

    assert 'ingest.removed_classes should be a list of class names, as in [cat, "7"], or [] for none' in problem
