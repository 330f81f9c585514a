"""Rows as the text of a CSV file that any reader splits into the same fields. Pure functions of values."""

import csv
import io
from collections.abc import Iterable, Sequence


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    r"""The rows, each ended by \n. A field with a carriage return is in quotes, too: Python before 3.13 quotes only the sign that ends its lines."""
    text, line = io.StringIO(newline=""), io.StringIO(newline="")
    writer = csv.writer(line, lineterminator="\r\n")
    for row in rows:
        line.seek(0)
        line.truncate()
        writer.writerow(row)
        text.write(line.getvalue().removesuffix("\r\n") + "\n")
    return text.getvalue()
