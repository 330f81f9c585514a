"""The labels, splits and groups that the tables of a source give to its images."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pipeline.errors import SourceError
from pipeline.listing.cells import column_word, split_of, text_of
from pipeline.listing.records import LeftOut, readable
from pipeline.listing.split_words import split_in_name, split_of_name
from pipeline.sources.image_index import ImageIndex
from pipeline.sources.table_columns import NUMBER, Columns, Understood
from pipeline.sources.two_readings import listed

SEPARATORS = re.compile(r"\s*[|;,+&/]\s*")
WHOLE = re.compile(r"-?[0-9]+(\.0+)?")
MOST_LIKE_NAMES = 0.9  # of as many classes as images


class Said(NamedTuple):
    """What a row says of an image."""

    label: str
    split: str | None
    group: str | None
    place: str


@dataclass
class Labels:
    """What all tables say: by path of the image. `splits` and `groups` also of images without a label in a table.

    `unlabelled` are images that tables name without a label.
    """

    said: dict[str, Said] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    unlabelled: set[str] = field(default_factory=set)
    tables: list[str] = field(default_factory=list)
    rows: int = 0


def read_labels(tables: Sequence[Understood], index: ImageIndex, multi_label: str) -> Labels:
    """The labels of the images, from tables that have them, and the splits and groups from all. Raises SourceError where tables contradict."""
    labelled = _labelled(tables)
    labels = Labels(tables=[understood.table.path for understood in labelled])
    for understood in labelled:
        _add_labels(understood, index, labels, multi_label)
    _strip_decimals(labels)
    if labels.said:
        _check_labels(labels, labelled, multi_label)
    for understood in tables:
        if understood.columns and understood not in labelled:
            _add_splits_and_groups(understood, index, labels)
    return labels


def _labelled(tables: Sequence[Understood]) -> list[Understood]:
    """The tables whose labels count: those in columns that are called so, else others; a sample submission only if it is the only one."""
    found = [understood for understood in tables if understood.kind == "labels"]
    found = [understood for understood in found if not _is_list_of_classes(understood)] or found
    found = [understood for understood in found if understood.is_strong] or found
    return [understood for understood in found if "submission" not in understood.table.name.lower()] or found


def _is_list_of_classes(understood: Understood) -> bool:
    """Whether a table has one image for each class, such as the Meta.csv of the German traffic signs."""
    columns = understood.columns
    label = understood.profiles[columns.label] if columns and columns.label else None
    return label is not None and len(label.values) == understood.rows > 1


def _add_labels(understood: Understood, index: ImageIndex, labels: Labels, multi_label: str) -> None:
    table, columns = understood.table, understood.columns
    assert columns is not None
    own_split = table_split(table.path)
    seen: dict[str, Said] = {}
    for place, row in table_rows(understood):
        labels.rows += 1
        where = f"{table.path}, {place}"
        cell = text_of(row.path, where)
        split = split_of_cell(row.split, columns, where) or own_split
        label = _label(row, where, multi_label)
        path = _one_image(index.find(cell, table.path), split, label, cell, where)
        if path is None:
            labels.left_out.append(
                LeftOut(
                    readable(cell) or table.path, "missing" if cell else "stray", f"{where}: {'listed, but missing' if cell else 'no path'}"
                )
            )
            continue
        if not label:
            labels.left_out.append(LeftOut(path, "unlabelled", f"{where}: no label"))
            continue
        said = Said(label, split, text_of(row.group, where) or None, where)
        earlier = seen.get(path)
        if earlier is None:
            seen[path] = said
        elif earlier[:3] == said[:3]:
            labels.left_out.append(LeftOut(path, "name_clash", f"{where}: listed before, in {earlier.place}"))
        else:
            differing = next((one, two) for one, two in zip(earlier, said, strict=True) if one != two)
            finding = "conflict" if earlier.label != label else "name_clash"
            labels.left_out.append(LeftOut(path, finding, f"{where}: listed as {differing[1]}, and as {differing[0]} in {earlier.place}"))
            seen[path] = said._replace(label="")
    for path, said in seen.items():
        other = labels.said.get(path)
        if other and said.label and other.label and other.label != said.label:
            raise SourceError(
                f"ingest.source: two tables give {path} different labels: {other.label} ({other.place}) and {said.label} ({said.place}). "
                f'Leave one of the tables out with ingest.ignore: ["{table.path}"].'
            )
        labels.said[path] = said if other is None else Said(said.label, said.split or other.split, said.group or other.group, said.place)
    for path in [path for path, said in labels.said.items() if not said.label]:
        del labels.said[path]


class TableRow(NamedTuple):
    """The cells of one row that matter."""

    path: Any
    label: Any
    split: Any
    group: Any


def table_rows(understood: Understood) -> Iterator[tuple[str, TableRow]]:
    """(line or row, cells) of each row of a table that lists images."""
    columns, names = understood.columns, understood.table.columns
    assert columns is not None
    places = [names.index(name) if name else None for name in (columns.path, columns.label, columns.split, columns.group)]
    hot = [(names.index(name), name.strip()) for name in columns.one_hot]
    for place, cells in understood.table.rows():
        values = [_single(cells[i]) if i is not None else None for i in places]
        if hot:
            values[1] = "|".join(name for i, name in hot if str(cells[i]).strip() and float(cells[i]) == 1)
        yield place, TableRow(*values)


def _single(cell: Any) -> Any:
    return cell[0] if isinstance(cell, list | tuple) and len(cell) == 1 else cell


def split_of_cell(cell: Any, columns: Columns, where: str) -> str | None:
    """The split that a cell says."""
    text = text_of(cell, where)
    if not columns.is_split:
        return split_of(text, where)
    if not text:
        return None
    if text.lower() in ("1", "true", "1.0"):
        return columns.is_split
    return "test" if columns.is_split == "train" else "train"


def table_split(path: str) -> str | None:
    """The split in the name of a table, or else in that of its folder."""
    *folders, name = path.split("/")
    found = split_in_name(name.rpartition(".")[0])
    return found.split if found else (split_of_name(folders[-1]) if folders else None)


def _label(row: TableRow, where: str, multi_label: str) -> str:
    if isinstance(row.label, list | tuple):
        if not row.label:
            return ""
        if multi_label == "combine":
            return "|".join(text_of(label, where) for label in row.label)
        raise SourceError(
            f"ingest.source: {where}: several labels for one image, {listed([str(label) for label in row.label])}. An image has one class here: "
            "set ingest.multi_label: combine to make each combination a class, or name another column in ingest.columns.label."
        )
    return text_of(row.label, where)


def _one_image(found: Sequence[str], split: str | None, label: str, cell: str, where: str) -> str | None:
    """The image that a row means; None if there is none. Raises SourceError if it could be several."""
    if len(found) > 1 and split:
        found = [path for path in found if any(split_of_name(part) == split for part in path.split("/")[:-1])] or found
    if len(found) > 1 and label:
        found = [path for path in found if label in path.split("/")[:-1]] or found
    if len(found) > 1:
        raise SourceError(
            f"ingest.source: {where}: {cell} can be {listed(found, 3)}. Write the folder before the name in the table, "
            "leave some of them out with ingest.ignore, or give the folders' classes with ingest.class_from."
        )
    return found[0] if found else None


def _strip_decimals(labels: Labels) -> None:
    """Write 3.0 as 3 if all labels are whole numbers: so they are written if a column has missing values."""
    names = {said.label for said in labels.said.values()}
    if all(WHOLE.fullmatch(name) for name in names) and any("." in name for name in names):
        labels.said = {path: said._replace(label=said.label.partition(".")[0]) for path, said in labels.said.items()}


def _check_labels(labels: Labels, tables: Sequence[Understood], multi_label: str) -> None:
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
            f"ingest.source: {where}: {len(combined):,} of {len(counts):,} labels in the column {column} are made of others, such as {examples} ({label!r} of {listed(parts)}): several labels "
            "for one image. An image has one class here: set ingest.multi_label: combine to make each combination a class of its own, or name "
            "another column in ingest.columns.label."
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
    words = {name: name.split() for name in names - signs.keys() if len(name.split()) > 1}
    found |= {name: parts for name, parts in words.items() if all(part in names or part.isdigit() for part in parts)}
    sets = {name: frozenset(parts) for name, parts in words.items()}
    adding = [name for name, parts in sets.items() if any(parts > other for other in sets.values())]
    vocabulary = {part for parts in words.values() for part in parts}
    is_small = len(words) >= 6 and len(words) >= 0.8 * len(names) and len(vocabulary) <= len(names) / 2
    if of_tags or len(adding) > 1 or is_small:
        found |= words
    return dict(sorted(found.items()))


def _add_splits_and_groups(understood: Understood, index: ImageIndex, labels: Labels) -> None:
    """Take the splits and groups of a table without labels: lists of files called train and test, or columns of them."""
    columns = understood.columns
    assert columns is not None
    own_split = table_split(understood.table.path) if understood.kind == "splits" and len(understood.table.columns) == 1 else None
    if not (columns.group or columns.split or own_split):
        return
    for place, row in table_rows(understood):
        where = f"{understood.table.path}, {place}"
        found = index.find(text_of(row.path, where), understood.table.path)
        split = split_of_cell(row.split, columns, where) or own_split
        for path in found if len(found) == 1 else []:
            if split:
                earlier = labels.splits.setdefault(path, split)
                if earlier != split:
                    raise SourceError(
                        f"ingest.source: {where}: {path} is in {split}, and in {earlier} by another list. Leave all lists but one per split out with ingest.ignore, or "
                        "go by the folders alone with ingest.format: folders."
                    )
            if group := text_of(row.group, where):
                labels.groups[path] = group


def by_path(labels: Labels) -> Mapping[str, Said]:
    """The labels with the splits and groups that other tables give."""
    return {
        path: said._replace(split=said.split or labels.splits.get(path), group=said.group or labels.groups.get(path))
        for path, said in labels.said.items()
    }
