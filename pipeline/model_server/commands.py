"""`pipeline serve-model`: a model over HTTP on this machine, until stopped."""

import argparse
import logging
import sys
from pathlib import Path

from pipeline.errors import ConfigError, StorageError
from pipeline.model_server.app import ModelApp
from pipeline.model_server.current_model import CurrentModel
from pipeline.model_server.listening import LOOPBACK, address_of, answer_until_stopped, listen
from pipeline.model_server.shadow import Shadow
from pipeline.paths import Paths
from pipeline.serving.classifier import load
from pipeline.serving.located import follows, named_version
from pipeline.terminal import greetings_kept_back

SHADOW_FILE = "shadow.jsonl"


def run_serve_model(options: argparse.Namespace, paths: Paths) -> int:
    """Answer until SIGINT or SIGTERM; requests that are being answered then are answered first."""
    with listen(options.host, options.port) as listener:
        with greetings_kept_back():
            classifier = load(options.model, paths.root)
            shadow = Shadow(load(options.shadow, paths.root), _writable(options.shadow_file)) if options.shadow else None
        if shadow and shadow.classifier.version == classifier.version:
            raise ConfigError(f"--shadow {options.shadow} is {classifier.shown}, which answers already. Name another version.")
        logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s", stream=sys.stderr)
        logging.getLogger("pipeline").setLevel(logging.INFO)
        classifier.answer([])  # what is slow the first time
        current = CurrentModel(
            classifier, lambda: load(options.model, paths.root), lambda: named_version(options.model, paths), options.poll
        )
        if follows(options.model):
            current.start()
        if shadow:
            shadow.start()
        print(_greeting(options, current, shadow), flush=True)
        answer_until_stopped(ModelApp(current, shadow, options.most_mb * 2**20).asgi, listener)
        current.stop()
    return 0


def _writable(file: str) -> Path:
    try:
        Path(file).open("a", encoding="utf-8").close()
    except OSError as error:
        raise StorageError(f"--shadow-file {file}: {error.strerror}. Name a file in a folder that you may write to.") from None
    return Path(file)


def _greeting(options: argparse.Namespace, current: CurrentModel, shadow: Shadow | None) -> str:
    classifier = current.classifier
    address = address_of(options.host, options.port)
    lines = [f"{classifier.shown} answers at {address}: open it in a browser and drop a picture on the page, or"]
    lines.append(f"    curl -s {address}/predict -H 'Content-Type: image/png' --data-binary @my.png")
    if follows(options.model):
        lines.append(f"When {options.model} becomes another version, that one answers, {options.poll:g} seconds later at most.")
    if shadow:
        lines.append(f"{shadow.classifier.shown} gets the same images; where it says something else, {options.shadow_file} gets a line.")
    if options.host not in LOOPBACK:
        lines.append(f"Warning: whoever reaches {options.host} can use it. It asks for no password and does not encrypt.")
    if classifier.name and classifier.version.isdigit():
        lines.append(f"With MLflow's own server: mlflow models serve -m models:/{classifier.name}/{classifier.version} --env-manager local")
    return "\n".join([*lines, "Ctrl-C stops it."])
