"""Which column of a table has the labels: one that is called so, one-hot columns, or the only one that may and that something speaks for."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from pipeline.tables.cells import LABEL, numeric_order
from pipeline.tables.profiles import BOX_COLUMNS, DESCRIPTIONS, Profile, asks, mark_of, says_class, without_number
from pipeline.tables.table import Table
from pipeline.two_readings import LONGEST, listed

SEVERAL_ONES = "several are 1 for one image"
UNSURE = "says neither yes nor no"
MOST_CLASSES = 5000
MOST_WORDS = 20
UNNAMED = "column "  # the names of columns of a table without a header


BARE = ("id", "y")  # names of classes if nothing else is said: Image,Id of Kaggle's whales
MADE_UP = ("value", "key")  # what JSON without names of its own is called here


class Found(NamedTuple):
    """The column of the labels, or one-hot columns, or why it cannot be told, with the columns that may have them."""

    label: str | None = None
    one_hot: tuple[str, ...] = ()
    why: str = ""
    candidates: tuple[str, ...] = ()


def label_columns(
    table: Table, others: Sequence[Profile], path: Profile, chosen: Mapping[str, str], folders: Collection[str] = ()
) -> Found:
    """Which columns of a table have the labels. `folders`: the names of all folders of the source."""
    if "label" in chosen:
        label = next((profile for profile in others if profile.name == chosen["label"]), None)
        return Found(why=_of_objects(label)) if label and label.is_of_objects else Found(label.name if label else None)
    named = [profile for profile in others if profile.word in LABEL and (len(profile.values) > 1 or profile.lists or profile.is_of_objects)]
    if objects := [profile for profile in named if profile.is_of_objects]:
        return Found(why=_of_objects(objects[0]))
    if named:
        return _one_of(table, sorted(named, key=lambda profile: LABEL.index(profile.word)), others)
    if any(profile.word in LABEL and profile.values for profile in others):
        return Found()  # the same for all images, as in a sample submission
    return _flag_columns(table, others, chosen) or _weak_label(table, others, path, folders)


def _flag_columns(table: Table, others: Sequence[Profile], chosen: Mapping[str, str]) -> Found | None:
    """One-hot columns, of 0 and 1 or of marks, or why they are not; None if there are no several."""
    flags = [profile for profile in others if profile.is_of_marks and profile.word not in DESCRIPTIONS]
    unsure = [profile for profile in others if profile.is_of_unsure_marks and profile.word not in DESCRIPTIONS]
    names, marked = [profile.name for profile in flags], [profile for profile in others if profile in flags or profile in unsure]
    if len(flags) > 1:
        sums, in_others = _sums_of_rows(table, names, [profile.name for profile in unsure])
        if chosen.get("multi_label") == "combine":
            return Found(one_hot=tuple(profile.name for profile in marked))
        if in_others:
            return _unsure(marked)
        has_class = any(says_class(profile.name) and profile not in flags and len(profile.values) > 1 for profile in others)
        are_numbers = all(profile.binary == profile.filled for profile in flags)
        are_signs = len(flags) > 2 or all(len(profile.values) == 1 for profile in flags)  # two of yes and no may describe the picture
        if sums == {1} and (are_numbers or (are_signs and not has_class)):
            return Found(one_hot=tuple(names))
        if (are_numbers or not has_class) and (len(flags) > 2 or max(sums, default=0) > 1):
            called = listed([profile.called for profile in flags])
            several = SEVERAL_ONES if max(sums, default=0) > 1 else "none is 1 for some images"
            return _in_doubt(f"its columns {called} have {_marks_of(flags)}, as for one class each, but {several}", flags)
    signs = [profile for profile in others if profile.filled and profile.signs == profile.filled and profile not in flags]
    if len(signs) > 2:
        called = listed([profile.called for profile in signs])
        return _in_doubt(f"its columns {called} say yes or no of each image: several labels for one image", signs)
    if len(unsure) + len(flags) > 2 and unsure and len(flags) < 2:
        if chosen.get("multi_label") == "combine":
            return Found(one_hot=tuple(profile.name for profile in marked))
        return _unsure(marked)
    return None


def _unsure(columns: Sequence[Profile]) -> Found:
    """The doubt about columns as of one class each, some of which have -1, ? or the like."""
    sign = min(value for profile in columns for value in profile.values if mark_of(value) is None)
    called = listed([profile.called for profile in columns])
    return _in_doubt(f"its columns {called} have 1 as for one class each, but also {sign}, which {UNSURE}", columns)


def _marks_of(flags: Sequence[Profile]) -> str:
    """The marks in columns, for people: 0 and 1, or x."""
    marks = {value for profile in flags for value in profile.values}
    return "0 and 1" if all(profile.binary == profile.filled for profile in flags) else listed(marks)


def _of_objects(profile: Profile) -> str:
    """Why a column of objects has no classes."""
    example = profile.objects or " and ".join(sorted(profile.keys))
    return f"{profile.name} has objects of {'several values' if profile.objects else 'different keys'}, such as {example[:LONGEST]}, which are no classes"


def _columns(profiles: Sequence[Profile]) -> str:
    """Columns for a message: the column mag, or the columns mag and site; those without a name as they are called."""
    named = [profile.called for profile in profiles]
    if any(not profile.name or profile.name.startswith(UNNAMED) for profile in profiles):
        return listed(named)
    return f"the column{'s' if len(named) > 1 else ''} {listed(named)}"


def _in_doubt(why: str, candidates: Sequence[Profile]) -> Found:
    return Found(why=why, candidates=tuple(profile.name for profile in candidates))


def _weak_label(table: Table, others: Sequence[Profile], path: Profile, folders: Collection[str]) -> Found:
    """The only column that may have classes, if something speaks for it; else why it cannot be told."""
    weak = [profile for profile in others if _may_be_label(profile, len(path.images))]
    words = [profile for profile in weak if not profile.numbers]
    if len(words) == 1 and all(profile.name.startswith(UNNAMED) for profile in weak):
        weak = words  # the numbers are a box, as in tiny-imagenet's val_annotations.txt
    if len(weak) == 1 and (several := _numbered_beside(table, weak[0], others)):
        return several
    if len(weak) == 1 and _has_classes(table, weak[0], others, folders):
        return Found(weak[0].name)
    if weak:
        return _in_doubt(f"the labels may be in {_columns(weak)}", weak)
    if objects := [profile for profile in others if profile.is_of_objects and profile.word not in BOX_COLUMNS]:
        return Found(why=_of_objects(objects[0]))
    varying = [
        profile for profile in others if len(profile.values) > 1 and profile.word not in DESCRIPTIONS and profile.word not in BOX_COLUMNS
    ]
    fractions = [profile for profile in varying if profile.fractions and profile.numbers == profile.filled]
    if fractions:
        have = "has" if len(fractions) == 1 else "have"
        example = min(value for value in fractions[0].values if not float(value).is_integer())
        called = listed([profile.called for profile in fractions])
        return Found(why=f"{called} {have} numbers with fractions, such as {example}, which are no classes")
    texts = [profile for profile in varying if not profile.images and profile.numbers < profile.filled]
    if texts:
        have = "has" if len(texts) == 1 else "have"
        return Found(why=f"{listed([profile.called for profile in texts])} {have} nearly as many different values as images")
    return Found()


def _has_classes(table: Table, only: Profile, others: Sequence[Profile], folders: Collection[str]) -> bool:
    """Whether anything speaks for the only column that may have classes: it has no name, or one that says so, or folders are called after its values."""
    if not only.name or only.name.startswith(UNNAMED) or (only.name in MADE_UP and table.name.lower().endswith(".json")):
        return True
    if only.word in DESCRIPTIONS:
        return False
    return (
        only.word in BARE
        or any(map(says_class, (only.name, *only.keys)))
        or (len(others) == 1 and asks(only.name))
        or are_called_so(only.values, folders)
    )


def are_called_so(values: Collection[str], folders: Collection[str]) -> bool:
    """Whether folders have the names of all values; numbers may have zeros before them in the names."""
    if numeric_order(values):
        numbers = {int(name) for name in folders if name.isdecimal()}
        return {int(value) for value in values} <= numbers
    names = {name.casefold() for name in folders}
    return all(value.casefold() in names for value in values)


def _numbered_beside(table: Table, label: Profile, others: Sequence[Profile]) -> Found | None:
    """Why one label cannot be told where columns are called Type1 and Type2, or label and label_2, and say different things."""
    base = without_number(label.name)
    alike = [profile for profile in others if profile.filled and without_number(profile.name) == base]
    if len(alike) < 2 or not any(char.isalpha() for char in base) or label.name.startswith(UNNAMED):
        return None
    if all(_say_the_same(table, label, other) for other in alike if other is not label):
        return None
    return _in_doubt(f"its columns {listed([profile.called for profile in alike])} may have several labels for one image", alike)


def _sums_of_rows(table: Table, flags: Sequence[str], unsure: Sequence[str]) -> tuple[set[int], bool]:
    """(sums of columns of marks over all rows that have any, whether an image has one in the other columns). No mark is 0."""
    places, further = [table.columns.index(name) for name in flags], [table.columns.index(name) for name in unsure]
    sums: set[int] = set()
    for _, cells in table.rows():
        marks = [mark_of(cells[place]) for place in places]
        count = sum(mark == 1 for mark in marks)
        if any(mark_of(cells[place]) == 1 for place in further):
            return sums, True
        if count or any(str(cells[place] if cells[place] is not None else "").strip() for place in places):
            sums.add(count)
    return sums, False


def _may_be_label(profile: Profile, images: int) -> bool:
    """Whether a column may have classes: words or numbers, each of several images. Columns that describe images may if they have a few words."""
    if (
        profile.word in BOX_COLUMNS
        or profile.is_of_objects
        or profile.fractions
        or not 2 <= len(profile.values) <= min(MOST_CLASSES, images / 2)
    ):
        return False
    return profile.word not in DESCRIPTIONS or (profile.numbers == 0 and len(profile.values) <= MOST_WORDS)


def _one_of(table: Table, named: Sequence[Profile], others: Sequence[Profile]) -> Found:
    """The first of columns that are called as labels are, if the others say the same in other words; else why it cannot be told."""
    first = named[0]
    if not all(_say_the_same(table, first, other) for other in named[1:]):
        return _in_doubt(f"the labels may be in {_columns(named)}, which differ", named)
    return _numbered_beside(table, first, others) or Found(first.name)


def _say_the_same(table: Table, one: Profile, other: Profile) -> bool:
    """Whether two columns tell the images apart in the same way."""
    first, second = table.columns.index(one.name), table.columns.index(other.name)
    pairs = {(str(cells[first]), str(cells[second])) for _, cells in table.rows()}
    return len(pairs) == len({one for one, _ in pairs}) == len({two for _, two in pairs})
