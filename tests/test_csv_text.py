"""A CSV file gives back the fields that were written, whatever is in them."""

import csv
import io

from pipeline.csv_text import csv_text
from tests.odd_names import ODD_NAMES


def test_every_field_comes_back() -> None:
    rows = [[name, "", str(number)] for number, name in enumerate([*ODD_NAMES, "\r", "\n", "\r\n", '"', ","])]

    assert list(csv.reader(io.StringIO(csv_text(rows), newline=""))) == rows


def test_lines_end_in_a_line_feed_and_only_what_needs_quotes_has_them() -> None:
    assert csv_text([("a", 1, 0.5), ("b\rc", "d,e", ""), ()]) == 'a,1,0.5\n"b\rc","d,e",\n\n'
