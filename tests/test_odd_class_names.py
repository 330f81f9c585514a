"""Class names that programs tend to change go through all six stages, into MLflow, and come back as answers of the registered model."""

import csv
import io
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from mlflow.tracking import MlflowClient
from PIL import Image

from pipeline.dataset.ledger import known_images, recorded_classes
from pipeline.names import quoted, shown
from pipeline.params.reader import Config, load_config
from pipeline.paths import Paths
from pipeline.retraining.summary import data_markdown, markdown, verdict
from pipeline.serving.own_code import open_served
from pipeline.stages import cross_validate, evaluate, ingest, preprocess, register, train
from pipeline.tracking.mlflow_log import MlflowLog
from pipeline.tracking.tracking_server import tracking_uri
from tests.odd_names import ODD_NAMES
from tests.test_report import Page

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(600)]

IMAGES = 8
NUMBERS = ["0", "1", "2", "10"]
Writer = Callable[[Path, Sequence[str]], None]


def picture(label: int, number: int) -> Image.Image:
    """16 x 16 px of noise in the colour of a class."""
    rng = np.random.default_rng([label, number])
    colour = np.array([label * 37 % 256, label * 91 % 256, label * 151 % 256])
    return Image.fromarray(((rng.integers(0, 256, (16, 16, 3)) + colour) // 2).astype(np.uint8))


def class_folders(source: Path, names: Sequence[str]) -> None:
    for label, name in enumerate(names):
        (source / name).mkdir(parents=True)
        for i in range(IMAGES):
            picture(label, i).save(source / name / f"{i}.png")


def images(source: Path, names: Sequence[str]) -> list[tuple[str, str]]:
    """(path, class) of the images in one folder."""
    (source / "images").mkdir(parents=True)
    rows = []
    for label, name in enumerate(names):
        for i in range(IMAGES):
            picture(label, i).save(source / "images" / f"{label}_{i}.png")
            rows.append((f"images/{label}_{i}.png", name))
    return rows


def csv_table(source: Path, names: Sequence[str]) -> None:
    rows = images(source, names)
    with (source / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("path", "label"), *rows])


def json_table(source: Path, names: Sequence[str]) -> None:
    rows = [{"path": path, "label": name} for path, name in images(source, names)]
    (source / "labels.json").write_text(json.dumps(rows), encoding="utf-8")


def configure(source: Path) -> Config:
    values = load_config(Path(__file__).parent.parent / "params.yaml").model_dump(by_alias=True)
    values["ingest"] |= {"source": str(source)}
    values["preprocess"] |= {"image_size": [16, 16]}
    values["model"] |= {"name": "tutorial", "width": 0.125}
    values["train"] |= {"epochs": 1, "min_steps": 0, "batch_size": 32, "device": "cpu", "precision": "float32"}
    values["cross_validate"] |= {"folds": 2}
    return Config.model_validate(values)


def prepare(root: Path, write: Writer, names: Sequence[str]) -> Paths:
    """The outputs of `ingest` and `preprocess`."""
    write(root / "odd", names)
    paths = Paths(root / "project")
    ingest.run(configure(root / "odd"), paths, None)
    preprocess.run(configure(root / "odd"), paths, None)
    return paths


class Finished(NamedTuple):
    """A project after all six stages, and what they printed."""

    paths: Paths
    printed: str

    def text(self, stage: str, file: str) -> str:
        return (self.paths.stage(stage) / file).read_bytes().decode()

    def rows(self, stage: str, file: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.text(stage, file), newline="")))


@pytest.fixture(scope="module")
def finished(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    root = tmp_path_factory.mktemp("names")
    shutil.copytree(empty_store, root / "project")
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "DVC_EXP_NAME"):
            patch.delenv(name, raising=False)
        patch.setattr("sys.stderr", printed)
        paths, config = prepare(root, class_folders, ODD_NAMES), configure(root / "odd")
        paths.params.write_text("seed: 1\n", encoding="utf-8")
        for stage in (train, cross_validate, evaluate, register):
            stage.run(config, paths, MlflowLog.connect(paths))
        ingest.run(config, paths, None)  # reads what the first run recorded
    return Finished(paths, printed.getvalue())


@pytest.fixture
def client(finished: Finished) -> MlflowClient:
    return MlflowClient(tracking_uri(finished.paths))


def test_what_ingest_writes_has_every_name(finished: Finished) -> None:
    report = json.loads(finished.text("ingest", "report.json"))

    assert report["class_names"] == sorted(ODD_NAMES)
    assert {name: sum(split[name] for split in report["counts"].values()) for name in ODD_NAMES} == dict.fromkeys(ODD_NAMES, IMAGES)
    assert {row["label"] for row in finished.rows("ingest", "findings.csv") if row["finding"] == "small_class"} == set(ODD_NAMES)
    assert recorded_classes(finished.paths.classes, "odd") == sorted(ODD_NAMES)
    assert set(known_images(finished.paths.known_images, "odd")) == set(ODD_NAMES)
    assert set(pq.read_table(finished.paths.stage("ingest") / "index.parquet")["label"].to_pylist()) == set(ODD_NAMES)


def test_each_image_keeps_its_class_up_to_the_predictions(finished: Finished) -> None:
    for stage, file in (("evaluate", "predictions.parquet"), ("cross_validate", "out_of_fold.parquet")):
        table = pq.read_table(finished.paths.stage(stage) / file)

        assert [name.removeprefix("probability ") for name in table.column_names if name.startswith("probability ")] == sorted(ODD_NAMES)
        assert [path.split("/")[0] for path in table["path"].to_pylist()] == table["label"].to_pylist()
        assert set(table["predicted"].to_pylist()) <= set(ODD_NAMES)


def test_metrics_per_class_have_every_name(finished: Finished) -> None:
    assert json.loads(finished.text("preprocess", "spec.json"))["class_names"] == sorted(ODD_NAMES)
    assert [row["class"] for row in finished.rows("evaluate", "per_class.csv")] == sorted(ODD_NAMES)


def test_both_reports_show_every_name(finished: Finished) -> None:
    for stage in ("ingest", "evaluate"):
        text = Page(finished.text(stage, "report.html")).text

        assert [name for name in ODD_NAMES if shown(name) not in text] == []


def test_mlflow_has_every_name_and_no_metric_is_named_after_a_class(finished: Finished, client: MlflowClient) -> None:
    version = client.get_model_version("odd", "1")
    assert version.run_id
    run = client.get_run(version.run_id)

    assert json.loads(version.tags["class_names"]) == sorted(ODD_NAMES)
    assert [
        key for key in (*run.data.metrics, *run.data.params, *run.data.tags) if any(name in key for name in ODD_NAMES if len(name) > 3)
    ] == []
    assert {item.path for item in client.list_artifacts(version.run_id, "evaluate")} >= {"evaluate/per_class.csv", "evaluate/report.html"}
    assert "\n" not in client.get_registered_model("odd").description


def test_the_registered_model_answers_with_the_names(finished: Finished) -> None:
    import mlflow
    from mlflow.pyfunc.scoring_server import predictions_to_json

    mlflow.set_tracking_uri(tracking_uri(finished.paths))
    with tempfile.TemporaryDirectory() as folder:  # which is gone when MLflow loads the same code
        mlflow.artifacts.download_artifacts("models:/odd/1", dst_path=folder)
        open_served(Path(folder), "odd")
    model = mlflow.pyfunc.load_model("models:/odd/1")
    files = [finished.paths.root.parent / "odd" / name / "0.png" for name in ODD_NAMES]

    answer = model.predict(pd.DataFrame({"image": [file.read_bytes() for file in files]}))
    over_http = io.StringIO()
    predictions_to_json(answer, over_http)  # type: ignore[no-untyped-call]

    table = pq.read_table(finished.paths.stage("evaluate") / "predictions.parquet").to_pylist()
    said = {row["path"]: row["predicted"] for row in table}
    for name, label, probabilities in zip(ODD_NAMES, answer["label"], answer["probabilities"], strict=True):
        assert list(probabilities) == sorted(ODD_NAMES)
        assert label == said.get(f"{name}/0.png", label)
    decoded = json.loads(over_http.getvalue())["predictions"]
    assert [row["label"] for row in decoded] == answer["label"].tolist()
    assert set(decoded[0]["probabilities"]) == set(ODD_NAMES)


def test_the_decision_and_the_summaries_name_what_is_never_predicted(finished: Finished) -> None:
    table = pq.read_table(finished.paths.stage("evaluate") / "predictions.parquet")
    never = sorted(set(table["label"].to_pylist()) - set(table["predicted"].to_pylist()))
    decision = json.loads(finished.text("register", "decision.json"))

    assert list(decision["decision"]["never_predicted"]) == never
    (warning,) = (line for line in verdict(finished.paths).splitlines() if "never predicted" in line)
    assert all((quoted(name) if "," in name else shown(name)) in warning for name in never)
    assert "\r" not in finished.printed
    assert [line[-2:] for line in markdown(finished.paths, []).splitlines() if line.startswith("| warning")] == [" |"]
    assert len(data_markdown(finished.paths).partition("| class |")[2].strip().splitlines()) == 2 + len(ODD_NAMES)


@pytest.mark.parametrize("write", [csv_table, json_table], ids=lambda write: write.__name__)
def test_a_table_gives_the_same_classes(write: Writer, tmp_path: Path) -> None:
    paths = prepare(tmp_path, write, ODD_NAMES)

    spec = json.loads((paths.stage("preprocess") / "spec.json").read_text(encoding="utf-8"))
    index = pq.read_table(paths.stage("ingest") / "index.parquet").to_pylist()
    assert spec["class_names"] == sorted(ODD_NAMES)
    assert {row["label"] for row in index if row["path"].startswith("images/11_")} == {ODD_NAMES[11]}


@pytest.mark.parametrize("write", [class_folders, csv_table, json_table], ids=lambda write: write.__name__)
def test_numbers_are_in_the_order_of_numbers_and_later_ones_come_last(write: Writer, tmp_path: Path) -> None:
    paths = prepare(tmp_path, write, ["10", "2", "0", "1"])
    assert json.loads((paths.stage("preprocess") / "spec.json").read_text(encoding="utf-8"))["class_names"] == NUMBERS

    shutil.rmtree(tmp_path / "odd")
    prepare(tmp_path, write, ["11", "10", "9", "2", "0", "1"])

    assert json.loads((paths.stage("preprocess") / "spec.json").read_text(encoding="utf-8"))["class_names"] == [*NUMBERS, "9", "11"]
