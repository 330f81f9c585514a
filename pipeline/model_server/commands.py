"""`pipeline serve-model`: a model over HTTP on this machine, until stopped."""

import argparse
import logging
import socket
import sys
from pathlib import Path

import uvicorn

from pipeline.errors import BusyError, ConfigError, StorageError
from pipeline.model_server.app import ModelApp
from pipeline.model_server.current_model import CurrentModel
from pipeline.model_server.shadow import Shadow
from pipeline.paths import Paths
from pipeline.pedigree.references import find_model_version
from pipeline.serving.classifier import load
from pipeline.terminal import greetings_kept_back
from pipeline.tracking.mlflow_log import MlflowLog

LOOPBACK = ("127.0.0.1", "localhost", "::1")
SHADOW_FILE = "shadow.jsonl"
LONGEST_HEADER_WAIT_SECONDS = 30


def run_serve_model(options: argparse.Namespace, paths: Paths) -> int:
    """Answer until SIGINT or SIGTERM; requests that are being answered then are answered first."""
    with _listener(options.host, options.port) as listener:
        with greetings_kept_back():
            classifier = load(options.model, paths.root)
            shadow = Shadow(load(options.shadow, paths.root), _writable(options.shadow_file)) if options.shadow else None
        if shadow and shadow.classifier.version == classifier.version:
            raise ConfigError(f"--shadow {options.shadow} is {classifier.shown}, which answers already. Name another version.")
        logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s", stream=sys.stderr)
        logging.getLogger("pipeline").setLevel(logging.INFO)
        classifier.answer([])  # what is slow the first time
        current = CurrentModel(
            classifier, lambda: load(options.model, paths.root), lambda: _named_version(options.model, paths), options.poll
        )
        if _is_alias(options.model):
            current.start()
        if shadow:
            shadow.start()
        print(_greeting(options, current, shadow), flush=True)
        app = ModelApp(current, shadow, options.most_mb * 2**20)
        uvicorn.Server(
            uvicorn.Config(app.asgi, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=30)
        ).run(sockets=[listener])
        current.stop()
    return 0


def _listener(host: str, port: int) -> socket.socket:
    """A socket that listens already: a port that is taken is an error before the model is loaded."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigError(f"--host {host}: {error.strerror}. Name an address of this machine.") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise BusyError(f"--port {port} on {host}: {error.strerror}. Choose another one, or stop the program that has it.") from None
    return listener


def _is_alias(model: str) -> bool:
    """Whether a reference may name another version later."""
    text = model.rpartition("@")[2]
    return not (text.isdigit() or text.rpartition("/")[2].isdigit() or text.endswith(".keras") or "/" in text.removeprefix("models:/"))


def _named_version(model: str, paths: Paths) -> str:
    return find_model_version(MlflowLog.connect(paths), paths, model, "").version


def _writable(file: str) -> Path:
    try:
        Path(file).open("a", encoding="utf-8").close()
    except OSError as error:
        raise StorageError(f"--shadow-file {file}: {error.strerror}. Name a file in a folder that you may write to.") from None
    return Path(file)


def _greeting(options: argparse.Namespace, current: CurrentModel, shadow: Shadow | None) -> str:
    classifier = current.classifier
    address = f"http://{f'[{options.host}]' if ':' in options.host else options.host}:{options.port}"
    lines = [f"{classifier.shown} answers at {address}: open it in a browser and drop a picture on the page, or"]
    lines.append(f"    curl -s {address}/predict -H 'Content-Type: image/png' --data-binary @my.png")
    if _is_alias(options.model):
        lines.append(f"When {options.model} becomes another version, that one answers, {options.poll:g} seconds later at most.")
    if shadow:
        lines.append(f"{shadow.classifier.shown} gets the same images; where it says something else, {options.shadow_file} gets a line.")
    if options.host not in LOOPBACK:
        lines.append(f"Warning: whoever reaches {options.host} can use it. It asks for no password and does not encrypt.")
    if classifier.name and classifier.version.isdigit():
        lines.append(f"With MLflow's own server: mlflow models serve -m models:/{classifier.name}/{classifier.version} --env-manager local")
    return "\n".join([*lines, "Ctrl-C stops it."])
