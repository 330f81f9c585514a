"""Whether there are enough test images for the margin that the gate uses, by the results of earlier runs.

Reads small files only. How often two models differ is known from the last comparison; before there is one, it is taken to be as often as the model
is wrong, which is right for two models that share half of their mistakes.
"""

from pipeline.errors import PipelineError
from pipeline.evaluation.margin import POWER, auto_margin, images_needed, power
from pipeline.files import read_json
from pipeline.params.reader import load_config
from pipeline.paths import Paths
from pipeline.registry.decision import read_decision
from pipeline.workspace.surroundings import Finding

SUBJECT = "gate"


def check_gate(paths: Paths) -> Finding:
    """What so many test images can show; a warning if an equally good model would rarely pass. Nothing before the first run."""
    try:
        config = load_config(paths.params)
        gate, report = config.register_, read_json(paths.stage("ingest") / "report.json")
        if report["source"] != config.ingest.source:
            return Finding(SUBJECT, "")  # the last run was on other images
        images = sum(report["counts"]["test"].values())
        discordance = _discordance(paths)
    except (PipelineError, KeyError, TypeError, AttributeError):
        return Finding(SUBJECT, "")  # said by other checks, or nothing has run yet
    if gate.promote_when == "better" or not images:
        return Finding(SUBJECT, "")
    margin = auto_margin(discordance, images) if gate.margin == "auto" else gate.margin
    chance = power(discordance, images, margin)
    said = f"{images:,} test images, margin {100 * margin:.2g} points ({'auto' if gate.margin == 'auto' else 'register.margin'})"
    if chance >= POWER - 0.01:
        return Finding(SUBJECT, said)
    needed = f"about {images_needed(discordance, margin):,} are needed" if margin > 0 else "no number of images is enough for a margin of 0"
    return Finding(
        SUBJECT, f"{said}: too few, an equally good model passes in {chance:.0%} of the cases only; {needed} (docs/registry.md)", warns=True
    )


def _discordance(paths: Paths) -> float:
    """The share of the test images, 0 to 1, that only one of two models gets right."""
    champion = read_decision(paths).get("decision", {}).get("champion") or {}
    if found := champion.get("comparison"):
        return float((found["b"] + found["c"]) / found["n"])
    return 1 - float(read_json(paths.stage("evaluate") / "metrics.json")["test_accuracy"])
