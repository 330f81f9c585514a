"""The name of a schedule's time zone: from the command line, from TZ, or from the machine's /etc/localtime.

Prefect knows a zone by its name only, while TZ and /etc/localtime also come as rules and as copied files. What cannot be named is one
ConfigError that says where it was found: a guess would have the schedule fire at the wrong hour.
"""

import difflib
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from pipeline.errors import ConfigError

LOCALTIME = Path("/etc/localtime")
NAME_FILE = Path("/etc/timezone")
NO_ZONES = ("localtime", "posixrules", "Factory")  # files among the zones that name none
COMPARED_DAYS = 800  # two years and more: both changes of the clocks, twice
INSTEAD = "Give the zone with --timezone, as in --timezone Europe/Berlin."


def schedule_timezone(
    option: str | None, environ: Mapping[str, str] = os.environ, localtime: Path = LOCALTIME, name_file: Path = NAME_FILE
) -> str:
    """The name of the zone. An empty TZ counts as not set; a machine without /etc/localtime is on UTC, as its own clock is.

    Raises ConfigError if it is not a time zone or has no name.
    """
    if option is not None:
        if not is_zone(option):
            raise ConfigError(f"--timezone {option}: not a time zone. Expected a name such as Europe/Berlin or UTC.{_near(option)}")
        return option
    if setting := environ.get("TZ", "").strip():
        return _of_variable(setting)
    return _of_machine(localtime, name_file)


def is_zone(name: str) -> bool:
    """Whether this is the name of a time zone."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return name not in NO_ZONES


def _of_variable(setting: str) -> str:
    """The zone of TZ: `Europe/Berlin`, `:Europe/Berlin` or a zone's file. The rules of POSIX, as in CET-1CEST, have no name."""
    value = setting.removeprefix(":")
    name = _name_in(value) if value.startswith("/") else value
    if is_zone(name):
        return name
    raise ConfigError(f"TZ is {setting}, which is not the name of a time zone. {INSTEAD}{_near(name)}")


def _of_machine(localtime: Path, name_file: Path) -> str:
    if localtime.is_symlink():
        name = _name_in(os.path.realpath(localtime)) or _name_in(str(localtime.readlink()))
        if is_zone(name):
            return name
        raise ConfigError(f"{localtime} points to {os.path.realpath(localtime)}, which is not a known time zone. {INSTEAD}")
    if not localtime.exists():
        return "UTC"
    return _of_copied_file(localtime, name_file)


def _of_copied_file(localtime: Path, name_file: Path) -> str:
    """The name that /etc/timezone gives to a /etc/localtime that is a file of its own, if both have the same clock."""
    name = _read_name(name_file)
    try:
        with localtime.open("rb") as file:
            rules = ZoneInfo.from_file(file)
    except (OSError, ValueError):
        raise ConfigError(f"{localtime} cannot be read as a time zone. {INSTEAD}") from None
    if not is_zone(name):
        raise ConfigError(f"{localtime} is a copied file, which does not say which time zone it is, and {name_file} names none. {INSTEAD}")
    if not _same_clock(rules, ZoneInfo(name)):
        raise ConfigError(f"{localtime} and {name_file} ({name}) are different time zones. {INSTEAD}")
    return name


def _read_name(name_file: Path) -> str:
    try:
        return name_file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def _same_clock(one: ZoneInfo, other: ZoneInfo) -> bool:
    start = datetime.now(UTC)
    days = (start + timedelta(days=day) for day in range(COMPARED_DAYS))
    return all(day.astimezone(one).utcoffset() == day.astimezone(other).utcoffset() for day in days)


def _name_in(path: str) -> str:
    """The zone that a file among the system's zones is; with or without leap seconds makes no difference to a schedule."""
    name = path.rpartition("zoneinfo/")[2] if "zoneinfo/" in path else ""
    return name.removeprefix("posix/").removeprefix("right/")


def _near(name: str) -> str:
    folded = {zone.casefold(): zone for zone in available_timezones()}
    found = difflib.get_close_matches(name.strip().casefold(), folded, n=1, cutoff=0.85)
    return f" Did you mean {folded[found[0]]}?" if found else ""
