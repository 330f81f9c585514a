"""The command line as a person meets it: help, checks, one line per mistake, a stage that stops when told."""

import json
import os
import shlex
import signal
import subprocess
import sys
import urllib.request
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from pipeline.__main__ import _said, build_parser
from pipeline.environment import SETTINGS
from pipeline.errors import SourceError
from pipeline.paths import Paths
from pipeline.workspace.check import check_inputs, check_machine, table
from pipeline.workspace.surroundings import Finding
from tests.dummy_project import (
    BIN,
    ROOT,
    call_pipeline,
    copy_project,
    environment,
    free_port,
    start_pipeline,
    started_by,
    wait_for,
    within,
)

COMMANDS = (
    "run",
    "serve",
    "ui",
    "check",
    "clean",
    "relabel",
    "predict",
    "drift",
    "serve-model",
    "export",
    "history",
    "promote",
    "rollback",
    "trace",
    "reproduce",
    "stage",
)
LOADED = """\
import json, os, sys
from pipeline.__main__ import main
before = dict(os.environ)
for arguments in ["--help"], ["run", "--help"], ["check"]:
    try:
        main(arguments)
    except SystemExit:
        pass
print(json.dumps({"before": before, "after": dict(os.environ), "modules": list(sys.modules)}))
"""


@pytest.fixture(scope="module")
def project(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = copy_project(template, tmp_path_factory.mktemp("cli") / "project")
    (root / "data" / "preprocess").mkdir()
    (root / "data" / "preprocess" / "out").touch()  # what `train` reads
    return root


@pytest.fixture(scope="module")
def loaded(project: Path) -> dict[str, Any]:
    """The environment and the modules of a Python, without its .pth files, that has shown two helps and checked a project."""
    kept = {name: value for name, value in environment(project).items() if name not in SETTINGS}
    command = [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{LOADED}"]
    done = subprocess.run(command, cwd=project, env=kept, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_help_and_check_load_nothing_heavy(loaded: dict[str, Any]) -> None:
    assert {"tensorflow", "keras", "mlflow", "prefect", "matplotlib"} & set(loaded["modules"]) == set()


def test_tensorflow_is_told_to_use_its_fast_kernels_by_the_command_line_alone(loaded: dict[str, Any]) -> None:
    assert (loaded["before"].get("TF_ENABLE_ONEDNN_OPTS"), loaded["after"]["TF_ENABLE_ONEDNN_OPTS"]) == (None, "1")


def test_help_shows_the_commands_with_examples(project: Path) -> None:
    code, output = call_pipeline(project, "--help")

    assert code == 0
    assert 'pipeline serve --cron "0 6 * * 1"' in output
    assert all(f"\n    {command} " in output for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_begins_with_what_it_does(project: Path, command: str) -> None:
    code, output = call_pipeline(project, command, "--help")

    assert code == 0
    assert output.split("\n\n")[1][0].isupper()


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("rn", "unknown command rn. Did you mean run? See `pipeline --help`."),
        ("Check", "unknown command Check. Did you mean check? See `pipeline --help`."),
        ("predikt", "unknown command predikt. Did you mean predict? See `pipeline --help`."),
        ("classify", f"unknown command classify. Choose from {', '.join(COMMANDS)}. See `pipeline --help`."),
        ("stage tran", "unknown stage tran. Did you mean train? See `pipeline stage --help`."),
        ("run --lock-timout=5", "unexpected argument --lock-timout=5. Did you mean --lock-timeout? See `pipeline run --help`."),
        ("run now", "unexpected argument now. See `pipeline run --help`."),
        ("clean --older 3d", "unexpected argument --older. See `pipeline clean --help`."),
        ("run --to x", "unexpected argument --to. See `pipeline run --help`."),
        ("predict --model= x", "argument --model: the value is empty. Is a variable of the shell not set? See `pipeline predict --help`."),
        ("run --publish=", "argument --publish: the value is empty. Is a variable of the shell not set? See `pipeline run --help`."),
        ("ui --port 0", "argument --port: expected a port from 1 to 65535; found '0'. See `pipeline ui --help`."),
        ("serve --cron x --port 70000", "argument --port: expected a port from 1 to 65535; found '70000'. See `pipeline serve --help`."),
        ("run --lock-timeout nan", "argument --lock-timeout: expected seconds, 0 or more; found 'nan'. See `pipeline run --help`."),
    ],
)
def test_a_mistyped_command_is_one_line(capsys: pytest.CaptureFixture[str], typed: str, line: str) -> None:
    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args(typed.split())

    assert ended.value.code == 2
    assert capsys.readouterr().err == f"error: {line}\n"


def test_an_empty_argument_is_refused_but_for_a_reviewer_without_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    for typed, what in ((["predict", ""], "an argument"), (["predict", "--model", "", "x"], "argument --model: the value")):
        with pytest.raises(SystemExit):
            build_parser().parse_args(typed)
        assert capsys.readouterr().err == f"error: {what} is empty. Is a variable of the shell not set? See `pipeline predict --help`.\n"
    for spelled in (["--reviewer="], ["--reviewer", ""]):
        assert build_parser().parse_args(["relabel", *spelled]).reviewer == ""


def test_a_current_folder_that_is_gone_is_one_line(project: Path, tmp_path: Path) -> None:
    command = f"mkdir {tmp_path}/gone; cd {tmp_path}/gone; rmdir {tmp_path}/gone; exec {shlex.quote(str(BIN))}/pipeline check"

    done = subprocess.run(command, shell=True, env=environment(project), capture_output=True, text=True)

    told = "error: The current folder no longer exists. Change to the project's folder."
    assert (done.returncode, done.stderr.splitlines()[-1]) == (2, told)


@pytest.mark.parametrize(
    ("command", "variables", "code", "said"),
    [
        ("", {}, 2, "usage: pipeline "),
        ("--version", {}, 0, "pipeline 0.1.0\n"),
        ("stage evaluate", {}, 2,
         "error: evaluate needs data/train/out, which does not exist. `dvc repro evaluate` runs the stages that create it.\n"),
        *[("check", {"PREFECT_API_URL": address}, 2, "Fix: set it to an address such as http://127.0.0.1:4200/api, or unset it")
          for address in ("127.0.0.1:4200", "http://127.0.0.1:port/api")],
        *[("run", {"MLFLOW_TRACKING_URI": address}, 2, "error: MLFLOW_TRACKING_URI is no address. Set it to one such as http://127.0.0.1:5000")
          for address in ("http://127.0.0.1:abc", "127.0.0.1:5000", "http://", "http://[::1")],
        ("check", {"PREFECT_API_URL": "http://me:secret@127.0.0.1:9/api", "MLFLOW_TRACKING_URI": "http://me:secret@127.0.0.1:9"}, 2,
         "PREFECT_API_URL is http://…@127.0.0.1:9/api, which cannot be reached"),
    ],
)  # fmt: skip
def test_what_a_command_says(project: Path, command: str, variables: dict[str, str], code: int, said: str) -> None:
    """An error is one line; a password in an address is never printed."""
    exit_code, output = call_pipeline(project, *command.split(), **variables)

    assert exit_code == code
    assert said in output
    assert "secret" not in output
    assert len(output.splitlines()) == 1 or not output.startswith("error: ")


def test_a_project_is_told_that_is_not_where_one_is_or_lacks_its_parameters(template: Path, tmp_path: Path) -> None:
    root = copy_project(template, tmp_path / "project")
    (root / "params.yaml").unlink()

    lacking = f"error: {root}/params.yaml does not exist. Restore it from git: `git checkout -- params.yaml`.\n"
    assert call_pipeline(root, "run") == (2, lacking)
    assert call_pipeline(tmp_path, "check")[1].splitlines()[0] == f"note: {tmp_path} is not in a project; using {ROOT}"


def test_a_report_of_a_stage_is_in_words() -> None:
    said = [_said("images", 1), _said("near_leak", 44), _said("folds", 2), _said("accuracy", "0.9257"), _said("images/s", 187)]

    assert said == ["1 image", "44 near leaks", "2 folds", "accuracy 0.9257", "images/s 187"]


def test_check_finds_nothing_wrong_with_a_project_as_it_should_be(project: Path) -> None:
    with within(project):
        findings = {finding.subject: finding for finding in check_machine(Paths(project))}

    names = "project, Python, packages, device, home, git, DVC, disk, MLflow, registry, Prefect, parameters"
    assert ", ".join(findings) == names
    assert [finding for finding in findings.values() if finding.fix and finding.subject != "disk"] == []
    assert findings["parameters"].found == "valid, images in source"


def test_check_names_a_fix_per_problem_and_fails(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text("stages: {}", encoding="utf-8")
    (tmp_path / "params.yaml").write_text("sed: 1", encoding="utf-8")

    code, output = call_pipeline(tmp_path, "check")

    fixes = [line for line in output.splitlines() if line.startswith("Fix: ")]
    assert code == 2
    assert any(line.startswith("Fix: clone the project; or, for a copy without history, run `git init` here") for line in fixes)
    assert {"Fix: run `dvc init`", "Fix: params.yaml:1: sed is not a parameter. Did you mean seed?"} <= set(fixes)


def test_the_table_marks_what_is_wrong() -> None:
    shown = table([Finding("git", "2.39"), Finding("disk", "1.0 GiB free", "make room")])

    assert shown == "✓ git   2.39\n! disk  1.0 GiB free\nFix: make room"


def test_a_wrong_parameter_is_told_before_anything_starts(project: Path, tmp_path: Path) -> None:
    for file in ("dvc.yaml", "params.yaml"):
        text = (project / file).read_text(encoding="utf-8").replace("learning_rate:", "learning_rte:")
        (tmp_path / file).write_text(text, encoding="utf-8")

    code, output = call_pipeline(tmp_path, "run")

    assert code == 2
    assert "train.learning_rte is not a parameter. Did you mean learning_rate?" in output
    assert all(line.startswith("error: params.yaml:") for line in output.splitlines())
    assert not (tmp_path / ".checkpoints").exists()


def test_a_missing_source_is_told_before_anything_starts(project: Path, tmp_path: Path) -> None:
    params = (project / "params.yaml").read_text(encoding="utf-8")
    (tmp_path / "params.yaml").write_text(params.replace("source: source", "source: flowers"), encoding="utf-8")

    with pytest.raises(SourceError, match=rf"ingest.source: flowers does not exist \(looked for {tmp_path}/flowers\)"):
        check_inputs(Paths(tmp_path))


@pytest.mark.parametrize("fault", ["pipe", "link", "loop", "name"])
def test_what_dvc_cannot_read_is_named_before_dvc_waits_for_it(template: Path, tmp_path: Path, fault: str) -> None:
    root = copy_project(template, tmp_path / "project")
    folder = root / "source" / "class"
    folder.mkdir()
    if fault == "pipe":
        os.mkfifo(folder / "odd.jpg")
    elif fault == "name":
        (folder / os.fsdecode(b"odd \xff.jpg")).touch()
    else:
        (folder / "odd.jpg").symlink_to("odd.jpg" if fault == "loop" else "nowhere.jpg")

    words = {
        "link": r"has links to what is not there: \S+/class/odd\.jpg \(a link to \S+/class/nowhere\.jpg, which is not there: is the drive mounted\?\)",
        "loop": r"contains what DVC cannot track: .*odd\.jpg \(a link that cannot be followed: .*Move it elsewhere",
    }.get(fault, r"contains what DVC cannot track: .*/source/class/odd.*Move it elsewhere")
    with pytest.raises(SourceError, match=words):
        check_inputs(Paths(root))


def slow_stage(project: Path, **more: str) -> "subprocess.Popen[str]":
    """A stage of 60 s in the middle of its work."""
    stage = subprocess.Popen(
        [sys.executable, "slow_stage.py"],
        cwd=project, env=environment(project, **more), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert stage.stdout is not None
    assert stage.stdout.readline() == "working\n"
    return stage


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stage_ends_at_once_when_told_with_one_line(project: Path, number: signal.Signals, code: int) -> None:
    stage = slow_stage(project)

    stage.send_signal(number)

    assert stage.communicate(timeout=30)[0] == f"pipeline stage: stopped by {number.name}\n"
    assert stage.returncode == code


def test_a_stage_of_a_flow_that_has_died_ends_too(project: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as flow:
        stage = slow_stage(project, DVC_STAGE="train", PIPELINE_FLOW_PID=str(flow.pid))
        flow.kill()

    stage.communicate(timeout=30)
    assert stage.returncode == 143


@pytest.mark.slow
def test_the_ui_shows_the_store_of_the_project_until_stopped(project: Path) -> None:
    port = free_port()
    ui = start_pipeline(project, "ui", "--port", str(port), PYTHONUNBUFFERED="")
    assert ui.stdout
    try:
        assert wait_for(lambda: is_up(f"http://127.0.0.1:{port}/health"), 90)
        while_running = list(takewhile(lambda line: "Ctrl-C" not in line, ui.stdout))  # would wait for ever if lines were held back
    finally:
        ui.terminate()
        at_the_end = ui.stdout.readlines()
        ui.stdout.close()

    assert while_running[0].startswith(f"$ mlflow server --backend-store-uri sqlite:///{project}/mlruns/mlflow.db")
    assert f"  runs      http://127.0.0.1:{port}/#/experiments/1/runs?workflowType=machine_learning\n" in while_running
    assert ui.wait(30) == 143
    assert at_the_end[-1] == "pipeline ui: stopped by SIGTERM\n"
    assert started_by(project) == []


def is_up(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except OSError:
        return False
