"""Series of one sample, such as layers, channels or frames, by the names of the files in class folders, or by folders in a table's paths."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from pipeline.errors import SourceError
from pipeline.folders.doubtful_names import has_date, word_lists
from pipeline.folders.path_patterns import path_pattern
from pipeline.folders.places import FolderPlan, Place
from pipeline.listing.listing import Listing
from pipeline.listing.records import LeftOut
from pipeline.listing.split_words import words_of
from pipeline.quality.class_names import are_codes
from pipeline.quality.kinds import counted
from pipeline.two_readings import listed

LAST_PART = re.compile(r"(?P<stem>.*\d.*)(?P<sign>[_ .-])(?P<last>[^_ .-]+)", re.DOTALL)
LEAST_SERIES = 3  # in a class
IN_SERIES = 0.8  # of all images
MOST_TRIED = 200  # images of a folder
PATTERNS = ("{{class}}/{{group}}{sign}*{ending}", "{{split}}/{{class}}/{{group}}{sign}*{ending}")


def series_in(listing: Listing, plan: FolderPlan) -> LeftOut | None:
    """A note if most images of most classes are of several series, whose images have names that differ in the last part alone: `sample0_z00.tif`."""
    series: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    signs: Counter[str] = Counter()
    example, total = "", 0
    for parts, place in plan.places.items():
        folder = listing.folders.get(parts)
        for name in folder.names if folder else []:
            total += 1
            found = LAST_PART.fullmatch(name.rpartition(".")[0])
            if found:
                series[found["sign"], place.label]["/".join((*parts, found["stem"]))] += 1
                signs[found["sign"]] += 1
                example = example or "/".join((*parts, name))
        if total > 1000 and signs.total() < IN_SERIES * total:
            return None
    sign = signs.most_common(1)[0][0] if signs else ""
    several = {
        label: {stem: count for stem, count in stems.items() if count > 1 and not has_date(stem.rpartition("/")[2])}
        for (own, label), stems in series.items()
        if own == sign
    }
    inside = sum(sum(stems.values()) for stems in several.values())
    if not inside or inside < IN_SERIES * total:
        return None
    if 2 * sum(len(stems) >= LEAST_SERIES for stems in several.values()) <= len(plan.class_names()):
        return None
    stem, count = max(((stem, count) for stems in several.values() for stem, count in stems.items()), key=lambda one: (one[1], one[0]))
    pattern = _pattern(listing, plan, sign)
    advice = (
        f"To keep each series together, set ingest.class_from: {json.dumps(pattern, ensure_ascii=False)}"
        if pattern
        else "To keep each series together, name it in a table, in a column group"
    )
    return LeftOut(
        example,
        "series",
        f"by their names, {counted(inside, 'image', 'images')} are of {counted(sum(map(len, several.values())), 'series', 'series')}, such as the "
        f"{count:,} of {stem}: images of one series may be in train and in test. {advice}",
    )


def persons_in_paths(files: Mapping[str, Place], tables: Sequence[str]) -> LeftOut | None:
    """A note if the images that tables label lie in folders of persons or the like, `patient00003`, that no column names: the first level of such."""
    folders = [tuple(path.split("/")[:-1]) for path in files]
    for level in range(max(map(len, folders), default=0)):
        images: Counter[str] = Counter(parts[level] for parts in folders if len(parts) > level)
        labels: defaultdict[str, set[str]] = defaultdict(set)
        for parts, place in zip(folders, files.values(), strict=True):
            if len(parts) > level:
                labels[parts[level]].add(place.label)
        are_classes = len(set().union(*labels.values())) == len(images) and all(len(found) == 1 for found in labels.values())
        if (
            len(images) < LEAST_SERIES
            or images.total() < IN_SERIES * len(files)
            or not are_codes(images)
            or _are_parts(images)
            or are_classes
        ):
            continue
        name, count = max(images.items(), key=lambda one: (one[1], one[0]))
        if count > 1:
            return LeftOut(
                next(path for path in sorted(files) if name in path.split("/")),
                "series",
                f"by their folders, {counted(images.total(), 'image is', 'images are')} of {len(images):,} persons or the like, such as the {count:,} of "
                f"{name}: images of one may be in train and in test. To keep them together, write {name} and so on into a column group of "
                f"{listed(tables)}",
            )
    return None


def _are_parts(names: Iterable[str]) -> bool:
    """Whether folders are parts of one set by their words, such as images_001 and part2, or are called by several words."""
    words = {tuple(word for word in words_of(name) if not word.isdigit()) for name in names}
    lists = word_lists()
    return len(words) > 1 or any(
        not parts or set(parts) & (lists["structure"] | lists["versions"] | lists["no_persons"]) for parts in words
    )


def _pattern(listing: Listing, plan: FolderPlan, sign: str) -> str:
    """The pattern of `ingest.class_from` that gives the classes and splits of the folders, and a group to each image; empty if there is none.

    It is tried on some images of each folder.
    """
    endings = {name.rpartition(".")[2] for parts in plan.places if parts in listing.folders for name in listing.folders[parts].names}
    ending = "" if sign != "." else f".{endings.pop()}" if len(endings) == 1 else ".*"
    for form in PATTERNS:
        text = form.format(sign=sign, ending=ending)
        if _is_as_planned(listing, plan, text):
            return text
    return ""


def _is_as_planned(listing: Listing, plan: FolderPlan, text: str) -> bool:
    pattern = path_pattern(text)
    for parts, planned in plan.places.items():
        folder = listing.folders.get(parts)
        for name in folder.names[:: max(1, len(folder.names) // MOST_TRIED)] if folder else []:
            try:
                place = pattern.place("/".join((*parts, name)))
            except SourceError:
                return False
            if place is None or place.group is None or (place.label, place.split) != (planned.label, planned.split):
                return False
    return True
