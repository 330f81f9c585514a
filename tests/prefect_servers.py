"""A Prefect server for tests, in a process that can be killed and started again."""

import json
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psutil

from tests.dummy_project import BIN, environment, free_port, wait_for


class Server:
    """A Prefect server of one's own, on one port and one database, that can be killed and started again."""

    def __init__(self, home: Path) -> None:
        self.home, self.port = home, free_port()
        self.api = f"http://127.0.0.1:{self.port}/api"
        self.start()

    def start(self) -> None:
        with (self.home / "log").open("ab") as log:
            command = [str(BIN / "prefect"), "server", "start", "--port", str(self.port), "--no-ui"]
            self.process = subprocess.Popen(command, cwd=self.home, env=environment(self.home), stdout=log, stderr=log)
        assert wait_for(self.answers, 120)

    def kill(self) -> None:
        for child in psutil.Process(self.process.pid).children(recursive=True):
            child.kill()
        self.process.kill()
        self.process.wait()

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.api}/health", timeout=2):
                return True
        except OSError:
            return False

    def ask(self, what: str, **body: object) -> Any:
        """Its answer; while its database is locked it says 503, and its own clients ask again, too."""
        request = urllib.request.Request(f"{self.api}/{what}", json.dumps(body).encode(), {"Content-Type": "application/json"})
        while True:
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                if error.code != 503:
                    raise
                time.sleep(1)

    def start_run(self) -> None:
        """Ask for a run of the one deployment, as its schedule does."""
        (deployment,) = self.ask("deployments/filter")
        self.ask(f"deployments/{deployment['id']}/create_flow_run", parameters={"retry_seconds": 1, "publish_to": ""})

    def states(self) -> list[str]:
        """The states of the runs that have begun, the oldest first."""
        runs = self.ask("flow_runs/filter", sort="START_TIME_ASC")
        return [run["state_name"] for run in runs if run["start_time"]]
