"""A person looks at doubtful labels: every answer is kept at once, nobody else may give one, and the next run uses them."""

import os
import signal
import subprocess
import sys
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from pipeline.__main__ import build_parser
from pipeline.errors import ConfigError
from pipeline.labels.suspects import find_suspects, labelled_training_images
from pipeline.labels.verdict import Verdict
from pipeline.labels.verdict_file import add_verdict, read_lines, read_verdicts
from pipeline.models.network import build_to_fit, build_to_keep, to_bytes
from pipeline.paths import Paths
from pipeline.relabelling.app import RelabelApp
from pipeline.relabelling.commands import run_relabel
from pipeline.relabelling.maps import Maps
from pipeline.relabelling.pictures import Pictures
from pipeline.relabelling.session import AnswerError, Session, advice
from pipeline.relabelling.sheet import read_sheet, write_sheet
from tests.axe import violations
from tests.dummy_project import ROOT, free_port, wait_for
from tests.labelled_run import MOVED, ingest_again, write_labelled_run
from tests.test_browser import ARGUMENTS, CHROMIUM, DRIVER
from tests.test_models import choose

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it would rather have httpx2, which is not what Prefect brings along
    from starlette.testclient import TestClient

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(300)]

NAMES = ["circle", "cross", "square"]
MONDAY, SUNDAY = date(2026, 3, 2), date(2026, 3, 8)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return write_labelled_run(tmp_path_factory.mktemp("labelled"))


@pytest.fixture
def paths(finished: Paths) -> Iterator[Paths]:
    yield finished
    finished.verdicts.unlink(missing_ok=True)


def session(paths: Paths, budget: int = 100, today: date = MONDAY) -> Session:
    suspects = find_suspects(labelled_training_images(paths), read_verdicts(paths.verdicts))
    return Session(suspects.found, paths.verdicts, NAMES, budget, "you", lambda: today)


def test_an_answer_is_in_the_file_before_the_next_image_is_shown_and_can_be_taken_back(paths: Paths) -> None:
    asked = session(paths)
    first, second = asked.waiting()[:2]

    asked.answer(first.sha256, "change", "square")
    asked.answer(second.sha256, "keep")

    assert [
        (line.sha256, line.verdict, line.label, line.was, line.path, line.reviewer, line.date) for line in read_lines(paths.verdicts)
    ] == [
        (first.sha256, "change", "square", "circle", first.path, "you", "2026-03-02"),
        (second.sha256, "keep", "", "circle", second.path, "you", "2026-03-02"),
    ]
    assert len(asked.waiting()) == MOVED - 2
    asked.undo()
    assert asked.waiting()[0].sha256 == second.sha256
    assert [line.sha256 for line in read_lines(paths.verdicts)] == [first.sha256]
    asked.undo()
    with pytest.raises(AnswerError, match="nothing to undo"):
        asked.undo()


def test_a_new_session_goes_on_where_the_last_one_was_killed(paths: Paths) -> None:
    before = session(paths)
    given = [suspect.sha256 for suspect in before.waiting()[:3]]
    for sha256 in given:
        before.answer(sha256, "bad")

    after = session(paths)

    assert after.progress().this_week == 3
    assert {suspect.sha256 for suspect in after.waiting()}.isdisjoint(given)


@pytest.mark.parametrize(
    ("verdict", "label", "said"),
    [
        ("change", "hexagon", "hexagon is not a class"),
        ("change", "", "label is empty"),
        ("change", "circle", "in circle already"),
        ("keep", "cross", "only change gives another class"),
        ("maybe", "", "verdict is maybe"),
    ],
)
def test_an_answer_that_makes_no_sense_is_not_written(paths: Paths, verdict: str, label: str, said: str) -> None:
    asked = session(paths)

    with pytest.raises(AnswerError, match=said):
        asked.answer(asked.waiting()[0].sha256, verdict, label)
    assert read_lines(paths.verdicts) == []


def test_an_image_that_was_judged_in_another_window_or_by_somebody_else_is_not_judged_twice(paths: Paths) -> None:
    asked = session(paths)
    first, second, *_ = asked.waiting()
    add_verdict(paths.verdicts, Verdict(first.sha256, "bad"))
    add_verdict(paths.verdicts, Verdict(second.sha256, "keep", was="cross", path=second.path))

    with pytest.raises(AnswerError, match="has a verdict already"):
        asked.answer(first.sha256, "keep")
    with pytest.raises(AnswerError, match=r"Line 3 of verdicts.csv says cross"):
        asked.answer(second.sha256, "change", "square")


def week(*verdicts: str) -> list[Verdict]:
    return [Verdict("a" * 64, verdict, date="2026-03-02") for verdict in verdicts]  # type: ignore[arg-type]


def test_it_says_when_to_stop() -> None:
    few, many = ["change"] * 3 + ["keep"] * 17, ["change"] * 4 + ["keep"] * 15 + ["unsure"]

    assert advice(week(*few), 100) == "Only 3 of the last 20 were changed: time to stop. The rest is probably right."
    assert advice(week(*many), 100) == ""
    assert advice(week(*few[:19]), 100) == ""
    assert advice(week(*["bad"] * 20, *few), 100).startswith("Only 3 of the last 20")
    assert advice(week(*["bad"] * 5), 5) == "5 images were judged this week: the budget is used up."


def test_the_budget_is_that_of_a_week_from_monday_to_sunday(paths: Paths) -> None:
    on_sunday = session(paths, today=SUNDAY)
    for day in ("2026-03-01", "2026-03-02", "2026-03-08", "2026-03-09", ""):
        add_verdict(paths.verdicts, Verdict("a" * 64, "bad", date=day))

    assert on_sunday.progress().this_week == 2


@pytest.fixture
def client(paths: Paths) -> TestClient:
    images = labelled_training_images(paths)
    pictures = Pictures(paths.stage("ingest"), 10**8)
    app = RelabelApp(session(paths), pictures.picture, lambda row: (images.sha256[row], NAMES[images.labels[row]]), NAMES, "about")
    return TestClient(app.asgi, base_url="http://127.0.0.1:8090", raise_server_exceptions=False)


def test_the_page_gets_the_next_image_its_picture_and_the_classes_most_probable_first(client: TestClient) -> None:
    state = client.get("/state").json()
    picture = client.get(f"/picture/{state['suspect']['sha256']}")

    assert (state["left"], state["this_week"], state["budget"], state["can_undo"]) == (MOVED, 0, 100, False)
    assert state["suspect"]["choices"] == ["square", "cross"]
    assert picture.headers["content-type"] in ("image/png", "image/jpeg")
    assert client.get("/picture/nothing").status_code == 404
    assert "default-src 'none'" in client.get("/").headers["content-security-policy"]


def test_a_map_of_the_suggested_class_is_drawn_once_if_there_is_a_model(paths: Paths, tmp_path: Path) -> None:
    suspects = session(paths).waiting()[:2]
    arrays = paths.stage("preprocess") / "train"
    shape = np.load(arrays / "images.npy", mmap_mode="r").shape[1:]
    options = choose(width=0.0625, flip_average=True)
    model = build_to_keep(build_to_fit(shape, len(NAMES), options, "float32"), options, [1 / 60] * shape[-1], [-2.0] * shape[-1])
    maps = Maps(tmp_path / "model.keras", arrays, suspects, NAMES)

    assert not maps.are_possible
    assert maps.picture(suspects[0].sha256) is None
    (tmp_path / "model.keras").write_bytes(to_bytes(model))
    drawn = maps.picture(suspects[0].sha256)

    assert drawn is not None
    assert drawn.startswith(b"\xff\xd8")
    assert maps.picture(suspects[0].sha256) is drawn
    assert maps.picture("of no suspect") is None
    app = RelabelApp(session(paths), lambda _: None, lambda _: ("", ""), NAMES, "", maps.picture)
    client = TestClient(app.asgi, base_url="http://127.0.0.1:8090")
    assert client.get("/state").json()["has_maps"]
    assert client.get(f"/map/{suspects[0].sha256}").headers["content-type"] == "image/jpeg"
    assert client.get("/map/of-no-suspect").status_code == 204


def test_no_other_site_may_read_or_answer(client: TestClient, paths: Paths) -> None:
    answer = {"sha256": client.get("/state").json()["suspect"]["sha256"], "verdict": "bad"}

    assert client.get("/state", headers={"Host": "evil.example:8090"}).status_code == 400
    assert client.post("/answer", json=answer, headers={"Origin": "http://evil.example"}).status_code == 403
    assert client.post("/answer", json=answer, headers={"Origin": "http://127.0.0.1:1"}).status_code == 403
    assert client.post("/answer", data=answer).status_code == 415
    assert client.post("/answer", json=[answer]).status_code == 400
    assert read_lines(paths.verdicts) == []
    assert client.post("/answer", json=answer, headers={"Origin": "http://127.0.0.1:8090"}).json()["left"] == MOVED - 1
    assert client.post("/answer", json=answer).status_code == 409
    assert client.post("/undo", json={}).json()["left"] == MOVED


def test_the_csv_file_comes_back_as_verdicts(paths: Paths, tmp_path: Path) -> None:
    file = tmp_path / "relabel.csv"
    suspects = session(paths).waiting()[:5]
    write_sheet(file, suspects)
    first, *lines = file.read_text(encoding="utf-8").splitlines()
    said = ["change,", "change,cross", "keep,", "bad,", ","]
    file.write_text(
        "\n".join([first, *(line.replace(",,,", f",{words},") for line, words in zip(lines, said, strict=True))]), encoding="utf-8"
    )

    verdicts = read_sheet(file, NAMES, "you", MONDAY)

    assert first == "path,label,suggestion,verdict,new_label,sha256"
    assert [(verdict.verdict, verdict.label, verdict.was) for verdict in verdicts] == [
        ("change", "square", "circle"),
        ("change", "cross", "circle"),
        ("keep", "", "circle"),
        ("bad", "", "circle"),
    ]
    with pytest.raises(ConfigError, match="exists, perhaps with verdicts in it"):
        write_sheet(file, suspects)


HEAD = "path,label,suggestion,verdict,new_label,sha256\n"
SHA = "a" * 64


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD + f"x,cat,dog,chnge,,{SHA}\n", r":2: verdict is chnge; expected keep, change, unsure or bad"),
        (HEAD + f"x,cat,dog,,fox,{SHA}\n", r":2: new_label is filled in, but verdict is empty"),
        (
            HEAD + f"x,cat,dog,keep,,{SHA}\nx,cat,dog,change,wolf,{SHA}\n",
            r":3: wolf is not a class of the data set\. Its classes are cat, dog, fox\.",
        ),
        (HEAD + "x,cat,dog,keep,,1.2E+60\n", r":2: sha256 is 1\.2E\+60"),
        (HEAD + "x,cat,dog,keep\n", r":2: the line has too few fields"),
        ("path,label\n", r":1: column suggestion is missing"),
    ],
)
def test_a_csv_file_that_makes_no_sense_is_refused_with_the_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "relabel.csv").write_text(text, encoding="utf-8")

    with pytest.raises(ConfigError, match=said):
        read_sheet(tmp_path / "relabel.csv", ["cat", "dog", "fox"], "you", MONDAY)


def test_a_csv_file_saved_with_semicolons_is_read(tmp_path: Path) -> None:
    (tmp_path / "relabel.csv").write_text("\ufeff" + HEAD.replace(",", ";") + f"x;cat;dog;Keep;;{SHA}\r\n", encoding="utf-8")

    assert read_sheet(tmp_path / "relabel.csv", ["cat", "dog"], "you", MONDAY) == [
        Verdict(SHA, "keep", "", "cat", "x", "you", "2026-03-02", line=2)
    ]


@pytest.fixture
def project(tmp_path: Path) -> Paths:
    """The same run in a project of its own, in which commands can be run."""
    paths = write_labelled_run(tmp_path)
    text = (ROOT / "params.yaml").read_text(encoding="utf-8").replace("source: data/fashion-mnist", f"source: {tmp_path / 'shapes'}")
    (paths.root / "params.yaml").write_text(text, encoding="utf-8")
    (paths.root / "dvc.yaml").write_text((ROOT / "dvc.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    return paths


def relabel(paths: Paths, *arguments: str) -> None:
    options = build_parser().parse_args(["relabel", "--reviewer", "Ada", *arguments])

    assert run_relabel(options, paths) == 0


def test_without_the_page_a_csv_file_is_written_and_read_and_a_second_reading_adds_nothing(
    project: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    file = project.root / "relabel.csv"
    relabel(project, "--csv", str(file), "--budget", "2")
    assert capsys.readouterr().out.startswith(f"{file}: 2 of {MOVED} doubtful labels, the most doubtful first.")

    file.write_text(file.read_text(encoding="utf-8").replace(",,,", ",change,,"), encoding="utf-8")
    relabel(project, "--from", str(file))
    assert capsys.readouterr().out.startswith(f"2 of 2 verdicts in {file} are new: 2 change.")
    relabel(project, "--from", str(file))
    assert capsys.readouterr().out == f"0 of 2 verdicts in {file} are new.\n"
    assert [verdict.label for verdict in read_lines(project.verdicts)] == ["square", "square"]

    file.write_text(file.read_text(encoding="utf-8").replace(",change,,", ",bad,,"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"relabel\.csv:2: .* is bad here, but square in data/verdicts\.csv:2"):
        relabel(project, "--from", str(file))
    assert len(read_lines(project.verdicts)) == 2


def test_a_csv_file_whose_columns_do_not_belong_together_is_refused(project: Paths) -> None:
    file = project.root / "relabel.csv"
    relabel(project, "--csv", str(file), "--budget", "2")
    head, one, two = [line.split(",") for line in file.read_text(encoding="utf-8").splitlines()]

    def say(*rows: list[str]) -> None:
        file.write_text("\n".join(",".join(row) for row in (head, *rows)), encoding="utf-8")

    say([*one[:3], "change", "", two[5]], two)
    with pytest.raises(ConfigError, match=rf"relabel\.csv:2: the path is {one[0]}, but the sha256 is that of {two[0]}, {two[1]}\. "):
        relabel(project, "--from", str(file))
    say(two, [one[0], "square", "circle", "change", "", one[5]])
    with pytest.raises(ConfigError, match=rf"relabel\.csv:3: the label is square, but the sha256 is that of {one[0]}, circle\. "):
        relabel(project, "--from", str(file))
    say([*one[:3], "keep", "", "e" * 64], two)
    with pytest.raises(ConfigError, match=r"but the sha256 is of no image of the last run\. "):
        relabel(project, "--from", str(file))
    say([*one[:3], "keep", "", one[5]], [*one[:3], "bad", "", one[5]])
    with pytest.raises(ConfigError, match=r"relabel\.csv:3: .* is bad here, but circle in line 2\. "):
        relabel(project, "--from", str(file))
    assert not read_lines(project.verdicts)


@pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no Chromium with chromedriver here: the browser test of relabelling was left out")
def test_ten_keys_pressed_in_a_browser_change_the_labels_of_the_next_run(project: Paths, tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "pipeline", "relabel", "--port", str(port), "--reviewer", "you"]
    server = subprocess.Popen(command, cwd=project.root, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: answers(port), 60)
        press(f"http://127.0.0.1:{port}/", ["1", "1", "z", "1", "k", "u", "b", "1", "2", "1"], tmp_path / "profile")
    finally:
        server.send_signal(signal.SIGINT)
        said, _ = server.communicate(timeout=30)
    before = pq.read_table(project.stage("ingest") / "index.parquet").to_pylist()
    ingest_again(project)
    after = pq.read_table(project.stage("ingest") / "index.parquet").to_pylist()

    verdicts = read_lines(project.verdicts)
    assert [(verdict.verdict, verdict.label) for verdict in verdicts] == [
        ("change", "square"),
        ("change", "square"),
        ("keep", ""),
        ("unsure", ""),
        ("bad", ""),
        ("change", "square"),
        ("change", "cross"),
        ("change", "square"),
    ]
    changed = {new["sha256"]: new["label"] for old, new in zip(before, after, strict=True) if new["label"] != old["label"]}
    assert changed == {verdict.sha256: verdict.label for verdict in verdicts if verdict.verdict == "change"}
    assert [row["sha256"] for row in after if row["split"] is None] == [verdicts[4].sha256]
    assert "1 keep, 5 change, 1 unsure, 1 bad in this session" in said


def answers(port: int) -> bool:
    try:
        return bool(urllib.request.urlopen(f"http://127.0.0.1:{port}/state", timeout=5).status == 200)
    except OSError:
        return False


def text_to_be_other(before: str) -> Callable[[webdriver.Chrome], bool]:
    return lambda page: page.find_element(By.ID, "progress").text != before


def press(address: str, keys: list[str], profile: Path) -> None:
    """Press keys one after the other, each when the page shows the answer to the one before. No error may be in the browser's console."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in (*ARGUMENTS, f"user-data-dir={profile}"):
        options.add_argument(f"--{argument}")
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        browser.get(address)
        for key in keys:
            WebDriverWait(browser, 30).until(lambda page: page.execute_script("return !busy && state && state.suspect !== null"))
            before = browser.find_element(By.ID, "progress").text
            ActionChains(browser).send_keys(key).perform()
            WebDriverWait(browser, 30).until(text_to_be_other(before))
        assert violations(browser) == []
        assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]
    finally:
        browser.quit()
