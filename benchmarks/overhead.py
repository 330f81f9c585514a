"""What of the main job is not fitting: wall seconds of each stage as a command, less the seconds of its epochs.

    python benchmarks/overhead.py

In a project in which `make run` has run, nothing changed since: runs every stage again as DVC does, to the same bytes, which adds a run to
MLflow. The last row is a
`pipeline run` that finds nothing to do: Prefect and DVC around the stages.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from mlflow.tracking import MlflowClient

from pipeline.paths import STAGES, find_paths
from pipeline.stores.tracking_server import tracking_uri


def main() -> None:
    """Print the table."""
    paths = find_paths(Path.cwd())
    client = MlflowClient(tracking_uri(paths))
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    total = 0.0
    print(f"load {os.getloadavg()[0]:.1f}\n\n| stage | wall s | epochs s | the rest s |\n|---|---|---|---|")
    for stage in STAGES:
        begun_ms, started = int(time.time() * 1000), time.perf_counter()
        subprocess.run([sys.executable, "-m", "pipeline", "stage", stage], check=True, capture_output=True)
        seconds = time.perf_counter() - started
        runs = client.search_runs(experiments, f"attributes.start_time >= {begun_ms}") if stage in ("train", "cross_validate") else []
        fitting = sum(entry.value for run in runs for entry in client.get_metric_history(run.info.run_id, "seconds"))
        total += seconds - fitting
        print(f"| {stage} | {seconds:.1f} | {fitting:.1f} | {seconds - fitting:.1f} |", flush=True)
    started = time.perf_counter()
    subprocess.run([str(Path(sys.executable).parent / "pipeline"), "run"], check=True, capture_output=True)
    seconds = time.perf_counter() - started
    print(f"| Prefect and DVC around them | {seconds:.1f} | | {seconds:.1f} |\n| sum | | | {total + seconds:.1f} |")


if __name__ == "__main__":
    main()
