"""The labels, splits and groups that the tables of a source give to its images."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.errors import SourceError
from pipeline.listing.records import LeftOut, readable
from pipeline.quality.class_names import not_labelled
from pipeline.tables.cells import LABEL, column_word, find_column, text_of
from pipeline.tables.columns import Understood
from pipeline.tables.image_index import ImageIndex, is_in_its_folder, names_folders
from pipeline.tables.joined_tables import IN_NAME
from pipeline.tables.label_checks import check_labels, refuse_contradictions, refuse_placeholders
from pipeline.tables.label_columns import MADE_UP, UNNAMED
from pipeline.tables.rows import has_several_labels, label_of, one_image, several_labels, split_of_cell, split_of_table, table_rows
from pipeline.tables.said import Labels, Named, Said
from pipeline.two_readings import listed
from pipeline.ways_out import Way, exactly

MOST_DISPUTED = 20  # images with several labels that are advised to be left out by name
FEW_DISPUTED = 0.2  # of the others
WHOLE = re.compile(r"-?[0-9]+(\.0+)?")


def read_labels(tables: Sequence[Understood], index: ImageIndex, multi_label: str, placeholder: str) -> Labels:
    """The labels of the images, from tables that have them, and the splits and groups from all.

    Raises SourceError where tables contradict each other. `placeholder`: what to do with labels such as TODO.
    """
    labelled = labelled_tables(tables)
    labels = Labels(tables=[understood.table.path for understood in labelled])
    if len(labelled) == 1 and (columns := labelled[0].columns):
        labels.columns = [name for name in (columns.path, columns.label, columns.split, columns.group) if name] + list(columns.one_hot[:1])
    said = {understood.table.path: _said_by(understood, index, labels, multi_label) for understood in labelled}
    refuse_contradictions(said, _differ_in, lambda said, table: f"{said.label}{f' in {said.split}' if said.split else ''} ({said.place})")
    for rows in said.values():
        for path, row in rows.items():
            labels.said[path] = _joined(row, labels.said[path]) if path in labels.said else row
    labels.said = {path: row for path, row in labels.said.items() if row.label}
    _strip_decimals(labels)
    _take_placeholders(labels, placeholder)
    if labels.said:
        check_labels(labels, labelled, multi_label)
    others = [understood for understood in tables if understood.columns and understood not in labelled]
    splits = {understood.table.path: _splits_and_groups(understood, index, labels) for understood in others}
    own = {table: {path: row.split for path, row in rows.items() if row.split} for table, rows in said.items()}
    all_splits = {table: found for table, found in {**own, **splits}.items() if found}
    refuse_contradictions(all_splits, _differ_in_test, lambda split, table: f"{split} ({table})")
    for table in splits.values():
        for path, split in table.items():
            labels.splits[path] = _later_split(split, labels.splits.get(path)) or split
    for understood in others:
        assert understood.columns is not None
        labels.named.append(Named(understood.table.path, understood.profiles[understood.columns.path].images, why_unused(understood)))
    _say_where(labels, labelled, others, {path for path, table in splits.items() if table})
    labels.used.update(labels.tables, (understood.table.path for understood in tables if says_more(understood)))
    return labels


def _say_where(labels: Labels, labelled: Sequence[Understood], others: Sequence[Understood], with_splits: set[str]) -> None:
    """Write down where labels, splits and groups come from. `with_splits`: tables without labels that give splits."""
    by_column: defaultdict[str, list[str]] = defaultdict(list)
    for understood in labelled:
        by_column[_label_column(understood)].append(understood.table.path)
    labels.labels_from = " and ".join(f"{column} of {listed(tables)}" for column, tables in by_column.items())
    in_columns: defaultdict[str, list[str]] = defaultdict(list)
    lists = [understood.table.path for understood in others if understood.table.path in with_splits and not _has_split(understood)]
    for understood in [*labelled, *(other for other in others if other.table.path in with_splits)]:
        if understood.columns and understood.columns.split:
            in_columns[understood.columns.split].append(understood.table.path)
    told = [_column(name) + (f" of {listed(tables)}" if set(tables) - set(labels.tables) else "") for name, tables in in_columns.items()]
    if any(split_of_table(understood.table.path) and not _has_split(understood) for understood in labelled):
        told.append("the names of the tables")
    labels.splits_from = " and ".join(told) or listed(lists)
    groups = {
        understood.columns.group: understood.table.path
        for understood in [*others, *labelled]
        if understood.columns and understood.columns.group
    }
    labels.groups_from = " and ".join(
        _column(name) + ("" if table in labels.tables else f" of {table}") for name, table in groups.items() if name
    )


def _has_split(understood: Understood) -> bool:
    return bool(understood.columns and understood.columns.split)


def _label_column(understood: Understood) -> str:
    """The column of the labels, or those of the classes, for people."""
    columns = understood.columns
    if columns is None or columns.label is None:
        return f"columns {listed(columns.one_hot, 3)}" if columns else "no column"
    if columns.label == IN_NAME:
        return "the names"
    keys = understood.profiles[columns.label].keys
    if columns.label in MADE_UP and understood.table.name.lower().endswith(".json"):
        return f"the {columns.label}s"
    return (f"{min(keys)} in " if keys else "") + _column(columns.label)


def _column(name: str) -> str:
    return name if name.startswith(UNNAMED) else f"column {name}" if name else "the column without a name"


def _take_placeholders(labels: Labels, placeholder: str) -> None:
    """Leave out labels such as TODO if they are to be rejected. Raises SourceError if they are to fail."""
    counts = Counter(said.label for said in labels.said.values())
    if placeholder == "fail":
        refuse_placeholders(counts, Path(listed(labels.tables)))
    if placeholder == "reject" and (found := set(not_labelled(counts))):
        for path, said in labels.said.items():
            if said.label in found:
                labels.left_out.append(LeftOut(path, "unlabelled", f"{said.place}: {said.label} is no label"))
        labels.said = {path: said for path, said in labels.said.items() if said.label not in found}


def says_more(understood: Understood) -> bool:
    """Whether a table says splits or groups of images."""
    columns = understood.columns
    return bool(columns and (columns.split or columns.group)) or _split_of_list(understood) is not None or understood.kind == "numbers"


def why_unused(understood: Understood) -> str:
    """Why a table without labels that count is of no use; empty if it is, or if it is a list of the images to be named in a competition."""
    if says_more(understood) or is_submission(understood) or _is_list_of_classes(understood):
        return ""
    if understood.kind == "splits" and understood.columns:
        return f"lists {len(understood.profiles[understood.columns.path].images):,} images, but says neither label nor split"
    return f"a table that was not used: {understood.why or 'it gives no labels'}"


def _split_of_list(understood: Understood) -> str | None:
    """The split that the name of a list of files says."""
    return split_of_table(understood.table.path) if understood.kind == "splits" and len(understood.table.columns) == 1 else None


def is_submission(understood: Understood) -> bool:
    """Whether a table shows what is to be handed in to a competition."""
    return "submission" in understood.table.name.lower()


def with_columns_of_submissions(tables: Sequence[Understood]) -> list[Understood]:
    """The tables; the only column that may have labels has them if a sample submission has a column of that name, to be filled."""
    asked = {column_word(name) for understood in tables if is_submission(understood) for name in understood.profiles}

    def told(understood: Understood) -> Understood:
        if understood.kind != "doubtful" or understood.columns is None or len(understood.candidates) != 1 or is_submission(understood):
            return understood
        if understood.is_unknown_split or column_word(understood.candidates[0]) not in asked:
            return understood
        return replace(
            understood, kind="labels", columns=replace(understood.columns, label=understood.candidates[0]), why="", candidates=()
        )

    return [told(understood) for understood in tables]


def with_labels_in_parts(tables: Sequence[Understood]) -> list[Understood]:
    """The tables; those of the same columns that each say one label for all of their images, but not the same one, as in a table per class folder."""
    parts: defaultdict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
    values: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
    for understood in tables:
        name = find_column([name for name, profile in understood.profiles.items() if len(profile.values) == 1], LABEL)
        if name and understood.kind == "splits" and understood.columns and not is_submission(understood):
            parts[tuple(understood.table.columns)][understood.table.path] = name
            values[tuple(understood.table.columns)] |= understood.profiles[name].values

    def told(understood: Understood) -> Understood:
        named = parts.get(tuple(understood.table.columns), {})
        if understood.table.path not in named or understood.columns is None or len(values[tuple(understood.table.columns)]) < 2:
            return understood
        return replace(understood, kind="labels", columns=replace(understood.columns, label=named[understood.table.path]), is_strong=True)

    return [told(understood) for understood in tables]


def labelled_tables(tables: Sequence[Understood]) -> list[Understood]:
    """The tables whose labels count: those in columns that are called so, else others; a sample submission only if it is the only one."""
    found = [understood for understood in tables if understood.kind == "labels"]
    found = [understood for understood in found if not _is_list_of_classes(understood)] or found
    found = [understood for understood in found if understood.is_strong] or found
    return [understood for understood in found if not is_submission(understood)] or found


def _is_list_of_classes(understood: Understood) -> bool:
    """Whether a table has one image for each class, such as the Meta.csv of the German traffic signs, and is called after no split."""
    columns = understood.columns
    label = understood.profiles[columns.label] if columns and columns.label else None
    return label is not None and len(label.values) == understood.rows > 1 and split_of_table(understood.table.path) is None


def _said_by(understood: Understood, index: ImageIndex, labels: Labels, multi_label: str) -> dict[str, Said]:
    """What the rows of a table say, by path of the image; no label where they contradict each other. What is left out is noted."""
    table, columns = understood.table, understood.columns
    assert columns is not None
    own_split = split_of_table(table.path)
    seen: dict[str, Said] = {}
    disputed: dict[str, tuple[str, Sequence[object]]] = {}
    keeps_folders = names_folders(sorted(understood.profiles[columns.path].values), index, table.path)
    for place, row in table_rows(understood):
        labels.rows += 1
        where = f"{table.path}, {place}"
        cell = text_of(row.path, where)
        split = split_of_cell(row.split, columns, where) or own_split
        candidates = [path for path in index.find(cell, table.path) if not keeps_folders or is_in_its_folder(cell, path)]
        is_disputed = multi_label == "fail" and has_several_labels(row) and len(candidates) < 2
        if is_disputed and candidates:
            disputed.setdefault(candidates[0], (where, row.label))
            continue
        label = "" if is_disputed else label_of(row, where, multi_label)
        path = one_image(candidates, split, label, cell, where)
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
        elif earlier[:3] != said[:3]:  # equal rows are of one image with several boxes or findings
            differing = next((one, two) for one, two in zip(earlier, said, strict=True) if one != two)
            finding = "conflict" if earlier.label != label else "name_clash"
            labels.left_out.append(LeftOut(path, finding, f"{where}: listed as {differing[1]}, and as {differing[0]} in {earlier.place}"))
            seen[path] = said._replace(label="")
    if disputed:
        where, several = next(iter(disputed.values()))
        is_few = len(disputed) <= min(MOST_DISPUTED, len(seen) * FEW_DISPUTED)
        leave_out = Way("leave out the images on which labels differ", {"ignore": exactly(sorted(disputed))})
        raise several_labels(where, several, [leave_out] if is_few else [], len(disputed) - 1)
    return seen


def _differ_in(one: Said, other: Said) -> str:
    """What two tables contradict each other in about an image: nothing if one says that its own rows do, or train where the other says validation."""
    if one.label and other.label and one.label != other.label:
        return "labels"
    return _differ_in_test(one.split, other.split)


def _differ_in_test(one: str | None, other: str | None) -> str:
    return "splits" if one and other and one != other and "test" in (one, other) else ""


def _joined(said: Said, other: Said) -> Said:
    """What two tables that do not contradict each other say of an image."""
    label = said.label and other.label
    return Said(label, _later_split(said.split, other.split), said.group or other.group, said.place)


def _later_split(one: str | None, other: str | None) -> str | None:
    """The split of an image of two lists: that of validation wins over one of training and validation."""
    return "validation" if "validation" in (one, other) else one or other


def _strip_decimals(labels: Labels) -> None:
    """Write 3.0 as 3 if all labels are whole numbers: so they are written if a column has missing values."""
    names = {said.label for said in labels.said.values()}
    if all(WHOLE.fullmatch(name) for name in names) and any("." in name for name in names):
        labels.said = {path: said._replace(label=said.label.partition(".")[0]) for path, said in labels.said.items()}


def _splits_and_groups(understood: Understood, index: ImageIndex, labels: Labels) -> dict[str, str]:
    """The splits of images by a table without labels: a list of files called train or test, or a column. Its groups are added to the labels."""
    columns = understood.columns
    assert columns is not None
    own_split = _split_of_list(understood)
    splits: dict[str, str] = {}
    if not (columns.group or columns.split or own_split):
        return splits
    for place, row in table_rows(understood):
        where = f"{understood.table.path}, {place}"
        found = index.find(text_of(row.path, where), understood.table.path)
        if len(found) != 1:
            continue
        if split := split_of_cell(row.split, columns, where) or own_split:
            earlier = splits.setdefault(found[0], split)
            if earlier != split:
                raise SourceError(
                    f"ingest.source: {where}: {found[0]} is in {split}, and in {earlier} by a row above. Take one of them out."
                )
        if group := text_of(row.group, where):
            labels.groups[found[0]] = group
    return splits


def by_path(labels: Labels) -> Mapping[str, Said]:
    """The labels with the splits and groups that other tables give."""
    if not labels.splits and not labels.groups:
        return labels.said
    return {
        path: said._replace(split=said.split or labels.splits.get(path), group=said.group or labels.groups.get(path))
        for path, said in labels.said.items()
    }
