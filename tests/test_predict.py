"""`pipeline predict` and `load`: every kind of input, every form of output, and the same numbers as MLflow gives."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.certainty.calibrated_run import CALIBRATION_TAG
from pipeline.certainty.calibration import Calibration
from pipeline.conversion.record import ONNX_TAG
from pipeline.errors import ConfigError, SourceError, TrackingError
from pipeline.files import sha256_file, write_bytes, write_json
from pipeline.images.decoding import encode_png
from pipeline.models.network import to_bytes
from pipeline.paths import Paths
from pipeline.predicting.commands import run_predict
from pipeline.serving import load
from pipeline.tracking.mlflow_log import MlflowLog
from pipeline.tracking.run_log import ModelVersion
from pipeline.travelling_code import PREFIX, pack_code
from tests.registered_model import NAME, REPORT, SPEC
from tests.test_fit import configure, fit, shapes

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(600)]

ROOT = Path(__file__).parent.parent
NOTHING_SURE = Calibration(SPEC["class_names"], 2.0, max_error=0.1, coverage=0.9, least_probabilities=[0.0, 0.0]).as_json()  # type: ignore[arg-type]
FOREIGN = """
import sys, json, warnings
warnings.filterwarnings("ignore")
import mlflow, pandas as pd
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(sys.argv[2])
answer = model.predict(pd.DataFrame({"image": [open(path, "rb").read() for path in sys.argv[3:]]}))
print(json.dumps(answer.to_dict("list")))
"""


def register(log: MlflowLog, paths: Paths, calibration: dict[str, object]) -> ModelVersion:
    """What `register` does with this calibration: the new version, with a run of its own."""
    files = [
        paths.stage("train") / "model.keras",
        paths.stage("preprocess") / "spec.json",
        paths.stage("evaluate") / "calibration.json",
    ]
    digests = {"model_sha256": sha256_file(files[0]), "spec_sha256": sha256_file(files[1])}
    write_json(files[2], calibration | {"fitted_on": {"model_sha256": digests["model_sha256"]}})
    run = log.start_run("run", {"kind": "pipeline", "model_sha256": digests["model_sha256"]})
    log.log_model(run, files[:2], to_serve=False)  # as `train` does
    log.log_model(run, files)
    run.finish()
    return log.register(NAME, run, digests | {CALIBRATION_TAG: sha256_file(files[2]), ONNX_TAG: run.tags[ONNX_TAG]})


def project(root: Path, model_bytes: bytes) -> tuple[Paths, MlflowLog]:
    """A project whose stages before `evaluate` have run, and its registry, which is empty."""
    root.mkdir(exist_ok=True)
    for file in ("params.yaml", "dvc.yaml"):
        (root / file).write_bytes((ROOT / file).read_bytes())
    paths = Paths(root)
    write_bytes(paths.stage("train") / "model.keras", model_bytes)
    write_json(paths.stage("preprocess") / "spec.json", SPEC)
    write_json(paths.stage("ingest") / "report.json", REPORT)
    (paths.stage("preprocess") / "train").mkdir()
    np.save(paths.stage("preprocess") / "train" / "images.npy", shapes()[0])
    return paths, MlflowLog.connect(paths)


def logged_files(paths: Paths, version: str = "1") -> Path:
    """The folder with the files of a version."""
    tracker = MlflowLog.connect(paths)
    found = tracker.version(NAME, version)
    assert found is not None
    run = tracker.read_run(found.run_id)
    assert run is not None
    return paths.mlruns / "artifacts" / "models" / run.tags["model_id"] / "artifacts"


@pytest.fixture(scope="module")
def model_bytes() -> bytes:
    return to_bytes(fit(configure(), *shapes()).keep())


@pytest.fixture(scope="module")
def registered(empty_store: Path, model_bytes: bytes, tmp_path_factory: pytest.TempPathFactory) -> Paths:
    """A project with the champion 1, which is sure of all, and version 2, the same network, which is sure of nothing."""
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("MLFLOW_TRACKING_URI", raising=False)
        paths, log = project(tmp_path_factory.mktemp("a prøject"), model_bytes)
        log.set_alias(NAME, "champion", register(log, paths, NOTHING_SURE | {"sure_from": 0.0}).version)
        register(log, paths, NOTHING_SURE)
    return paths


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three pictures in photos/, below the current folder."""
    rng = np.random.default_rng(0)
    for name in ("a.png", "deep/b.png", "deep/c.png"):
        write_bytes(tmp_path / "photos" / name, encode_png(rng.integers(0, 256, (8, 8), dtype=np.uint8)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path / "photos"


@pytest.fixture
def predict(registered: Paths, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[dict[str, str]]]:
    """Runs the command, and returns the rows of its CSV."""

    def run(*images: str, **options: object) -> list[dict[str, str]]:
        usual = {"model": "champion", "csv": True, "jsonl": False, "parquet": None, "copy_to": None, "strict": False}
        assert run_predict(SimpleNamespace(images=list(images), **{**usual, **options}), registered) == 0  # type: ignore[arg-type]
        return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))

    return run


Predict = Callable[..., list[dict[str, str]]]


def zipped(photos: Path) -> str:
    with zipfile.ZipFile("set.zip", "w") as archive:
        for file in sorted(photos.rglob("*.png")):
            archive.write(file, file.relative_to(photos))
    return "set.zip"


def tarred(photos: Path) -> str:
    with tarfile.open("set.tar.gz", "w:gz") as archive:
        archive.add(photos, ".")
    return "set.tar.gz"


def in_table(photos: Path) -> str:
    Path("list.csv").write_text("path,taken\nphotos/a.png,1\nphotos/deep/b.png,2\nphotos/deep/c.png,3\n", encoding="utf-8")
    return "list.csv"


def in_text(photos: Path) -> str:
    (photos / "list.txt").write_text("a.png\ndeep/b.png\ndeep/c.png\n", encoding="utf-8")  # relative to the list
    return "photos/list.txt"


@pytest.mark.parametrize(
    ("named", "shown"),
    [
        (lambda photos: "photos", "photos/"),
        (lambda photos: str(photos), "{photos}/"),
        (lambda photos: "photos/**/*.png", "photos/"),
        (zipped, "set.zip/"),
        (tarred, "set.tar.gz/"),
        (in_table, "photos/"),
        (in_text, "photos/"),
        (lambda photos: f"file://{photos}", "file://{photos}/"),
    ],
)
def test_a_folder_a_glob_an_archive_a_table_and_a_url_give_the_same_rows(
    predict: Predict, pictures: Path, named: Callable[[Path], str], shown: str
) -> None:
    files = {name: pictures / name for name in ("a.png", "deep/b.png", "deep/c.png")}

    rows = predict(named(pictures))

    expected = {shown.format(photos=pictures) + name: sha256_file(file) for name, file in files.items()}
    assert {row["path"]: row["sha256"] for row in rows} == expected
    assert {row["version"] for row in rows} == {"1"}
    assert all(row["label"] in ("rows", "A/b") and 0.5 <= float(row["probability"]) <= 1 and not row["error"] for row in rows)


def test_paths_come_from_standard_input_by_line_or_by_zero(predict: Predict, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for content in (b"photos/a.png\nphotos/gone.png\n", b"photos/a.png\0photos/gone.png\0"):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

        rows = predict()

        assert [(row["path"], row["error"]) for row in rows] == [("photos/a.png", ""), ("photos/gone.png", "there is no such file")]


def test_a_table_names_pictures_of_folders_below_it_if_that_can_be_read_in_one_way(predict: Predict, pictures: Path) -> None:
    table = pictures / "list.csv"
    table.write_text("file,x\na.png,1\nb.png,1\nmissing.png,1\n", encoding="utf-8")

    assert [(Path(row["path"]).name, row["error"]) for row in predict(str(table))] == [
        ("a.png", ""),
        ("b.png", ""),
        ("missing.png", f"there is no such file in {pictures} or below it, nor in {Path.cwd()}"),
    ]
    (pictures / "other").mkdir()
    shutil.copy(pictures / "deep" / "b.png", pictures / "other" / "b.png")

    error = predict(str(table))[1]["error"]
    assert error == f"2 files below {pictures} are called so: {pictures}/deep/b.png, {pictures}/other/b.png"


def test_images_none_of_which_can_be_used_are_an_error(predict: Predict, pictures: Path) -> None:
    (pictures / "list.csv").write_text("file\nmissing.png\n", encoding="utf-8")

    with pytest.raises(SourceError, match=r"^1 of 1 images could not be used"):
        predict(str(pictures / "list.csv"))


def test_json_parquet_and_csv_say_the_same(predict: Predict, pictures: Path, registered: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    rows = predict("photos")
    predict("photos", csv=False, parquet="labels.parquet")
    options = {"model": "champion", "csv": False, "parquet": None, "copy_to": None, "strict": False}
    run_predict(SimpleNamespace(images=["photos"], jsonl=True, **options), registered)  # type: ignore[arg-type]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert pq.read_table("labels.parquet").to_pylist() == lines
    in_csv = {"probability": "{:.6f}".format, "one_of": json.dumps}
    assert [{name: in_csv.get(name, str)(value) for name, value in line.items()} for line in lines] == rows
    assert {row["decision"] for row in rows} == {"sure"}
    assert {tuple(sorted(json.loads(row["one_of"]))) for row in rows} == {("A/b", "rows")}
    assert all(json.loads(row["one_of"])[0] == row["label"] for row in rows)


def test_an_unsure_answer_has_its_label_and_its_candidates_and_is_copied_into_no_class(
    predict: Predict, pictures: Path, registered: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, sure = predict("photos", model="2", copy_to="sorted"), predict("photos")

    assert [(row["label"], row["probability"]) for row in rows] == [(row["label"], row["probability"]) for row in sure]
    assert {row["decision"] for row in rows} == {"unsure"}
    assert {file.parent.name for file in Path("sorted").rglob("*.png")} == {"%unsure"}
    candidates = json.loads(rows[0]["one_of"])
    assert candidates[0] == rows[0]["label"]
    assert load("2", project=registered.root).predict("photos/a.png")[0].one_of == candidates
    options = {"csv": False, "jsonl": False, "parquet": None, "copy_to": None, "strict": False}
    run_predict(SimpleNamespace(images=["photos/a.png"], model="2", **options), registered)  # type: ignore[arg-type]
    assert capsys.readouterr().out.splitlines()[1].endswith(f"  unsure; one of: {', '.join(candidates)}")


def test_the_table_is_aligned_and_has_the_notes_and_the_reasons(
    registered: Paths, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_bytes(pictures / "big.png", encode_png(np.zeros((80, 8), np.uint8)))
    write_bytes(pictures / "cut.png", encode_png(np.zeros((8, 8), np.uint8))[:30])
    options = {"model": "1", "csv": False, "jsonl": False, "parquet": None, "copy_to": None, "strict": False}

    assert run_predict(SimpleNamespace(images=["photos"], **options), registered) == 0  # type: ignore[arg-type]

    printed = capsys.readouterr()
    head, _, big, cut, *_ = printed.out.splitlines()
    assert head == "path               label  probability  version  sha256"
    assert big.startswith("photos/big.png   ")
    assert big.endswith("note: 8 x 80 px, where the longer side of the training images has 8 to 12 px")
    assert cut.startswith("photos/cut.png                               1  ")
    assert "error: cannot be decoded" in cut
    assert "1 of 5 images could not be used" in printed.err


def test_an_unreadable_image_is_a_row_and_with_strict_an_error(predict: Predict, pictures: Path) -> None:
    (pictures / "broken.jpg").write_bytes(b"no image")
    (pictures / "lost.png").symlink_to("/nowhere/x.png")

    errors = {row["path"]: (row["label"], row["probability"], row["error"]) for row in predict("photos") if row["error"]}

    assert set(errors) == {"photos/broken.jpg", "photos/lost.png"}
    assert errors["photos/lost.png"] == ("", "", "a link to /nowhere/x.png, which is not there: is the drive mounted?")
    with pytest.raises(SourceError, match=r"^2 of 5 images could not be used: "):
        predict("photos", strict=True)


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("phtos", "phtos: there is no such file or folder"),
        ("photos/*.jpg", r"photos/\*.jpg: no file matches it"),
        ("empty", "empty has no images. Expected files such as JPEG"),
        ("texts", r"texts has no images. texts: 1 other file is no image: a.txt"),
        ("table.csv", r"table.csv: no column names images: x, y. Call the one with the paths path"),
        ("https://127.0.0.1:9/x.png", "https://127.0.0.1:9/x.png cannot be fetched"),
    ],
)
def test_an_argument_that_names_no_image_is_one_line(predict: Predict, pictures: Path, named: str, words: str) -> None:
    Path("empty").mkdir()
    Path("texts").mkdir()
    Path("texts/a.txt").write_text("hello", encoding="utf-8")
    Path("table.csv").write_text("x,y\n1,2\n3,4\n", encoding="utf-8")

    with pytest.raises(SourceError, match=f"^{words}") as caught:
        predict("photos", named)

    assert "\n" not in str(caught.value)


def test_pictures_are_copied_into_a_folder_per_class_once(predict: Predict, pictures: Path) -> None:
    write_bytes(pictures / "other" / "a.png", encode_png(np.full((8, 8), 7, np.uint8)))
    (pictures / "broken.png").write_bytes(b"")

    labels = {row["sha256"]: row["label"] for row in predict("photos", copy_to="sorted") if not row["error"]}
    first = {file: file.stat().st_mtime_ns for file in Path("sorted").rglob("*.png")}
    predict("photos", copy_to="sorted")

    assert {file: file.stat().st_mtime_ns for file in Path("sorted").rglob("*.png")} == first
    assert {sha256_file(file): file.parent.name for file in first} == {
        digest: label.replace("/", "%2F") for digest, label in labels.items()
    }
    assert len(first) == 4


def test_copies_never_mix_with_something_else(predict: Predict, pictures: Path) -> None:
    with pytest.raises(ConfigError, match="lies in photos, where the images are"):
        predict("photos", copy_to="photos/sorted")
    Path("mine").mkdir()
    Path("mine/diary.txt").touch()
    with pytest.raises(ConfigError, match="it is there already, with something else"):
        predict("photos", copy_to="mine")
    predict("photos", copy_to="sorted")
    Path("sorted/.predicted-by.json").write_text('{"model": "shapes version 9"}', encoding="utf-8")
    with pytest.raises(ConfigError, match="were sorted by shapes version 9, not by shapes version 1"):
        predict("photos", copy_to="sorted")


def test_a_model_is_named_by_version_alias_run_or_file(predict: Predict, pictures: Path, registered: Paths) -> None:
    tracker = MlflowLog.connect(registered)
    version = tracker.version(NAME, "1")
    assert version is not None
    file = registered.stage("train") / "model.keras"
    logged = next((registered.mlruns / "artifacts" / "models").rglob("calibration.json")).with_name("model.keras")
    expected = [row["probability"] for row in predict("photos")]

    for reference in ("1", "champion", f"{NAME}@champion", version.run_id, str(file), str(logged)):
        assert [row["probability"] for row in predict("photos", model=reference)] == expected
    assert predict("photos", model=str(file))[0]["version"] == f"sha256 {sha256_file(file)[:12]}"
    for wrong in ("7", "challenger", "gone.keras", "0" * 32):
        with pytest.raises(ConfigError, match=r"^[^\n]+$"):
            predict("photos", model=wrong)


def test_a_file_beside_the_calibration_of_another_model_is_refused(registered: Paths, pictures: Path) -> None:
    folder = pictures.parent / "copied"
    for name in ("model.keras", "spec.json"):
        write_bytes(folder / name, (logged_files(registered) / "data" / "model" / name).read_bytes())
    write_json(folder / "calibration.json", NOTHING_SURE | {"fitted_on": {"model_sha256": "of another"}})

    with pytest.raises(ConfigError, match=r"^--model .*copied/model.keras: calibration.json beside it is of another model"):
        load(folder / "model.keras", project=registered.root)


def test_python_gives_one_answer_for_paths_bytes_and_arrays(registered: Paths, pictures: Path) -> None:
    model = load(project=registered.root)
    file = pictures / "a.png"
    pixels = np.asarray(Image.open(file))

    several = model.predict([file, str(file), file.read_bytes(), pixels])

    assert model.class_names == ["rows", "A/b"]
    assert [answer.label for answer in several] == [several[0].label] * 4
    assert all(np.array_equal(answer.probabilities, several[0].probabilities) for answer in several)
    assert several[0].probability == several[0].probabilities.max()
    assert [answer.sha256 for answer in several] == [sha256_file(file)] * 3 + [""]
    assert [len(model.predict(one)) for one in (file, str(file), file.read_bytes(), pixels)] == [1, 1, 1, 1]
    assert len(model.predict(np.stack([pixels, pixels])[..., None])) == 2
    assert model.predict([]) == []
    with pytest.raises(SourceError, match=r"^image 1: "):
        model.predict([pixels, b"no image"])
    assert [bool(answer.error) for answer in model.predict([pixels, b"no image"], strict=False)] == [False, True]


def test_many_images_are_prepared_in_several_processes_in_order(registered: Paths) -> None:
    model = load(project=registered.root)
    rng = np.random.default_rng(1)
    images = [encode_png(pixels) for pixels in rng.integers(0, 256, (1203, 8, 8), dtype=np.uint8)]

    answers = model.predict(images)
    alone = [model.predict(image)[0] for image in images[::400]]

    assert [answer.sha256 for answer in answers[::400]] == [answer.sha256 for answer in alone]
    assert np.allclose([answer.probabilities for answer in answers[::400]], [answer.probabilities for answer in alone], atol=1e-6)


def test_mlflow_gives_the_same_numbers_beside_a_module_called_pipeline(registered: Paths, pictures: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "pipeline.py").write_text("raise SystemExit('the foreign module was imported')", encoding="utf-8")
    (foreign / "ask.py").write_text(FOREIGN, encoding="utf-8")
    files = sorted(map(str, pictures.rglob("*.png")))
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "ask.py", f"sqlite:///{registered.mlruns}/mlflow.db", f"models:/{NAME}@champion", *files]

    done = subprocess.run(command, cwd=foreign, env=env, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr[-2000:]
    answer = json.loads(done.stdout.splitlines()[-1])
    ours = load(project=registered.root).predict(files)
    assert answer["label"] == [one.label for one in ours]
    assert answer["note"] == ["", "", ""]
    assert answer["decision"] == ["sure"] * 3
    assert answer["one_of"] == [one.one_of for one in ours]
    found = [[row[name] for name in SPEC["class_names"]] for row in answer["probabilities"]]  # type: ignore[attr-defined]
    assert np.allclose(found, [one.probabilities for one in ours], rtol=0, atol=1e-6)


def test_load_works_beside_a_module_called_pipeline(registered: Paths, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "pipeline.py").write_text("print('the foreign module')", encoding="utf-8")
    many = f"[open({str(pictures / 'a.png')!r}, 'rb').read()] * 1100"
    (tmp_path / "ask.py").write_text(
        f"from image_classifier_pipeline import load\nmodel = load(project={str(registered.root)!r})\n"
        f"print([model.version, len(model.predict({many}))])\n",
        encoding="utf-8",
    )
    (tmp_path / "clash.py").write_text("import pipeline\nfrom image_classifier_pipeline import load\nload()\n", encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": ""}

    done, clash = (
        subprocess.run([sys.executable, name], cwd=tmp_path, env=env, capture_output=True, text=True) for name in ("ask.py", "clash.py")
    )

    assert done.stdout == "['1', 1100]\n", done.stderr[-2000:]
    assert clash.stdout == "the foreign module\n"
    assert "ImportError: Another module called pipeline is imported already: " in clash.stderr


def test_each_version_runs_its_own_code_in_one_process(registered: Paths, pictures: Path, tmp_path: Path) -> None:
    """The second is one of before the code had a name of its own, and sees every picture black."""
    logged = logged_files(registered)
    older = tmp_path / "older"
    write_bytes(older / "data" / "model" / "model.keras", (logged / "data" / "model" / "model.keras").read_bytes())
    write_json(older / "data" / "model" / "spec.json", SPEC)
    write_bytes(older / "MLmodel", (logged / "MLmodel").read_bytes())
    code = older / "code" / "pipeline" / "serving"
    code.mkdir(parents=True)
    (code / "served_model.py").write_text(
        "from pipeline.serving.answers import LABEL\nimport pandas as pd\n\ndef load(folder): return Model()\n\n"
        "class Model:\n    _class_names = ['rows', 'A/b']\n    def predict(self, images):\n"
        "        if images[0] == b'bad': raise ValueError('image 0: too bad')\n"
        "        return pd.DataFrame({'label': [LABEL], 'probability': [0.75], 'probabilities': [{'rows': 0.25, 'A/b': 0.75}]})\n",
        encoding="utf-8",
    )
    (code / "answers.py").write_text("LABEL = 'A/b'\n", encoding="utf-8")

    new, old = load(project=registered.root), load(older / "data" / "model" / "model.keras", project=registered.root)

    (answer, bad) = old.predict([pictures / "a.png", b"bad"], strict=False)
    assert (answer.label, answer.probability, answer.probabilities.tolist()) == ("A/b", 0.75, [0.25, 0.75])
    assert bad.error == "too bad"
    assert type(new._served).__module__.startswith(PREFIX)
    assert type(old._served).__module__.startswith(PREFIX)
    assert type(new._served).__module__ != type(old._served).__module__


def test_the_travelling_code_needs_nothing_else_of_this_package_and_loads_no_tensorflow(tmp_path: Path) -> None:
    package = pack_code(ROOT / "pipeline", tmp_path)

    assert pack_code(ROOT / "pipeline", tmp_path / "again") == package
    code = f"import sys, {package}.serving.served_model; print([n for n in ('pipeline', 'tensorflow', 'keras', 'mlflow', 'pandas') if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True
    )
    assert done.stdout.decode().strip() == "[]", done.stderr.decode()


def test_files_that_were_changed_are_not_used(registered: Paths, pictures: Path) -> None:
    for name in ("model.keras", "spec.json", "calibration.json"):
        file = logged_files(registered) / "data" / "model" / name
        kept = file.read_bytes()
        file.write_bytes(kept + b" ")
        try:
            with pytest.raises(TrackingError, match=rf"^shapes version 1 cannot be used: its {name} has the sha256 [^\n]+$"):
                load(project=registered.root)
        finally:
            file.write_bytes(kept)


def test_a_class_added_later_never_changes_the_meaning_of_an_old_versions_outputs(
    empty_store: Path, model_bytes: bytes, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The new class comes first in alphabetical order, so every class gets another number."""
    paths, log = project(tmp_path / "grown", model_bytes)
    register(log, paths, NOTHING_SURE | {"sure_from": 0.7})
    options = {"model": "1", "csv": False, "jsonl": True, "parquet": None, "copy_to": None, "strict": False}
    run_predict(SimpleNamespace(images=["photos"], **options), paths)  # type: ignore[arg-type]
    before = capsys.readouterr().out

    names = ["A/a", "A/b", "rows"]
    write_json(paths.stage("preprocess") / "spec.json", SPEC | {"class_names": names})
    write_bytes(paths.stage("train") / "model.keras", network_of(len(names)))
    grown = Calibration(names, 0.5, max_error=0.2, sure_from=0.0, coverage=0.9, least_probabilities=[0.9, 0.9, 0.9])
    log.set_alias(NAME, "champion", register(log, paths, grown.as_json()).version)

    run_predict(SimpleNamespace(images=["photos"], **options), paths)  # type: ignore[arg-type]
    assert capsys.readouterr().out == before
    assert set(load("2", project=paths.root).class_names) == set(names)
    assert {name for line in before.splitlines() for name in json.loads(line)["one_of"]} == {"rows", "A/b"}


def network_of(classes: int) -> bytes:
    """A network with so many classes."""
    import keras

    images = keras.Input((8, 8, 1), dtype="uint8")
    flat = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(images))
    return to_bytes(keras.Model(images, keras.layers.Dense(classes, activation="softmax")(flat)))
