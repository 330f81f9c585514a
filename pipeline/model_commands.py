"""The commands about registered models, from predict to reproduce: their options and their help. Runs nothing."""

import argparse
from collections.abc import Callable

from pipeline.option_types import interval, megabytes, port

Add = Callable[[str, str, str], argparse.ArgumentParser]
"""Adds a command by name, line of help and description."""

PREDICT = """\
Say what is in images: label, probability, version of the model and sha256 of each file. The images are files, folders, globs in quotes, archives,
tables with a column of paths, URLs, or paths from standard input. A note says what the model cannot know of an image, such as another size by far. An
image that cannot be read is a row with the reason.

examples:
  pipeline predict my.jpg
  pipeline predict photos/ --csv > labels.csv
  pipeline predict photos/ --copy-to sorted/       copy them into a folder per class
  find /mnt/camera -name '*.jpg' | pipeline predict --jsonl
  pipeline predict photos/ --model 3               a version, an alias, the id of a run or a .keras file
"""
DRIFT = """\
Say whether new images still look like those that the model was trained on, and how accurate it may be on them: by content, looks, images of a new kind,
the mix of the classes and the probabilities. An alarm is raised by the size of an effect. Where every image is in a folder called like its class, the
accuracy is compared with the truth. The project must have the training images of the model: the last run's data.

examples:
  pipeline drift /mnt/camera/last-week
  pipeline drift photos/ --page drift.html        the twelve images that look newest, as pictures
  pipeline drift photos/ --json --strict          for programs; exit code 2 if there is an alarm
"""
SERVE_MODEL = """\
Answer for images over HTTP, until stopped by Ctrl-C or SIGTERM: a page at / to drop pictures on, POST /predict for programs (an image as it is, a form
with files, or JSON with base64), /health, /ready and /metrics. A new champion answers as soon as it is one, and no request is lost.

examples:
  pipeline serve-model
  pipeline serve-model --port 8080 --model 3
  pipeline serve-model --shadow challenger      ask this version, too, and write down where it differs
"""
EXPORT = """\
Write a model for where it is deployed: a folder with the model, class names, a card and an example that needs the format's runtime alone. Before, the
export answers all test images beside the model itself: if it may lose more accuracy than the margin, it is refused and nothing is left. It is logged
with its version.

examples:
  pipeline export onnx
  pipeline export onnx --int8 --to deploy/  8-bit whole numbers, calibrated on training images
  pipeline export litert --model 3          a version, an alias, the id of a run or a .keras file
"""
HISTORY = """\
Show which version has which alias, and who moved it when, from which version to which, and why; the newest first. A move that somebody made by hand
in MLflow is shown as such. The history is kept in the registry, with the model.

examples:
  pipeline history
  pipeline history --verify               exit code 2 if a line was changed, removed or put in
"""
PROMOTE = """\
Make a registered version the champion, whatever the gate says. Before, it must show that it can serve: its files are unchanged, and started as it is
served it answers as when it was registered. The reason is kept in the history.

examples:
  pipeline promote 7 --reason "better on the new cameras, as agreed on Monday"
  pipeline promote 7 --anchor --reason "new baseline"
"""
ROLLBACK = """\
Go back to the champion before this one; run again, to the one before that. The version must show that it can serve, as with promote. The gate leaves
the version that was taken back alone until somebody promotes it.

examples:
  pipeline rollback --reason "mistakes cats for dogs since Tuesday"
  pipeline rollback --to 3 --reason "last version that was checked by hand"
"""
TRACE = """\
Show where a model came from: its data, code, parameters, machine, results and verdict, and what of that is gone, so that it cannot be rebuilt.

examples:
  pipeline trace champion
  pipeline trace models:/flowers/7
  pipeline trace data/train/model.keras
"""
REPRODUCE = """\
Build a registered version again and compare the bytes: a clean copy of the project at its commit, with the changes that were not committed, runs
ingest, preprocess and train. If the source has changed since, it starts from the images as ingested, out of DVC's cache or remote. Nothing is logged
to the registry. Exit code 2 if the bytes differ.

examples:
  pipeline reproduce champion
  pipeline reproduce 7
"""


def add_model_commands(add: Add) -> None:
    """Add the commands to the parser."""
    _add_predict(add)
    _add_drift(add)
    _add_serve_model(add)
    _add_export(add)
    history = add("history", "show who moved champion and anchor, when and why", HISTORY)
    history.add_argument("--verify", action="store_true", help="check that no line was changed, removed or put in")
    history.add_argument("--json", action="store_true", help="print JSON for programs, the oldest move first")
    promotion = add("promote", "make a registered version the champion", PROMOTE)
    promotion.add_argument("version", metavar="VERSION", help="its number, or an alias such as challenger")
    promotion.add_argument("--anchor", action="store_true", help="make it the anchor, too")
    way_back = add("rollback", "go back to the champion before", ROLLBACK)
    way_back.add_argument("--to", metavar="VERSION", help="the version to go back to (default: the champion before)")
    origin = add("trace", "show where a model came from", TRACE)
    origin.add_argument("of", metavar="MODEL", help="a version (7, champion, NAME/7, NAME@champion), the id of a run, or a .keras file")
    origin.add_argument("--json", action="store_true", help="print JSON for programs")
    again = add("reproduce", "build a version again and compare the bytes", REPRODUCE)
    again.add_argument("of", metavar="VERSION", help="as with trace")
    for command in (promotion, way_back):
        command.add_argument("--reason", required=True, metavar='"…"', help="why, in a few words; kept in the history")
    for command in (history, promotion, way_back, origin, again):
        command.add_argument("--name", help="the registered model (default: this project's)")


def _add_predict(add: Add) -> None:
    predict = add("predict", "say what is in images, with the champion", PREDICT)
    _add_images_and_model(predict)
    form = predict.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="print CSV")
    form.add_argument("--jsonl", action="store_true", help="print one JSON object per line")
    form.add_argument("--parquet", metavar="FILE", help="write a Parquet file")
    predict.add_argument("--copy-to", metavar="FOLDER", help="also copy the images into a folder per class")
    predict.add_argument("--strict", action="store_true", help="exit code 2 if an image cannot be used")


def _add_images_and_model(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "images", nargs="*", metavar="PATH", help="a file, folder, glob, archive, table or URL; - for paths from standard input"
    )
    command.add_argument("--model", default="champion", metavar="MODEL", help="a version, alias, run or .keras file (default: champion)")


def _add_drift(add: Add) -> None:
    drift = add("drift", "say whether new images still look like the training images", DRIFT)
    _add_images_and_model(drift)
    form = drift.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON for programs")
    form.add_argument("--csv", action="store_true", help="print a row per image, those that look newest first")
    drift.add_argument("--page", metavar="FILE", help="also write an HTML page with the images that look newest")
    drift.add_argument("--strict", action="store_true", help="exit code 2 if there is an alarm")


def _add_serve_model(add: Add) -> None:
    server = add("serve-model", "answer for images over HTTP, until stopped", SERVE_MODEL)
    server.add_argument("--model", default="champion", metavar="MODEL", help="a version, alias, run or .keras file (default: champion)")
    server.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="address to listen on (default: 127.0.0.1, this machine only)"
    )
    server.add_argument("--port", type=port, default=8080, metavar="PORT", help="port (default: 8080)")
    server.add_argument("--most-mb", type=megabytes, default=128, metavar="MB", help="largest request (default: 128)")
    server.add_argument(
        "--poll", type=interval, default=10.0, metavar="SECONDS", help="how often to ask the registry for a new champion (default: 10)"
    )
    server.add_argument("--shadow", metavar="VERSION", help="a version or alias that gets the same images and answers nobody")
    server.add_argument(
        "--shadow-file", default="shadow.jsonl", metavar="FILE", help="gets a line per image with another label (default: shadow.jsonl)"
    )


def _add_export(add: Add) -> None:
    export = add("export", "write a model as ONNX, LiteRT or SavedModel", EXPORT)
    export.add_argument("format", choices=("onnx", "litert", "savedmodel"), metavar="FORMAT", help="onnx, litert or savedmodel")
    export.add_argument("--int8", action="store_true", help="in 8-bit whole numbers (onnx and litert)")
    export.add_argument("--model", default="champion", metavar="MODEL", help="a version, alias, run or .keras file (default: champion)")
    export.add_argument("--to", metavar="FOLDER", help="a new or empty folder (default: exports/NAME-VERSION-FORMAT)")
    export.add_argument(
        "--margin",
        type=_share,
        default=0.01,
        metavar="SHARE",
        help="how much accuracy it may lose at most, by the 95 %% interval, 0 to 1 (default: 0.01, one point)",
    )


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"expected a share from 0 to 1; found {text!r}")
    return share
