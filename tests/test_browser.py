"""Two runs with different learning rates, compared in MLflow's own UI by a real browser."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
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
from pipeline.tracking.mlflow_log import MlflowLog

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")

pytestmark = [
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER), reason="no Chromium with chromedriver here: the browser test of the comparison page was left out"
    ),
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture
def run_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    log = MlflowLog.connect(Paths(tmp_path))
    ids = []
    for learning_rate, accuracy in ((0.1, 0.8125), (0.3, 0.9375)):
        run = log.start_run(f"rate {learning_rate}", {"kind": "pipeline"})
        run.log_params({"train.learning_rate": learning_rate, "train.epochs": 7})
        run.log_metrics({"test_accuracy": accuracy})
        run.finish()
        ids.append(run.id)
    return ids


@pytest.fixture
def server(tmp_path: Path, run_ids: list[str]) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    store = f"sqlite:///{tmp_path / 'mlruns' / 'mlflow.db'}"
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        store,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_healthy(f"http://127.0.0.1:{port}/health", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


def wait_until_healthy(url: str, process: subprocess.Popen[bytes], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    raise AssertionError("MLflow's server did not start")


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for argument in (
        "headless=new",
        "no-sandbox",
        "disable-gpu",
        "disable-dev-shm-usage",
        "disable-background-networking",
        "disable-component-update",
    ):
        options.add_argument(f"--{argument}")
    options.add_argument("--window-size=1400,1000")
    options.add_argument(f"--user-data-dir={tmp_path / 'profile'}")
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def test_two_runs_are_compared_side_by_side(server: str, run_ids: list[str], browser: webdriver.Chrome, tmp_path: Path) -> None:
    browser.get(f"{server}/#/compare-runs?runs={quote(json.dumps(run_ids))}&experiments={quote(json.dumps(['1']))}")

    WebDriverWait(browser, 60).until(lambda driver: "train.learning_rate" in driver.find_element(By.TAG_NAME, "body").text)

    text = browser.find_element(By.TAG_NAME, "body").text
    browser.save_screenshot(str(tmp_path / "compare.png"))
    for expected in ("rate 0.1", "rate 0.3", "0.1", "0.3", "test_accuracy", "0.813", "0.938"):
        assert expected in text, expected
