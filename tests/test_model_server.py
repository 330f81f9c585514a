"""A model over HTTP: every form of a request, what is wrong with one, a new champion, a shadow, and a person with a browser."""

import base64
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from pipeline.errors import ConfigError, TrackingError
from pipeline.images.decoding import encode_png
from pipeline.model_server.app import ModelApp
from pipeline.model_server.current_model import CurrentModel
from pipeline.model_server.exported import open_export
from pipeline.model_server.listening import listen, server_of
from pipeline.model_server.shadow import Shadow
from pipeline.models.network import to_bytes
from pipeline.paths import Paths
from pipeline.serving import Classifier, load, located
from pipeline.serving.located import follows, named_version
from tests.axe import violations
from tests.dummy_project import free_port, wait_for
from tests.registered_model import NAME, project_with_champion, register
from tests.test_browser import ARGUMENTS, CHROMIUM, DRIVER
from tests.test_fit import configure, fit, shapes

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it would rather have httpx2, which is not what Prefect brings along
    from starlette.testclient import TestClient

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(600)]

ROOT = Path(__file__).parent.parent
PICTURES = [encode_png(np.random.default_rng(seed).integers(0, 256, (8, 8), dtype=np.uint8)) for seed in range(3)]
TEXTS = [base64.b64encode(picture).decode() for picture in PICTURES]
MOST_BYTES = 2**20
BOMB = encode_png(np.zeros((11_000, 11_000), np.uint8))


@pytest.fixture(scope="module")
def model_bytes() -> bytes:
    return to_bytes(fit(configure(), *shapes()).keep())


@pytest.fixture(scope="module")
def project(model_bytes: bytes, tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return project_with_champion(tmp_path_factory.mktemp("a prøject"), model_bytes)


@pytest.fixture(scope="module")
def champion(project: Paths) -> Classifier:
    return load("champion", project.root)


@pytest.fixture(scope="module")
def client(champion: Classifier) -> TestClient:
    current = CurrentModel(champion, lambda: champion, lambda: "1", 1.0)
    return TestClient(ModelApp(current, None, MOST_BYTES).asgi, raise_server_exceptions=False)


def labels(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [answer["label"] for answer in response.json()["predictions"]]


def line(response: httpx.Response) -> str:
    """What a faulty request is told, which is one line without any place of this machine."""
    message = str(response.json()["message"])
    assert "\n" not in message
    assert "Traceback" not in response.text
    assert str(ROOT) not in response.text
    return message


@pytest.fixture(scope="module")
def expected(champion: Classifier) -> list[str]:
    return [answer.label for answer in champion.predict(PICTURES)]


@pytest.mark.parametrize(
    "body",
    [
        {"instances": TEXTS},
        {"instances": [{"image": text} for text in TEXTS]},
        {"instances": [{"b64": text} for text in TEXTS]},
        {"instances": [{"image": {"b64": text}} for text in TEXTS]},
        {"inputs": TEXTS},
        {"inputs": {"image": TEXTS}},
        {"inputs": [{"image": text} for text in TEXTS]},
        {"dataframe_split": {"columns": ["image"], "data": [[text] for text in TEXTS]}},
        {"dataframe_split": {"columns": ["id", "image"], "data": [[7, text] for text in TEXTS]}},
        {"dataframe_split": {"data": [[text] for text in TEXTS]}},
        {"dataframe_records": [{"image": text} for text in TEXTS]},
    ],
)
def test_every_form_of_json_gives_the_same_answers(client: TestClient, expected: list[str], body: dict[str, object]) -> None:
    assert labels(client.post("/predict", json=body)) == expected
    assert labels(client.post("/invocations", json=body)) == expected


@pytest.mark.parametrize(
    "spelled",
    [
        lambda text: "\n".join(text[i : i + 20] for i in range(0, len(text), 20)),
        lambda text: f"  {text}\r\n",
        lambda text: text.rstrip("="),
        lambda text: text.translate(str.maketrans("+/", "-_")),
        lambda text: f"data:image/png;base64,{text}",
        lambda text: f"data:image/png;name=x.png;BASE64,{text}",
    ],
)
def test_every_spelling_of_base64_gives_the_same_answers(client: TestClient, expected: list[str], spelled: Callable[[str], str]) -> None:
    assert labels(client.post("/predict", json={"instances": [spelled(text) for text in TEXTS]})) == expected


@pytest.mark.parametrize("kind", ["image/png", "image/jpeg", "application/octet-stream"])
def test_an_image_may_be_the_body(client: TestClient, expected: list[str], kind: str) -> None:
    assert labels(client.post("/predict", content=PICTURES[0], headers={"Content-Type": kind})) == expected[:1]


def test_the_files_of_a_form_are_images(client: TestClient, expected: list[str]) -> None:
    files = [("pictures", (f"{number}.png", picture, "image/png")) for number, picture in enumerate(PICTURES)]

    assert labels(client.post("/predict", files=files)) == expected


def test_a_form_with_a_text_in_place_of_a_file_is_refused(client: TestClient) -> None:
    response = client.post("/predict", files=[("a", ("a.png", PICTURES[0]))], data={"b": "b.png"})

    assert response.status_code == 400
    assert line(response).startswith("The part b of the form is text, not a file.")


def test_an_answer_has_what_the_registered_model_gives_and_the_version(client: TestClient, champion: Classifier) -> None:
    said = client.post("/predict", json={"instances": TEXTS[:1]}).json()
    (expected,) = champion.predict(PICTURES[0])

    assert (said["model"], said["version"]) == (NAME, "1")
    (answer,) = said["predictions"]
    assert answer["probability"] == pytest.approx(expected.probability, abs=1e-6)
    assert list(answer["probabilities"]) == ["rows", "A/b"]
    assert list(answer["probabilities"].values()) == pytest.approx(expected.probabilities.tolist(), abs=1e-6)
    assert (answer["note"], answer["decision"], answer["one_of"]) == ("", expected.decision, list(expected.one_of))


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"instances": [TEXTS[0], "!"]}, 400, "image 1: not base64: it has the letter '!'"),
        ({"instances": [TEXTS[0], None]}, 400, "image 1: expected an image as base64 text, found nothing (null)"),
        ({"instances": [TEXTS[0], ""]}, 400, "image 1: an empty text, expected an image as base64"),
        ({"instances": [3]}, 400, "image 0: expected an image as base64 text, found a value of type int"),
        ({"instances": [[[0, 1], [1, 0]]]}, 400, "image 0: expected an image as base64 text, found a value of type list"),
        ({"instances": ["/home/me/my.png"]}, 400, "image 0: a path or an address (/home/me/my.png), not an image: send the content"),
        ({"instances": ["https://example.org/a.png"]}, 400, "image 0: a path or an address (https://example.org/a.png), not an image"),
        ({"instances": ["QUJDR"]}, 400, "image 0: base64 that is cut off: 5 letters"),
        ({"instances": [base64.b64encode(b"hello").decode()]}, 400, "image 0: "),
        ({"instances": [TEXTS[0][:60]]}, 400, "image 0: "),
        ({"instances": ["data:image/svg+xml,<svg/>"]}, 400, "image 0: a data: URL that is not base64"),
        ({"instances": [{"picture": TEXTS[0]}]}, 400, "instances: expected an image as image in row 0, found picture."),
        ({"instances": TEXTS[0]}, 400, "instances: expected a list with one value per image."),
        ({"dataframe_split": {"columns": ["picture"], "data": [[TEXTS[0]]]}}, 400, "dataframe_split: expected a column named image"),
        ({"dataframe_split": {"columns": ["image"], "data": [[TEXTS[0], 1]]}}, 400, "dataframe_split: row 0 has 2 values for 1 columns."),
        ({"dataframe_split": 3}, 400, "dataframe_split: expected"),
        ({}, 400, "Expected one of"),
        ({"images": []}, 400, "Expected one of"),
        ({"inputs": [], "instances": []}, 400, "Expected one of"),
        ([], 400, "Expected {"),
    ],
)
def test_what_is_wrong_with_a_request_is_one_line_with_the_row(client: TestClient, body: object, status: int, message: str) -> None:
    response = client.post("/predict", json=body)

    assert response.status_code == status
    assert line(response).startswith(message)


@pytest.mark.parametrize(
    ("content", "kind", "status", "message"),
    [
        (b"{", "application/json", 400, "The body is not JSON"),
        (b"[" * 100_000, "application/json", 400, "The body is not JSON"),
        (b"\xff\xfe", "application/json", 400, "The body is not JSON"),
        (b"", "application/json", 400, "The body is not JSON"),
        (b"", "image/png", 400, "image 0: "),
        (b"no image", "image/png", 400, "image 0: "),
        (BOMB, "image/png", 400, "image 0: 11000 x 11000 px is more than"),
        (b"image\n1\n", "text/csv", 415, "Content-Type text/csv: expected application/json"),
        (b"x" * (MOST_BYTES + 1), "image/png", 413, "The request is larger than 1 MB."),
        (b"--x--", "multipart/form-data; boundary=x", 400, "The form "),
        (b"nothing", "multipart/form-data", 400, "The form "),
    ],
)
def test_a_body_that_is_none_is_one_line(client: TestClient, content: bytes, kind: str, status: int, message: str) -> None:
    response = client.post("/predict", content=content, headers={"Content-Type": kind})

    assert response.status_code == status
    assert line(response).startswith(message)


def test_a_body_of_unknown_length_is_stopped_at_the_limit(client: TestClient) -> None:
    parts = (b"x" * 2**16 for _ in range(100))

    response = client.post("/predict", content=parts, headers={"Content-Type": "image/png"})

    assert response.status_code == 413


def test_no_images_give_no_answers_and_a_thousand_give_a_thousand(client: TestClient, expected: list[str]) -> None:
    assert labels(client.post("/predict", json={"instances": []})) == []
    assert labels(client.post("/predict", json={"instances": TEXTS * 334})) == expected * 334


def test_other_addresses_and_methods_are_one_line(client: TestClient) -> None:
    assert (client.get("/predict").status_code, line(client.get("/predict"))) == (405, "GET is not for /predict.")
    assert (client.get("/nowhere").status_code, line(client.get("/nowhere"))) == (404, "There is nothing at /nowhere.")


def test_a_fault_of_the_model_itself_is_one_line_without_its_trace(champion: Classifier) -> None:
    class Broken:
        name, version, shown, class_names = "m", "1", "m version 1", ["a"]

        def answer(self, values: object) -> list[object]:
            raise RuntimeError("secret")

    current = CurrentModel(Broken(), lambda: champion, lambda: "1", 1.0)  # type: ignore[arg-type]
    response = TestClient(ModelApp(current, None, MOST_BYTES).asgi, raise_server_exceptions=False).post("/predict", json={"inputs": TEXTS})

    assert response.status_code == 500
    assert line(response) == "The model failed on this request; the server's log says how."


def test_a_request_that_a_stopping_server_does_not_finish_gets_one_line(champion: Classifier) -> None:
    class Slow:
        name, version, shown, class_names = "m", "1", "m version 1", ["a"]

        def answer(self, values: object) -> list[object]:
            answering.set()
            time.sleep(1)
            return []

    answering, responses = threading.Event(), []
    current = CurrentModel(Slow(), lambda: champion, lambda: "1", 60.0)  # type: ignore[arg-type]
    server, listener = server_of(ModelApp(current, None, MOST_BYTES).asgi, 0.2), listen("127.0.0.1", 0)
    address = f"http://127.0.0.1:{listener.getsockname()[1]}/predict"
    threads = [
        threading.Thread(target=server.run, kwargs={"sockets": [listener]}),
        threading.Thread(target=lambda: responses.append(httpx.post(address, json={"inputs": TEXTS}))),
    ]
    for thread in threads:
        thread.start()
    assert answering.wait(30)
    server.should_exit = True
    for thread in threads:
        thread.join()

    assert responses[0].status_code == 503
    assert responses[0].headers["Retry-After"] == "1"
    assert line(responses[0]) == "The server stops and did not finish this request. Send it again."


def test_health_and_metrics(client: TestClient) -> None:
    client.post("/predict", json={"instances": TEXTS})
    client.post("/predict", json={"instances": ["!"]})

    assert client.get("/health").text == client.get("/ping").text == "ok\n"
    assert client.get("/ready").text == "ready\n"
    assert client.get("/version").json()["class_names"] == ["rows", "A/b"]
    numbers = client.get("/metrics").text
    assert f'classifier_model_info{{name="{NAME}",version="1"}} 1.0' in numbers
    assert 'classifier_requests_total{status="200"}' in numbers
    assert 'classifier_requests_total{status="400"}' in numbers


def test_the_registered_model_under_mlflow_reads_requests_alike(project: Paths, expected: list[str]) -> None:
    """By the function that MLflow's server calls, in a process that does not import this project."""
    forms = [
        {"dataframe_split": {"columns": ["image"], "data": [[text.rstrip("=")] for text in TEXTS]}},
        {"dataframe_records": [{"image": f"data:image/png;base64,{text}"} for text in TEXTS]},
        {"instances": TEXTS},
        {"instances": [{"image": {"b64": text}} for text in TEXTS]},
        {"inputs": {"image": TEXTS}},
        {"inputs": ["!"]},
        {"dataframe_records": [{"image": TEXTS[0]}, {"image": None}]},
    ]
    script = """
import json, sys, warnings
warnings.filterwarnings("ignore")
import mlflow
from fastapi.testclient import TestClient
from mlflow.pyfunc.scoring_server import init
mlflow.set_tracking_uri(sys.argv[1])
client = TestClient(init(mlflow.pyfunc.load_model(sys.argv[2])))
answers = [client.post("/invocations", json=form) for form in json.loads(sys.argv[3])]
print(json.dumps([[answer.status_code, answer.json()] for answer in answers]))
"""
    uri = f"sqlite:///{project.mlruns / 'mlflow.db'}"
    done = subprocess.run(
        [sys.executable, "-P", "-c", script, uri, f"models:/{NAME}@champion", json.dumps(forms)],
        cwd=project.root, env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)

    assert [[answer["label"] for answer in said["predictions"]] for status, said in answers[:5] if status == 200] == [expected] * 5
    assert [(status, said["error_code"], said["message"]) for status, said in answers[5:]] == [
        (400, "BAD_REQUEST", "image 0: not base64: it has the letter '!'"),
        (400, "BAD_REQUEST", "image 1: expected an image as base64 text, found nothing (null)"),
    ]
    assert "Traceback" not in done.stdout


def test_a_new_champion_answers_and_a_registry_in_trouble_changes_nothing(champion: Classifier, caplog: pytest.LogCaptureFixture) -> None:
    class Other:
        version, shown = "2", f"{NAME} version 2"

    named: list[str | Exception] = ["1", TrackingError("The registry is down."), TrackingError("The registry is down."), "2"]

    def version() -> str:
        now = named.pop(0)
        if isinstance(now, Exception):
            raise now
        return now

    current = CurrentModel(champion, lambda: Other(), version, 1.0)  # type: ignore[arg-type, return-value]
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            current.look()
            assert current.classifier is champion
        current.look()

    assert current.classifier.version == "2"
    assert current.registry_errors == 2
    assert [record.getMessage() for record in caplog.records] == [
        f"The registry is down. {NAME} version 1 goes on answering.",
        f"{NAME} version 2 answers now, in place of {NAME} version 1.",
    ]


def test_a_shadow_writes_down_where_it_differs_and_no_picture(champion: Classifier, tmp_path: Path) -> None:
    class Contrary:
        version = "2"

        def answer(self, values: list[object]) -> list[object]:
            turned = {"rows": "A/b", "A/b": "rows"}
            return [
                type(a)(turned[a.label] if n else a.label, a.probability, a.probabilities) for n, a in enumerate(champion.answer(values))
            ]

    file = tmp_path / "shadow.jsonl"
    shadow = Shadow(Contrary(), file)  # type: ignore[arg-type]
    shadow.start()
    client = TestClient(ModelApp(CurrentModel(champion, lambda: champion, lambda: "1", 1.0), shadow, MOST_BYTES).asgi)
    client.post("/predict", json={"instances": TEXTS})
    shadow.drain()

    lines = [json.loads(text) for text in file.read_text(encoding="utf-8").splitlines()]
    assert [said["sha256"] for said in lines] == [answer.sha256 for answer in champion.answer(TEXTS)[1:]]
    assert {(said["version"], said["shadow_version"]) for said in lines} == {("1", "2")}
    assert all(said["label"] != said["shadow_label"] for said in lines)
    numbers = client.get("/metrics").text
    assert "classifier_shadow_images_total 3.0" in numbers
    assert "classifier_shadow_disagreements_total 2.0" in numbers


@pytest.fixture(scope="module")
def served(model_bytes: bytes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Paths, str, "subprocess.Popen[str]"]]:
    """The command itself, with its project and address."""
    paths = project_with_champion(tmp_path_factory.mktemp("served"), model_bytes)
    port = free_port()
    environment = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"} | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-P", "-m", "pipeline", "serve-model", "--port", str(port), "--poll", "1"]
    with subprocess.Popen(command, cwd=paths.root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        address = f"http://127.0.0.1:{port}"
        wait_for(lambda: is_ready(address), 240)
        yield paths, address, process
        process.kill()


def is_ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/ready", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


Served = tuple[Paths, str, "subprocess.Popen[str]"]


@pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no Chromium with chromedriver here: the page was not opened in a browser")
def test_a_person_drops_a_picture_on_the_page(served: Served, tmp_path: Path, expected: list[str]) -> None:
    _, address, _ = served
    (tmp_path / "mine.png").write_bytes(PICTURES[0])
    (tmp_path / "broken.png").write_bytes(b"no picture")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for argument in ARGUMENTS:
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options, webdriver.ChromeService(DRIVER)) as browser:
        browser.get(address)
        WebDriverWait(browser, 30).until(lambda page: "version 1" in page.find_element(By.TAG_NAME, "h1").text)
        chooser = browser.find_element(By.ID, "files")
        chooser.send_keys(f"{tmp_path / 'mine.png'}")
        WebDriverWait(browser, 30).until(lambda page: page.find_elements(By.TAG_NAME, "table"))
        answer = browser.find_element(By.TAG_NAME, "article").text
        assert answer.startswith(f"{expected[0]}\nmine.png\n")
        assert f"{NAME} version 1" in answer
        chooser.send_keys(f"{tmp_path / 'broken.png'}")
        WebDriverWait(browser, 30).until(lambda page: page.find_elements(By.CLASS_NAME, "error"))
        assert browser.find_element(By.CLASS_NAME, "error").text.startswith("image 0: ")
        assert violations(browser) == []
        assert [entry for entry in browser.get_log("browser") if "400" not in entry["message"] and "favicon" not in entry["message"]] == []  # type: ignore[no-untyped-call]
        browser.execute_script("""
            const data = new DataTransfer(); data.items.add(new File([Uint8Array.from(atob(arguments[0]), c => c.charCodeAt(0))], 'dropped.png'));
            document.getElementById('drop').dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true}));
        """, TEXTS[1])  # fmt: skip
        WebDriverWait(browser, 30).until(lambda page: page.find_elements(By.TAG_NAME, "table")[1:])
        assert browser.find_element(By.TAG_NAME, "article").text.startswith(f"{expected[1]}\ndropped.png\n")


def test_a_client_that_hangs_up_harms_nobody(served: Served, expected: list[str]) -> None:
    _, address, _ = served
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))) as caller:
            caller.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 100000\r\n\r\nhalf a pic")

    answer = httpx.post(f"{address}/predict", json={"instances": TEXTS}, timeout=60)

    assert labels(answer) == expected


def test_a_new_champion_is_picked_up_without_a_lost_request_and_sigterm_ends_it(served: Served, model_bytes: bytes) -> None:
    paths, address, process = served
    statuses: list[int] = []
    versions: set[str] = set()
    stop = threading.Event()

    def ask() -> None:
        with httpx.Client(timeout=60) as client:
            while not stop.is_set():
                response = client.post(f"{address}/predict", json={"instances": TEXTS[:1]})
                statuses.append(response.status_code)
                versions.add(response.json().get("version"))

    askers = [threading.Thread(target=ask) for _ in range(2)]
    for asker in askers:
        asker.start()
    try:
        register(paths, model_bytes, "champion")
        wait_for(lambda: "2" in versions, 120)
    finally:
        stop.set()
        for asker in askers:
            asker.join()
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=60)

    assert set(statuses) == {200}
    assert versions == {"1", "2"}
    assert process.returncode == 128 + signal.SIGTERM
    assert output.splitlines()[0].startswith(f"{NAME} version 1 answers at {address}")
    assert output.splitlines()[-1] == "Ctrl-C stops it."
    assert errors.splitlines()[0] == f"INFO: {NAME} version 2 answers now, in place of {NAME} version 1."
    assert errors.splitlines()[-1] == "pipeline serve-model: stopped by SIGTERM"


@pytest.mark.parametrize(
    ("reference", "followed"),
    [
        ("champion", True),
        ("models:/shapes@champion", True),
        ("my-alias", True),
        ("3", False),
        ("v3", False),
        ("models:/shapes/3", False),
        ("a" * 32, False),
        ("runs:/" + "a" * 32, False),
        ("model.keras", False),
    ],
)
def test_only_an_alias_is_followed(reference: str, followed: bool) -> None:
    assert follows(reference) is followed


def test_the_version_of_an_alias_is_found_without_mlflow_where_it_is_known(project: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    expected = named_version("champion", project)
    monkeypatch.setattr(located, "look_up", lambda reference, paths: None)

    assert named_version("champion", project) == expected == "1"


ALONE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background of a shell
for name in ("tensorflow", "keras", "mlflow", "prefect", "dvc", "pandas", "pyarrow", "sklearn", "scipy", "joblib", "onnx", "matplotlib"):
    sys.modules[name] = None
from pipeline.model_server.__main__ import main
sys.argv = ["python -m pipeline.model_server", *sys.argv[1:]]
raise SystemExit(main())
"""


@pytest.fixture(scope="module")
def exported(project: Paths, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What of an export the server reads."""
    (logged,) = {file.parent for file in (project.mlruns / "artifacts" / "models").rglob("model.onnx")}
    folder = tmp_path_factory.mktemp("exported")
    for name in ("model.onnx", "spec.json", "training_images.json"):
        shutil.copy(logged / name, folder / name)
    (folder / "export.json").write_text(json.dumps({"version": f"{NAME}/1"}), encoding="utf-8")
    return folder


def test_an_export_is_served_by_few_packages(exported: Path, expected: list[str], tmp_path: Path) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with subprocess.Popen(
        [sys.executable, "-P", "-c", ALONE, str(exported), "--port", str(port)],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            wait_for(lambda: is_ready(address), 120)
            said = httpx.post(f"{address}/predict", json={"instances": TEXTS}, timeout=60)
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=60)
        finally:
            process.kill()

    assert labels(said) == expected
    assert (said.json()["model"], said.json()["version"]) == (NAME, "1")
    assert output == f"{NAME} version 1 answers at {address}\n"
    assert (process.returncode, errors) == (130, "")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("export.json", None, "has no export.json: it is no folder of `pipeline export onnx`."),
        ("model.onnx", b"no model", "is not as `pipeline export onnx` has written it: "),
        ("spec.json", b"[]", "is not as `pipeline export onnx` has written it: "),
        ("export.json", b"{}", "is not as `pipeline export onnx` has written it: "),
    ],
)
def test_a_folder_that_is_no_export_is_one_line(exported: Path, tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    folder = Path(shutil.copytree(exported, tmp_path / "copy"))
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)

    with pytest.raises(ConfigError) as raised:
        open_export(folder)
    assert str(raised.value).startswith(f"{folder} {message}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "7"], "error: shapes has no version 7."),
        (["--host", "no.such.host.invalid"], "error: --host no.such.host.invalid: "),
        (["--shadow", "1"], "error: --shadow 1 is shapes version 1, which answers already. Name another version."),
        (["--shadow", "champion", "--shadow-file", "/nowhere/x"], "error: --shadow-file /nowhere/x: No such file or directory."),
        (["--poll", "0"], "error: argument --poll: expected seconds, 1 or more; found '0'"),
    ],
)
def test_what_cannot_be_served_is_one_line(project: Paths, arguments: list[str], message: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"} | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-P", "-m", "pipeline", "serve-model", "--port", str(free_port()), *arguments]

    done = subprocess.run(command, cwd=project.root, env=environment, capture_output=True, text=True)

    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(message)
    assert done.stdout == ""


def test_a_port_that_is_taken_is_one_line(project: Paths) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-P", "-m", "pipeline", "serve-model", "--port", str(port)],
            cwd=project.root, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        )  # fmt: skip

    assert done.returncode == 2
    assert done.stderr.startswith(f"error: --port {port} on 127.0.0.1: ")
    assert len(done.stderr.splitlines()) == 1
