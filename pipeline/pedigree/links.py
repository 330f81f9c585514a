"""Where MLflow's UI shows what a stage has made: the run of a fit, the registered version."""

from pipeline.network import masked
from pipeline.paths import Paths
from pipeline.pedigree.stage_outcomes import FILES, made_by
from pipeline.registry.state import LOCAL_UI, registry_state
from pipeline.tracking.mlflow_log import MlflowLog
from pipeline.tracking.tracking_server import is_server, run_page, tracking_uri, version_page


def links_of(stage: str, paths: Paths) -> dict[str, str]:
    """Addresses by what they show; those of the project's own store work while `pipeline ui` runs. Raises TrackingError."""
    if stage not in (*FILES, "register"):
        return {}
    uri = tracking_uri(paths)
    site = masked(uri) if is_server(uri) else LOCAL_UI
    if stage == "register":
        registry = registry_state(paths)
        if registry is None or registry.version is None:
            return {}
        return {registry.model: version_page(site, registry.model.rpartition(" version ")[0], registry.version)}
    tracker = MlflowLog.connect(paths)
    return {run.name: run_page(site, tracker.experiment_id, run.id) for run in made_by(tracker, paths, stage)[:1]}
