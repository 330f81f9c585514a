"""Relations between the names of folders: splits below classes, chains of single folders, copies, persons or versions above classes."""

from collections.abc import Iterable, Mapping

from pipeline.folders.doubtful_names import why_no_classes
from pipeline.folders.tree import Node
from pipeline.listing.split_words import SplitName, split_in_name, words_of

FEW = 5  # pictures: a logo, a figure, examples
FEW_FRACTION = 0.02


def with_evaluation(members: Mapping[str, str]) -> dict[str, str]:
    """The splits, where `evaluation` beside another validation split is the test: Food-11 has training, validation and evaluation."""
    is_evaluation = {name: any(word.startswith("eval") for word in words_of(name)) for name in members}
    has_other = any(split == "validation" and not is_evaluation[name] for name, split in members.items())
    has_test = "test" in members.values()
    return {name: "test" if is_evaluation[name] and has_other and not has_test else split for name, split in members.items()}


def splits_below(base: Node) -> dict[str, str] | None:
    """The split of each folder name below the classes, as in cat/train and cat/test; None if these are no splits."""
    inside = [{part.name for part in innermost(child).carriers()} for child in base.carriers()]
    if len(inside) < 2:
        return None
    named: dict[str, SplitName] = {name: found for names in inside for name in names if (found := split_in_name(name)) and not found.rest}
    with_splits = [
        names for names in inside if {named[name].split for name in names if name in named} >= {"train"} and len(names & named.keys()) > 1
    ]
    return {name: found.split for name, found in named.items()} if len(with_splits) * 2 > len(inside) else None


def innermost(node: Node) -> Node:
    """The folder below a chain of folders that hold one folder each and no pictures."""
    while not node.own and len(node.carriers()) == 1:
        node = node.carriers()[0]
    return node


def are_names(names: Iterable[str]) -> bool:
    """Whether folders may be called after classes: most names have words, and are no dates or parts."""
    names = list(names)
    return not why_no_classes(names) and sum(any(sign.isalpha() for sign in name) for name in names) * 2 > len(names)


def same_split(one: str, other: str) -> bool:
    """Whether two names say the same split."""
    first, second = split_in_name(one), split_in_name(other)
    return first is not None and second is not None and first.split == second.split


def few(node: Node) -> int:
    """The number of pictures in a folder that are too few to matter."""
    return max(FEW, int(FEW_FRACTION * node.total))
