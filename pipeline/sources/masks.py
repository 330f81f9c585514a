"""Masks of segmentation among the images: in folders of their own, or beside the images, under the same or nearly the same names.

Told by names, then by content: a mask has the size of its image, and few colours.
"""

import io
import itertools
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from PIL import Image

from pipeline.folders.doubtful_names import has_word
from pipeline.listing.listing import Folder, Folders, Listing

SAMPLED = 5
FEW_COLOURS = 32
MOST_FOLDERS = 200
LOOKED_AT = 25
MOST_GLOBS = 3
MARKS = ("mask", "seg", "segmentation", "label", "gt", "trimap")
MARK = re.compile(rf"[_-]({'|'.join(MARKS)})s?(_?\d+)?$", re.IGNORECASE)


class Masks(NamedTuple):
    """Masks found in a source: in words, the folders they are in, and globs of all of them for `ingest.ignore`."""

    seen: str
    folders: frozenset[Folders]
    globs: list[str]


def masks_of(listing: Listing) -> Masks | None:
    """The masks in a source; None if there are none."""
    folders = [folder for folder in listing.folders.values() if len(folder.names) > 1]
    beside = [(folder, glob) for folder in folders if (glob := _marked(folder) or _same_stems(folder))]
    if beside:
        globs = sorted({glob for _, glob in beside})
        first, glob = beside[0]
        return Masks(
            f"masks ({glob}) beside the images in {first.path or 'the source itself'}",
            frozenset(folder.parts for folder, _ in beside),
            globs,
        )
    apart = list(_apart(folders[:MOST_FOLDERS]))
    if not apart:
        return None
    images, masks = apart[0]
    return Masks(f"masks in {masks.path}/ for the images in {images.path}/", frozenset(found.parts for _, found in apart), _globs(apart))


def _marked(folder: Folder) -> str:
    """A glob of masks that are called as their images with a mark: cat_mask.png."""
    marked = sorted(stem_of(name) for _, name in marked_beside(folder, MARK))
    if len(marked) < 2 or not all(_is_mask_of(folder, folder, {MARK.sub("", stem)}, {stem}) for stem in marked[:SAMPLED]):
        return ""
    mark = marked[0][len(MARK.sub("", marked[0])) :].rstrip("0123456789")
    return f"*{mark}*"


def marked_beside(folder: Folder, mark: re.Pattern[str]) -> list[tuple[str, str]]:
    """(name without a mark, name with it) of images that stand beside each other: cat.jpg, cat_mask.png. A few names tell whether there may be any."""
    if not any(mark.search(stem_of(name)) for name in (*folder.names[:LOOKED_AT], *folder.names[-LOOKED_AT:])):
        return []
    stems = {stem_of(name): name for name in folder.names}
    return [(stems[bare], name) for stem, name in stems.items() if (bare := mark.sub("", stem)) != stem and bare in stems]


def _same_stems(folder: Folder) -> str:
    """A glob of masks that have the names of their images but for the ending: 1.png beside 1.jpg."""
    endings: defaultdict[str, list[str]] = defaultdict(list)
    for name in folder.names:
        endings[stem_of(name)].append(name)
    pairs = [names for names in endings.values() if len(names) == 2]
    if len(pairs) < 2 or len(pairs) * 2 < len(endings):
        return ""
    for image, mask in ((0, 1), (1, 0)):
        suffixes = {names[mask].rpartition(".")[2] for names in pairs}
        if len(suffixes) == 1 and all(_is_mask(folder, names[image], folder, names[mask]) for names in pairs[:SAMPLED]):
            return "/".join((*folder.parts, f"*.{suffixes.pop()}"))
    return ""


def _apart(folders: Sequence[Folder]) -> Iterator[tuple[Folder, Folder]]:
    """(images, masks) of folders with files of the same names, where one of the two is called as folders of images or masks are."""
    suspects = {folder.parts for folder in folders if any(has_word(part, "structure") for part in folder.parts)}
    stems = {folder.parts: {stem_of(name) for name in folder.names} for folder in folders} if suspects else {}
    bare = {parts: found | {MARK.sub("", stem) for stem in found} for parts, found in stems.items()}
    for one, other in itertools.combinations(folders, 2):
        if one.parts not in suspects and other.parts not in suspects:
            continue
        shared = sorted(stems[one.parts] & bare[other.parts] | bare[one.parts] & stems[other.parts])
        if len(shared) * 2 > min(len(one.names), len(other.names)):
            for images, masks in ((one, other), (other, one)):
                if all(_is_mask_of(images, masks, {stem}, _candidates(stem)) for stem in shared[:SAMPLED]):
                    yield images, masks


def _globs(apart: Sequence[tuple[Folder, Folder]]) -> list[str]:
    """The folders of masks, each from where its path parts from that of its images; one glob for many of one name."""
    folders = set()
    for images, masks in apart:
        differing = next(
            (i for i, (one, other) in enumerate(zip(images.parts, masks.parts, strict=False)) if one != other), len(images.parts)
        )
        folders.add(masks.parts[: differing + 1])
    names = {parts[-1] for parts in folders}
    if len(folders) > MOST_GLOBS and len(names) == 1 and all(len(parts) > 1 for parts in folders):
        return [f"*/{names.pop()}"]
    return sorted("/".join(parts) for parts in folders)


def stem_of(name: str) -> str:
    """A file's name without its ending."""
    return name.rpartition(".")[0] or name


def _candidates(stem: str) -> set[str]:
    return {stem, *(f"{stem}{sign}{mark}" for sign in "_-" for mark in MARKS)}


def _is_mask_of(images: Folder, masks: Folder, of_image: set[str], of_mask: set[str]) -> bool:
    image = next((name for name in images.names if stem_of(name) in of_image), None)
    mask = next((name for name in masks.names if stem_of(name) in of_mask), None)
    return image is not None and mask is not None and _is_mask(images, image, masks, mask)


def _is_mask(images: Folder, image: str, masks: Folder, mask: str) -> bool:
    picture, suspect = opened(images, image), opened(masks, mask)
    if picture is None or suspect is None or picture.size != suspect.size:
        return False
    colours = suspect.convert("RGB").getcolors(FEW_COLOURS)
    return colours is not None and picture.convert("RGB").getcolors(FEW_COLOURS) is None


def opened(folder: Folder, name: str) -> Image.Image | None:
    """An image of a folder, decoded; None if that is not possible."""
    try:
        image = Image.open(io.BytesIO(folder.content(name)()))
        image.load()
    except Exception:  # on damaged files, Pillow's decoders raise nearly any exception
        return None
    return image
