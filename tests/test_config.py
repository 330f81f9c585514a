"""Parameters are checked all at once, with file, line and the nearest known name."""

import re
from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from pipeline.params.reader import Config, load_config, usual_values

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "params.yaml").read_text(encoding="utf-8")
SOURCE = "source: data/fashion-mnist"
EVALUATE = re.findall(r"\nevaluate:\n(?:  .*\n)+", TEXT)[0]
COLUMNS = re.findall(r"columns: \{.*?\}", TEXT)[0]
MODEL = re.findall(r"\n  name: .*\n  weights: auto", TEXT)[0]
SECRET = "should not contain a password or signature"
A_SECTION = "evaluate should be a section with parameters such as top_k, each in an indented line; found"
NAMES_OF_CLASSES = 'ingest.removed_classes should be a list of class names, as in [cat, "7"], or [] for none'


def problems(tmp_path: Path, *changes: tuple[str, str]) -> list[str]:
    text = TEXT
    for before, after in changes:
        assert before in text
        text = text.replace(before, after, 1)
    return refused(tmp_path, text.encode()).splitlines()


def refused(tmp_path: Path, content: bytes) -> str:
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    return str(caught.value)


def line_of(start: str) -> int:
    return next(i for i, line in enumerate(TEXT.splitlines(), start=1) if line.strip().startswith(start))


def test_the_usual_values_are_those_of_the_projects_own_parameters() -> None:
    assert Config.model_validate(usual_values()) == load_config(ROOT / "params.yaml")


def test_the_projects_own_parameters_are_valid() -> None:
    config = load_config(ROOT / "params.yaml").flat()

    assert (config["cross_validate.folds"], config["preprocess.image_size"]) == (5, "auto")


def test_a_misspelt_parameter_is_told_with_its_line_and_the_nearest_name(tmp_path: Path) -> None:
    found = problems(tmp_path, ("  learning_rate:", "  learning_rte:"))

    assert found == [f"params.yaml:{line_of('learning_rate:')}: train.learning_rte is not a parameter. Did you mean learning_rate?"]


def test_all_problems_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        ("seed: 1", "seed: true"),
        ("channels: auto", "channels: 2"),
        ("folds: 5", "folds: 1"),
        ("\n  name: auto", "\n  name: resnt"),
    )

    assert [problem.split(": ")[1].split()[0] for problem in found] == ["seed", "preprocess.channels", "model.name", "cross_validate.folds"]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("image_size: auto", "image_size: [4, 2.5]", "should be auto or [height, width] in px, each 8 to 1024; found [4, 2.5]."),
        ("value_range: auto", "value_range: [7, 7]", "should be auto or [low, high], two numbers of which the first is less than the second, as in"),
        ("value_range: auto", "value_range: 4095", "as in [0, 4095]; found 4095. Did you mean [0, 4095]?"),
        ("value_range: auto", "value_range: 1.5", "found 1.5. Did you mean [0, 1.5]?"),
        ("value_range: auto", "value_range: [0, .inf]", "as in [0, 4095]; found [0, inf]."),
        ("value_range: auto", "value_range: 0 to 4095", "as in [0, 4095]; found '0 to 4095'."),
        ("max_pixels: 100000000", "max_pixels: 5000", "should be a whole number from 10000 to 1000000000; found 5000."),
        ("image_size: auto", "image_size: 28x32", "found '28x32'. Did you mean [28, 32]?"),
        ("device: auto", "device: tpu", "should be one of auto, cpu, gpu; found 'tpu'."),
        ("  epochs: auto", '  epochs: "7"', "should be auto or a whole number of at least 1; found '7'. Write 7 without quotes."),
        ("  epochs: auto", "  epochs: 7.0", "should be auto or a whole number of at least 1; found 7.0. Write 7."),
        ("  epochs: auto", "  epochs: [7]", "should be auto or a whole number of at least 1; found [7]."),
        ("dropout: auto", "dropout: 0,5", "should be auto or a number of at least 0 and below 1; found '0,5'. Write a point: 0.5."),
        ("dropout: auto", "dropout: 50%", "found '50%'. Write 0.5."),
        ("warmup_fraction: auto", "warmup_fraction: .nan", "should be auto or a number from 0 to 1; found nan."),
        ("horizontal_flip: true", "horizontal_flip: yes", "should be true or false; found 'yes'. Write true."),
        ("horizontal_flip: true", "horizontal_flip: Off", "should be true or false; found 'Off'. Write false."),
        ("class_weights: none", "class_weights: no", "should be one of none, balanced; found 'no'. Did you mean none?"),
        (SOURCE, "source: ~/photos", "/photos: ~ is not expanded; found '~/photos'"),
        (SOURCE, "source: file:///data/photos", f":{line_of('source:')}: ingest.source should be a path without file://, as in /data/photos"),
        (SOURCE, "source: FILE:/data/photos", "should be a path without FILE://, as in /data/photos; found"),
        (SOURCE, "source: local://data/photos", "should be a path without local://, as in /data/photos; found"),
        (SOURCE, 'source: "/data/a\\nb"', "should be one line of text, without control characters; found"),
        (SOURCE, "source: https://me:secret@host/images.zip?sig=hidden", f"{SECRET}, since params.yaml and dvc.lock are kept in git;"),
        (SOURCE, "source: https://me:secret@host/images.zip?sig=hidden", "found 'https://…@host/images.zip?…'."),
        (SOURCE, "source: https://me:secret@host/images.zip", SECRET),
        (SOURCE, "source: https://host/images.zip?X-Amz-Signature=1", SECRET),
        ("model_name: auto", "model_name: a/b", "should be a name without / and :, and without spaces around it; found 'a/b'."),
        ("model_name: auto", "model_name: 7", 'found 7. Put it in quotes: "7".'),
        ("resize: pad", "resize:", "should be one of pad, crop, stretch; found nothing."),
        (MODEL, "\n  name: resnet\n  weights: imagenet", "should be auto or none with model.name resnet"),
        ("\n  name: auto ", "\n  name: resnet50 ", "found 'resnet50'. Did you mean ResNet50?"),
        ("optimizer: auto", "optimizer: Adam", "found 'Adam'. Did you mean adam?"),
        ("fine_tune: auto", "fine_tune: 3", "should be one of auto, none, all or a whole number from 1 to 2; found 3."),
        ("\ntrain:", "\ntrian:", "trian is not a parameter. Did you mean train?"),
        ("\ntrain:", "\n  train:", "model.train is not a parameter. Did you mean train, at the beginning of a line?"),
        (EVALUATE, "\nevaluate:\n", f"{A_SECTION} nothing"),
        (EVALUATE, "\nevaluate: 3\n", f"{A_SECTION} 3."),
        ("image_size: auto", "image_size: 28", "found 28. Did you mean [28, 28]?"),
        (
            EVALUATE,
            "\n",
            "params.yaml:1: evaluate is missing. Add this line, at the beginning of a line: `evaluate: {top_k: 3, max_error: none}`.",
        ),
        ("max_error: none", "max_error: 5 %", "should be none or a number above 0 and at most 0.5; found '5 %'. Write 0.05."),
        ("max_error: none", "max_error: null", "should be none or a number above 0 and at most 0.5; found nothing."),
        (f"  {COLUMNS}", "  #", f"ingest.columns is missing. Add this line, in section `ingest:`: `{COLUMNS}`."),
        ("  ignore: []", "  #", "ingest.ignore is missing. Add this line, in section `ingest:`: `ignore: []`."),
        ("  follow_links: true", "  #", "ingest.follow_links is missing. Add this line, in section `ingest:`: `follow_links: true`."),
        ("  test_fraction: 0.2", "  #", "ingest.test_fraction is missing. Add this line, in section `ingest:`: `test_fraction: 0.2`."),
        ("  format: auto", "  #", "ingest.format is missing. Add this line, in section `ingest:`: `format: auto`."),
        (COLUMNS, "columns: {group: null}", "ingest.columns.group should be auto, none (no column has them), or the name of a column"),
        (COLUMNS, 'columns: {split: ""}', "ingest.columns.split should be auto, none (no column has them), or the name of a column"),
        (EVALUATE, "\nevaluate:\n\n", "evaluate should be a section"),
        (
            "  margin: auto",
            "  margin: auto\n  top: 3",
            "register.top is not a parameter. Known here: model_name, min_accuracy, promote_when, margin, max_class_drop.",
        ),
        ("seed: 1", "seed: 2024-01-01", "found '2024-01-01'"),
        (COLUMNS, "columns: {lable: dx}", f"params.yaml:{line_of('columns:')}: ingest.columns.lable is not a parameter. Did you mean label?"),
        (COLUMNS, "columns:\n    path: file\n    klass: dx", f"{line_of('columns:') + 2}: ingest.columns.klass is not a parameter. Known here: path,"),
        (COLUMNS, "columns:\n    columns: {path: file}", "ingest.columns.columns is not a parameter. Its parameters belong directly below `columns:`."),
        (COLUMNS, "columns: {path: 1}", 'ingest.columns.path should be text; found 1. Put it in quotes: "1".'),
        (COLUMNS, "columns: {label: {name: dx}}", "ingest.columns.label should be text; found a section with name."),
        (COLUMNS, "columns: dx", "ingest.columns should be a section with parameters such as path, each in an indented line; found 'dx'."),
        *[("removed_classes: []", f"removed_classes: {names}", NAMES_OF_CLASSES) for names in ("fox", "[7]", "[fox, null]", "{fox: 1}", "null")],
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_in_one_line(tmp_path: Path, before: str, after: str, words: str) -> None:
    (problem,) = problems(tmp_path, (before, after))

    assert words in problem


def test_columns_that_are_not_named_stay_automatic(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(re.sub(r"(?m)^  columns: \{.*?\}", "  columns: {path: file, label: species}", TEXT), encoding="utf-8")

    assert load_config(file).ingest.columns.model_dump() == {"path": "file", "label": "species", "split": "auto", "group": "auto"}


def test_a_parameter_in_the_wrong_section_is_sent_to_the_right_one(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, ("  width: auto ", "  #"), ("  margin: auto", "  margin: auto\n  width: 3"))

    assert problem.endswith("register.width is not a parameter. Did you mean model.width, in section `model:`?")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("seed: [1", ":1: not valid YAML"),
        ("seed: 1\nseed: 2", ':2: not valid YAML: found duplicate key "seed"'),
        ("", ":1: expected sections such as `train:`, found nothing"),
        ("- 1", ":1: expected sections such as `train:`, found a list"),
        ("train:\n\tepochs: 1", ":2: not valid YAML: found character '\\t' that cannot start any token. Indent with spaces, not with tabs"),
        ("seed: 1\n---\nseed: 2", ":2: not valid YAML: a second document begins here"),
        ("seed: 1\n<<<<<<< ours\nx: 1\n=======\nx: 2\n>>>>>>> theirs", ":2: unresolved merge conflict"),
        ("seed: \0", ":1: not valid YAML: a character that cannot be printed"),
        ("seed: *nowhere", ":1: not valid YAML: found undefined alias"),
        ("seed: 2024-99-99", ": not valid YAML: it has an invalid date"),
        ("seed: " + 5000 * "9", ": not valid YAML: it has a number with too many digits"),
        (1_000 * "[", ": not valid YAML: nested too deep"),
        ("# " + 1_000_000 * "x", ": larger than 1 MB"),
        (TEXT.encode() + b"# \xe4\n", f":{len(TEXT.splitlines()) + 1}: expected UTF-8 text"),
        ("params:\n" + "".join(f"  {line}\n" for line in TEXT.splitlines()), ":1: params is not a parameter. seed, ingest, "),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_file_that_is_not_yaml_with_sections_is_one_line(tmp_path: Path, content: str | bytes, words: str) -> None:
    told = refused(tmp_path, content.encode() if isinstance(content, str) else content)

    assert told.startswith(f"params.yaml{words}")
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf" + TEXT.encode(), TEXT.replace("\n", "\r\n").encode()], ids=["byte order mark", "CRLF"])
def test_what_other_editors_write_is_read(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(content)

    assert load_config(path) == load_config(ROOT / "params.yaml")


def test_values_that_hold_themselves_or_each_other_many_times_are_told_in_words(tmp_path: Path) -> None:
    nested = "".join(f"a{i}: &a{i} [{','.join(9 * [f'*a{i - 1}'])}]\n" for i in range(1, 12))  # 9 to the power of 11 values

    told = refused(tmp_path, f"a0: &a0 [1]\n{nested}seed: *a11\nmodel: &m {{name: *m}}\n".encode())

    assert "seed should be a whole number from 0 to 2147483647; found a list of 9." in told


def test_numbers_are_read_as_dvc_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(TEXT.replace("learning_rate: auto", "learning_rate: 3e-1"), encoding="utf-8")

    assert load_config(path).train.learning_rate == 0.3
