"""Errors that show ways out: each says what to do, and perhaps what to write in params.yaml, so that it can be tried before it is shown."""

import glob
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from pipeline.errors import SourceError

Value: TypeAlias = str | bool | int | float | Sequence[str] | Mapping[str, str]
YAML_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}  # text only in quotes, in one version of YAML or another
IN_THE_DATA = "put the images of each class into a folder of its own, or add a table of paths and labels (docs/data.md)"


class Way(NamedTuple):
    """What to do, or what one gets; the parameters of `ingest` for it, if it needs any; and a remark, which may be all that is said of it."""

    what: str
    settings: Mapping[str, Value] = {}
    remark: str = ""

    @property
    def written(self) -> str:
        """The parameters as they are written in params.yaml, and the remark."""
        told = " and ".join(f"ingest.{key}: {in_yaml(value)}" for key, value in self.settings.items())
        return f"{told} ({self.remark})" if self.remark else told

    @property
    def sentence(self) -> str:
        """The way with its parameters, as a part of a sentence."""
        if not self.settings:
            return self.what
        return f"{self.what} with {self.written}" if self.what else f"set {self.written}"


class Undecided(SourceError):  # noqa: N818 - says what is the matter
    """A source that is not read, with ways out. `told` makes the message of those that are left after a trial."""

    def __init__(self, ways: Sequence[Way], told: Callable[[Sequence[Way]], str]) -> None:
        super().__init__(told(ways))
        self.ways = tuple(ways)
        self.told = told

    def with_ways(self, ways: Sequence[Way]) -> "Undecided":
        """The same stop with other ways out."""
        return type(self)(ways, self.told)


def exactly(paths: Iterable[str]) -> list[str]:
    """Globs that match these paths, and nothing else."""
    return [glob.escape(path) for path in paths]


def undecided(seen: str, ways: Sequence[Way], last: str = "") -> Undecided:
    """The error for something seen, with the ways out of it as one sentence, and a last one."""

    def told(left: Sequence[Way]) -> str:
        return f"{seen} {in_a_sentence(left)}{' ' + last if last else ''}"

    return Undecided(ways, told)


def in_a_sentence(ways: Sequence[Way]) -> str:
    """The ways as a sentence; without any, what to change in the data."""
    parts = [way.sentence for way in ways] or [IN_THE_DATA]
    sentence = ", or ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]
    return f"{sentence[0].upper()}{sentence[1:]}."


def in_yaml(value: Value) -> str:
    """A value as it is written in YAML; text in quotes where it would be something else without them."""
    if isinstance(value, bool | int | float):
        return repr(value).lower()
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {in_yaml(one)}' for key, one in value.items())}}}"
    if not isinstance(value, str):
        return json.dumps(list(value), ensure_ascii=False)
    is_plain = re.fullmatch(r"[^\W\d](?:[\w /-]*\w)?", value) and value.lower() not in YAML_WORDS
    return value if is_plain else json.dumps(value, ensure_ascii=False)
