"""The output of stage `register`: data/register/decision.json."""

import json
from typing import Any

from pipeline.git import ask_git
from pipeline.paths import Paths

KEYS = {"model_name", "model_sha256", "promoted", "champion", "reason"}


def read_decision(paths: Paths) -> dict[str, Any]:
    """The decision; empty if there is none or it cannot be read."""
    try:
        return _decision((paths.stage("register") / "decision.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def committed_decision(paths: Paths) -> dict[str, Any]:
    """The decision in the last commit, which is there while the stage runs, too; empty if there is none."""
    return _decision(ask_git(paths.root, "show", "HEAD:./data/register/decision.json").text)


def _decision(text: str) -> dict[str, Any]:
    try:
        decision = json.loads(text)
    except ValueError:
        return {}
    return decision if isinstance(decision, dict) and decision.keys() >= KEYS else {}
