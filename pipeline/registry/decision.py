"""The output of stage `register`: data/register/decision.json."""

import json
from typing import Any

from pipeline.paths import Paths

KEYS = {"model_name", "model_sha256", "promoted", "champion", "reason"}


def read_decision(paths: Paths) -> dict[str, Any]:
    """The decision; empty if there is none or it cannot be read."""
    try:
        decision = json.loads((paths.stage("register") / "decision.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return decision if isinstance(decision, dict) and decision.keys() >= KEYS else {}
