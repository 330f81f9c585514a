"""Two runs with different learning rates, compared in MLflow's own UI by a real browser."""

import json
import os
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from pipeline.paths import Paths
from pipeline.processes import session
from pipeline.tracking.mlflow_log import MlflowLog
from pipeline.tracking.tracking_server import tracking_uri
from pipeline.tracking.ui import SETTINGS
from tests.dummy_project import free_port, wait_for

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
ARGUMENTS = (
    "headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "disable-background-networking", "disable-component-update",
    "window-size=1400,1000",
)  # fmt: skip

pytestmark = [
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER), reason="no Chromium with chromedriver here: the browser test of the comparison page was left out"
    ),
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture
def paths(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return Paths(shutil.copytree(empty_store, tmp_path / "project"))


@pytest.fixture
def run_ids(paths: Paths) -> list[str]:
    log = MlflowLog.connect(paths)
    ids = []
    for learning_rate, accuracy in ((0.1, 0.8125), (0.3, 0.9375)):
        run = log.start_run(f"rate {learning_rate}", {"kind": "pipeline"})
        run.log_params({"train.learning_rate": learning_rate, "train.epochs": 7})
        run.log_metrics({"test_accuracy": accuracy})
        run.finish()
        ids.append(run.id)
    return ids


def is_up(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture
def server(paths: Paths, run_ids: list[str]) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", tracking_uri(paths)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with (paths.root / "server.log").open("wb") as output, session(command, stdout=output, env={**os.environ, **SETTINGS}) as process:
        assert wait_for(lambda: process.poll() is not None or is_up(f"http://127.0.0.1:{port}/health"), 120)
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for argument in (*ARGUMENTS, f"user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(f"--{argument}")
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def test_two_runs_are_compared_side_by_side(server: str, run_ids: list[str], browser: webdriver.Chrome) -> None:
    browser.get(f"{server}/#/compare-runs?runs={quote(json.dumps(run_ids))}&experiments={quote(json.dumps(['1']))}")

    WebDriverWait(browser, 60).until(lambda driver: "train.learning_rate" in driver.find_element(By.TAG_NAME, "body").text)

    text = browser.find_element(By.TAG_NAME, "body").text
    assert [said for said in ("rate 0.1", "rate 0.3", "0.1", "0.3", "test_accuracy", "0.813", "0.938") if said not in text] == []
