"""The labels, splits and groups that the tables of a source give to its images."""

import re
from collections.abc import Mapping, Sequence

from pipeline.errors import SourceError
from pipeline.listing.records import LeftOut, readable
from pipeline.tables.cells import text_of
from pipeline.tables.columns import Understood
from pipeline.tables.image_index import ImageIndex
from pipeline.tables.label_checks import check_labels
from pipeline.tables.rows import label_of, one_image, split_of_cell, split_of_table, table_rows
from pipeline.tables.said import Labels, Said

WHOLE = re.compile(r"-?[0-9]+(\.0+)?")


def read_labels(tables: Sequence[Understood], index: ImageIndex, multi_label: str) -> Labels:
    """The labels of the images, from tables that have them, and the splits and groups from all. Raises SourceError where tables contradict."""
    labelled = _labelled(tables)
    labels = Labels(tables=[understood.table.path for understood in labelled])
    if len(labelled) == 1 and (columns := labelled[0].columns):
        labels.columns = [name for name in (columns.path, columns.label, columns.split, columns.group) if name] + list(columns.one_hot[:1])
    for understood in labelled:
        _add_labels(understood, index, labels, multi_label)
    _strip_decimals(labels)
    if labels.said:
        check_labels(labels, labelled, multi_label)
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
    """Whether a table has one image for each class, such as the Meta.csv of the German traffic signs, and is called after no split."""
    columns = understood.columns
    label = understood.profiles[columns.label] if columns and columns.label else None
    return label is not None and len(label.values) == understood.rows > 1 and split_of_table(understood.table.path) is None


def _add_labels(understood: Understood, index: ImageIndex, labels: Labels, multi_label: str) -> None:
    table, columns = understood.table, understood.columns
    assert columns is not None
    own_split = split_of_table(table.path)
    seen: dict[str, Said] = {}
    for place, row in table_rows(understood):
        labels.rows += 1
        where = f"{table.path}, {place}"
        cell = text_of(row.path, where)
        split = split_of_cell(row.split, columns, where) or own_split
        label = label_of(row, where, multi_label)
        path = one_image(index.find(cell, table.path), split, label, cell, where)
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
    for path, said in seen.items():
        other = labels.said.get(path)
        if other and said.label and other.label and other.label != said.label:
            raise SourceError(
                f"ingest.source: two tables give {path} different labels: {other.label} ({other.place}) and {said.label} ({said.place}). "
                f'Leave one of the tables out with ingest.ignore: ["{table.path}"], or go by the folders with ingest.format: folders.'
            )
        labels.said[path] = said if other is None else _joined(path, said, other)
    for path in [path for path, said in labels.said.items() if not said.label]:
        del labels.said[path]


def _joined(path: str, said: Said, other: Said) -> Said:
    """What two tables with the same label say of an image: validation wins over train. Raises SourceError if one says test."""
    splits = {split for split in (said.split, other.split) if split}
    if len(splits) > 1 and "test" in splits:
        raise SourceError(
            f"ingest.source: two tables give {path} different splits: {other.split} ({other.place}) and {said.split} ({said.place}). "
            "Take the image out of one of them, or leave a table out with ingest.ignore."
        )
    split = "validation" if len(splits) > 1 else next(iter(splits), None)
    return Said(said.label, split, said.group or other.group, said.place)


def _strip_decimals(labels: Labels) -> None:
    """Write 3.0 as 3 if all labels are whole numbers: so they are written if a column has missing values."""
    names = {said.label for said in labels.said.values()}
    if all(WHOLE.fullmatch(name) for name in names) and any("." in name for name in names):
        labels.said = {path: said._replace(label=said.label.partition(".")[0]) for path, said in labels.said.items()}


def _add_splits_and_groups(understood: Understood, index: ImageIndex, labels: Labels) -> None:
    """Take the splits and groups of a table without labels: lists of files called train and test, or columns of them."""
    columns = understood.columns
    assert columns is not None
    own_split = split_of_table(understood.table.path) if understood.kind == "splits" and len(understood.table.columns) == 1 else None
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
                        f"ingest.source: {where}: {path} is in {split}, and in {earlier} by another list. "
                        "Leave all lists but one per split out with ingest.ignore, or go by the folders alone with ingest.format: folders."
                    )
            if group := text_of(row.group, where):
                labels.groups[path] = group


def by_path(labels: Labels) -> Mapping[str, Said]:
    """The labels with the splits and groups that other tables give."""
    if not labels.splits and not labels.groups:
        return labels.said
    return {
        path: said._replace(split=said.split or labels.splits.get(path), group=said.group or labels.groups.get(path))
        for path, said in labels.said.items()
    }
