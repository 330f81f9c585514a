"""The parts of a reference to a registered version: `3`, `champion`, `flowers/3`, `flowers@champion`. Text only."""

import re

from pipeline.errors import ConfigError

RUN_ID = re.compile(r"[0-9a-f]{32}")


def parts_of(reference: str) -> tuple[str, str, str]:
    """(name, number, alias) of a reference; what it does not have is empty. Raises ConfigError."""
    if found := re.fullmatch(r"[vV]?0*([1-9]\d*)", reference):
        return "", found[1], ""
    if found := re.fullmatch(r"([^/:]+)/0*([1-9]\d*)", reference):
        return found[1], found[2], ""
    if found := re.fullmatch(r"([^/:]*)@([\w-]+)", reference):
        return found[1], "", found[2]
    if re.fullmatch(r"[A-Za-z_][\w-]*", reference):
        return "", "", reference
    raise ConfigError(f"{reference or 'An empty text'} is no version. Write a number, an alias such as champion, NAME/3 or NAME@champion.")
