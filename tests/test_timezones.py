"""The zone of a schedule has a name, or the message says where the setting comes from."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from zoneinfo import TZPATH

import pytest

from pipeline.errors import ConfigError
from pipeline.unattended.timezones import schedule_timezone

BERLIN = next((file for folder in TZPATH if (file := Path(folder) / "Europe" / "Berlin").is_file()), None)
POSIX = "CET-1CEST,M3.5.0,M10.5.0/3"
needs_zones = pytest.mark.skipif(BERLIN is None, reason="no time zones in the system's folders")


def zone(root: Path, environ: Mapping[str, str] = {}, option: str | None = None) -> str:
    return schedule_timezone(option, environ, root / "localtime", root / "timezone")


@pytest.mark.parametrize(
    "setting",
    ["Europe/Berlin", ":Europe/Berlin", " Europe/Berlin ", "/usr/share/zoneinfo/Europe/Berlin", ":/usr/share/zoneinfo/posix/Europe/Berlin"],
)
def test_tz_names_the_zone_in_each_of_its_forms(setting: str, tmp_path: Path) -> None:
    assert zone(tmp_path, {"TZ": setting}) == "Europe/Berlin"


@pytest.mark.parametrize("setting", [POSIX, "<+03>-3", "/home/me/my-zone", "Europe/Belin", "../etc/passwd", "localtime", ":"])
def test_a_tz_without_a_name_is_named_with_the_remedy(setting: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^TZ is .*, which is not the name of a time zone\. Give the zone with --timezone") as error:
        zone(tmp_path, {"TZ": setting})

    assert setting in str(error.value)


def test_the_option_comes_before_tz_and_a_machine_without_a_zone_is_on_utc(tmp_path: Path) -> None:
    assert zone(tmp_path, {"TZ": POSIX}, option="Asia/Tokyo") == "Asia/Tokyo"
    assert zone(tmp_path) == "UTC"


@pytest.mark.parametrize("option", ["", " ", "Mars/Base", POSIX, "/usr/share/zoneinfo/UTC", "posixrules", "europe/berlin"])
def test_a_wrong_option_is_named_and_a_near_name_suggested(option: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^--timezone .*: not a time zone\.") as error:
        zone(tmp_path, option=option)

    assert ("Did you mean Europe/Berlin?" in str(error.value)) == (option == "europe/berlin")


@needs_zones
def test_an_empty_tz_leaves_it_to_the_machine(tmp_path: Path) -> None:
    (tmp_path / "localtime").symlink_to("/usr/share/zoneinfo/Asia/Tokyo")

    assert zone(tmp_path, {"TZ": ""}) == "Asia/Tokyo"


@needs_zones
@pytest.mark.parametrize(
    ("localtime", "name", "message"),
    [
        ("copy", "Europe/Berlin\n", ""),
        ("copy", "Asia/Tokyo", "are different time zones"),
        ("copy", "", "names none"),
        ("copy", "\n", "names none"),
        ("copy", "nonsense", "names none"),
        ("link", "", r"localtime points to .*elsewhere, which is not a known time zone"),
        ("noise", "", r"localtime cannot be read as a time zone"),
    ],
)
def test_the_machines_zone_has_a_name_that_is_sure_or_is_not_guessed(tmp_path: Path, localtime: str, name: str, message: str) -> None:
    assert BERLIN is not None
    if localtime == "link":
        (tmp_path / "localtime").symlink_to(tmp_path / "elsewhere")
    elif localtime == "copy":
        shutil.copy(BERLIN, tmp_path / "localtime")
    else:
        (tmp_path / "localtime").write_text("noise", encoding="utf-8")
    if name:
        (tmp_path / "timezone").write_text(name, encoding="utf-8")

    if message:
        with pytest.raises(ConfigError, match=message):
            zone(tmp_path)
    else:
        assert zone(tmp_path) == "Europe/Berlin"
