"""What is in deploy/: pinned, complete, and accepted by the programs that read it, as far as they are installed."""

import json
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import prefect.server.api.collections_data
import pytest
from ruamel.yaml import YAML

from pipeline.installation import PYTHONS
from pipeline.retraining.flow import retrain
from tests.dummy_project import BIN, ROOT, environment, free_port, wait_for

DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
SERVICES: dict[str, Any] = YAML(typ="safe").load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
VOLUMES: dict[str, Any] = YAML(typ="safe").load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["volumes"]
POOLS = {
    kind: pools[kind]["default_base_job_configuration"]
    for pools in json.loads(
        next(Path(next(iter(prefect.server.api.collections_data.__path__))).rglob("aggregate-worker-metadata.json")).read_text("utf-8")
    ).values()
    for kind in pools
}


def ask(api: str, what: str) -> Any:
    with urllib.request.urlopen(f"{api}/{what}", timeout=10) as answer:
        return json.load(answer)


def test_the_image_has_a_python_that_the_lock_supports_and_every_file_that_it_copies() -> None:
    (base,) = re.findall(r"^FROM (.+)$", DOCKERFILE, re.MULTILINE)
    found = re.fullmatch(r"python:(\d+)\.(\d+)\.\d+-slim-\w+", base)
    assert found
    assert PYTHONS[0] <= (int(found[1]), int(found[2])) <= PYTHONS[1]

    copied = {name for line in re.findall(r"^COPY (.+)$", DOCKERFILE, re.MULTILINE) for name in line.split()[:-1]}
    assert [name for name in copied if not (ROOT / name).exists()] == []
    let_in = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").split()
    assert {name[1:] for name in let_in if name.startswith("!")} == copied
    assert "RUN PIP_NO_CACHE_DIR=1 python -m pipeline.installation cpu" in DOCKERFILE


def test_every_image_is_pinned_to_a_version_and_the_servers_to_those_of_the_lock() -> None:
    images = {name: service["image"] for name, service in SERVICES.items() if "build" not in service}

    assert [image for image in images.values() if not re.fullmatch(r"[\w./-]+:v?\d+(\.\d+)+[\w.-]*", image)] == []
    assert images["mlflow"] == f"ghcr.io/mlflow/mlflow:v{version('mlflow')}-full"
    assert images["prefect"].startswith(f"prefecthq/prefect:{version('prefect')}-python3.")


def test_what_a_service_waits_for_exists_and_can_say_that_it_is_well() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in SERVICES, name
            assert how["condition"] == ("service_healthy" if "healthcheck" in SERVICES[other] else "service_completed_successfully")
        named = [volume.split(":")[0] for volume in service.get("volumes", []) if volume[0] not in "./$"]
        assert set(named) <= VOLUMES.keys()
        assert all((DEPLOY / volume.split(":")[0]).is_file() for volume in service.get("volumes", []) if volume.startswith("./"))


def test_only_this_machine_reaches_the_servers() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_setting_that_the_services_ask_for_is_in_the_example() -> None:
    asked = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text(encoding="utf-8")))
    offered = set(re.findall(r"^(\w+)=", (DEPLOY / "env.example").read_text(encoding="utf-8"), re.MULTILINE))

    assert asked == offered
    assert "/deploy/.env" in (ROOT / ".gitignore").read_text(encoding="utf-8").split()


def test_mlflow_knows_the_options_of_its_server() -> None:
    command, server, *options = SERVICES["mlflow"]["command"]
    read = "import json, sys, mlflow.cli; print(json.dumps(mlflow.cli.server.make_context('server', sys.argv[1:]).params))"

    done = subprocess.run([str(BIN / "python"), "-c", read, *options], capture_output=True, text=True, check=True)

    assert (command, server) == ("mlflow", "server")
    read_as = json.loads(done.stdout.splitlines()[-1])
    assert read_as["artifacts_destination"] == "s3://mlflow"
    assert read_as["backend_store_uri"].endswith("@postgres:5432/mlflow")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    command = tmp_path / ".venv" / "bin" / "pipeline"
    command.write_text("#!/bin/sh\n", encoding="utf-8")
    command.chmod(0o755)
    unit = tmp_path / "image-classifier.service"
    text = (DEPLOY / "image-classifier.service").read_text(encoding="utf-8").replace("/srv/image-classifier", str(tmp_path))
    unit.write_text(text, encoding="utf-8")

    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_kubernetes_job_is_prefects_own_with_the_clone_and_the_images_mounted() -> None:
    job = json.loads((DEPLOY / "kubernetes-job.json").read_text(encoding="utf-8"))
    spec = job["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]

    mounts = {mount["name"]: mount["mountPath"] for mount in spec["containers"][0].pop("volumeMounts")}
    assert mounts == {"project": "/project", "source": "/source"}
    assert {volume["name"] for volume in spec.pop("volumes")} == mounts.keys()
    assert spec.pop("securityContext")["runAsUser"] == 1000
    assert job == POOLS["kubernetes"]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("server")
    port = free_port()
    with (home / "log").open("wb") as log:
        command = [str(BIN / "prefect"), "server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui"]
        server = subprocess.Popen(command, cwd=home, env=environment(home), stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}/api"
    try:
        assert wait_for(lambda: answers(f"{url}/health"), 90)
        yield url
    finally:
        server.terminate()
        server.wait()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except OSError:
        return False


@pytest.mark.parametrize(
    ("file", "kind", "more"),
    [
        ("prefect.yaml", "process", []),
        ("deploy/prefect-docker.yaml", "docker", []),
        ("deploy/prefect-kubernetes.yaml", "kubernetes", ["--base-job-template", "deploy/kubernetes-job.json"]),
    ],
)
def test_a_deployment_is_accepted_by_a_server_for_its_work_pool(api: str, tmp_path: Path, file: str, kind: str, more: list[str]) -> None:
    (wanted,) = YAML(typ="safe").load((ROOT / file).read_text(encoding="utf-8"))["deployments"]

    def run(*arguments: str) -> None:
        env = environment(tmp_path, PREFECT_API_URL=api)
        done = subprocess.run([str(BIN / "prefect"), *arguments], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    run("work-pool", "create", "--type", kind, *more, wanted["work_pool"]["name"])
    run("--no-prompt", "deploy", "--all", "--prefect-file", file)

    made = ask(api, f"deployments/name/{retrain.name}/{wanted['name']}")
    assert made["parameters"] == wanted["parameters"]
    assert made["parameters"].keys() <= made["parameter_openapi_schema"]["properties"].keys()
    assert made["job_variables"] == wanted["work_pool"].get("job_variables", {})
    assert made["job_variables"].keys() <= POOLS[kind]["variables"]["properties"].keys()
    assert made["schedules"][0]["schedule"]["cron"] == "0 6 * * 1"
    assert (made["global_concurrency_limit"] or {}).get("limit") == (1 if kind == "kubernetes" else None)
    expected = str(ROOT) if kind == "process" else "/project"
    assert made["pull_steps"][-1]["prefect.deployments.steps.set_working_directory"]["directory"] == expected
