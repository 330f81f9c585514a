"""Numbers in sentences. No imports."""


def percent(share: float) -> str:
    """`83.1 %`; `5 %` where that is all; at least one digit of a small share."""
    return f"{100 * share:.3g} %"
