"""The values that options of the command line take. A wrong one is said in one line."""

import argparse
import math

DEFAULT_BRANCH = "retrained"
"""Where a run is published, unless another branch is named."""


def seconds(text: str, least: float = 0) -> float:
    """Seconds, `least` or more."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value < math.inf:
        raise argparse.ArgumentTypeError(f"expected seconds, {least:g} or more; found {text!r}")
    return value


def minutes(text: str) -> float:
    """Minutes, 0 or more."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"expected minutes, 0 or more; found {text!r}")
    return value


def interval(text: str) -> float:
    """Seconds between two looks at something, 1 or more."""
    return seconds(text, 1)


def days(text: str) -> float:
    """Days from an age such as 90d, 1 or more."""
    number = text.removesuffix("d")
    if not (text.endswith("d") and number.isascii() and number.isdigit() and 1 <= int(number) <= 36_500):
        raise argparse.ArgumentTypeError(f"expected an age in days, such as 90d; found {text!r}")
    return float(number)


def port(text: str) -> int:
    """A TCP port."""
    return _whole(text, "a port from {} to {}", 1, 65_535)


def megabytes(text: str) -> int:
    """A size in MB."""
    return _whole(text, "megabytes from {} to {}", 1, 2_048)


def count(text: str) -> int:
    """A number of images, 1 or more."""
    return _whole(text, "a number from {} to {}", 1, 1_000_000)


def _whole(text: str, what: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise argparse.ArgumentTypeError(f"expected {what.format(least, most)}; found {text!r}")
    return int(text)
