"""Finds the images that cells of a table name: by path, by file name, by name without ending, with prefixes that tools add."""

import functools
import re
from collections import defaultdict
from collections.abc import Sequence
from urllib.parse import unquote

from pipeline.folders.tree import unread_names
from pipeline.listing.listing import Folders, Listing
from pipeline.listing.names import normalised
from pipeline.listing.split_words import split_of_name

UPLOAD_PREFIX = re.compile(r"[0-9a-f]{8}-")  # Label Studio's, before the name of an uploaded file
LONGEST = 1024
SAMPLED = 1000


class ImageIndex:
    """The images of a source by their names, built when first asked. Looks nothing up on disk."""

    def __init__(self, listing: Listing) -> None:
        self._listing: Listing | None = listing
        self._digits = 0
        self._folders: list[Folders] = []
        self._splits: list[str | None] = []
        self._by_name: defaultdict[str, list[int]] = defaultdict(list)
        self._by_stem: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)

    def _build(self, listing: Listing) -> None:
        digits = set()
        for parts, folder in listing.folders.items():
            number = len(self._folders)
            self._folders.append(parts)
            self._splits.append(_split(parts))
            for name in (*folder.names, *unread_names(folder.others, folder.names)):
                self._by_name[name].append(number)
                stem = name.rpartition(".")[0] or name
                self._by_stem[stem].append((number, name))
                digits.add(len(stem) if stem.isdigit() else 0)
        self._digits = digits.pop() if len(digits) == 1 else 0

    def find(self, cell: str, table: str = "") -> list[str]:
        """The paths of the images that a cell may mean, the best ones only; several if it cannot be told. `table` is the path of its table."""
        if self._listing is not None:
            self._build(self._listing)
            self._listing = None
        text = cell.strip()
        if not text or len(text) > LONGEST or "\n" in text:
            return []
        for way in self._spellings(text):
            *parts, name = way.split("/")
            found = self._named(name)
            if found:
                return self._nearest(found, tuple(part for part in parts if part not in ("", ".")), table)
        return []

    def names(self, cell: str) -> bool:
        """Whether a cell may mean an image."""
        return bool(self.find(cell))

    def _spellings(self, text: str) -> list[str]:
        """A cell as a path: as written, with slashes, without the parameters of a URL, unquoted."""
        ways = [normalised(text)]
        if "\\" in text:
            ways.append(normalised(text.replace("\\", "/")))
        if "?" in text:
            path, _, query = text.partition("?")
            ways += [normalised(unquote(query.rpartition("=")[2])), normalised(unquote(path))]
        if "%" in text:
            ways.append(normalised(unquote(text)))
        return ways

    def _named(self, name: str) -> list[tuple[int, str]]:
        """(folder, name) of each image of a name, or else of this name without its ending, without the prefix of an upload, or filled with zeros."""
        if folders := self._by_name.get(name):
            return [(folder, name) for folder in folders]
        if name in self._by_stem:
            return self._by_stem[name]
        stem, dot, ending = name.rpartition(".")
        if dot and len(ending) <= 5 and stem in self._by_stem:
            return self._by_stem[stem]
        if UPLOAD_PREFIX.match(name):
            return self._named(name[9:])
        if self._digits and name.isdigit() and len(name) < self._digits:
            return self._by_stem.get(name.zfill(self._digits), [])
        return []

    def _nearest(self, found: list[tuple[int, str]], folders: Folders, table: str) -> list[str]:
        """Of several images of one name, those at the path from the table or the source; else in the folders that the cell names, then near the table.

        An image in another split than the cell names is none of them.
        """
        if said := _split(folders):
            found = [entry for entry in found if self._splits[entry[0]] in (None, said)]
        if len(found) > 1:
            beside = tuple(table.split("/")[:-1])
            for exact in ((*beside, *folders), folders):
                found = [entry for entry in found if self._folders[entry[0]] == exact] or found
            found = _best(found, [_shared_end(self._folders[folder], folders) for folder, _ in found])
            found = _best(found, [_shared_start(self._folders[folder], beside) for folder, _ in found])
        return ["/".join((*self._folders[folder], name)) for folder, name in found]


def names_folders(cells: Sequence[str], index: ImageIndex, table: str) -> bool:
    """Whether the folders in the cells of a table are those of the source, so that an image in another folder is another image. A sample tells."""
    sampled = [cell for cell in cells[:: max(1, len(cells) // SAMPLED)] if "/" in cell.replace("\\", "/").strip("/")]
    matched = [any(is_in_its_folder(cell, path) for path in found) for cell in sampled if (found := index.find(cell, table))]
    return bool(matched) and sum(matched) * 2 >= len(matched)


def is_in_its_folder(cell: str, path: str) -> bool:
    """Whether an image lies in a folder of the name that a cell gives; a cell without a folder fits any."""
    said = [part for part in normalised(cell.replace("\\", "/")).split("/")[:-1] if part not in ("", ".", "..")]
    return not said or said[-1].casefold() == (["", *path.split("/")[:-1]])[-1].casefold()


def _best(found: list[tuple[int, str]], scores: list[int]) -> list[tuple[int, str]]:
    most = max(scores)
    return [entry for entry, score in zip(found, scores, strict=True) if score == most]


def _shared_end(one: Folders, other: Folders) -> int:
    count = 0
    for first, second in zip(reversed(one), reversed(other), strict=False):
        if first.casefold() != second.casefold():
            break
        count += 1
    return count


def _shared_start(one: Folders, other: Folders) -> int:
    count = 0
    for first, second in zip(one, other, strict=False):
        if first != second:
            break
        count += 1
    return count


@functools.lru_cache(maxsize=4096)
def _split(folders: Folders) -> str | None:
    return next((split for folder in folders if (split := split_of_name(folder))), None)
