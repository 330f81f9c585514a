"""Tables that contradict each other: which of them can be read together, and which not, told in one error. Knows nothing of files."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import TypeVar

from pipeline.errors import SourceError
from pipeline.listing.split_words import WORDS, words_of
from pipeline.two_readings import listed

Value = TypeVar("Value")


def refuse_contradictions(
    by_table: Mapping[str, Mapping[str, Value]], differ: Callable[[Value, Value], str], told: Callable[[Value, str], str]
) -> None:
    """Raise SourceError, naming all tables that contradict others, unless all agree on each image.

    `by_table` has what each table says by path of the image; `differ` gives in a word what two values differ in, or nothing; `told` writes
    a value with its table. Tables whose names differ in a split alone, such as family_train.txt and family_test.txt, belong together.
    """
    sets: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for table in by_table:
        sets[_name_without_split(table)].append(table)
    kept: dict[str, tuple[Value, str]] = {}
    kept_tables: list[str] = []
    contradicting: list[str] = []
    seen = ""
    for tables in sets.values():
        found = [clash for table in tables if (clash := _clash(kept, table, by_table[table], differ, told))]
        if found:
            seen = seen or found[0]
            contradicting += tables
            continue
        for table in tables:  # of one set, but perhaps in train and in test alike
            if found_inside := _clash(kept, table, by_table[table], differ, told):
                seen = seen or found_inside
                contradicting.append(table)
            else:
                kept_tables.append(table)
                for path, value in by_table[table].items():
                    kept.setdefault(path, (value, table))
    if contradicting:
        ignored = ", ".join(f'"{table}"' for table in contradicting)
        several = "two" if len(by_table) == 2 else "several"
        raise SourceError(
            f"ingest.source: {several} tables give {seen}. To go by {listed(kept_tables)}, set ingest.ignore: [{ignored}]; "
            "to go by others, leave these out instead. Or go by the folders with ingest.format: folders."
        )


def _clash(
    kept: Mapping[str, tuple[Value, str]],
    table: str,
    values: Mapping[str, Value],
    differ: Callable[[Value, Value], str],
    told: Callable[[Value, str], str],
) -> str:
    """The first image of which a table says something else than those that are kept, in words; empty if there is none."""
    for path, value in values.items():
        if (earlier := kept.get(path)) and (what := differ(earlier[0], value)):
            return f"{path} different {what}: {told(*earlier)} and {told(value, table)}"
    return ""


def _name_without_split(table: str) -> tuple[str, ...]:
    """The words of a table's path that name no split."""
    stem = table.rpartition(".")[0] or table
    return tuple(word for part in stem.split("/") for word in words_of(part) if word not in WORDS)
