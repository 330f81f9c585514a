"""Which column of a table is the path, the label, the split and the group: by what the cells say, then by the names of the columns."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.errors import SourceError
from pipeline.listing.cells import GROUP, LABEL, PATH, column_word, find_column, text_of
from pipeline.listing.split_words import WORDS, split_of_name, words_of
from pipeline.sources.table_files import Table
from pipeline.sources.two_readings import listed

NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
# fmt: off
BOX_COLUMNS = {
    "xmin", "x_min", "ymin", "y_min", "bbox", "bbox_x", "x1", "roi_x1", "x_center", "xcenter", "boxes", "segmentation", "encodedpixels",
    "keypoints", "shapes",
}
DESCRIPTIONS = {  # columns that say something else of an image, whatever their cells look like
    "age", "sex", "gender", "width", "height", "w", "h", "size", "date", "time", "timestamp", "url", "license", "author", "index", "annotator",
    "source", "camera", "channels", "depth", "format", "mode", "created_at", "updated_at", "lead_time", "annotation_id", "localization",
    "dx_type", "view", "weather", "city", "country",
}
# fmt: on
MOST_CLASSES = 5000
MOST_WORDS = 20
NAMED_SPLIT = {"subset", "partition", "data_set"}
FLAG_WORDS = {"is", "in", "set", "image", "img", "data", "flag"}


@dataclass
class Profile:
    """What the cells of one column say."""

    name: str
    filled: int = 0
    values: set[str] = field(default_factory=set)
    images: set[str] = field(default_factory=set)
    lists: int = 0
    numbers: int = 0
    fractions: int = 0
    binary: int = 0
    signs: int = 0

    @property
    def word(self) -> str:
        return column_word(self.name)

    def add(self, cell: Any, find: Callable[[str], Sequence[str]]) -> None:
        """Count one cell."""
        if isinstance(cell, list | tuple):
            if len(cell) != 1:
                self.lists += bool(cell)
                self.filled += bool(cell)
                return
            cell = cell[0]
        if isinstance(cell, dict | bytes):
            return
        text = cell.strip() if isinstance(cell, str) else text_of(cell, self.name)
        if not text:
            return
        self.filled += 1
        if NUMBER.fullmatch(text):
            self.numbers += 1
            value = float(text)
            self.fractions += not value.is_integer()
            self.binary += value in (0, 1)
            self.signs += value in (-1, 1)
        self.values.add(text)
        self.images.update(find(text)[:1])


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
    """A table with its profiles: `columns` if it lists images; `kind` says what it is for them; `rows` and `images` count."""

    table: Table
    kind: Literal["labels", "splits", "boxes", "no images", "doubtful"]
    columns: Columns | None
    rows: int
    profiles: Mapping[str, Profile]
    why: str = ""
    is_strong: bool = False


def understand(table: Table, find: Callable[[str], Sequence[str]], chosen: Mapping[str, str]) -> Understood:
    """What a table says of images. `find` gives the images that a cell names; `chosen` are the columns of `ingest.columns`, by role, if set."""
    profiles = {name: Profile(name) for name in table.columns}
    rows = 0
    for _, cells in table.rows():
        rows += 1
        for profile, cell in zip(profiles.values(), cells, strict=False):
            profile.add(cell, find)
    path = _path_column(profiles, chosen)
    if path is None:
        return Understood(table, "no images", None, rows, profiles, _why_no_images(profiles, rows))
    return _with_columns(table, rows, profiles, path, chosen)


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
    named = find_column(profiles, PATH) or max(profiles, key=lambda name: len(profiles[name].values), default="")
    if not rows or not named or not profiles[named].values:
        return "it has no rows"
    example = min(profiles[named].values)
    if re.match(r"(https?|s3|gs|ftp)://", example):
        return f"its column {named} has addresses, such as {example[:80]}, whose files are not in the source: download them into it first"
    if len(example) > 200 and re.fullmatch(r"[A-Za-z0-9+/=_-]+", example):
        return f"its column {named} seems to have the images themselves as base64 text: write each one to a file first"
    if re.match(r"\.\.[/\\]", example):
        return (
            f"its column {named} has paths such as {example[:80]}, outside of the source: set ingest.source to the folder that holds both"
        )
    return f"none of its columns names an image of the source, for example {named}: {example[:80]}"


def _with_columns(table: Table, rows: int, profiles: Mapping[str, Profile], path: Profile, chosen: Mapping[str, str]) -> Understood:
    split, is_split, unknown_split = _split_column(profiles, path, chosen)
    group = chosen.get("group") if chosen.get("group") in profiles else _group_column(profiles, path)
    others = [profile for profile in profiles.values() if profile.name not in (path.name, split, group)]
    boxes = [profile.name for profile in others if profile.word in BOX_COLUMNS and profile.filled]
    if boxes and len(path.images) < path.filled:
        return Understood(
            table, "boxes", None, rows, profiles, f"it lists boxes ({listed(boxes)}), several rows for one image, as for detection"
        )
    if "shapes" in boxes and profiles["shapes"].values - {"0"}:
        return Understood(table, "boxes", None, rows, profiles, "it lists shapes drawn on images, as for detection or segmentation")
    label, one_hot, why = _label_columns(table, [profile for profile in others if profile is not unknown_split], path, chosen)
    columns = Columns(path.name, label, split, group, one_hot, is_split)
    if label or one_hot:
        is_strong = bool(one_hot) or "label" in chosen or column_word(label or "") in LABEL
        return Understood(table, "labels", columns, rows, profiles, is_strong=is_strong)
    if unknown_split and not why:
        why = f"{unknown_split.name} may say the split, but {listed(unknown_split.values)} are no words for train, validation and test"
    return Understood(table, "doubtful" if why else "splits", columns, rows, profiles, why)


def _split_column(
    profiles: Mapping[str, Profile], path: Profile, chosen: Mapping[str, str]
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
        if profile.word in NAMED_SPLIT and len(profile.values) > 1:
            unknown = profile
    return None, None, unknown


def _said_by_one(profile: Profile) -> str | None:
    words = words_of(profile.name)
    said = {WORDS[word] for word in words if word in WORDS}
    is_flag = bool(profile.values) and {value.lower() for value in profile.values} <= {"0", "1", "true", "false", "0.0", "1.0"}
    is_called_so = all(word in WORDS or word in FLAG_WORDS for word in words)
    return said.pop() if is_flag and is_called_so and len(said) == 1 else None


def _group_column(profiles: Mapping[str, Profile], path: Profile) -> str | None:
    name = find_column([profile.name for profile in profiles.values() if profile is not path and profile.filled], GROUP)
    return name if name and profiles[name].word not in LABEL else None


def _label_columns(
    table: Table, others: Sequence[Profile], path: Profile, chosen: Mapping[str, str]
) -> tuple[str | None, tuple[str, ...], str]:
    """(label column, one-hot columns, why it cannot be told) of a table."""
    if "label" in chosen:
        return (chosen["label"] if any(profile.name == chosen["label"] for profile in others) else None), (), ""
    named = [profile for profile in others if profile.word in LABEL and (len(profile.values) > 1 or profile.lists)]
    if named:
        return _one_of(table, sorted(named, key=lambda profile: LABEL.index(profile.word)))
    if any(profile.word in LABEL and profile.values for profile in others):
        return None, (), ""  # the same for all images, as in a sample submission
    flags = [profile for profile in others if profile.filled and profile.binary == profile.filled and profile.word not in DESCRIPTIONS]
    if len(flags) > 1:
        sums = _sums_of_rows(table, [profile.name for profile in flags])
        if sums == {1} or chosen.get("multi_label") == "combine":
            return None, tuple(profile.name for profile in flags), ""
        if len(flags) > 2 or max(sums) > 1:
            names = listed([profile.name for profile in flags])
            several = (
                "several are 1 for one image (ingest.multi_label: combine makes each combination a class)"
                if max(sums) > 1
                else ("none is 1 for some images")
            )
            return None, (), f"its columns {names} have 0 and 1, as for one class each, but {several}"
    signs = [profile for profile in others if profile.filled and profile.signs == profile.filled and profile not in flags]
    if len(signs) > 2:
        return (
            None,
            (),
            f"its columns {listed([profile.name for profile in signs])} say yes or no of each image: several labels for one image",
        )
    return _weak_label(others, path)


def _weak_label(others: Sequence[Profile], path: Profile) -> tuple[str | None, tuple[str, ...], str]:
    """The only column that may have classes; else why it cannot be told."""
    weak = [profile for profile in others if _may_be_label(profile, len(path.images))]
    if len(weak) == 1 and weak[0].word not in DESCRIPTIONS:
        return weak[0].name, (), ""
    if weak:
        return None, (), f"its labels may be in {listed([profile.name for profile in weak])}"
    varying = [
        profile for profile in others if len(profile.values) > 1 and profile.word not in DESCRIPTIONS and profile.word not in BOX_COLUMNS
    ]
    fractions = [profile for profile in varying if profile.fractions]
    if fractions:
        return (
            None,
            (),
            f"{listed([profile.name for profile in fractions])} have numbers with fractions, such as {min(fractions[0].values)}, which are no classes",
        )
    texts = [profile for profile in varying if not profile.images and profile.numbers < profile.filled]
    if texts:
        return None, (), f"{listed([profile.name for profile in texts])} has nearly as many different values as images"
    return None, (), ""


def _sums_of_rows(table: Table, flags: Sequence[str]) -> set[int]:
    """The sums of columns of 0 and 1 over the rows that have all of them."""
    places = [table.columns.index(name) for name in flags]
    return {
        sum(int(float(cells[place])) for place in places) for _, cells in table.rows() if all(str(cells[place]).strip() for place in places)
    }


def _may_be_label(profile: Profile, images: int) -> bool:
    """Whether a column may have classes: words or numbers, each of several images. Columns that describe images may if they have a few words."""
    if profile.word in BOX_COLUMNS or profile.fractions or not 2 <= len(profile.values) <= min(MOST_CLASSES, images / 2):
        return False
    return profile.word not in DESCRIPTIONS or (profile.numbers == 0 and len(profile.values) <= MOST_WORDS)


def _one_of(table: Table, named: Sequence[Profile]) -> tuple[str | None, tuple[str, ...], str]:
    """The first of columns that are called as labels are, if the others say the same in other words; else why it cannot be told."""
    first = named[0]
    places = {name: i for i, name in enumerate(table.columns)}
    for other in named[1:]:
        pairs = {(str(cells[places[first.name]]), str(cells[places[other.name]])) for _, cells in table.rows()}
        if len(pairs) != len({one for one, _ in pairs}) or len(pairs) != len({two for _, two in pairs}):
            return None, (), f"its labels may be in {listed([profile.name for profile in named])}, which differ"
    return first.name, (), ""


def refuse_unknown_columns(tables: Sequence[Understood], chosen: Mapping[str, str]) -> None:
    """Raise SourceError if no table has a column that `ingest.columns` names."""
    for role, name in ((role, name) for role, name in chosen.items() if role != "multi_label"):
        if not any(name in understood.profiles for understood in tables):
            found = "; ".join(f"{understood.table.path}: {', '.join(understood.profiles)}" for understood in tables) or "no table"
            raise SourceError(f"ingest.columns.{role}: no table of the source has a column {name}. Found {found}.")
