"""Labels that are no classes: numbers with fractions, one per image, several in one cell; and tables that contradict each other."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from pipeline.errors import SourceError
from pipeline.listing.split_words import WORDS, words_of
from pipeline.quality.class_names import not_labelled
from pipeline.quality.kinds import counted
from pipeline.tables.cells import column_word
from pipeline.tables.columns import Understood
from pipeline.tables.profiles import NUMBER
from pipeline.tables.rows import ANOTHER_COLUMN, COMBINED
from pipeline.tables.said import Labels
from pipeline.two_readings import classes, listed, two_readings
from pipeline.ways_out import Way, exactly, undecided

Value = TypeVar("Value")
SEPARATORS = re.compile(r"\s*[|;,+&/]\s*|[\s_-]+and[\s_-]+", re.IGNORECASE)
BETWEEN_LABELS = re.compile(r"\w[\w ().'-]+(\s*[|;]\s*\w[\w ().'-]+)+")  # not the signs of a name such as a;b or a|b*c
MOST_LIKE_NAMES = 0.9  # of as many classes as images


def check_labels(labels: Labels, tables: Sequence[Understood], multi_label: str) -> None:
    """Raise SourceError for labels that are no classes: numbers with fractions, one per image, several in one cell."""
    counts = Counter(said.label for said in labels.said.values())
    where = listed([understood.table.path for understood in tables])
    column = next((understood.columns.label for understood in tables if understood.columns and understood.columns.label), None)
    choose = "Name the column of the classes in ingest.columns.label"
    if all(NUMBER.fullmatch(name) for name in counts) and any(not float(name).is_integer() for name in counts):
        example = next(name for name in counts if not float(name).is_integer())
        raise SourceError(
            f"ingest.source: {where}: the column {column} has numbers with fractions, such as {example}, which are no classes. {choose}."
        )
    if len(counts) >= max(4, MOST_LIKE_NAMES * len(labels.said)) and column:
        raise SourceError(
            f"ingest.source: {where}: the column {column} has as many different labels as images ({len(counts):,} for {len(labels.said):,}), "
            f"such as {listed(list(counts), 3)}. {choose}."
        )
    if multi_label == "fail" and (combined := combined_labels(counts, of_tags=column_word(column or "") in ("tags", "tag", "keywords"))):
        label, parts = next(iter(combined.items()))
        examples = listed([repr(name) for name in combined], 3)
        in_column = f" in the column {column}" if column else ""
        raise undecided(
            f"ingest.source: {where}: {len(combined):,} of {len(counts):,} labels{in_column} are made of others, such as "
            f"{examples} ({label!r} of {listed(parts)}): several labels for one image. An image has one class here.",
            [COMBINED, ANOTHER_COLUMN],
        )


def refuse_no_classes(counts: Mapping[tuple[str | None, str], int], source: Path) -> None:
    """Raise SourceError for labels of any reading that are numbers with fractions, or nearly one for each image."""
    names, images = {label for _, label in counts}, sum(counts.values())
    if names and all(NUMBER.fullmatch(name) for name in names) and any(not float(name).is_integer() for name in names):
        example = next(name for name in sorted(names) if not float(name).is_integer())
        raise SourceError(f"ingest.source: {source}: the labels are numbers with fractions, such as {example}, which are no classes.")
    if len(names) >= max(4, MOST_LIKE_NAMES * images):
        raise SourceError(
            f"ingest.source: {source}: there are as many classes as images ({len(names):,} for {images:,}), such as {listed(names, 3)}. "
            "They name single images, not classes."
        )


def refuse_placeholders(counts: Mapping[str, int], source: Path) -> None:
    """Raise SourceError for labels such as TODO, ? or n/a beside others. counts: images by label."""
    if found := not_labelled(counts):
        have = listed([f"{name} ({counted(counts[name], 'image', 'images')})" for name in found])
        rest = counts.keys() - set(found)
        raise two_readings(
            source,
            f"the label {have} may say that an image has none yet"
            if len(found) == 1
            else f"the labels {have} may say that an image has none yet",
            [
                Way(f"{classes(rest)}, without these images", {"placeholder": "reject"}),
                Way(classes(counts), {"placeholder": "keep"}),
            ],
        )


def combined_labels(names: Iterable[str], *, of_tags: bool = False) -> dict[str, list[str]]:
    """The labels that are made of other labels, as `scab rust`, `A|B` and `3 17`, with their parts.

    The signs | and ; stand between labels also where no other label has the parts, unlike those in names: `goldfish, Carassius auratus`.
    Words are parts only where the labels tell: all are labels themselves, or several labels add words to others. `of_tags`: words are tags.
    """
    names = set(names)
    signs = {name: SEPARATORS.split(name.strip()) for name in names if SEPARATORS.search(name.strip())}
    uses: defaultdict[str, set[str]] = defaultdict(set)
    for name in names:
        for part in signs.get(name, [name]):
            uses[part].add(name)
    found = {
        name: parts
        for name, parts in signs.items()
        if len(parts) > 1 and all(parts) and (BETWEEN_LABELS.fullmatch(name.strip()) or any(len(uses[part]) > 1 for part in parts))
    }
    words = {name: parts for name in names - signs.keys() if len(parts := name.split()) > 1}
    joined = {name: parts for name in names - signs.keys() if len(parts := name.split("_")) > 1 and all(part.isalpha() for part in parts)}
    found |= {name: parts for name, parts in words.items() if all(part in names or part.isdigit() for part in parts)}
    found |= {name: parts for name, parts in joined.items() if all(part in names for part in parts)}
    sets = {name: frozenset(parts) for name, parts in words.items()}
    adding = [name for name, parts in sets.items() if any(parts > other for other in sets.values())]
    vocabulary = {part for parts in words.values() for part in parts}
    is_small = len(words) >= 6 and len(words) >= 0.8 * len(names) and len(vocabulary) <= len(names) / 2
    if of_tags or len(adding) > 1 or is_small:
        found |= words
    return dict(sorted(found.items()))


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
    kept: defaultdict[str, list[tuple[Value, str]]] = defaultdict(list)  # all: one without a split contradicts no other
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
                    kept[path].append((value, table))
    if contradicting:
        several = "two" if len(by_table) == 2 else "several"
        raise undecided(
            f"ingest.source: {several} tables give {seen}.",
            [
                Way(f"go by {listed(kept_tables)}", {"ignore": exactly(contradicting)}, "to go by others, leave these out instead"),
                Way("go by the folders", {"format": "folders"}),
            ],
        )


def _clash(
    kept: Mapping[str, Sequence[tuple[Value, str]]],
    table: str,
    values: Mapping[str, Value],
    differ: Callable[[Value, Value], str],
    told: Callable[[Value, str], str],
) -> str:
    """The first image of which a table says something else than those that are kept, in words; empty if there is none."""
    for path, value in values.items():
        for earlier in kept.get(path, ()):
            if what := differ(earlier[0], value):
                return f"{path} different {what}: {told(*earlier)} and {told(value, table)}"
    return ""


def _name_without_split(table: str) -> tuple[str, ...]:
    """The words of a table's path that name no split."""
    stem = table.rpartition(".")[0] or table
    return tuple(word for part in stem.split("/") for word in words_of(part) if word not in WORDS)
