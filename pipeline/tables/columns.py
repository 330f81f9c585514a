"""Which column of a table is the path, the label, the split and the group: by what the cells say, then by the names of the columns."""

import difflib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.errors import SourceError
from pipeline.listing.split_words import WORDS, split_of_name, words_of
from pipeline.tables.cells import GROUP, LABEL, MAYBE_CLASS, PATH, column_word, find_column, refuse_column_called_none, unread_roles
from pipeline.tables.label_columns import UNNAMED, label_columns
from pipeline.tables.profiles import BOX_COLUMNS, Profile
from pipeline.tables.table import Table
from pipeline.two_readings import listed

NAMED_SPLIT = {"subset", "partition", "data_set"}
FOLD_WORDS = {"fold", "folds", "kfold"}
SPLIT_WORDS = {"partition", "partitions", "split", "splits", "eval", *FOLD_WORDS}
MOST_FOLDS = 20
FLAG_WORDS = {"is", "in", "set", "image", "img", "data", "flag"}


@dataclass(frozen=True)
class Columns:
    """The columns of a table that matter. `one_hot` has one column per class instead of `label`. `is_split`: 1 in the split column says this split."""

    path: str
    label: str | None
    split: str | None
    group: str | None
    one_hot: tuple[str, ...] = ()
    is_split: str | None = None


@dataclass(frozen=True)
class Understood:
    """A table with its profiles: `columns` if it lists images; `kind` says what it is for them; `rows` counts.

    Two tables of "numbers" give splits together: one gives numbers to images, the other splits to numbers. `candidates`: columns that may have the
    labels of a table in doubt.
    """

    table: Table
    kind: Literal["labels", "splits", "numbers", "boxes", "no images", "doubtful"]
    columns: Columns | None
    rows: int
    profiles: Mapping[str, Profile]
    why: str = ""
    is_strong: bool = False
    is_unknown_split: bool = False
    candidates: tuple[str, ...] = ()


def understand(table: Table, find: Callable[[str], Sequence[str]], chosen: Mapping[str, str], folders: Collection[str] = ()) -> Understood:
    """What a table says of images. `find` gives the images that a cell names; `chosen` are the columns of `ingest.columns`, by role, if set.

    `folders`: the names of all folders of the source.
    """
    profiles = {name: Profile(name) for name in table.columns}
    places = {name: table.columns.index(name) for name in profiles}
    rows = 0
    for _, cells in table.rows():
        rows += 1
        for name, profile in profiles.items():
            profile.add(cells[places[name]], find)
    path = _path_column(profiles, chosen)
    if path is None:
        return Understood(table, "no images", None, rows, profiles, _why_no_images(profiles, rows))
    return _with_columns(table, rows, profiles, path, chosen, folders)


def _path_column(profiles: Mapping[str, Profile], chosen: Mapping[str, str]) -> Profile | None:
    """The column that names most images; of several, the one that is called as paths are."""
    if "path" in chosen and chosen["path"] in profiles:
        return profiles[chosen["path"]]
    order = {word: -i for i, word in enumerate(PATH)}
    naming = [profile for profile in profiles.values() if profile.images]
    named = find_column([profile.name for profile in naming], PATH)
    best = max(naming, key=lambda profile: (len(profile.images), order.get(profile.word, -len(PATH))), default=None)
    if best is None or (named != best.name and len(best.images) * 2 < len(best.values)):
        return profiles[named] if named and len(profiles[named].images) * 2 >= len(profiles[named].values) else None
    return best


def _why_no_images(profiles: Mapping[str, Profile], rows: int) -> str:
    """Why no column names images: addresses on the web, encoded images, or other names."""
    best = max(profiles.values(), key=lambda profile: len(profile.values), default=None)
    called_so = find_column([name for name, profile in profiles.items() if profile.values], PATH)
    fullest = profiles[called_so] if called_so else best
    if not rows or not fullest or not fullest.values:
        return "it has no rows"
    named, example = fullest.name or "without a name", min(fullest.values)
    if re.match(r"(https?|s3|gs|ftp)://", example):
        return f"its column {named} has addresses, such as {example[:80]}, whose files are not in the source: download them into it first"
    if len(example) > 200 and re.fullmatch(r"[A-Za-z0-9+/=_-]+", example):
        return f"its column {named} seems to have the images themselves as base64 text: write each one to a file first"
    if re.match(r"\.\.[/\\]", example):
        return (
            f"its column {named} has paths such as {example[:80]}, outside of the source: set ingest.source to the folder that holds both"
        )
    return f"none of its columns names an image of the source, for example {fullest.called}: {example[:80]}"


def _with_columns(
    table: Table, rows: int, profiles: Mapping[str, Profile], path: Profile, chosen: Mapping[str, str], folders: Collection[str]
) -> Understood:
    unread = unread_roles(chosen)
    refuse_column_called_none(table.path, profiles, unread)
    split, is_split, unknown_split = _split_column(table, profiles, path, chosen)
    group = chosen.get("group") if chosen.get("group") in profiles else _group_column(profiles, path)
    others = [profile for profile in profiles.values() if profile.name not in (path.name, split, group)]
    if "group" in unread:
        group = None
    if "split" in unread:
        others = [profile for profile in others if profile is not unknown_split]
        split, is_split, unknown_split = None, None, None
    boxes = [profile.name for profile in others if profile.word in BOX_COLUMNS and profile.filled]
    if boxes and len(path.images) < path.filled:
        return Understood(
            table, "boxes", None, rows, profiles, f"it lists boxes ({listed(boxes)}), several rows for one image, as for detection"
        )
    if "shapes" in boxes and profiles["shapes"].values - {"0"}:
        return Understood(table, "boxes", None, rows, profiles, "it lists shapes drawn on images, as for detection or segmentation")
    label, one_hot, why, candidates = label_columns(
        table, [profile for profile in others if profile is not unknown_split], path, chosen, folders
    )
    columns = Columns(path.name, label, split, group, one_hot, is_split)
    if twice := next((name for name in (path.name, label, split, group, *one_hot) if name and table.columns.count(name) > 1), None):
        return Understood(table, "doubtful", columns, rows, profiles, f"several of its columns are called {twice}: rename all but one")
    if unknown_split and "label" not in chosen and not (label and _is_of_folds(unknown_split) and column_word(label) in LABEL):
        why = why or (
            f"{unknown_split.name} may say the split, but {listed(unknown_split.values)} are no words for train, validation and test: write "
            "such words, or, if it says something else, name the column of the labels"
        )
        return Understood(table, "doubtful", columns, rows, profiles, why, is_unknown_split=True)
    if label or one_hot:
        is_strong = bool(one_hot) or "label" in chosen or column_word(label or "") in LABEL
        return Understood(table, "labels", columns, rows, profiles, is_strong=is_strong)
    return Understood(table, "doubtful" if why else "splits", columns, rows, profiles, why, candidates=candidates)


def _split_column(
    table: Table, profiles: Mapping[str, Profile], path: Profile, chosen: Mapping[str, str]
) -> tuple[str | None, str | None, Profile | None]:
    """(column of the splits, split that 1 or True says in it, column that is called so but says something else).

    It is a column of nothing but words of splits, or is called is_train or is_valid and has 1 and 0.
    """
    if "split" in chosen and chosen["split"] in profiles:
        return chosen["split"], _said_by_one(profiles[chosen["split"]]), None
    unknown = None
    for profile in profiles.values():
        if profile is path or not profile.values or profile.word in LABEL:
            continue
        if profile.word == "split" or all(split_of_name(value) for value in profile.values):
            return profile.name, None, None
        if said := _said_by_one(profile):
            return profile.name, said, None
        if len(profile.values) > 1 and (profile.word in NAMED_SPLIT or _is_numbered_split(table, profile)):
            unknown = profile
    return None, None, unknown


def _is_numbered_split(table: Table, profile: Profile) -> bool:
    """Whether a column of a few whole numbers is called after splits, or has no name in a table that is."""
    if profile.numbers < profile.filled or profile.fractions or len(profile.values) > MOST_FOLDS:
        return False
    if not profile.name.startswith(UNNAMED):
        return bool(SPLIT_WORDS & set(profile.word.split("_")))
    words = words_of(table.name.rpartition(".")[0])
    return (
        bool(SPLIT_WORDS - {"eval"} & set(words))
        and not any(word.isdigit() for word in words)
        and ("partition" in words or not WORDS.keys() & set(words))
    )


def _is_of_folds(profile: Profile) -> bool:
    """Whether a column numbers the folds of a cross-validation, which say nothing of the test."""
    return bool(FOLD_WORDS & set(profile.word.split("_")))


def _said_by_one(profile: Profile) -> str | None:
    words = words_of(profile.name)
    said = {WORDS[word] for word in words if word in WORDS}
    is_flag = bool(profile.values) and {value.lower() for value in profile.values} <= {"0", "1", "true", "false", "0.0", "1.0"}
    is_called_so = all(word in WORDS or word in FLAG_WORDS for word in words)
    return said.pop() if is_flag and is_called_so and len(said) == 1 else None


def _group_column(profiles: Mapping[str, Profile], path: Profile) -> str | None:
    """The column of groups. One of 0 and 1 is none: `person` may be a class. So may `scene`, if nothing else is called as labels are."""
    has_label = any(profile.word in LABEL for profile in profiles.values() if profile is not path)
    several = [
        profile.name
        for profile in profiles.values()
        if profile is not path
        and profile.binary < profile.filled
        and (has_label or profile.word not in MAYBE_CLASS or _has_numbers(profile))
    ]
    name = find_column(several, GROUP)
    return name if name and profiles[name].word not in LABEL else None


def _has_numbers(profile: Profile) -> bool:
    """Whether most values have a digit, as names of single things have."""
    return sum(any(sign.isdigit() for sign in value) for value in profile.values) * 2 > len(profile.values)


def refuse_unknown_columns(tables: Sequence[Understood], chosen: Mapping[str, str]) -> None:
    """Raise SourceError if no table has a column that `ingest.columns` names."""
    for role, name in ((role, name) for role, name in chosen.items() if role not in {"multi_label", *unread_roles(chosen)}):
        if not any(name in understood.profiles for understood in tables):
            found = "; ".join(f"{understood.table.path}: {', '.join(understood.profiles)}" for understood in tables) or "no table"
            meant = _meant(name, [column for understood in tables for column in understood.profiles])
            hint = f" Did you mean {meant}?" if meant else ""
            raise SourceError(f"ingest.columns.{role}: no table of the source has a column {name}.{hint} Found {found}.")


def _meant(name: str, columns: Sequence[str]) -> str:
    """The column whose name is like another; empty if there is none."""
    by_word = {column_word(column).replace("_", ""): column for column in reversed(columns) if column.strip()}
    near = difflib.get_close_matches(column_word(name).replace("_", ""), by_word, n=1, cutoff=0.75)
    return by_word[near[0]].strip() if near else ""
