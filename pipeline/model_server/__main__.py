"""`python -m pipeline.model_server FOLDER`: the model of an ONNX export over HTTP, as in a container. Needs no TensorFlow, no MLflow and no project."""

import argparse
import logging
import sys
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.model_server.app import ModelApp
from pipeline.model_server.current_model import CurrentModel
from pipeline.model_server.exported import open_export
from pipeline.model_server.listening import address_of, answer_until_stopped, listen
from pipeline.option_types import megabytes, port


def main() -> int:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.model_server", description=__doc__, allow_abbrev=False)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="as written by `pipeline export onnx`")
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=port, default=8080, metavar="PORT", help="port (default: 8080)")
    parser.add_argument("--most-mb", type=megabytes, default=128, metavar="MB", help="largest request (default: 128)")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s", stream=sys.stderr)
    try:
        with listen(options.host, options.port) as listener:
            model = open_export(options.folder)
            print(f"{model.shown} answers at {address_of(options.host, options.port)}", flush=True)
            current = CurrentModel(model, lambda: model, lambda: model.version, 1.0)
            answer_until_stopped(ModelApp(current, None, options.most_mb * 2**20).asgi, listener)
    except PipelineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
