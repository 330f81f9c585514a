"""Telemetry of MLflow, DVC and Prefect: off, unless the environment says otherwise.

`python -m pipeline.telemetry` makes it so for every command of this environment, `mlflow` and `prefect` included: a .pth file, which Python reads
as it starts.
"""

import os
import sysconfig
from pathlib import Path

OFF = {
    "DO_NOT_TRACK": "true",  # MLflow takes `true` only, not 1
    "DVC_NO_ANALYTICS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}


def switch_off() -> None:
    """Set what the tools read, where it is not set."""
    for name, value in OFF.items():
        os.environ.setdefault(name, value)


def main() -> None:
    """Write the .pth file into the environment that runs this."""
    settings = "; ".join(f"os.environ.setdefault({name!r}, {value!r})" for name, value in OFF.items())
    target = Path(sysconfig.get_path("purelib")) / "no_telemetry.pth"
    target.write_text(f"import os; {settings}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
