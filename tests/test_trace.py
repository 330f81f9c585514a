"""`pipeline trace`: a model is found by version, run or file; the page has all that is recorded, says what is not, and names what is gone."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from pipeline.params.reader import load_config
from pipeline.paths import Paths
from pipeline.pedigree.origin import find_origin
from pipeline.pedigree.trace import Values, trace
from pipeline.pedigree.trace_page import as_page
from pipeline.registry.recorded import DIFF, data_digests, lineage_tags, uncommitted
from pipeline.stages import register
from tests.fakes import FakeTracker
from tests.finished_stages import answer, write_finished_stages, write_test_images

ROOT = Path(__file__).parent.parent
CONFIG = load_config(ROOT / "params.yaml")
LOCK = """\
schema: '2.0'
stages:
  ingest:
    deps:
    - {path: SOURCE, md5: aaaa.dir}
    - {path: data/splits.csv, md5: bbbb}
    outs:
    - {path: data/ingest/images.parquet, md5: ab23456789}
  preprocess: {outs: [{path: data/preprocess/spec.json, md5: dddd}]}
  train: {}
  cross_validate: {}
  evaluate: {}
"""


def git(root: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A committed project whose stages are done, with a cache that has the ingested images."""
    monkeypatch.delenv("DVC_EXP_NAME", raising=False)
    paths = write_finished_stages(tmp_path)
    write_test_images(paths)
    paths.params.write_bytes((ROOT / "params.yaml").read_bytes())
    paths.dvc_lock.write_text(LOCK.replace("SOURCE", CONFIG.ingest.source), encoding="utf-8")
    (paths.root / CONFIG.ingest.source).mkdir()
    cached = paths.root / ".dvc" / "cache" / "files" / "md5" / "ab" / "23456789"
    cached.parent.mkdir(parents=True)
    cached.touch()
    (paths.root / "pipeline").mkdir()
    (paths.root / "pipeline" / "code.py").write_text("x = 1\n", encoding="utf-8")
    git(paths.root, "init", "-q")
    (paths.root / ".dvc" / "config").touch()
    git(paths.root, "add", "pipeline", "params.yaml", ".dvc/config")
    git(paths.root, "commit", "-qm", "start")
    return paths


def registered(paths: Paths) -> FakeTracker:
    tracker = FakeTracker()
    tracker.answers = {"1": answer}
    register.run(CONFIG, paths, tracker)
    return tracker


def found(tracker: FakeTracker, paths: Paths, asked: str = "1") -> Values:
    return trace(tracker, paths, find_origin(tracker, paths, asked, paths.root))


def test_everything_that_was_recorded_is_on_the_page(paths: Paths) -> None:
    tracker = registered(paths)

    page = as_page(found(tracker, paths))

    assert page.startswith("flowers version 1: champion, anchor\n")
    for fact in (
        tracker.versions[0].tags["model_sha256"],
        tracker.versions[0].tags["calibration_sha256"],
        "promoted: accuracy 0.9000; there was no champion before",
        f"{CONFIG.ingest.source}, 70 images",
        "aaaa.dir",
        "bbbb",
        "d1",
        git(paths.root, "rev-parse", "HEAD"),
        "none: this repository has no remote",
        tracker.versions[0].tags["dvc_lock_digest"],
        "0.9000 [0.5000, 1.0000] on 10 images",
        "0.9000 ± 0.0100",
        "champion from none to 1",
    ):
        assert fact in page
    assert page.endswith("Everything that it was made from is there: `pipeline reproduce` can build it again.")


def test_programs_get_the_same_values(paths: Paths) -> None:
    values = json.loads(json.dumps(found(registered(paths), paths)))

    assert values["data"]["source_md5"] == "aaaa.dir"
    assert values["data"]["counts"] == {"images": 70, "leak": 2}
    assert values["code"]["differs_from_commit"] is False
    assert values["parameters"]["seed"] == str(CONFIG.seed)
    assert values["results"]["test"]["test_accuracy_low"] == 0.5
    assert values["history"][0]["to"] == "1"
    assert values["gone"] == []


@pytest.mark.parametrize("asked", ["champion", "flowers/1", "models:/flowers@champion", "run", "data/train/model.keras"])
def test_a_model_is_found_by_version_run_and_file(paths: Paths, asked: str) -> None:
    tracker = registered(paths)
    tracker.runs[0].run_id = "0" * 32
    tracker.versions = [type(version)(**{**version.__dict__, "run_id": "0" * 32}) for version in tracker.versions]

    assert found(tracker, paths, "0" * 32 if asked == "run" else asked)["model"]["version"] == "1"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("f" * 32, "There is no run ffff"),
        ("nowhere.keras", "nowhere.keras cannot be read: No such file"),
        ("other.keras", "No registered version and no run has the model other.keras"),
        ("7", "flowers has no version 7. Versions: 1."),
        ("flowers/2@champion", "flowers/2@champion is no version. Write a number, an alias"),
    ],
)
def test_what_nothing_has_the_name_of_is_one_line(paths: Paths, asked: str, said: str) -> None:
    (paths.root / "other.keras").write_bytes(b"other")

    with pytest.raises(ConfigError, match=said):
        found(registered(paths), paths, asked)


def test_a_model_that_was_never_registered_has_its_run(paths: Paths) -> None:
    tracker = registered(paths)
    tracker.versions.clear()
    tracker.champions.clear()

    page = as_page(found(tracker, paths, "data/train/model.keras"))

    assert page.startswith("A model that is in no registry\n")
    assert tracker.runs[0].id in page


def lose_the_cache(paths: Paths, tracker: FakeTracker) -> None:
    (paths.root / ".dvc" / "cache" / "files" / "md5" / "ab" / "23456789").unlink()


def lose_the_commit(paths: Paths, tracker: FakeTracker) -> None:
    tracker.tag_version(tracker.versions[0], {"mlflow.source.git.commit": "f" * 40})


def lose_the_lock(paths: Paths, tracker: FakeTracker) -> None:
    del tracker.runs[0].files["register/dvc.lock"]
    paths.dvc_lock.unlink()


def lose_the_source(paths: Paths, tracker: FakeTracker) -> None:
    (paths.root / CONFIG.ingest.source).rmdir()


def lose_the_difference(paths: Paths, tracker: FakeTracker) -> None:
    tracker.tag_version(tracker.versions[0], {"git_dirty": "true"})


def lose_the_files(paths: Paths, tracker: FakeTracker) -> None:
    tracker.has_files = lambda version: False  # type: ignore[method-assign]


def lose_the_run(paths: Paths, tracker: FakeTracker) -> None:
    tracker.runs.clear()
    git(paths.root, "add", "-f", "dvc.lock")


def delete_the_run(paths: Paths, tracker: FakeTracker) -> None:
    read = tracker.read_run
    tracker.read_run = lambda run_id: replace(record, is_deleted=True) if (record := read(run_id)) else None  # type: ignore[method-assign]


def change_a_package(paths: Paths, tracker: FakeTracker) -> None:
    tracker.tag_version(tracker.versions[0], {"version.numpy": "1.0"})


def ask_a_git_that_does_not_tell(paths: Paths, tracker: FakeTracker) -> None:
    version = tracker.versions[0]
    tags = {name: value for name, value in version.tags.items() if name != "mlflow.source.git.commit"}
    tracker.versions = [type(version)(**{**version.__dict__, "tags": tags | {"git_error": "no git repository here"}})]
    tracker.runs[0].tags.pop("mlflow.source.git.commit")


@pytest.mark.parametrize(
    ("lose", "said"),
    [
        (lose_the_cache, "data: its images as ingested (data/ingest/images.parquet) are not in DVC's cache, and there is no DVC remote"),
        (lose_the_commit, "code: commit ffffffffffff is not in this repository"),
        (lose_the_lock, "data: its dvc.lock is neither kept with the run nor in a commit"),
        (lose_the_source, "does not exist any more; the images as ingested take its place"),
        (lose_the_difference, "and the difference was not kept"),
        (lose_the_files, "model: its files are gone from MLflow's artifact store"),
        (lose_the_run, "run: MLflow has no run of it any more"),
        (delete_the_run, "run: it is in MLflow's trash"),
        (change_a_package, "packages: made with numpy 1.0 (now "),
        (ask_a_git_that_does_not_tell, "code: the commit was not recorded: no git repository here"),
    ],
)
def test_what_is_gone_is_named(paths: Paths, lose: object, said: str) -> None:
    tracker = registered(paths)
    assert callable(lose)

    lose(paths, tracker)

    page = as_page(found(tracker, paths))
    assert "Cannot be rebuilt, or not exactly" in page
    assert said in page


def test_what_was_not_recorded_is_said_loudly(paths: Paths) -> None:
    tracker = registered(paths)
    ask_a_git_that_does_not_tell(paths, tracker)

    assert "  commit                NOT RECORDED: no git repository here\n" in as_page(found(tracker, paths))


def test_a_page_fits_the_terminal(paths: Paths) -> None:
    page = as_page(found(registered(paths), paths), 100)

    assert max(map(len, page.splitlines())) <= 100


def test_uncommitted_changes_are_kept_as_a_patch_that_applies(paths: Paths, tmp_path: Path) -> None:
    (paths.root / "pipeline" / "code.py").write_bytes("x = 2  # é\n".encode("latin-1"))
    (paths.root / "pipeline" / "new.py").write_text("y = 1\n", encoding="utf-8")
    (paths.root / "data" / "splits.csv").write_text("not code", encoding="utf-8")
    tracker = registered(paths)
    (patch,) = [content for name, content in tracker.runs[0].files.items() if name.endswith(DIFF)]
    assert patch == uncommitted(paths.root)
    assert b"splits.csv" not in patch

    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(paths.root), str(clone))
    (tmp_path / "patch").write_bytes(patch)
    git(clone, "apply", str(tmp_path / "patch"))

    for name in ("code.py", "new.py"):
        assert (clone / "pipeline" / name).read_bytes() == (paths.root / "pipeline" / name).read_bytes()


def test_without_changes_or_without_git_there_is_no_patch(paths: Paths, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert uncommitted(paths.root) == b""
    assert uncommitted(tmp_path_factory.mktemp("no repository")) == b""


def test_a_password_in_the_address_of_a_remote_is_not_recorded(paths: Paths) -> None:
    git(paths.root, "remote", "add", "origin", "https://user:secret@example.org/pets.git")

    tags = lineage_tags(CONFIG, paths, FakeTracker().start_run("run", {"device": "CPU", "owner": "x"}))

    assert tags["git_remote"] == "https://…@example.org/pets.git"
    assert tags["device"] == "CPU"
    assert "owner" not in tags


def test_a_lock_without_the_stages_gives_no_digests(paths: Paths) -> None:
    paths.dvc_lock.write_text("schema: '2.0'\n", encoding="utf-8")
    assert data_digests(paths, "x") == {}

    paths.dvc_lock.unlink()
    assert data_digests(paths, "x") == {}
