"""Folders that can be read in two ways: each doubt is an error that shows both, with the parameters that choose."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from pipeline.errors import SourceError
from pipeline.folders.doubtful_names import has_date, has_word, says_nothing, why_no_classes, without_date, word_lists
from pipeline.folders.path_patterns import path_pattern
from pipeline.folders.relations import few, innermost
from pipeline.folders.tree import Node
from pipeline.listing.listing import Folders
from pipeline.listing.split_words import WORDS, split_in_name, split_of_name, words_of
from pipeline.quality.class_names import are_codes
from pipeline.two_readings import classes, listed, two_readings
from pipeline.ways_out import Undecided, Way, exactly, undecided

SIGNS = "_-. "  # between class and split
NUMBERED_PART = re.compile(r"(?P<word>[^\W\d_]+)\d+(?P<sign>[_ .-])(?P<rest>\D*[^\W\d_])")  # study1_positive
MOST_VERSIONS = 3  # shown by themselves
VERSIONS = ("v", "ver", "version", "rev")


def refuse_wrapper_or_class(source: Path, node: Node, carriers: Sequence[Node]) -> None:
    """Raise SourceError if one folder seems to wrap the classes, and the others hold a few pictures: strays, or small classes."""
    deep = [child for child in carriers if len(child.carriers()) > 1 and not child.own]
    others = [child for child in carriers if child not in deep]
    if len(deep) != 1 or any(child.carriers() or split_in_name(child.name) for child in others):
        return
    pictures = sum(child.total for child in others)
    if pictures <= min(few(node), deep[0].total / 2) and not split_in_name(deep[0].name):
        raise two_readings(
            source,
            f"{deep[0].path}/ has folders of images in it, and {listed([child.name for child in others])} beside it {pictures} pictures",
            [
                Way(classes({child.name for child in deep[0].carriers()}), {"ignore": exactly([child.path for child in others])}),
                Way(classes({child.name for child in carriers}), {"class_from": "first_folder"}),
            ],
        )


def refuse_class_and_split_in_one_name(
    source: Path, carriers: Sequence[Node], by_rest: Mapping[tuple[str, ...], Mapping[str, str]]
) -> None:
    """Raise SourceError for folders such as cat_train, cat_test, dog_train and dog_test."""
    several = [rest for rest, members in by_rest.items() if rest and len(set(members.values())) > 1]
    if len(several) > 1:
        names = [" ".join(rest) for rest in several]
        raise two_readings(
            source,
            f"its folders are called {listed([child.name for child in carriers])}",
            [
                _class_and_split(carriers, by_rest, names),
                Way(classes({child.name for child in carriers}), {"class_from": "first_folder"}),
            ],
        )


def _class_and_split(carriers: Sequence[Node], by_rest: Mapping[tuple[str, ...], Mapping[str, str]], names: Sequence[str]) -> Way:
    """The pattern that takes apart the names of folders such as cat_train, or else where to move their images."""
    what = f"classes and splits in one name, {listed(names)}"
    members = {name: (rest, split) for rest, of_class in by_rest.items() if rest for name, split in of_class.items()}
    inside = "**" if any(child.carriers() for child in carriers) else "*"
    for sign in SIGNS:
        for form in (f"{{class}}{sign}{{split}}/{inside}", f"{{split}}{sign}{{class}}/{inside}"):
            if all(_is_told(form, name) for name in members):
                return Way(what, {"class_from": form})
    name, (rest, split) = min(members.items())
    return Way(f"{what}, if the images of each folder are moved, such as those of {name}/ into {split}/{'_'.join(rest)}/")


def _is_told(pattern: str, folder: str) -> bool:
    """Whether a pattern tells a class and a split from the name of a folder."""
    try:
        return path_pattern(pattern).place(f"{folder}/image") is not None
    except SourceError:
        return False


def refuse_without_train(source: Path, base: Node, carriers: Sequence[Node], splits: Mapping[str, str], class_from: str) -> None:
    """Raise SourceError for folders called test and val where no folder is called train."""
    if not splits or (class_from != "auto" and len(splits) < len(carriers)):
        return
    inside = base.path or "it"
    if len(splits) == len(carriers):
        if class_from != "auto" and not all(child.carriers() for child in carriers):
            return
        raise undecided(
            f"ingest.source: {'/'.join((str(source), *base.parts))} has {listed([f'{name}/' for name in splits])}, but no train/.",
            [
                Way("add train/ with the training images"),
                Way(f"move the class folders out of {min(splits)}/ to have them split by ingest.test_fraction"),
                Way(f"take {min(splits)} for a class", {"class_from": "first_folder"}),
            ],
        )
    others = [child.name for child in carriers if child.name not in splits]
    raise two_readings(
        source,
        f"{inside} has {listed([f'{name}/' for name in splits])} beside {listed(others)}, and no train/",
        [
            Way(
                f"{listed(others)} without {listed(splits)}",
                {"ignore": exactly(["/".join((*base.parts, name)) for name in splits])},
                "or move the other folders into train/",
            ),
            Way(classes([child.name for child in carriers]), {"class_from": "first_folder"}),
        ],
    )


def refuse_copies(source: Path, nodes: Sequence[Node]) -> None:
    """Raise SourceError for a folder beside the classes that holds folders with the names of all others, as in a set that was copied into itself."""
    for node in nodes:
        names = {child.name for child in node.carriers()}
        for child in node.carriers():
            inside = {grandchild.name for grandchild in innermost(child).carriers()}
            others = names - {child.name}
            if len(others) > 1 and len(inside & others) > 1:
                raise two_readings(
                    source,
                    f"{child.path}/ holds folders with the names of those beside it, {listed(inside & others)}, as if it repeated them",
                    [
                        Way(f"{classes(others)}, without {child.name}", {"ignore": exactly([child.path])}),
                        Way(f"{classes(names)}", {"class_from": "first_folder"}),
                    ],
                )


def refuse_crossed(source: Path, nodes: Sequence[Node]) -> None:
    """Raise SourceError if folders below the first ones may be the classes as well.

    They may if most first ones hold folders of the same names (persons, versions or sites above the classes), or if each holds several of its own
    (families above species). Numbers, dates and parts are no classes.
    """
    below: dict[str, set[str]] = {}
    for node in nodes:
        for child in node.carriers():
            inside = {folder.name for folder in child.walk() if folder is not child and folder.own}
            inside |= {grandchild.name for grandchild in innermost(child).carriers()}
            inside = {name for name in inside if name.casefold() != child.name.casefold()}  # cat/cat/1.jpg
            below[child.name] = below.get(child.name, set()) | inside
    parted = {name: inside for name, inside in below.items() if inside}
    counts = Counter(name for inside in parted.values() for name in inside)
    shared = {name for name, count in counts.items() if count >= max(2, len(parted) / 2)}
    if len(parted) < 2:
        return
    example = next(
        folder.path for node in nodes for child in node.carriers() for folder in child.walk() if folder is not child and folder.own
    )
    if len(shared) > 1 and not why_no_classes(shared):
        seen = f"{listed(parted)} hold folders of the same names, {listed(shared)}, as in {example}/"
    elif all(not child.own for node in nodes for child in node.carriers()) and len(counts) > 1 and not why_no_classes(counts):
        seen = f"each of {listed(parted)} holds folders of its own, {listed(counts)}, as in {example}/"
    else:
        return
    ways = [Way(classes(below), {"class_from": "first_folder"})]
    if _depths(nodes) == {1}:
        ways.append(
            Way(f"{classes(below)}, where the images of one folder below stay together in one split", {"class_from": "{class}/{group}/*"})
        )
    raise two_readings(source, seen, [*ways, *_by_last_folder(nodes, is_of_families=len(shared) < 2 or bool(why_no_classes(shared)))])


def _by_last_folder(nodes: Sequence[Node], *, is_of_families: bool) -> Iterator[Way]:
    """The ways to take folders below the first ones for the classes, but for those that would make classes of parts or versions."""
    lasts = [folder for node in nodes for child in node.carriers() for folder in child.walk() if folder.own]
    names = {folder.name for folder in lasts}
    above = {folder.parts[-2] for folder in lasts if len(folder.parts) > 1}
    together = "where the images of one folder above stay together in one split"
    if is_of_families and _depths(nodes) > {2} and (start := _start_of_pattern(nodes)) is not None:
        second = {folder.name for node in nodes for child in node.carriers() for folder in child.carriers()}
        yield Way(f"{classes(second)}, of the second folder", {"class_from": f"{start}*/{{class}}/**"})
    if any(has_word(name, "structure") or has_word(name, "versions_below") for name in names) or _are_called_after_classes(nodes):
        return
    parted = [NUMBERED_PART.fullmatch(name) for name in names]
    if len(names) > 1 and all(parted) and len({(found["word"], found["sign"]) for found in parted if found}) == 1:
        found = next(found for found in parted if found)
        told = {found["rest"] for found in parted if found}
        pattern = f"{found['word']}*{found['sign']}{{class}}/*"
        if are_codes(above):
            yield Way(f"{classes(told)}, {together}", {"class_from": f"{{group}}/{pattern}"})
        else:
            yield Way(classes(told), {"class_from": pattern})
        return
    places: defaultdict[str, set[Folders]] = defaultdict(set)
    for node in nodes:
        for child in node.carriers():
            for folder in child.walk():
                if folder.own:
                    places[folder.name].add(folder.parts[len(node.parts) :])
    merged = next(
        (
            f"{name} is then one class of {listed(['/'.join(path) for path in paths], 2)}"
            for name, paths in sorted(places.items())
            if len(paths) > 1
        ),
        "",
    )
    remark = f"; {merged}" if is_of_families and merged else ""
    yield Way(f"{classes(names)}, without regard to the folders above{remark}", {"class_from": "last_folder"})
    has_numbers = any(sign.isdigit() for name in names for sign in name)  # sizes and zooms below patients
    if _depths(nodes) == {1} or (are_codes(above) and not has_numbers):
        yield Way(f"{classes(names)}, {together}", {"class_from": "{group}/{class}/*"})


def _are_called_after_classes(nodes: Sequence[Node]) -> bool:
    """Whether folders below are numbered and called after those above: running/v_running_g00, so that they are parts of these."""
    pairs = [
        (child, folder) for node in nodes for child in node.carriers() for folder in child.walk() if folder.own and folder is not child
    ]
    return all(
        set(words_of(child.name)) <= set(words_of(folder.name)) and any(sign.isdigit() for sign in folder.name) for child, folder in pairs
    )


def _depths(nodes: Sequence[Node]) -> set[int]:
    """How far below the first folders the images are."""
    return {len(folder.parts) - len(child.parts) for node in nodes for child in node.carriers() for folder in child.walk() if folder.own}


def _start_of_pattern(nodes: Sequence[Node]) -> str | None:
    """How a pattern begins that goes from the source to these folders, with {split} where they differ; None if there is no such beginning."""
    parts = list(nodes[0].parts)
    if any(set("*?{}") & set(part) for node in nodes for part in node.parts) or len({len(node.parts) for node in nodes}) > 1:
        return None
    for i, names in enumerate(zip(*(node.parts for node in nodes), strict=True)):
        if len({*names}) > 1:
            if "{split}" in parts or not all(map(split_of_name, names)):
                return None
            parts[i] = "{split}"
    return "".join(f"{part}/" for part in parts)


def refuse_versions(source: Path, nodes: Sequence[Node]) -> None:
    """Raise SourceError for folders below the classes, beside their images, that are called after versions of these: `thumbs`, `cropped`."""
    below: defaultdict[str, list[Node]] = defaultdict(list)
    labels, with_others = {child.name for node in nodes for child in node.carriers()}, False
    for node in nodes:
        for child in node.carriers():
            inside = [folder for folder in child.walk() if folder.own]
            versions = [folder for folder in inside if folder is not child and _version_in(folder, child)]
            names = {_version_in(folder, child) for folder in versions}
            if len(names) > 1 or 0 < len(versions) < len(inside):
                with_others |= len(versions) < len(inside)
                for folder in versions:
                    below[_version_in(folder, child)].append(folder)
    if below:
        example = next(iter(below.values()))[0]
        raise versions_below(source, labels, list(below), example.path, with_others=with_others)


def _version_in(folder: Node, label: Node) -> str:
    """The folder between that of the class and this one that is called after a version; empty if none is."""
    return next((part for part in folder.parts[len(label.parts) :] if has_word(part, "versions_below")), "")


def versions_below(source: Path, labels: Collection[str], names: Collection[str], example: str, *, with_others: bool) -> Undecided:
    """The error for folders below those of the classes that hold other versions of the same pictures. `with_others`: beside images in no such folder."""
    ways = []
    if with_others:
        ways.append(Way(f"{classes(labels)}, without {listed(names)}", {"ignore": [f"*/{name}" for name in exactly(sorted(names))]}))
    elif len(names) > 1:
        for name in sorted(names)[:MOST_VERSIONS]:
            others = [f"*/{other}" for other in exactly(sorted({*names} - {name}))]
            ways.append(Way(f"{classes(labels)}, of the images in {name} alone", {"ignore": others}))
    everything = Way(
        f"all images for {classes(labels)}, so that two versions of a picture may be in train and in test", {"class_from": "first_folder"}
    )
    return two_readings(
        source,
        f"the folders of the classes hold {listed([f'{name}/' for name in names])}, as in {example}/, perhaps other versions of the same pictures",
        [*ways, everything],
    )


def refuse_folders_of_other_things(source: Path, folders: Mapping[str, Sequence[str]]) -> None:
    """Raise SourceError if a few folders are called `images`, `unlabeled` or `to delete`, unlike the classes beside them. folders: paths by class."""
    names = folders.keys()
    odd = {name for name in names if says_nothing(name, names)}
    if odd and len(names) > 1:
        raise two_readings(
            source,
            f"{listed(odd)} beside {listed(names - odd)} can hold images of no class of its own",
            [
                Way(f"{listed(names - odd)} without {listed(odd)}", {"ignore": exactly(_paths(folders, odd))}),
                Way(classes(names), {"class_from": "first_folder"}),
            ],
        )


def refuse_inner_sets(source: Path, nodes: Sequence[Node]) -> None:
    """Raise SourceError for a folder beside the classes that holds splits: another data set."""
    for node in nodes:
        children = node.carriers()
        sets = [child for child in children if _holds_splits(child)]
        if sets and len(sets) < len(children):
            others = [child.name for child in children if child not in sets]
            raise two_readings(
                source,
                f"{listed([child.path for child in sets])} holds folders of splits, {listed([below.name for below in innermost(sets[0]).carriers()])}, "
                f"unlike {listed(others)} beside it",
                [
                    Way(f"{listed(others)} without it", {"ignore": exactly([child.path for child in sets])}),
                    Way("only that data set", {"source": str(source / sets[0].path)}),
                ],
            )


def _holds_splits(folder: Node) -> bool:
    splits = {found.split if (found := split_in_name(below.name)) else None for below in innermost(folder).carriers()}
    return len(splits) > 1 and None not in splits


def refuse_repeated_splits(source: Path, members: Collection[str], others: Sequence[Node], training: Collection[str]) -> None:
    """Raise SourceError for folders beside the splits that hold splits, or the classes, again: `train_old`, a set copied into itself."""
    for child in others:
        inside = {below.name for below in innermost(child).carriers()}
        again = {name for name in inside if name in training or split_of_name(name)}
        if len(again) * 2 > len(inside) > 0:
            raise undecided(
                f"ingest.source: {source}: {child.path}/ beside {listed(members)} holds folders of the same kind again, "
                f"{listed(again)}: a copy, or more images.",
                [Way("leave it out", {"ignore": exactly([child.path])}), Way("move its images into the folders of the splits")],
            )


def _paths(folders: Mapping[str, Sequence[str]], names: Collection[str]) -> list[str]:
    """The folders of classes, to be ignored."""
    return sorted({path for name in names for path in folders[name]})


def refuse_second_folders(source: Path, folders: Mapping[str, Sequence[str]]) -> None:
    """Raise SourceError for folders that may be more images of one class.

    `cat` and `cat_test`, `cat copy`, `cat (1)`, `cat_old`, `cat_v2`; `cat_2024-05-01` and `cat_2024-05-02`. folders: paths by class.
    """
    names = folders.keys()
    firsts = {words_of(name): name for name in names}
    seconds = {name: firsts[bare] for name in names if (bare := _without_marks(name)) != words_of(name) and bare in firsts}
    if seconds:
        second, first = min(seconds.items())
        raise two_readings(
            source,
            f"{second} may be a class of its own, or more images of {first}, for a test or as a copy",
            [
                Way(
                    f"{listed(names - seconds.keys())} without {listed(seconds)}",
                    {"ignore": exactly(_paths(folders, seconds))},
                    f"or move its images into {first}/, or into a folder of the split"
                    if len(seconds) == 1
                    else "or move the images of each into the folder of its class, or of the split",
                ),
                Way(classes(names), {"class_from": "first_folder"}),
            ],
        )
    dated = Counter(without_date(name) for name in names if has_date(name) and without_date(name))
    if dated and max(dated.values()) > 1:
        base = dated.most_common(1)[0][0]
        example = min(name for name in names if has_date(name) and without_date(name) == base)
        sign = example[len(base)] if example.startswith(base) else ""
        raise two_readings(
            source,
            f"{listed([name for name in names if without_date(name) == base])} may be one class on several dates",
            [
                Way(
                    classes(dated),
                    {"class_from": f"{{class}}{sign}*/*"},
                )
                if sign
                else Way(f"{classes(dated)}, by moving the images of each into one folder"),
                Way(classes(names), {"class_from": "first_folder"}),
            ],
        )


def _without_marks(name: str) -> tuple[str, ...]:
    """The words of a name without words of splits and copies; without a number in brackets, a version, a year or `old` and the like at its end."""
    bare = re.sub(r" ?\(\d+\)$", "", name)
    words = tuple(word for word in words_of(bare) if word not in WORDS and word not in word_lists()["again"])
    if len(words) > 2 and words[-2] in VERSIONS and words[-1].isdigit():
        return words[:-2]
    is_mark = len(words) > 1 and (words[-1] in word_lists()["again_at_end"] or re.fullmatch(r"(19|20)\d\d", words[-1]))
    return words[:-1] if is_mark else words
