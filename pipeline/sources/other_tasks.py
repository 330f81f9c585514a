"""Signs that a source is labelled for another task: boxes, masks or keypoints on images, and not one class for each image."""

import itertools
import json
import re

from pipeline.errors import ImageError
from pipeline.listing.listing import Listing
from pipeline.sources.masks import masks_of

SAMPLED = 5
MOST_BYTES = 64 * 2**20
YOLO_LINE = re.compile(rb"\s*\d+(\s+-?\d*\.?\d+(e-?\d+)?){4,}\s*")


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


def _masks(listing: Listing) -> str:
    found = masks_of(listing)
    return found.seen if found else ""
