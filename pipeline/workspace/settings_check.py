"""Parameters that were set for nothing, for `pipeline check`: what is fitted does not use them, as far as the images are known."""

from pipeline.backbone.candidates import candidates
from pipeline.errors import PipelineError
from pipeline.params.model import AUTO
from pipeline.params.reader import load_config
from pipeline.params.recipe import methods_to_try, unused_notice
from pipeline.paths import Paths
from pipeline.workspace.disk_need import Measured
from pipeline.workspace.surroundings import Finding

SUBJECT = "unused"


def look_at_settings(paths: Paths, measured: Measured) -> Finding:
    """A line of `pipeline check`, a warning; nothing if all parameters are used, or if the images decide which are and could not be measured."""
    try:
        config = load_config(paths.params)
    except PipelineError:
        return Finding(SUBJECT, "")  # another check says so
    known = measured.report() if measured.sizes else None
    if known is None and config.model.name == AUTO:
        return Finding(SUBJECT, "")
    networks = candidates(config.model.name, config.model.weights, known or {}).networks
    grey = known["grey"] if known and config.preprocess.channels == "auto" else config.preprocess.channels == 1
    notice = unused_notice(config.unusual(), config, methods_to_try(config, networks), 1 if grey else 3)
    return Finding(SUBJECT, notice, warns=bool(notice))
