"""`pipeline check` says where there are too few test images for the margin that the gate uses."""

import json
from pathlib import Path

import pytest

from pipeline.paths import Paths
from pipeline.workspace.gate_check import check_gate

PARAMS = (Path(__file__).parent.parent / "params.yaml").read_text(encoding="utf-8")


def project(
    root: Path, images: int, margin: str = "auto", when: str = "not_worse", compared: bool = True, source: str = "data/fashion-mnist"
) -> Paths:
    """A project after a run, whose model is wrong on 8 % of the test images and, if compared, differs from the champion on 6 %."""
    params = PARAMS.replace("  margin: auto", f"  margin: {margin}").replace("  promote_when: not_worse", f"  promote_when: {when}")
    comparison = {"n": 10_000, "b": 320, "c": 280}
    decision = {"champion": {"comparison": comparison}} if compared else {"champion": None}
    files = {
        "params.yaml": params,
        "data/ingest/report.json": json.dumps({"source": source, "counts": {"test": {"a": images - 100, "b": 100}}}),
        "data/evaluate/metrics.json": json.dumps({"test_accuracy": 0.92}),
        "data/register/decision.json": json.dumps(
            {"model_name": "a", "model_sha256": "b", "promoted": True, "champion": None, "reason": "", "decision": decision}
        ),
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return Paths(root)


@pytest.mark.parametrize(
    ("images", "margin", "compared", "warns", "said"),
    [
        (10_000, "auto", True, False, "10,000 test images, margin 0.69 points (auto)"),
        (10_000, "0.01", True, False, "10,000 test images, margin 1 points (register.margin)"),
        (10_000, "0.005", True, True, "too few, an equally good model passes in 53% of the cases only; about 18,838 are needed"),
        (
            1000,
            "auto",
            True,
            True,
            "margin 1 points (auto): too few, an equally good model passes in 25% of the cases only; about 4,710 are needed",
        ),
        (1000, "auto", False, True, "about 6,280 are needed"),  # 7.849 * 0.08 / 0.01^2
        (10_000, "0.0", True, True, "no number of images is enough for a margin of 0"),
    ],
)
def test_the_gate_is_checked(tmp_path: Path, images: int, margin: str, compared: bool, warns: bool, said: str) -> None:
    finding = check_gate(project(tmp_path, images, margin, compared=compared))

    assert said in finding.found
    assert (finding.warns, finding.fix) == (warns, "")


def test_nothing_is_said_before_a_run_or_without_a_margin(tmp_path: Path) -> None:
    assert check_gate(Paths(tmp_path)).found == ""
    assert check_gate(project(tmp_path, 100, when="better")).found == ""


def test_nothing_is_said_of_the_images_of_another_source(tmp_path: Path) -> None:
    assert check_gate(project(tmp_path, 100, source="data/pets")).found == ""
