"""What a run did reaches other machines: the branch, the data, and nothing of the checkout is touched. Real git, real DVC, a directory as remote."""

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from pipeline.paths import STAGES, Paths
from pipeline.publishing import git_writes
from pipeline.publishing import publish as publishing
from pipeline.publishing.publish import Published, publish
from pipeline.publishing.refusals import refuse_branch
from tests.dummy_project import BIN, copy_project, environment, run_pipeline

BRANCH = "retrained"


class Killed(BaseException):
    """Stands for kill -9: nothing catches it."""


class Machine:
    """A clone of the project, on a machine of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def git(self, *arguments: str) -> str:
        return self._run(["git", *arguments])

    def dvc(self, *arguments: str) -> str:
        return self._run([str(BIN / "dvc"), *arguments])

    def set_source(self, text: str) -> None:
        (self.root / "source" / "image").write_text(text, encoding="utf-8")
        self.git("commit", "-qam", "New images")

    def publish(self) -> Published:
        return publish(Paths(self.root), BRANCH, self.git("rev-parse", "HEAD").strip())

    def tip(self, branch: str = BRANCH) -> str:
        return self.git("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}").strip()

    def state(self) -> tuple[str, str, str, str]:
        """Everything of a checkout that publishing must leave alone."""
        index = self.git("ls-files", "--stage")
        return self.git("rev-parse", "HEAD"), index, self.git("status", "--porcelain"), self.git("worktree", "list")

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(command, cwd=self.root, env=environment(self.root), capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout


def name_person(root: Path) -> None:
    for key, value in (("name", "Tests"), ("email", "tests@example.org")):
        subprocess.run(["git", "config", f"user.{key}", value], cwd=root, check=True)


@pytest.fixture(scope="module")
def ended(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a project in which a run has ended well, `origin` and DVC's remote beside it."""
    home = tmp_path_factory.mktemp("home")
    machine = Machine(copy_project(template, home / "first"))
    name_person(machine.root)
    (machine.root / ".gitignore").write_text(".prefect\n.checkpoints\n/data/*/*\n", encoding="utf-8")
    machine.dvc("remote", "add", "--default", "store", "../store")
    machine.git("add", "-A")
    machine.git("commit", "-qm", "Start")
    subprocess.run(["git", "init", "-q", "--bare", str(home / "origin.git")], check=True)
    machine.git("remote", "add", "origin", "../origin.git")
    machine.git("push", "-q", "origin", "HEAD:main")
    machine.dvc("repro", "-q")
    return home


@pytest.fixture
def home(ended: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(ended, tmp_path / "home", symlinks=True))


@pytest.fixture
def first(home: Path) -> Machine:
    return Machine(home / "first")


@pytest.fixture
def without_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """`dvc push` is left out, as it takes seconds."""
    monkeypatch.setattr(publishing, "run", lambda *_, **__: 0)


def cloned(home: Path, branch: str) -> Machine:
    root = home / "second"
    subprocess.run(["git", "clone", "-q", "--branch", branch, str(home / "origin.git"), str(root)], check=True)
    name_person(root)
    return Machine(root)


def test_a_second_machine_that_pulls_the_branch_and_its_data_has_nothing_to_run(home: Path, first: Machine) -> None:
    before = first.state()

    published = first.publish()

    assert published == Published(f"published: commit {first.tip()[:10]} on {BRANCH}, pushed to origin.", True)
    assert first.state() == before
    second = cloned(home, BRANCH)
    second.dvc("pull")
    output = second.dvc("repro")
    assert [stage for stage in STAGES if f"Stage '{stage}' didn't change, skipping" in output] == list(STAGES)
    assert (second.root / "data" / "register" / "out").read_text("utf-8") == (first.root / "data" / "register" / "out").read_text("utf-8")
    assert second.git("status", "--porcelain") == ""


def test_the_command_publishes_and_the_next_one_finds_it_published(first: Machine) -> None:
    (first.root / "source" / "image").write_text("more\n", encoding="utf-8")
    first.git("commit", "-qam", "More images")

    code, output = run_pipeline(first.root, "run", "--publish")
    tip = first.tip()

    assert (code, output.splitlines()[-1]) == (0, f"published: commit {tip[:10]} on {BRANCH}, pushed to origin.")
    assert first.git("show", "--format=%s", "--name-only", tip).split() == ["Record", "a", "run", "dvc.lock"]


@pytest.mark.usefixtures("without_data")
def test_a_run_with_nothing_new_adds_no_commit_and_one_with_other_results_adds_one(first: Machine) -> None:
    first.publish()
    tip = first.tip()

    assert first.publish().is_done
    assert first.tip() == tip

    (first.root / "data" / "known_images.csv").write_text("dataset,class,image,follows\n", encoding="utf-8")
    first.publish()
    assert first.git("rev-parse", f"{first.tip()}^@").split() == [tip]
    assert first.git("show", f"{BRANCH}:data/known_images.csv") == "dataset,class,image,follows\n"


@pytest.mark.usefixtures("without_data")
def test_new_code_and_new_results_are_both_behind_the_next_commit(first: Machine) -> None:
    first.publish()
    tip = first.tip()
    first.set_source("other pixels\n")

    first.publish()

    assert first.git("rev-parse", f"{first.tip()}^@").split() == [tip, first.git("rev-parse", "HEAD").strip()]
    assert first.git("show", f"{BRANCH}:source/image") == "other pixels\n"


@pytest.mark.usefixtures("without_data")
def test_the_checkout_can_catch_up_with_what_it_published(first: Machine) -> None:
    first.publish()

    first.git("add", "dvc.lock", "data")
    first.git("merge", "-q", "--ff-only", BRANCH)

    assert first.git("status", "--porcelain") == ""


def test_killed_at_any_moment_the_next_run_ends_with_the_same_commit(home: Path, first: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "run", lambda *_, **__: 0)
    monkeypatch.setenv("GIT_AUTHOR_DATE", "2026-01-01T00:00:00Z")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z")
    real = git_writes._run
    calls = 0

    def killed_at(moment: int) -> Callable[..., "subprocess.CompletedProcess[str]"]:
        def run(root: Path, arguments: Sequence[str], index: Path | None, seconds: float) -> "subprocess.CompletedProcess[str]":
            nonlocal calls
            calls += 1
            if calls == moment:
                raise Killed
            return real(root, arguments, index, seconds)

        return run

    expected, before = "", first.state()
    for moment in range(1, 100):
        for folder in ("first", "origin.git"):
            refs = home / folder / ("refs" if folder.endswith(".git") else ".git/refs")
            (refs / "heads" / BRANCH).unlink(missing_ok=True)
        calls = 0
        monkeypatch.setattr(git_writes, "_run", killed_at(moment))
        try:
            first.publish()
            ended = True
        except Killed:
            ended = False
        monkeypatch.setattr(git_writes, "_run", real)
        assert first.publish().is_done
        expected = expected or first.tip()
        assert (first.tip(), Machine(home / "origin.git").tip()) == (expected, expected)
        assert first.state() == before
        if ended:
            break
    assert moment > 8


@pytest.mark.usefixtures("without_data")
def test_a_push_that_is_refused_is_one_line_and_made_by_the_next_run(home: Path, first: Machine) -> None:
    hook = home / "origin.git" / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho closed until Monday >&2\nexit 1\n", encoding="utf-8")
    hook.chmod(0o755)

    published = first.publish()

    assert published == Published(
        f"published on this machine only, as commit {first.tip()[:10]} on {BRANCH}: origin refuses {BRANCH}: pre-receive hook declined "
        "(closed until Monday). The next run with --publish tries again.",
        False,
    )
    hook.unlink()
    assert first.publish().is_done
    assert Machine(home / "origin.git").tip() == first.tip()


@pytest.mark.usefixtures("without_data")
def test_an_origin_that_does_not_answer_is_not_taken_for_one_without_the_branch(home: Path, first: Machine) -> None:
    first.publish()
    (home / "origin.git").rename(home / "away.git")
    (first.root / "data" / "known_images.csv").write_text("dataset,class,image,follows\n", encoding="utf-8")

    published = first.publish()

    assert not published.is_done
    assert f"commit {first.tip()[:10]} on {BRANCH}: origin does not answer: '../origin.git' does not appear to be" in published.said
    (home / "away.git").rename(home / "origin.git")
    assert first.publish().is_done
    assert Machine(home / "origin.git").tip() == first.tip()


def test_without_its_data_the_branch_stays_here(home: Path, first: Machine) -> None:
    (home / "store").write_text("no folder", encoding="utf-8")

    published = first.publish()

    assert published.said.startswith(f"published on this machine only, as commit {first.tip()[:10]} on {BRANCH}: dvc push: ")
    assert not published.is_done
    assert "\n" not in published.said
    assert Machine(home / "origin.git").tip() == ""


def test_without_a_remote_of_dvc_it_says_that_the_data_stays_here(first: Machine) -> None:
    first.dvc("remote", "remove", "store")
    first.git("commit", "-qam", "No remote")

    published = first.publish()

    assert published.said.endswith(
        "pushed to origin. Its data stays on this machine, as DVC has no remote: `dvc remote add --default NAME URL`."
    )
    assert not published.is_done


@pytest.mark.usefixtures("without_data")
def test_two_machines_that_publish_to_one_branch_are_brought_together_by_hand_once(home: Path, first: Machine) -> None:
    second = cloned(home, "main")
    shutil.copy(first.root / "dvc.lock", second.root / "dvc.lock")
    first.publish()
    (second.root / "data" / "known_images.csv").write_text("dataset,class,image,follows\n", encoding="utf-8")

    published = second.publish()

    assert published.said.startswith(f"not published: origin's {BRANCH} has commits that are not known here, as another machine publishes")
    assert not published.is_done
    assert second.tip() == ""
    second.git("add", "-A")
    second.git("commit", "-qm", "Results")
    second.git("fetch", "-q")
    second.git("merge", "-q", f"origin/{BRANCH}")
    assert second.publish().is_done
    assert Machine(home / "origin.git").tip() == second.tip()


@pytest.mark.usefixtures("without_data")
def test_a_second_machine_with_the_same_results_takes_the_branch_as_it_is(home: Path, first: Machine) -> None:
    first.publish()
    second = cloned(home, "main")
    shutil.copy(first.root / "dvc.lock", second.root / "dvc.lock")

    assert second.publish().is_done
    assert second.tip() == first.tip()


@pytest.mark.parametrize(
    ("name", "content"), [("params.yaml", "seed: 7\n"), ("source/image", "edited\n"), ("dvc.yaml", "stages: {}\n"), ("slow_stage.py", "")]
)
@pytest.mark.usefixtures("without_data")
def test_uncommitted_changes_of_anything_that_a_run_does_not_write_are_not_published(first: Machine, name: str, content: str) -> None:
    file = first.root / name
    file.write_text(file.read_text("utf-8") + "\n" if name == "params.yaml" else content, encoding="utf-8")

    published = first.publish()

    assert published.said.startswith(f"not published: {name} is not committed, so the branch would not have what has run. Commit it")
    assert first.tip() == ""
    first.git("commit", "-qam", "Edited")
    assert first.publish().is_done


@pytest.mark.usefixtures("without_data")
def test_a_commit_that_was_checked_out_meanwhile_is_not_taken_for_the_one_that_ran(first: Machine) -> None:
    head = first.git("rev-parse", "HEAD").strip()
    first.set_source("other pixels\n")

    published = publish(Paths(first.root), BRANCH, head)

    assert published.said.startswith("not published: another commit was checked out while it ran")


def test_what_can_be_known_is_said_before_the_run(first: Machine, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = Paths(first.root)
    current = first.git("branch", "--show-current").strip()

    with pytest.raises(ConfigError, match=rf"--publish: {current} is checked out in .*/first, and a checked-out branch is never written"):
        refuse_branch(paths, current)
    first.git("worktree", "add", "-q", "-b", "elsewhere", str(home / "elsewhere"))
    with pytest.raises(ConfigError, match=r"elsewhere is checked out in .*/home/elsewhere"):
        refuse_branch(paths, "elsewhere")
    for name in ("-f", "a b", "a..b", "end.lock", "", "HEAD", "@", "@{-1}", "refs/heads/x"):
        with pytest.raises(ConfigError, match="cannot be the name of a branch"):
            refuse_branch(paths, name)
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    for key in ("name", "email"):
        first.git("config", "--unset", f"user.{key}")
    first.git("config", "user.useConfigOnly", "true")
    with pytest.raises(ConfigError, match="git does not know who commits"):
        refuse_branch(paths, BRANCH)


def test_a_branch_that_is_checked_out_stops_the_command_before_it_runs(first: Machine) -> None:
    code, output = run_pipeline(first.root, "run", f"--publish={first.git('branch', '--show-current').strip()}")

    assert code == 2
    assert len(output.splitlines()) == 1
    assert "is checked out in" in output
