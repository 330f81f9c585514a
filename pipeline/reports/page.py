"""HTML pages that are one file: a template and values in, text out. No script, and nothing fetched; every text is escaped.

What all pages look like stands in templates/base.html.j2.
"""

import base64
from collections.abc import Callable, Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined

NO_BREAK_SPACE = "\u00a0"


def render_page(template: str, filters: Mapping[str, Callable[..., object]], **values: object) -> str:
    """The text of the page that a template of this package makes of `values`, with the template's own `filters` and those of this module."""
    environment = Environment(
        loader=PackageLoader("pipeline.reports"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(percent=percent, thousands=thousands, data_uri=data_uri)
    environment.filters.update(filters)
    return environment.get_template(template).render(values)


def percent(share: float, digits: int = 1) -> str:
    """A share from 0 to 1 in per cent, its sign on the same line."""
    return f"{100 * share:.{digits}f}{NO_BREAK_SPACE}%"


def thousands(count: float) -> str:
    """A whole number with its thousands set apart."""
    return f"{int(count):,}"


def data_uri(picture: bytes) -> str:
    """A PNG or JPEG as an address that holds the picture itself."""
    kind = "jpeg" if picture.startswith(b"\xff\xd8") else "png"
    return f"data:image/{kind};base64," + base64.b64encode(picture).decode("ascii")
