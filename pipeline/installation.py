"""`make install`: install the exact packages of a lock file into .venv, whatever pip's other settings are. Uses the standard library only.

Of pip's settings, in PIP_… variables and pip.conf, only those that say where packages come from are used: index, proxy, certificates, cache. Those
that change where or what pip installs (user, target, prefix, no-binary, constraint, …) are ignored.

.venv is created again if an earlier installation was interrupted; if its folder was moved or copied, as its commands contain the path of their
Python; for another Python; and for the TensorFlow package of another EXTRA, as the two packages write the same files.
"""

import ast
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.packages import TENSORFLOW, tensorflow_packages

PYTHONS = ((3, 11), (3, 13))  # the oldest and the newest that the lock files support
# Words in the names of pip's settings for where packages come from and how pip downloads them; the names of other settings have none of them
ORIGIN_OF_PACKAGES = ("index", "links", "host", "proxy", "cert", "cache", "timeout", "retries", "keyring", "input", "deprecated", "feature")
SECTIONS = ("global", "install", ":env:")  # the last one that has a setting wins
OTHER_PYTHON = ("PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "PYTHONSAFEPATH", "PYTHONSTARTUP", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
OPTIONS = ("--quiet", "--disable-pip-version-check", "--no-deps")


class InstallationError(Exception):
    """The message, in one line; details were printed by the programs that ran."""


def main() -> int:
    """The exit code: 0 if installed, 2 if something has to be fixed first."""
    try:
        install(Path.cwd(), sys.argv[1])
    except InstallationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error.filename or '.venv'} cannot be used: {error.strerror}. Check that you may write there.", file=sys.stderr)
        return 2
    return 0


def install(root: Path, extra: str) -> None:
    """Bring .venv up to date with locks/EXTRA.txt and this project. Raises InstallationError."""
    venv, unfinished = root / ".venv", root / ".checkpoints" / "installing"
    if reason := reason_to_recreate(venv, unfinished.exists(), root, extra):
        if venv.is_symlink():
            raise InstallationError(f".venv is a link to {venv.resolve()}, and {reason}. Remove the link, then run the same command again.")
        print(f"{reason[:1].upper()}{reason[1:]}: creating .venv again ...", flush=True)
    unfinished.parent.mkdir(exist_ok=True)
    unfinished.touch()  # stays if this is killed: a package that pip had half written looks complete to it the next time
    try:
        python = _create(venv, clear=bool(reason))
        environment = pip_environment(_settings(python))
        pip = [str(python), "-I", "-m", "pip", "install", *OPTIONS]
        _run([*pip, "--require-hashes", "-r", f"locks/{extra}.txt"], environment)
        _run([*pip, "--no-build-isolation", "--editable", "."], environment)
        _run([str(python), "-m", "pipeline.environment"], environment)
    except InstallationError:
        unfinished.unlink(missing_ok=True)  # pip has left complete packages and continues from there
        raise
    for record in venv.glob("installed-*"):
        record.unlink()
    (venv / f"installed-{extra}").write_text(f"{root}\n", encoding="utf-8")
    unfinished.unlink(missing_ok=True)


def reason_to_recreate(venv: Path, interrupted: bool, root: Path, extra: str) -> str:
    """Why .venv has to be created again for locks/EXTRA.txt; empty if it can be used, or does not exist."""
    if not os.path.lexists(venv):
        return ""
    if interrupted:
        return "an earlier installation was interrupted"
    places = {record.read_text(encoding="utf-8", errors="replace").strip() for record in sorted(venv.glob("installed-*"))} - {""}
    if other := sorted(places - {str(root)}):
        return f"it was created for {other[0]}"
    this = "{}.{}".format(*sys.version_info)
    if (python := _python_of(venv)) and python != this:
        return f"it has Python {python}, not {this}"
    wanted = tensorflow_package(extra)
    if others := [name for name in tensorflow_packages(list(map(str, venv.glob("lib/python*/site-packages")))) if name != wanted]:
        return f"it has {others[0]} instead of {wanted}, which writes the same files"
    return ""


def tensorflow_package(extra: str, system: str = sys.platform, machine: str = platform.machine()) -> str:
    """The package of TensorFlow in locks/EXTRA.txt for such a machine, as in pyproject.toml."""
    return TENSORFLOW[extra == "cpu" and (system, machine) == ("linux", "x86_64")]


def _python_of(venv: Path) -> str:
    """The version of Python in a virtual environment, such as 3.12; empty if unknown."""
    try:
        text = (venv / "pyvenv.cfg").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    said = re.search(r"^version(?:_info)? *= *(\d+\.\d+)", text, re.MULTILINE)
    return said[1] if said else ""


def pip_environment(settings: str, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment for pip: of its settings, as printed by `pip config list`, those that say where packages come from."""
    kept = {}
    for section in SECTIONS:
        for line in settings.splitlines():
            name, _, value = line.partition("=")
            key = name.removeprefix(f"{section}.")
            if key != name and set(key.split("-")) & set(ORIGIN_OF_PACKAGES) and (text := str(ast.literal_eval(value)).strip()):
                kept[f"PIP_{key.upper().replace('-', '_')}"] = text
    others = {name: value for name, value in environ.items() if not name.upper().startswith("PIP_") and name not in OTHER_PYTHON}
    return {**others, **kept, "PIP_CONFIG_FILE": os.devnull}


def _create(venv: Path, *, clear: bool) -> Path:
    """The Python of the virtual environment, which is created if it has no working pip."""
    python = venv / "bin" / "python"
    if clear or not _works([str(python), "-I", "-m", "pip", "--version"]):
        base = getattr(sys, "_base_executable", sys.executable)
        _run([base, "-I", "-m", "venv", *(["--clear"] if clear else []), str(venv)], os.environ)
    return python


def _settings(python: Path) -> str:
    """The output of `pip config list`. Raises InstallationError if pip cannot read its settings."""
    environment = {name: value for name, value in os.environ.items() if name.upper() not in ("PIP_QUIET", "PIP_VERBOSE", "PIP_LOG")}
    listed = subprocess.run([str(python), "-I", "-m", "pip", "config", "list"], capture_output=True, text=True, env=environment)
    if listed.returncode:
        last = (listed.stderr.strip().splitlines() or ["no message"])[-1]
        raise InstallationError(f"pip cannot read its settings: {last}. `pip config debug` names its files.")
    return listed.stdout


def _works(command: Sequence[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


def _run(command: Sequence[str], environment: Mapping[str, str]) -> None:
    if subprocess.run(command, env=environment).returncode:
        what = "Python cannot make a virtual environment" if "venv" in command else "the installation ended with an error"
        hint = " (on Debian and Ubuntu, install the package python3-venv)" if "venv" in command else ""
        raise InstallationError(f"{what}{hint}: see above. Fix it, then run the same command again.")


if __name__ == "__main__":
    sys.exit(main())
