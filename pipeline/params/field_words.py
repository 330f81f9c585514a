"""The values that a field accepts, in words: `one of auto, cpu, gpu`, `a number from 0 to 1`. Knows types only."""

from collections.abc import Iterable, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo


def kinds(annotation: Any, metadata: Sequence[Any]) -> list[str]:
    """The kinds of values that a type takes, each in words."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *own = get_args(annotation)
        return kinds(inner, [*_flat(own), *metadata])
    if origin is Literal:
        values = [str(value) for value in get_args(annotation)]
        return [values[0] if len(values) == 1 else f"one of {', '.join(values)}"]
    if origin in (Union, UnionType):
        return [kind for part in get_args(annotation) for kind in kinds(part, metadata)]
    if origin is list:
        return [_list_in_words(get_args(annotation)[0], metadata)]
    if annotation is bool:
        return ["true or false"]
    if annotation in (int, float):
        return [f"{'a whole number' if annotation is int else 'a number'}{_range(metadata)}"]
    if any(getattr(constraint, "pattern", None) for constraint in metadata):
        return ["a name without / and :, and without spaces around it"]
    return ["text"]


def _list_in_words(item: Any, metadata: Sequence[Any]) -> str:
    if _bounds(metadata).get("max_length") == 2:
        return f"[height, width] in px, each{_range(_flat(get_args(item)[1:])).replace(' from', '')}"
    return f"a list, each {' or '.join(kinds(item, []))}"


def _flat(metadata: Iterable[Any]) -> list[Any]:
    """The constraints of a type, those of a Field one by one."""
    return [constraint for entry in metadata for constraint in (entry.metadata if isinstance(entry, FieldInfo) else [entry])]


def _bounds(metadata: Iterable[Any]) -> dict[str, Any]:
    names = ("ge", "gt", "le", "lt", "max_length")
    return {name: value for entry in metadata for name in names if (value := getattr(entry, name, None)) is not None}


def _range(metadata: Iterable[Any]) -> str:
    """` from 0 to 1`, ` of at least 1`, ` above 0`: the bounds of a number."""
    bounds = _bounds(metadata)
    if "ge" in bounds and "le" in bounds:
        return f" from {bounds['ge']} to {bounds['le']}"
    low = f"above {bounds['gt']}" if "gt" in bounds else f"of at least {bounds['ge']}" if "ge" in bounds else ""
    high = f"below {bounds['lt']}" if "lt" in bounds else f"at most {bounds['le']}" if "le" in bounds else ""
    return f" {' and '.join(filter(None, (low, high)))}" if low or high else ""


def types(annotation: Any) -> Iterable[type]:
    """The Python types that a field takes, alone or in a list."""
    origin = get_origin(annotation)
    if origin in (Annotated, list):
        yield from types(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for part in get_args(annotation):
            yield from types(part)
    elif isinstance(annotation, type) and annotation is not NoneType:
        yield annotation


def literals(annotation: Any) -> Iterable[object]:
    """The fixed values that a field takes."""
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    else:
        for part in get_args(annotation):
            yield from literals(part)
