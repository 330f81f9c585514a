"""DVC's own errors, as it prints them, become one line that names the file and what to do."""

from pathlib import Path

import pytest

from pipeline.errors import StageError
from pipeline.paths import Paths
from pipeline.workspace.dvc_faults import explain
from pipeline.workspace.dvc_repro import reproduce

MERGED = """\
'./dvc.lock' is invalid (possible merge conflicts).

While scanning a simple key, in line 88, column 1
  88 <<<<<<< HEAD

Could not find expected ':', in line 89, column 1
  89"""


@pytest.mark.parametrize(
    ("printed", "told"),
    [
        (MERGED, "dvc.lock:88 has unresolved conflict markers (<<<<<<<). Restore it from git: "),
        ("'./dvc.lock' validation failed.\n\nrequired key not provided, in schema", "dvc.lock cannot be read: required key not provided, in schema. "),
        ("ERROR: unable to read: 'dvc.lock', is not valid utf-8: bad", "dvc.lock cannot be read: not valid utf-8: bad. Restore it"),
        ("ERROR: /p is not a git repository", "there is no git repository here"),
        ("ERROR: you are not inside of a DVC repository (checked up to mount point '/')", "DVC is not set up here, as the folder .dvc is missing."),
        ("ERROR: configuration error - config file error: A ('x'): A ('x')", "DVC's configuration cannot be read: A ('x'). Correct .dvc/config"),
        ("ERROR: Stage 'train' not found inside 'dvc.yaml' file", "dvc.yaml has no stage train."),
        ("ERROR: failed to reproduce 'train': [Errno 2] No such file or directory: '/p/images'", "/p/images does not exist, and the stage depends"),
        ("ERROR: unexpected error - [Errno 2] No such file or directory: '/proc/x'", "DVC needs /proc/x, which does not exist"),
        ("ERROR: unexpected error - [Errno 13] Permission denied: '/p/.dvc/tmp/lock'", "/p/.dvc/tmp/lock cannot be written: permission denied."),
        ("ERROR: unexpected error - file is not a database", "DVC's index of files is damaged."),
        ("ERROR: unexpected error - 'getpwuid(): uid not found: 54321'", "user 54321 has no name on this machine, but DVC needs one."),
        ("ERROR: failed to reproduce 'a': Unable to read RWLock-file '.dvc/tmp/rwlock'. JSON", "DVC's list of locks .dvc/tmp/rwlock is damaged."),
        ("ERROR: failed to reproduce 'a': '/p/data/a' is outside of git repository '/p'", "/p/data/a lies outside of the project /p"),
        ("ERROR: failed to reproduce 'a': [Errno 28] No space left on device", "The disk is full."),
        ("ERROR: unexpected error - 9\n\nHaving any troubles? Hit us up", "DVC failed: 9. `dvc repro --verbose` has the details."),
    ],
)  # fmt: skip
def test_an_error_of_dvc_names_the_file_and_the_remedy(printed: str, told: str) -> None:
    explained = explain(printed.splitlines())

    assert explained is not None
    assert explained.startswith(told)
    assert "\n" not in explained


def test_an_error_that_speaks_for_itself_stays() -> None:
    assert explain(["ERROR: failed to reproduce 'train': Parameters 'seed' are missing from 'params.yaml'."]) is None


def test_a_lock_file_with_merge_markers_is_named(project: Path) -> None:
    (project / "dvc.lock").write_text("schema: '2.0'\n<<<<<<< HEAD\nstages: {}\n", encoding="utf-8")

    with pytest.raises(StageError, match=r"^ingest: dvc\.lock:\d has unresolved conflict markers"):
        reproduce("ingest", Paths(project), print, lock_timeout_seconds=1)


def test_a_link_that_leads_out_of_the_project_is_refused_before_the_stage_runs(project: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (project / "data" / "ingest").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(StageError, match=r"^ingest: data/ingest is in .*elsewhere: it or a folder above it is a link"):
        reproduce("ingest", Paths(project), print, lock_timeout_seconds=1)

    assert list((tmp_path / "elsewhere").iterdir()) == []
