"""Class folders: which folders are classes, splits, or wrap the rest. From the names of the folders and their relations alone.

A layout that can be read in two ways is an error with both. Files are not looked at; see records.py for what becomes of them.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from pipeline.folders.doubtful_names import has_word, why_no_classes, why_not_beside
from pipeline.folders.doubts import (
    refuse_class_and_split_in_one_name,
    refuse_copies,
    refuse_crossed,
    refuse_folders_of_other_things,
    refuse_inner_sets,
    refuse_repeated_splits,
    refuse_second_folders,
    refuse_versions,
    refuse_without_train,
    refuse_wrapper_or_class,
)
from pipeline.folders.places import FolderPlan, Place, folders_of, lost_classes, unseen_class
from pipeline.folders.relations import few, innermost, same_split, splits_below, with_evaluation
from pipeline.folders.tree import Node
from pipeline.images.format_marks import Format
from pipeline.listing.listing import Folders
from pipeline.listing.split_words import SplitName, split_in_name, split_of_name, words_of
from pipeline.two_readings import classes, listed, two_readings
from pipeline.ways_out import Value, Way, exactly, undecided

IF_A_CLASS = 'If it is a class, set ingest.class_from: "{class}/*", or rename it'
WHERE_CLASSES_STAND = (
    "say where the class stands: in a table with ingest.columns, or in the paths with a pattern of ingest.class_from (docs/data.md)"
)


def plan_folders(root: Node, source: Path, class_from: str) -> FolderPlan:
    """What each folder is. `class_from` is auto, first_folder or last_folder.

    Raises NoClassFolders if no class is to be seen in the folders, and SourceError if they can be read in two ways.
    """
    planning = _Planning(source, class_from)
    base = planning.unwrapped(root)
    splits = planning.splits(base)
    if splits is None and class_from == "auto" and (below := splits_below(base)):
        return planning.by_class_then_split(base, below)
    levels = [(splits[child.name], child) for child in base.carriers() if child.name in splits] if splits is not None else [(None, base)]
    return planning.by_classes(base, levels)


class _Planning:
    def __init__(self, source: Path, class_from: str) -> None:
        self.source = source
        self.class_from = class_from
        self.left_out: dict[Folders, tuple[str, str]] = {}

    def unwrapped(self, node: Node) -> Node:
        """The folder in which splits or classes begin: wrapping folders, which hold everything, are skipped."""
        while True:
            carriers = self.without_strays(node)
            if not carriers or node.own > few(node):
                return node
            if len(carriers) > 1:
                if self.class_from == "auto":
                    refuse_wrapper_or_class(self.source, node, carriers)
                return node
            if split_of_name(carriers[0].name) and not same_split(node.name, carriers[0].name):
                return node
            if not carriers[0].carriers():
                return node
            node = carriers[0]

    def without_strays(self, node: Node) -> list[Node]:
        """The sub-folders that matter: not the few pictures in `docs/` or `results/` beside the others, which are left out."""
        carriers = [child for child in node.carriers() if child.parts not in self.left_out]
        strays = [child for child in carriers if has_word(child.name, "strays") and child.total <= few(node)]
        rest = [child for child in carriers if child not in strays]
        if strays and rest:
            for child in strays:
                reason = f"a few pictures beside the classes, in {child.name}/, whose name suggests documents or results. {IF_A_CLASS}"
                self._leave_out(child, "stray", reason)
            return rest
        return carriers

    def splits(self, base: Node) -> dict[str, str] | None:
        """The split of each sub-folder that is one; None if there are no splits. Sub-folders beside splits are left out."""
        carriers = self.without_strays(base)
        named = {child.name: found for child in carriers if (found := split_in_name(child.name))}
        if not named or (self.class_from == "first_folder" and not any(innermost(base.children[name]).carriers() for name in named)):
            return None
        by_rest: defaultdict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
        for name, found in named.items():
            by_rest[found.rest][name] = found.split
        if self.class_from == "auto":
            refuse_class_and_split_in_one_name(self.source, carriers, by_rest)
        _add_bare_train(carriers, by_rest)
        with_train = sorted((rest for rest, members in by_rest.items() if "train" in members.values()), key=len)
        if not with_train:
            deep = [child for child in carriers if len(innermost(child).carriers()) > 1]
            refuse_without_train(
                self.source,
                base,
                carriers,
                {name: found.split for name, found in named.items() if not found.rest or (deep and base.children[name] not in deep)},
                self.class_from,
            )
            return None
        members = with_evaluation(self._with_same_classes(base, by_rest[with_train[0]], named))
        others = [child for child in carriers if child.name not in members]
        if set(members.values()) == {"train"} and others and not self._are_splits(base, members, others):
            return None
        if self.class_from == "auto":
            training = {
                below.name for name, split in members.items() if split == "train" for below in innermost(base.children[name]).carriers()
            }
            refuse_repeated_splits(self.source, members, others, training)
        for child in others:
            unlabelled = not child.carriers() or (not innermost(child).carriers() and _only_wraps(child, innermost(child)))
            reason = "images without a label" if unlabelled else f"outside {listed([f'{name}/' for name in members])}"
            self._leave_out(child, "unlabelled" if unlabelled else "stray", reason)
        return members

    def _with_same_classes(self, base: Node, members: Mapping[str, str], named: Mapping[str, SplitName]) -> dict[str, str]:
        """The splits, with those of other words that hold the same classes: `train_mini` and `val`."""
        found = dict(members)
        training = {
            child.name for name, split in members.items() if split == "train" for child in innermost(base.children[name]).carriers()
        }
        for name, said in named.items():
            inside = {child.name for child in innermost(base.children[name]).carriers()}
            if name not in found and said.split not in found.values() and inside and len(inside & training) * 2 > len(inside):
                found[name] = said.split
        return found

    def _are_splits(self, base: Node, members: Mapping[str, str], others: Sequence[Node]) -> bool:
        """Whether train/ is a split although nothing beside it is one. Raises SourceError if it may as well be a class."""
        train = [base.children[name] for name in members]
        if self.class_from == "first_folder" or not any(len(innermost(child).carriers()) > 1 for child in train):
            return False
        if all(not child.carriers() and has_word(child.name, "unlabelled") for child in others):
            return True
        if self.class_from == "last_folder":
            return True
        inside = {child.name for node in train for child in innermost(node).carriers()}
        raise two_readings(
            self.source,
            f"{listed(members)} has folders of images in it, and {listed([child.name for child in others])} beside it",
            [
                Way(classes(inside), {"ignore": exactly([child.path for child in others])}),
                Way(classes({*members, *(child.name for child in others)}), {"class_from": "first_folder"}),
            ],
        )

    def by_classes(self, base: Node, levels: Sequence[tuple[str | None, Node]]) -> FolderPlan:
        """The plan for class folders, in splits or not."""
        of_training = {child.name for split, node in levels if split == "train" for child in self._class_level(node, None).carriers()}
        inner = [
            (split, node if split is None else self._class_level(node, None if split == "train" else of_training)) for split, node in levels
        ]
        flat = {node.parts: split for split, node in inner if node.own and not self.without_strays(node)}
        with_classes = [(split, node) for split, node in inner if node.parts not in flat]
        self._refuse_lost([node for _, node in with_classes])
        if self.class_from == "auto":
            refuse_copies(self.source, [node for _, node in with_classes])
            refuse_inner_sets(self.source, [node for _, node in with_classes])
            refuse_versions(self.source, [node for _, node in with_classes])
            refuse_crossed(self.source, [node for _, node in with_classes])
        places: dict[Folders, Place] = {}
        for split, node in with_classes:
            for child in self.without_strays(node):
                for folder in child.walk():
                    if folder.own:
                        places[folder.parts] = Place(folder.name if self.class_from == "last_folder" else child.name, split)
            if node.own:
                self.left_out[node.parts] = ("stray", "not in a class folder")
        if base.own and base.parts not in places and base.parts not in flat:
            self.left_out.setdefault(base.parts, ("stray", "not in a class folder"))
        self._check(places, flat)
        return FolderPlan(places, self.left_out, flat=flat)

    def _class_level(self, node: Node, known: set[str] | None) -> Node:
        """The folder in a split that holds the classes: a single folder that only wraps them again is skipped."""
        inner = node
        while not inner.own and len(inner.carriers()) == 1:
            only = inner.carriers()[0]
            if not (only.carriers() or (known is not None and _only_wraps(node, only))) or (known is not None and only.name in known):
                break
            inner = only
        return inner

    def _refuse_lost(self, nodes: Sequence[Node]) -> None:
        """Raise SourceError for a class whose files are all of formats that are not read."""
        formats: defaultdict[str, Counter[Format]] = defaultdict(Counter)
        readable = {child.name for node in nodes for child in node.carriers() if any(folder.images for folder in child.walk())}
        for node in nodes:
            for child in self.without_strays(node):
                formats[child.name] += sum((folder.formats for folder in child.walk()), Counter())
            for child in node.children.values():
                if not child.total and child.all_others > 1 and not (has_word(child.name, "strays") or has_word(child.name, "structure")):
                    formats[child.name] += child.others_below()
        if lost := {name: found for name, found in formats.items() if name not in readable}:
            raise lost_classes(lost, self.source if not readable else None)

    def by_class_then_split(self, base: Node, splits: Mapping[str, str]) -> FolderPlan:
        """The plan for cat/train, cat/test, dog/train, dog/test."""
        places: dict[Folders, Place] = {}
        deeper: set[str] = set()
        outside: set[str] = set()
        for child in base.carriers():
            level = innermost(child)
            for part in level.carriers():
                if part.name not in splits:
                    outside.add(part.name)
                    self._leave_out(part, "stray", f"outside {listed([f'{name}/' for name in splits])}")
                    continue
                deeper |= {below.name for below in part.carriers()}
                for folder in part.walk():
                    places[folder.parts] = Place(child.name, splits[part.name])
            for folder in {child.parts: child, level.parts: level}.values():
                if folder.own:
                    self.left_out[folder.parts] = ("stray", f"outside {listed([f'{name}/' for name in splits])}")
        if len(deeper) > 1:
            above = "".join(f"{part}/" for part in base.parts)
            ignored: dict[str, Value] = {"ignore": [f"*/{name}" for name in exactly(sorted(outside))]} if outside else {}
            raise two_readings(
                self.source,
                f"{listed([child.name for child in base.carriers()])} hold {listed([f'{name}/' for name in splits])}, and these hold {listed(deeper)}",
                [
                    Way(classes([child.name for child in base.carriers()]), {"class_from": f"{above}{{class}}/{{split}}/**", **ignored}),
                    *_without_copies(base),
                    Way(classes(deeper), {"class_from": f"{above}*/{{split}}/{{class}}/*", **ignored}),
                ],
            )
        self._check(places, {})
        return FolderPlan(places, self.left_out)

    def _check(self, places: Mapping[Folders, Place], flat: Mapping[Folders, str | None]) -> None:
        """Raise SourceError if the folders' names are no names of classes, or if a class has no training images."""
        names = {place.label for place in places.values()}
        if self.class_from == "auto" and (why := why_no_classes(names) or why_not_beside(names)) and len(names) > 1:
            raise undecided(
                f"ingest.source: {self.source}: the folders {listed(names)} look like {why}, not like classes.",
                [Way("take them for classes all the same", {"class_from": "first_folder"}), Way(WHERE_CLASSES_STAND)],
            )
        if self.class_from == "auto":
            refuse_folders_of_other_things(self.source, folders_of(places))
            refuse_second_folders(self.source, folders_of(places))
        training = {place.label for place in places.values() if place.split in (None, "train")}
        if training or not flat:
            for place in places.values():
                if place.label not in training:
                    raise unseen_class(place.label, place.split, training, self._without_split(places, training))

    def _without_split(self, places: Mapping[Folders, Place], training: Collection[str]) -> list[Way]:
        """The ways to drop classes without training images, or the splits: to read the folder of such a split by itself."""
        unseen = {parts: place for parts, place in places.items() if place.label not in training}
        ignored = sorted({path for paths in folders_of(unseen).values() for path in paths})
        ways = [Way(f"leave out {listed({place.label for place in unseen.values()})}", {"ignore": exactly(ignored)})]
        above = {parts[: parts.index(place.label)] for parts, place in unseen.items() if place.label in parts}
        if len(above) == 1 and (path := "/".join(min(above))):
            ways.append(Way(f"read {path}/ alone, and have its images split anew", {"source": str(self.source / path)}))
        return ways

    def _leave_out(self, node: Node, finding: str, reason: str) -> None:
        for folder in node.walk():
            if folder.own:
                self.left_out[folder.parts] = (finding, reason)


def _without_copies(base: Node) -> list[Way]:
    """The way to read one of several folders whose names differ in upper and lower case alone, as in sets that were unpacked twice."""
    first, *others = sorted(base.carriers(), key=lambda child: child.name)
    if any(child.name.casefold() != first.name.casefold() for child in others):
        return []
    return [Way(f"{first.name} alone, without the same set again", {"ignore": exactly([child.path for child in others])})]


def _only_wraps(split: Node, only: Node) -> bool:
    """Whether the single folder in a split is no class by its name: `val/images`, `seg_pred/seg_pred`."""
    return has_word(only.name, "structure") or only.name.casefold() == split.name.casefold() or same_split(split.name, only.name)


def _add_bare_train(carriers: Sequence[Node], by_rest: dict[tuple[str, ...], dict[str, str]]) -> None:
    """Where `rps-test-set` and `rps-validation` have no train beside them, `rps` is it, if it holds folders as they do."""
    for rest, members in by_rest.items():
        bare = [child for child in carriers if rest and words_of(child.name) == rest and innermost(child).carriers()]
        if len(bare) == 1 and "train" not in members.values():
            members[bare[0].name] = "train"
