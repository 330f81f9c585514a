"""What must be set up before Prefect is imported, as it reads its settings then: folder, network, home; and where its address is set.

Knows Prefect's files and variables, but does not import it.
"""

import contextlib
import io
import os
import sys
import tomllib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from filelock import FileLock, Timeout

from pipeline.errors import BusyError, ConfigError, StorageError
from pipeline.network import check_network, spare_loopback

ADDRESS = "PREFECT_API_URL"


def prepare_prefect(root: Path) -> None:
    """Make the project the current folder, where Prefect looks for settings, and see that it can be imported and can reach this machine.

    Raises ConfigError, in one line, for what would be a traceback of Prefect's.
    """
    os.chdir(root)
    check_network()
    spare_loopback(os.environ)
    for name in [name for name in os.environ if name.upper() == ADDRESS]:
        if address := os.environ[name].strip():
            os.environ[name] = address
        else:
            del os.environ[name]
    try:
        Path.home()
    except RuntimeError:
        raise ConfigError(
            "HOME is not set, and this user has no home folder, which Prefect needs. Set HOME to a writable folder."
        ) from None
    import_prefect()


def import_prefect() -> None:
    """Raises ConfigError if Prefect cannot read its settings."""
    said = io.StringIO()
    try:
        # A home that cannot be created is reported where it is needed; Prefect's own report of wrong settings is longer than ours
        with warnings.catch_warnings(action="ignore"), contextlib.redirect_stderr(said):
            import prefect.settings

            prefect.settings.get_current_settings()
    except (ValueError, OSError, RuntimeError) as error:  # pydantic's and TOML's errors are ValueErrors
        raise ConfigError(f"Prefect's settings cannot be read: {_told(error)}") from None
    sys.stderr.write(said.getvalue())


def _told(error: Exception) -> str:
    """The error in one line; pydantic's says in its first line how many there are, and then where and what."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = ": ".join(lines[1:3]) if len(lines) > 2 and "validation error" in lines[0] else (lines or [type(error).__name__])[0]
    here = ", ".join(sorted(name for name in os.environ if name.upper().startswith("PREFECT_")))
    return (
        f"{told.partition(' [type=')[0].rstrip('.')}. Settings come from variables ({here or 'none is set'}), prefect.toml, pyproject.toml, "
        ".env, or the active Prefect profile."
    )


def origin_of_address(root: Path, profile: str, profiles_file: Path | None) -> tuple[str, str]:
    """(where the API's address is set, what to do to run without it), by the order in which Prefect reads its settings."""
    for name in os.environ:
        if name.upper() == ADDRESS:
            return f"the variable {name}", f"unset {name}"
    if ADDRESS in {name.upper() for name, value in _dotenv(root / ".env").items() if value}:
        return f"{ADDRESS} in {root / '.env'}", "remove that line"
    for file, keys in ((root / "prefect.toml", ("api", "url")), (root / "pyproject.toml", ("tool", "prefect", "api", "url"))):
        if _has(file, keys):
            return f"{'.'.join(keys)} in {file}", "remove that line"
    return f"the Prefect profile {profile} in {profiles_file}", f"run `prefect --profile {profile} config unset -y {ADDRESS}`"


def check_home(home: Path) -> None:
    """Raise StorageError if Prefect's home is not writable."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        writable = os.access(home, os.W_OK | os.X_OK)
    except OSError:
        writable = False
    if not writable:
        raise StorageError(f"Prefect keeps its history in {home}, which is not writable. Set PREFECT_HOME to a writable folder.")


@contextlib.contextmanager
def one_start_at_a_time(home: Path, timeout_seconds: float) -> Iterator[None]:
    """Lock out other projects that start a server on this home: if two create the tables of one SQLite file, both fail."""
    lock = home / "pipeline-server-start.lock"
    try:
        with FileLock(lock, timeout=timeout_seconds):
            yield
    except Timeout:
        raise BusyError(
            f"Another run has been starting a Prefect server for more than {timeout_seconds:g} s (it holds {lock}). "
            "Wait for it or stop it, then run the same command again."
        ) from None
    except OSError as error:
        if error.filename != str(lock):
            raise
        raise StorageError(f"{lock} cannot be written: {error.strerror}. Set PREFECT_HOME to a writable folder.") from None


def _dotenv(file: Path) -> dict[str, str | None]:
    return dict(dotenv_values(file)) if file.is_file() else {}


def _has(file: Path, keys: tuple[str, ...]) -> bool:
    try:
        value: Any = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return bool(value)
