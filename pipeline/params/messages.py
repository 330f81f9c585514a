"""Problems in params.yaml, in words: file, line, parameter, expected value, found value, and what was probably meant.

In: what pydantic found. Out: one line per problem, in the order of the file. Knows the fields only by their types.
"""

import contextlib
import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from ruamel.yaml.comments import CommentedMap

from pipeline.params.field_words import kinds, literals, types
from pipeline.ways_out import in_yaml

LONGEST_VALUE = 80
TRUE, FALSE = ("yes", "on", "true", "y"), ("no", "off", "false", "n")
Model = type[BaseModel]
Keys = tuple[str, ...]


def explain(
    problems: Sequence[Mapping[str, Any]],
    document: CommentedMap,
    file: str,
    config: Model,
    choices: Mapping[str, Sequence[str]],
    usual: Mapping[str, Any],
) -> list[str]:
    """One line per problem that pydantic found in `document`; a misspelt or misplaced parameter is not reported again as missing.

    usual: the value of every parameter, by section, to be written where it is missing.
    """
    found: dict[Keys, Mapping[str, Any]] = {}
    for problem in problems:
        found.setdefault(_keys(problem, config), problem)
    missing = {keys for keys, problem in found.items() if problem["type"] == "missing"}
    told: list[tuple[int, str]] = []
    meant: set[Keys] = set()
    for keys in [keys for keys, problem in found.items() if problem["type"] == "extra_forbidden"]:
        line, value = locate(document, keys)
        stands_for, advice = _unknown(keys, value, config, missing)
        if keys[:-1] and any((home,) in meant for home, model in _sections(config).items() if keys[-1] in _fields(model)):
            continue  # it is below a section that is indented too far, which is reported
        meant |= stands_for
        told.append((line, f"{file}:{line}: {'.'.join(keys)} is not a parameter.{advice}"))
    for keys, problem in found.items():
        if keys not in missing and problem["type"] != "extra_forbidden":
            line, value = locate(document, keys)
            words = f"{_expected(keys, problem, config)}; found {_shown(value)}.{_hint(keys, value, config, choices)}"
            told.append((line, f"{file}:{line}: {'.'.join(keys)} {words}"))
    told += _absent(missing - meant, document, file, usual)
    return [text for _, text in sorted(told)]


def _absent(missing: set[Keys], document: CommentedMap, file: str, usual: Mapping[str, Any]) -> list[tuple[int, str]]:
    """A line for each missing section or parameter, with what to write."""
    told = []
    for keys in sorted(missing):
        value: Any = usual
        for key in keys:
            value = value[key]
        line = locate(document, keys)[0] if len(keys) > 1 else 1
        where = f"in section `{keys[0]}:`" if len(keys) > 1 else "at the beginning of a line"
        told.append((line, f"{file}:{line}: {'.'.join(keys)} is missing. Add this line, {where}: `{keys[-1]}: {in_yaml(value)}`."))
    return told


def _unknown(keys: Keys, value: object, config: Model, missing: set[Keys]) -> tuple[set[Keys], str]:
    """(the missing parameters that an unknown one stands for, what to do)."""
    if len(keys) == 1 and isinstance(value, dict) and (inside := [name for name in map(str, value) if name in _fields(config)]):
        return missing, f" {', '.join(inside)} should be at the beginning of a line, not below {keys[0]}."
    if len(keys) > 1 and keys[-1] == keys[-2]:
        return {name for name in missing if name[0] == keys[0]}, f" Its parameters belong directly below `{keys[-2]}:`."
    near = _nearest(keys, config, missing)
    if near is None:
        return set(), f" Known here: {', '.join(_fields(_section(keys[:-1], config) or config))}."
    if len(near) == 1 < len(keys):
        return {near}, f" Did you mean {near[0]}, at the beginning of a line?"
    if near[:-1] == keys[:-1]:
        return {near}, f" Did you mean {near[-1]}?"
    return {near, near[:1]}, f" Did you mean {'.'.join(near)}, in section `{near[0]}:`?"


def _keys(problem: Mapping[str, Any], config: Model) -> Keys:
    """The names of a parameter: those of its sections and its own. What pydantic adds for parts of a list or a union is dropped."""
    first, *rest = (str(part) for part in problem["loc"])
    keys: Keys = (first,)
    for part in rest:
        if _section(keys, config) is None:
            break
        keys = (*keys, part)
    return keys


def locate(document: CommentedMap, keys: Iterable[str]) -> tuple[int, Any]:
    """The 1-based line of a key (of its section where the key is absent) and its value."""
    node: Any = document
    line = 1
    for key in keys:
        written = next((own for own in node if str(own) == key), None) if isinstance(node, CommentedMap) else None
        if written is None:
            return line, None
        with contextlib.suppress(KeyError, TypeError, AttributeError):  # it comes from elsewhere, by `<<: *anchor`
            line = node.lc.key(written)[0] + 1
        node = node[written]
    return line, node


def _fields(model: Model) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _sections(config: Model) -> dict[str, Model]:
    return {
        name: field.annotation
        for name, field in _fields(config).items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }


def _section(keys: Keys, config: Model) -> Model | None:
    """The section of these names, which may lie in others; all parameters for no names, None if it is no section."""
    found: Model | None = config
    for key in keys:
        found = _sections(found).get(key) if found else None
    return found


def _field(keys: Keys, config: Model) -> FieldInfo | None:
    section = _section(keys[:-1], config)
    return _fields(section).get(keys[-1]) if section else None


OTHER_NAMES = {
    "swish": "silu",
    "nesterov": "sgd",
    "momentum": "sgd",
    "efficientnet": "efficientnet_lite0",
    "efficientnet_lite": "efficientnet_lite0",
}
"""Other names of values."""


def _nearest(keys: Keys, config: Model, missing: set[Keys]) -> Keys | None:
    """The parameter that was meant by an unknown one: a name like it in the same section, or the same name elsewhere, those missing first."""
    known = list(_fields(_section(keys[:-1], config) or config))
    like = [(*keys[:-1], name) for name in _near(keys[-1], known, 3)]
    if len(keys) > 2:
        return like[0] if like else None
    elsewhere: list[Keys] = [(name, keys[-1]) for name, model in _sections(config).items() if keys[-1] in _fields(model)]
    if keys[-1] in _fields(config):
        elsewhere.append((keys[-1],))
    candidates = [*like, *elsewhere] if like and like[0] in missing else [*elsewhere, *like]
    return next((name for name in candidates if name in missing), candidates[0] if candidates else None)


def _near(name: str, known: Sequence[str], count: int = 1) -> list[str]:
    """Known names like this one, the nearest first; upper and lower case are the same."""
    lower = {candidate.lower(): candidate for candidate in known}
    if (other := OTHER_NAMES.get(name.lower())) in known:
        return [str(other)]
    if longer := sorted(
        (found for found in lower if len(name) > 4 and found.startswith(name.lower())), key=lambda found: (len(found), found)
    ):
        return [lower[found] for found in longer[:count]]
    return [lower[found] for found in difflib.get_close_matches(name.lower(), lower, n=count)]


def _expected(keys: Keys, problem: Mapping[str, Any], config: Model) -> str:
    """What the parameter should be, in words."""
    if section := _section(keys, config):
        return f"should be a section with parameters such as {next(iter(_fields(section)))}, each in an indented line"
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    field = _field(keys, config)
    if field is None:
        return str(problem["msg"]).replace("Input should be", "should be")
    return f"should be {' or '.join(kinds(field.annotation, field.metadata))}"


def _hint(keys: Keys, value: object, config: Model, choices: Mapping[str, Sequence[str]]) -> str:
    """The value that was probably meant by one of the wrong kind."""
    field = _field(keys, config)
    if field is None or _section(keys, config):
        return ""
    wanted = set(types(field.annotation))
    known = [*(str(choice) for choice in literals(field.annotation)), *choices.get(".".join(keys), ())]
    size = any("[height, width]" in kind for kind in kinds(field.annotation, field.metadata))
    if isinstance(value, str):
        return _hint_of_text(value.strip(), wanted, known, size)
    if value is False and "none" in known:
        return " Did you mean none?"
    if isinstance(value, bool | int) and value in (0, 1) and wanted == {bool}:
        return f" Write {'true' if value else 'false'}."
    if size and float in wanted and isinstance(value, int | float) and not isinstance(value, bool):
        return f" Did you mean [0, {_shown(value)}]?" if 0 < value < float("inf") else ""
    if size and isinstance(value, int):
        return f" Did you mean [{value}, {value}]?"
    if isinstance(value, float) and value.is_integer() and int in wanted and float not in wanted:
        return f" Write {int(value)}."
    if isinstance(value, int | float) and wanted == {str} and not known:
        return f' Put it in quotes: "{_shown(value)}".'
    return ""


def _hint_of_text(text: str, wanted: set[type], known: Sequence[str], size: bool) -> str:
    if bool in wanted and text.lower() in (*TRUE, *FALSE):
        return f" Write {'true' if text.lower() in TRUE else 'false'}."
    if size and (sides := re.fullmatch(r"(\d+)\s*[x×,]\s*(\d+)", text)):
        return f" Did you mean [{sides[1]}, {sides[2]}]?"
    if wanted & {int, float} or any(choice.isdigit() for choice in known):
        if comma := re.fullmatch(r"([+-]?\d+),(\d+)", text):
            return f" Write a point: {comma[1]}.{comma[2]}."
        if (percent := re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", text)) and float in wanted:
            return f" Write {float(percent[1]) / 100:g}."
        if _is_number(text):
            return f" Write {text} without quotes."
    suggestion = [choice for choice in _near(text, known) if choice != text]
    return f" Did you mean {suggestion[0]}?" if suggestion else ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _shown(value: object) -> str:
    """A value as written in the file, without secrets, and not longer than a line."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return f"a section with {', '.join(map(str, value)) or 'nothing'}"[:LONGEST_VALUE]
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        return f"a list of {len(value)}"
    if isinstance(value, int | float):
        return repr(value)
    text = _without_secrets(repr(list(value) if isinstance(value, list) else str(value)))
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def _without_secrets(text: str) -> str:
    text = re.sub(r"(?<=://)[^/\s'\"]*@", "…@", text)
    return re.sub(r"(://[^?\s]*\?)[^'\"]*", r"\1…", text)
