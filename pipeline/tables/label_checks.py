"""Labels that are no classes: numbers with fractions, one per image, several in one cell."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pipeline.errors import SourceError
from pipeline.tables.cells import column_word
from pipeline.tables.columns import Understood
from pipeline.tables.profiles import NUMBER
from pipeline.tables.said import Labels
from pipeline.two_readings import listed

SEPARATORS = re.compile(r"\s*[|;,+&/]\s*|[\s_-]+and[\s_-]+", re.IGNORECASE)
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
        raise SourceError(
            f"ingest.source: {where}: {len(combined):,} of {len(counts):,} labels in the column {column} are made of others, such as "
            f"{examples} ({label!r} of {listed(parts)}): several labels for one image. An image has one class here: "
            "set ingest.multi_label: combine to make each combination a class of its own, or name another column in ingest.columns.label."
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


def combined_labels(names: Iterable[str], *, of_tags: bool = False) -> dict[str, list[str]]:
    """The labels that are made of other labels, as `scab rust`, `A|B` and `3 17`, with their parts.

    Words are parts only where the labels tell: all are labels themselves, or several labels add words to others. `of_tags`: words are tags.
    """
    names = set(names)
    signs = {name: SEPARATORS.split(name.strip()) for name in names if SEPARATORS.search(name.strip())}
    uses: defaultdict[str, set[str]] = defaultdict(set)
    for name in names:
        for part in signs.get(name, [name]):
            uses[part].add(name)
    found = {name: parts for name, parts in signs.items() if len(parts) > 1 and all(parts) and any(len(uses[part]) > 1 for part in parts)}
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
