"""Which column of a table has the labels: one that is called so, one-hot columns, or the only one that may."""

from collections.abc import Mapping, Sequence

from pipeline.tables.cells import LABEL
from pipeline.tables.profiles import BOX_COLUMNS, DESCRIPTIONS, Profile
from pipeline.tables.table import Table
from pipeline.two_readings import listed

MOST_CLASSES = 5000
MOST_WORDS = 20
UNNAMED = "column "  # the names of columns of a table without a header


def label_columns(
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
            names = listed([profile.called for profile in flags])
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
            f"its columns {listed([profile.called for profile in signs])} say yes or no of each image: several labels for one image",
        )
    return _weak_label(others, path)


def _weak_label(others: Sequence[Profile], path: Profile) -> tuple[str | None, tuple[str, ...], str]:
    """The only column that may have classes; else why it cannot be told."""
    weak = [profile for profile in others if _may_be_label(profile, len(path.images))]
    words = [profile for profile in weak if not profile.numbers]
    if len(words) == 1 and all(profile.name.startswith(UNNAMED) for profile in weak):
        weak = words  # the numbers are a box, as in tiny-imagenet's val_annotations.txt
    if len(weak) == 1 and weak[0].word not in DESCRIPTIONS:
        return weak[0].name, (), ""
    if weak:
        return None, (), f"its labels may be in {listed([profile.called for profile in weak])}"
    varying = [
        profile for profile in others if len(profile.values) > 1 and profile.word not in DESCRIPTIONS and profile.word not in BOX_COLUMNS
    ]
    fractions = [profile for profile in varying if profile.fractions and profile.numbers == profile.filled]
    if fractions:
        have = "has" if len(fractions) == 1 else "have"
        example = min(value for value in fractions[0].values if not float(value).is_integer())
        return (
            None,
            (),
            f"{listed([profile.called for profile in fractions])} {have} numbers with fractions, such as {example}, which are no classes",
        )
    texts = [profile for profile in varying if not profile.images and profile.numbers < profile.filled]
    if texts:
        have = "has" if len(texts) == 1 else "have"
        return None, (), f"{listed([profile.called for profile in texts])} {have} nearly as many different values as images"
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
            return None, (), f"its labels may be in {listed([profile.called for profile in named])}, which differ"
    return first.name, (), ""
