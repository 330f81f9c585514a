"""HTML pages in a single file: a template and values in, text out. No scripts, no external resources; all text is escaped.

The layout that all pages share is in templates/base.html.j2.
"""

import base64
import functools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from pipeline.names import shown

NO_BREAK_SPACE = "\u00a0"
LONGEST_BRIEF = 48
SQUARES_UP_TO_PX = 63

Filter = Callable[..., object]


def render_page(template: str, filters: Mapping[str, Filter], **values: object) -> str:
    """The text of a page: a template of this package, filled with `values`. It can use `filters` and those of this module."""
    return _template(template, tuple(filters.items())).render(values)


@functools.cache
def _template(name: str, filters: tuple[tuple[str, Filter], ...]) -> Template:
    """A compiled template; compiling takes longer than rendering."""
    environment = Environment(
        loader=PackageLoader("pipeline.reports"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(percent=percent, thousands=thousands, data_uri=data_uri, shown=shown)
    environment.filters.update(filters)
    return environment.get_template(name)


def percent(share: float, digits: int = 1) -> str:
    """A share from 0 to 1 as a percentage, with a no-break space before the sign."""
    return f"{100 * share:.{digits}f}{NO_BREAK_SPACE}%"


def brief_names(class_names: Iterable[str]) -> Mapping[str, str]:
    """The names as in `shown`, very long ones without their middle unless they were the same then: for where the whole name stands elsewhere."""
    half = LONGEST_BRIEF // 2
    whole = {name: shown(name) for name in class_names}
    brief = {name: text if len(text) <= LONGEST_BRIEF else f"{text[:half]}…{text[1 - half :]}" for name, text in whole.items()}
    often = Counter(brief.values())
    return {name: text if often[text] == 1 else whole[name] for name, text in brief.items()}


def thousands(count: float) -> str:
    """A whole number with thousands separators."""
    return f"{int(count):,}"


def data_uri(picture: bytes) -> str:
    """A data URI that contains a PNG or JPEG."""
    kind = "jpeg" if picture.startswith(b"\xff\xd8") else "png"
    return f"data:image/{kind};base64," + base64.b64encode(picture).decode("ascii")


def is_small_png(picture: bytes) -> bool:
    """Whether a picture is so small that its pixels are shown as squares: a PNG of at most 63 px. Bytes 16 to 23 hold its size."""
    if not picture.startswith(b"\x89PNG"):
        return False
    return max(int.from_bytes(picture[i : i + 4], "big") for i in (16, 20)) <= SQUARES_UP_TO_PX
