"""The folders of a source as a tree of counts: what is below what, and how many pictures each holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pipeline.images.format_marks import Format
from pipeline.listing.listing import Folders, Listing

UNKNOWN = Format("unknown format", "other")
LIKE_IMAGES = ("picture", "video")  # kinds of files that may be all that a class has


@dataclass
class Node:
    """A folder: images directly in it, pictures of formats that are not read directly in it, and its sub-folders by name.

    `formats` counts the latter by format, `others` all other files.
    """

    parts: Folders
    images: int = 0
    unread: int = 0
    formats: Counter[Format] = field(default_factory=Counter)
    others: Counter[Format] = field(default_factory=Counter)
    children: dict[str, Node] = field(default_factory=dict)
    total: int = 0

    @property
    def name(self) -> str:
        return self.parts[-1] if self.parts else ""

    @property
    def path(self) -> str:
        return "/".join(self.parts)

    @property
    def own(self) -> int:
        """Pictures directly in it, readable or not."""
        return self.images + self.unread

    def others_below(self) -> Counter[Format]:
        """The files that are no pictures, in it and below, by format."""
        found, waiting = Counter(self.others), list(self.children.values())
        while waiting:
            node = waiting.pop()
            found += node.others
            waiting += node.children.values()
        return found

    @property
    def all_others(self) -> int:
        """The number of files that are no pictures, in it and below."""
        return self.others_below().total()

    def carriers(self) -> list[Node]:
        """The sub-folders that hold pictures, directly or below."""
        return [child for child in self.children.values() if child.total]

    def walk(self) -> Iterator[Node]:
        """This folder and all below it that hold pictures."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            if node.total:
                yield node
                waiting += reversed(node.children.values())


def tree_of(listing: Listing) -> Node:
    """The root of a source's folders. `total` counts the pictures in a folder and below, readable or not."""
    root = Node(())
    for parts, folder in listing.folders.items():
        node = root
        way = [root]
        for i, name in enumerate(parts, 1):
            node = node.children.setdefault(name, Node(parts[:i]))
            way.append(node)
        node.images = len(folder.names)
        unread = unread_names(folder.others, folder.names)
        node.unread = len(unread)
        node.formats = Counter(found for name in unread if (found := folder.others[name]))
        node.others = Counter(found or UNKNOWN for name, found in folder.others.items() if name not in unread)
        for above in way:
            above.total += node.own
    return root


def unread_names(others: Mapping[str, object], images: list[str]) -> list[str]:
    """The files of a folder that are pictures of a format that is not read here, and not the companions of an image there."""
    stems = {name.rpartition(".")[0].lower() for name in images}
    return [
        name for name, found in others.items() if getattr(found, "kind", "") in LIKE_IMAGES and name.rpartition(".")[0].lower() not in stems
    ]
