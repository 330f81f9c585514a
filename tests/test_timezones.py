"""The zone of a schedule has a name, or the message says where the setting comes from."""

import shutil
from pathlib import Path
from zoneinfo import TZPATH

import pytest

from pipeline.errors import ConfigError
from pipeline.retraining.timezones import schedule_timezone

ZONES = next((Path(folder) for folder in TZPATH if (Path(folder) / "Europe" / "Berlin").is_file()), None)
POSIX = "CET-1CEST,M3.5.0,M10.5.0/3"
needs_zones = pytest.mark.skipif(ZONES is None, reason="no time zones in the system's folders")


@pytest.mark.parametrize(
    "setting",
    ["Europe/Berlin", ":Europe/Berlin", " Europe/Berlin ", "/usr/share/zoneinfo/Europe/Berlin", ":/usr/share/zoneinfo/posix/Europe/Berlin"],
)
def test_tz_names_the_zone_in_each_of_its_forms(setting: str, tmp_path: Path) -> None:
    assert schedule_timezone(None, {"TZ": setting}, tmp_path / "none", tmp_path / "none") == "Europe/Berlin"


@pytest.mark.parametrize("setting", [POSIX, "<+03>-3", "/home/me/my-zone", "Europe/Belin", "../etc/passwd", "localtime", ":"])
def test_a_tz_without_a_name_is_named_with_the_remedy(setting: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^TZ is .*, which is not the name of a time zone\. Give the zone with --timezone") as error:
        schedule_timezone(None, {"TZ": setting}, tmp_path / "none", tmp_path / "none")

    assert setting in str(error.value)


def test_the_option_comes_before_tz() -> None:
    assert schedule_timezone("UTC", {"TZ": POSIX}) == "UTC"


@pytest.mark.parametrize("option", ["", " ", "Mars/Base", POSIX, "/usr/share/zoneinfo/UTC", "posixrules"])
def test_a_wrong_option_is_named(option: str) -> None:
    with pytest.raises(ConfigError, match=r"^--timezone .*: not a time zone\."):
        schedule_timezone(option)


def test_a_near_name_is_suggested() -> None:
    with pytest.raises(ConfigError, match=r"Did you mean Europe/Berlin\?"):
        schedule_timezone("europe/berlin")


@needs_zones
def test_an_empty_tz_leaves_it_to_the_machine(tmp_path: Path) -> None:
    link = tmp_path / "localtime"
    link.symlink_to("/usr/share/zoneinfo/Asia/Tokyo")

    assert schedule_timezone(None, {"TZ": ""}, link, tmp_path / "none") == "Asia/Tokyo"


def test_a_machine_without_a_zone_is_on_utc(tmp_path: Path) -> None:
    assert schedule_timezone(None, {}, tmp_path / "localtime", tmp_path / "timezone") == "UTC"


def test_a_link_to_no_zone_is_named(tmp_path: Path) -> None:
    link = tmp_path / "localtime"
    link.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ConfigError, match=r"localtime points to .*elsewhere, which is not a known time zone"):
        schedule_timezone(None, {}, link, tmp_path / "timezone")


@needs_zones
def test_a_copied_file_has_the_name_that_etc_timezone_gives(tmp_path: Path) -> None:
    assert ZONES is not None
    shutil.copy(ZONES / "Europe" / "Berlin", tmp_path / "localtime")
    (tmp_path / "timezone").write_text("Europe/Berlin\n", encoding="utf-8")

    assert schedule_timezone(None, {}, tmp_path / "localtime", tmp_path / "timezone") == "Europe/Berlin"


@needs_zones
@pytest.mark.parametrize(("name", "message"), [("Asia/Tokyo", "are different time zones"), ("", "names none"), ("nonsense", "names none")])
def test_a_copied_file_without_its_own_name_is_not_guessed(tmp_path: Path, name: str, message: str) -> None:
    assert ZONES is not None
    shutil.copy(ZONES / "Europe" / "Berlin", tmp_path / "localtime")
    (tmp_path / "timezone").write_text(name, encoding="utf-8")

    with pytest.raises(ConfigError, match=message):
        schedule_timezone(None, {}, tmp_path / "localtime", tmp_path / "timezone")


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "localtime").write_text("noise", encoding="utf-8")

    with pytest.raises(ConfigError, match=r"localtime cannot be read as a time zone"):
        schedule_timezone(None, {}, tmp_path / "localtime", tmp_path / "timezone")
