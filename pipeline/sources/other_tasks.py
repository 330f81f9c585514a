"""Signs that a source is labelled for another task: boxes, masks or keypoints on images, and not one class for each image."""

import io
import itertools
import json
import re
from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image

from pipeline.errors import ImageError
from pipeline.folders.doubtful_names import has_word
from pipeline.listing.listing import Folder, Folders, Listing

SAMPLED = 5
MOST_BYTES = 64 * 2**20
FEW_VALUES = 32
MOST_FOLDERS = 200
LOOKED_AT = 25
MARK = re.compile(r"[_-](mask|seg|segmentation|label|gt|trimap)s?(_?\d+)?$", re.IGNORECASE)
YOLO_LINE = re.compile(rb"\s*\d+(\s+-?\d*\.?\d+(e-?\d+)?){4,}\s*")


class Masks(NamedTuple):
    """Masks found in a source: in words, the folder they are in, and a glob of them."""

    seen: str
    folder: Folders
    glob: str


def signs_of_other_task(listing: Listing) -> str:
    """What speaks for boxes, masks or keypoints, in a few words; empty if nothing does."""
    return next((sign for look in (_coco, _beside_images, _masks) if (sign := look(listing))), "")


def _coco(listing: Listing) -> str:
    for other in listing.others():
        if other.path.lower().endswith(".json"):
            content = listing.content(other.path)
            try:
                if content.size_bytes() <= MOST_BYTES and b'"annotations"' in (text := content()) and b'"images"' in text:
                    document = json.loads(text)
                    if isinstance(document, dict) and any(
                        "bbox" in entry or "keypoints" in entry for entry in document.get("annotations", [])[:SAMPLED]
                    ):
                        return f"boxes in {other.path} (COCO)"
            except (ImageError, OSError, ValueError, RecursionError, TypeError):
                continue
    return ""


def _beside_images(listing: Listing) -> str:
    """Files of boxes with the names of images: YOLO's .txt, Pascal VOC's .xml, LabelMe's .json."""
    stems = {name.rpartition(".")[0] for folder in listing.folders.values() for name in folder.names}
    kinds = {".txt": ("YOLO", _is_yolo), ".xml": ("Pascal VOC", _is_voc), ".json": ("LabelMe", _is_labelme)}
    for suffix, (what, is_kind) in kinds.items():
        paths = [other.path for other in listing.others() if other.path.lower().endswith(suffix) and _stem(other.path) in stems]
        contents = (content for path in itertools.islice(paths, SAMPLED) if (content := _content(listing, path)))
        if len(paths) > 1 and any(is_kind(content) for content in contents):
            return f"boxes in {len(paths):,} {suffix} files with the names of images ({what}), such as {paths[0]}"
    return ""


def _stem(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[0]


def _content(listing: Listing, path: str) -> bytes:
    try:
        return listing.content(path)()
    except (ImageError, OSError):
        return b""


def _is_yolo(content: bytes) -> bool:
    lines = [line for line in content.splitlines() if line.strip()]
    return bool(lines) and all(YOLO_LINE.fullmatch(line) for line in lines)


def _is_voc(content: bytes) -> bool:
    return b"<bndbox>" in content or (b"<annotation" in content and b"<object>" in content)


def _is_labelme(content: bytes) -> bool:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and bool(document.get("shapes"))


def masks_of(listing: Listing) -> Masks | None:
    """Files that are masks of other images: in a folder of their own, or beside the images as `cat_mask.png`."""
    folders = [folder for folder in listing.folders.values() if len(folder.names) > 1]
    return next((found for folder in folders if (found := _masks_beside(folder))), None) or _masks_apart(folders[:MOST_FOLDERS])


def _masks_beside(folder: Folder) -> Masks | None:
    """Masks beside their images. A few names tell whether there may be any."""
    if not any(MARK.search(name.rpartition(".")[0]) for name in (*folder.names[:LOOKED_AT], *folder.names[-LOOKED_AT:])):
        return None
    stems = {name.rpartition(".")[0] for name in folder.names}
    marked = sorted(stem for stem in stems if (bare := MARK.sub("", stem)) != stem and bare in stems)
    if len(marked) < 2 or not all(_is_mask_of(folder, folder, MARK.sub("", stem), {stem}) for stem in marked[:SAMPLED]):
        return None
    mark = marked[0][len(MARK.sub("", marked[0])) :]
    return Masks(f"masks such as {folder.below(marked[0])} beside the images", folder.parts, f"*{mark}.*")


def _masks_apart(folders: Sequence[Folder]) -> Masks | None:
    """Masks in a folder of their own, where one of two folders is called as folders of images or masks are."""
    suspects = {folder.parts for folder in folders if any(has_word(part, "structure") for part in folder.parts)}
    pairs = [pair for pair in itertools.combinations(folders, 2) if suspects & {folder.parts for folder in pair}]
    stems = {folder.parts: {name.rpartition(".")[0] for name in folder.names} for pair in pairs for folder in pair}
    bare = {parts: _without_marks(found) for parts, found in stems.items()}
    for one, other in pairs:
        shared = sorted(stems[one.parts] & bare[other.parts] | bare[one.parts] & stems[other.parts])
        if len(shared) * 2 > min(len(one.names), len(other.names)):
            for images, masks in ((one, other), (other, one)):
                if all(_is_mask_of(images, masks, stem, _candidates(stem)) for stem in shared[:SAMPLED]):
                    return Masks(f"masks in {masks.path}/ for the images in {images.path}/", masks.parts, masks.path)
    return None


def _masks(listing: Listing) -> str:
    found = masks_of(listing)
    return found.seen if found else ""


def _without_marks(stems: set[str]) -> set[str]:
    return stems | {MARK.sub("", stem) for stem in stems}


def _is_mask_of(images: Folder, masks: Folder, stem: str, of_mask: set[str]) -> bool:
    image, mask = _opened(images, {stem}), _opened(masks, of_mask)
    if image is None or mask is None or image.size != mask.size:
        return False
    colours = mask.convert("RGB").getcolors(FEW_VALUES)
    return colours is not None and image.convert("RGB").getcolors(FEW_VALUES) is None


def _candidates(stem: str) -> set[str]:
    return {stem, *(f"{stem}{sign}{mark}" for sign in "_-" for mark in ("mask", "seg", "segmentation", "label", "gt", "trimap"))}


def _opened(folder: Folder, stems: set[str]) -> Image.Image | None:
    name = next((name for name in folder.names if name.rpartition(".")[0] in stems), None)
    if name is None:
        return None
    try:
        image = Image.open(io.BytesIO(folder.content(name)()))
        image.load()
    except Exception:  # on damaged files, Pillow's decoders raise nearly any exception
        return None
    return image
