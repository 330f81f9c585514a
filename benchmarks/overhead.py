"""What of the main job is not fitting: wall seconds of each stage, less the seconds of its epochs.

    (time make run) > run.log 2>&1; python benchmarks/overhead.py run.log

After the installation, in a project where nothing has run yet (bash's `time`). Reads the times from the log and the epochs from MLflow. The seconds of an
epoch are those of its training steps, tracing included; scoring the validation images is not fitting here.
"""

import re
import sys
from datetime import datetime
from pathlib import Path

from mlflow.entities import Metric
from mlflow.tracking import MlflowClient

from pipeline.paths import STAGES, find_paths
from pipeline.tracking.tracking_server import tracking_uri

MARK = re.compile(r"^(\d\d:\d\d:\d\d\.\d{3}) .*Task run '(\w+)' - (Running stage|Finished in state)", re.MULTILINE)
REAL = re.compile(r"^real\s+(\d+)m([\d.]+)s", re.MULTILINE)
DAY_S = 86_400


def main(log: str) -> None:
    """Print the table."""
    marks = {(stage, what): datetime.strptime(time, "%H:%M:%S.%f") for time, stage, what in MARK.findall(log)}
    ((minutes, seconds),) = REAL.findall(log)
    fitting = epoch_seconds(MlflowClient(tracking_uri(find_paths(Path.cwd()))))
    left, rest = 60 * int(minutes) + float(seconds), 0.0
    print("| stage | wall s | epochs s | the rest s |\n|---|---|---|---|")
    for stage in STAGES:
        wall = (marks[stage, "Finished in state"] - marks[stage, "Running stage"]).total_seconds() % DAY_S
        own = wall - fitting.get(stage, 0.0)
        left, rest = left - wall, rest + own
        print(f"| {stage} | {wall:.1f} | {fitting.get(stage, 0.0):.1f} | {own:.1f} |")
    print(f"| Prefect and DVC around them | {left:.1f} | | {left:.1f} |\n| sum | | | {rest + left:.1f} |")


def epoch_seconds(client: MlflowClient) -> dict[str, float]:
    """The seconds of all epochs of the newest pipeline run, by stage."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    newest = client.search_runs(experiments, "tags.kind = 'pipeline'", order_by=["attributes.start_time DESC"], max_results=1)[0]
    folds = client.search_runs(experiments, f"tags.`mlflow.parentRunId` = '{newest.info.run_id}'")
    by_stage = {"train": [newest], "cross_validate": folds}
    return {stage: sum(_seconds_of(client.get_metric_history(run.info.run_id, "loss")) for run in runs) for stage, runs in by_stage.items()}


def _seconds_of(logged: list[Metric]) -> float:
    """Of all epochs, by when the second and later ones were logged; 0 for one epoch."""
    times = sorted(entry.timestamp for entry in logged)
    return (times[-1] - times[0]) / 1000 * len(times) / (len(times) - 1) if len(times) > 1 else 0.0


if __name__ == "__main__":
    main(Path(sys.argv[1]).read_text(encoding="utf-8"))
