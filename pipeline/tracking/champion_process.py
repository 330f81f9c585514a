"""A process that loads a logged model through MLflow and predicts: images from standard input, labels to standard output.

Started as a file, so that the model's own code is all it finds of this project, whatever name that has; imports nothing of this project. Input: an
Arrow stream of batches with one column `image` of encoded bytes. Output: a JSON list of labels per batch.
"""

import json
import os
import sys

import pyarrow as pa

SCHEMA = pa.schema([("image", pa.binary())])


def main(model_uri: str) -> None:
    """Predict batch by batch until the input ends. Output of libraries is redirected to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    import mlflow
    import pandas as pd

    model = mlflow.pyfunc.load_model(model_uri)
    for batch in pa.ipc.open_stream(sys.stdin.buffer):
        predicted = model.predict(pd.DataFrame({"image": batch.column(0).to_pylist()}))
        answers.write(json.dumps([str(label) for label in predicted["label"]]) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(sys.argv[1])
