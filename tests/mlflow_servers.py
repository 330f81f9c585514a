"""MLflow servers as teams run them, started on loopback for a test: on SQLite or PostgreSQL, with files on disk or in an S3 server."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from moto.server import ThreadedMotoServer

from pipeline.processes import stop_session
from pipeline.tracking.ui import SETTINGS
from tests.dummy_project import free_port, wait_for

KEY = {"AWS_ACCESS_KEY_ID": "a key", "AWS_SECRET_ACCESS_KEY": "a secret", "AWS_DEFAULT_REGION": "us-east-1"}
BUCKET = "models"


def is_up(url: str) -> bool:
    """Whether an address answers, without a proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


class MlflowServer:
    """A server that answers as long as the block lasts, and can be killed and started again in it.

    `home`: where it keeps its log. `arguments`, `more`: options and environment variables of the server.
    """

    def __init__(self, home: Path, store: str, artifacts: str, *arguments: str, prefix: str = "", **more: str) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}{prefix}"
        self._command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store, "--artifacts-destination", artifacts]
        self._command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        self._command += [*(["--static-prefix", prefix] if prefix else []), *arguments]
        self._settings = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")} | SETTINGS | more
        self._home, self._log = home, home / f"server-{port}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "MlflowServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        with self._log.open("ab") as output:
            process = subprocess.Popen(
                self._command, cwd=self._home, env=self._settings, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip
        self._process = process
        wait_for(lambda: process.poll() is not None or is_up(f"{self.url}/health"), 120)
        if process.poll() is not None:
            raise RuntimeError(self._log.read_text(encoding="utf-8", errors="replace")[-2000:])

    def kill(self) -> None:
        if self._process:
            stop_session(self._process, signals=[signal.SIGKILL])


def postgres_tools() -> Path | None:
    """The folder with initdb and pg_ctl; None if PostgreSQL is not installed."""
    found = [*Path("/usr/lib/postgresql").glob("*/bin/initdb"), *([Path(shutil.which("initdb") or "")] if shutil.which("initdb") else [])]
    return max(found).parent if found else None


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """The address of a PostgreSQL server with an empty database. `folder`: new, below folders that everybody may enter."""
    tools = postgres_tools()
    assert tools
    folder.mkdir(mode=0o700)
    as_user: list[str] = []
    if os.getuid() == 0:  # initdb refuses to run as root
        shutil.chown(folder, "nobody", "nogroup")
        as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    data, port = str(folder / "data"), free_port()

    def run(*command: str) -> None:
        subprocess.run([*as_user, *command], cwd="/", check=True, capture_output=True, timeout=120)

    run(str(tools / "initdb"), "-D", data, "-U", "mlflow", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
    control = [str(tools / "pg_ctl"), "-D", data, "-w", "-l", str(folder / "log")]
    run(*control, "-o", f"-p {port} -c listen_addresses=127.0.0.1 -k {folder} -c fsync=off", "start")
    try:
        yield f"postgresql+psycopg2://mlflow@127.0.0.1:{port}/postgres"
    finally:
        run(*control, "-m", "immediate", "stop")


@contextlib.contextmanager
def object_store() -> Iterator[dict[str, str]]:
    """The environment variables that lead an MLflow server to an S3 server in this process; it has the bucket BUCKET."""
    server = ThreadedMotoServer("127.0.0.1", free_port(), verbose=False)
    server.start()
    endpoint = f"http://127.0.0.1:{server._server.server_port if server._server else 0}"
    try:
        import boto3

        boto3.client("s3", endpoint_url=endpoint, aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1").create_bucket(
            Bucket=BUCKET
        )
        yield {**KEY, "MLFLOW_S3_ENDPOINT_URL": endpoint}
    finally:
        server.stop()
