"""How many copies `near_duplicates` finds, and what it links that are no copies: Fashion-MNIST, and photographs if folders of them are given.

    python benchmarks/near_duplicates.py --sheet pairs.png [FOLDER ...]

Prints Markdown tables. Of the photographs, all different, those at odd places by name are used: the thresholds were chosen on those at even places.
Each is also cut into 24 tiles, different images that look alike. `--sheet` draws 40 linked pairs of Fashion-MNIST, to be judged by eye.
"""

import argparse
import gzip
import io
import os
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import joblib
import numpy as np
from PIL import Image, ImageEnhance
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipeline.images.decoding import ImageSpec, decode, image_to_input
from pipeline.quality.fingerprints import FLAT_RANGE, LUMA, fingerprint
from pipeline.quality.near_duplicates import near_duplicates

Change = Callable[[Image.Image], Image.Image]
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
LONGEST_SIDE_PX = 1600
TILES_ACROSS, TILES_DOWN = 6, 4
SHEET_PAIRS, SHEET_COLUMNS, SHEET_SCALE = 40, 8, 3


def scale(factor: float) -> Change:
    """Resize to a share of the size."""
    return lambda image: image.resize((max(1, round(image.width * factor)), max(1, round(image.height * factor))), Image.Resampling.LANCZOS)


def encode(kind: str, quality: int) -> Change:
    """Encode and decode."""

    def change(image: Image.Image) -> Image.Image:
        buffer = io.BytesIO()
        image.save(buffer, kind, quality=quality)
        return decode(buffer.getvalue())

    return change


def crop(left: float, top: float, right: float, bottom: float) -> Change:
    """Cut off shares of the size."""

    def change(image: Image.Image) -> Image.Image:
        width, height = image.size
        return image.crop((round(left * width), round(top * height), width - round(right * width), height - round(bottom * height)))

    return change


def brighten(factor: float) -> Change:
    """Multiply all values."""
    return lambda image: ImageEnhance.Brightness(image).enhance(factor)


def to_size(side_px: int) -> Change:
    """Resize to a square."""
    return lambda image: image.resize((side_px, side_px), Image.Resampling.BICUBIC)


def in_turn(*changes: Change) -> Change:
    """One change after the other."""

    def change(image: Image.Image) -> Image.Image:
        for each in changes:
            image = each(image)
        return image

    return change


def to_grey(image: Image.Image) -> Image.Image:
    """Grey."""
    return image.convert("L")


PHOTO_COPIES: dict[str, Change] = {
    "half size": scale(1 / 2),
    "quarter size": scale(1 / 4),
    "longest side 96 px": lambda image: scale(96 / max(image.size))(image),
    "stretched to 64 x 64 px": to_size(64),
    "JPEG q75": encode("JPEG", 75),
    "JPEG q50": encode("JPEG", 50),
    "WebP q60": encode("WEBP", 60),
    "grey": to_grey,
    "10 % brighter": brighten(1.1),
    "10 % darker": brighten(0.9),
    "crop 2 % off all sides": crop(0.02, 0.02, 0.02, 0.02),
    "crop 5 % off the left": crop(0.05, 0, 0, 0),
    "crop 5 % off the bottom": crop(0, 0, 0, 0.05),
    "crop 3 % off top and right": crop(0, 0.03, 0.03, 0),
    "crop 5 % off all sides": crop(0.05, 0.05, 0.05, 0.05),
    "crop 8 % off all sides": crop(0.08, 0.08, 0.08, 0.08),
    "crop 3 % off all sides, half size, JPEG q60": in_turn(crop(0.03, 0.03, 0.03, 0.03), scale(1 / 2), encode("JPEG", 60)),
    "quarter size, grey, JPEG q75": in_turn(scale(1 / 4), to_grey, encode("JPEG", 75)),
}
SMALL_COPIES: dict[str, Change] = {
    "56 px": to_size(56),
    "56 px, JPEG q75, 28 px": in_turn(to_size(56), encode("JPEG", 75), to_size(28)),
    "20 px": to_size(20),
    "20 px, 28 px": in_turn(to_size(20), to_size(28)),
    "JPEG q75": encode("JPEG", 75),
    "JPEG q50": encode("JPEG", 50),
    "10 % brighter": brighten(1.1),
    "10 % darker": brighten(0.9),
    "crop 1 px off the left, 28 px": in_turn(crop(1 / 28, 0, 0, 0), to_size(28)),
    "crop 1 px off all sides, 28 px": in_turn(crop(1 / 28, 1 / 28, 1 / 28, 1 / 28), to_size(28)),
}


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, help="photographs, no two of one picture")
    parser.add_argument("--fashion", type=Path, default=Path("data/fashion-mnist"), help="folder of Fashion-MNIST's idx files")
    parser.add_argument("--sheet", type=Path, help="PNG to draw linked pairs of Fashion-MNIST to")
    arguments = parser.parse_args()
    report_fashion(read_fashion(arguments.fashion), arguments.sheet)
    for folder in arguments.folders:
        report_photographs(folder)


def report_fashion(images: np.ndarray, sheet: Path | None) -> None:
    """Pairs linked among Fashion-MNIST's images uint8 (N, 28, 28), seconds, and copies found among all of them."""
    started = time.perf_counter()
    fingerprints = fingerprints_of(Image.fromarray(image) for image in images)
    micros = (time.perf_counter() - started) / len(images) * 1e6
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        pairs = near_duplicates(fingerprints)
        seconds.append(time.perf_counter() - started)
    print(f"{len(images)} images: {len(pairs)} pairs; {micros:.1f} µs per fingerprint; pairs in {statistics.median(seconds):.2f} s", end="")
    print(f" (median of 5, {min(seconds):.2f} to {max(seconds):.2f}; load {os.getloadavg()[0]:.1f})\n")
    if sheet:
        draw(images, np.random.default_rng(0).permutation(pairs)[:SHEET_PAIRS], sheet)
    rows = np.random.default_rng(0).choice(len(images), 2000, replace=False)
    print("| copy of 2,000 of the images, among all | found |\n|---|---|")
    for name, change in SMALL_COPIES.items():
        copies = fingerprints_of(change(Image.fromarray(image)) for image in images[rows])
        print(f"| {name} | {found(fingerprints, rows, copies).mean():.3f} |", flush=True)


def report_photographs(folder: Path) -> None:
    """Pairs linked among different photographs and tiles of a folder, and copies found."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)[1::2]
    results = joblib.Parallel(n_jobs=-1)(joblib.delayed(fingerprints_of_copies)(path) for path in paths)
    originals, copies, tiles = (np.stack([result[part] for result in results]) for part in range(3))
    tiles = tiles.reshape(-1, tiles.shape[-1])
    links, tile_links = near_duplicates(originals), near_duplicates(tiles)
    flat = np.ptp(tiles[:, LUMA], axis=1) <= FLAT_RANGE
    among_flat = flat[tile_links].any(axis=1).sum()
    print(f"\n{folder.name}: {len(paths)} photographs, {len(links)} linked pairs; {len(tiles)} tiles, {flat.sum()} of them flat, ", end="")
    print(f"{among_flat} linked pairs of flat ones, {len(tile_links) - among_flat} of others\n")
    for first, second in links:
        print(f"- {paths[first].name}, {paths[second].name}")
    print("\n| copy | found, one copy of each | found, all these copies at once |\n|---|---|---|")
    rows = np.arange(len(paths))
    together = found(originals, np.repeat(rows, len(PHOTO_COPIES)), copies.reshape(-1, copies.shape[-1])).reshape(len(paths), -1)
    for place, name in enumerate(PHOTO_COPIES):
        alone = found(originals, rows, copies[:, place])
        print(f"| {name} | {alone.mean():.3f} | {together[:, place].mean():.3f} |", flush=True)


def found(originals: np.ndarray, rows: np.ndarray, copies: np.ndarray) -> np.ndarray:
    """bool (M,): each of M copies is in one group with its original, of row `rows[i]`."""
    everything = np.concatenate([originals, copies])
    first, second = near_duplicates(everything).T
    graph = coo_array((np.ones(len(first), bool), (first, second)), (len(everything), len(everything)))
    groups: np.ndarray = connected_components(graph, directed=False)[1]
    together: np.ndarray = groups[rows] == groups[len(originals) :]
    return together


def fingerprints_of_copies(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The fingerprints of a photograph, of its copies, and of its tiles."""
    image = decode(path.read_bytes())
    image = Image.fromarray(image_to_input(image, ImageSpec(image.height, image.width, 3, "stretch")))
    image.thumbnail((LONGEST_SIDE_PX, LONGEST_SIDE_PX), Image.Resampling.LANCZOS)
    width, height = image.width / TILES_ACROSS, image.height / TILES_DOWN
    corners = [(x, y) for y in range(TILES_DOWN) for x in range(TILES_ACROSS)]
    tiles = (image.crop((round(x * width), round(y * height), round((x + 1) * width), round((y + 1) * height))) for x, y in corners)
    return fingerprint(image), fingerprints_of(change(image) for change in PHOTO_COPIES.values()), fingerprints_of(tiles)


def fingerprints_of(images: Iterable[Image.Image]) -> np.ndarray:
    """uint8 (N, FINGERPRINT_BYTES)."""
    return np.stack([fingerprint(image) for image in images])


def read_fashion(folder: Path) -> np.ndarray:
    """uint8 (70000, 28, 28), the training images first."""
    parts = [gzip.decompress((folder / f"{part}-images-idx3-ubyte.gz").read_bytes()) for part in ("train", "t10k")]
    return np.concatenate([np.frombuffer(part, np.uint8, offset=16).reshape(-1, 28, 28) for part in parts])


def draw(images: np.ndarray, pairs: np.ndarray, path: Path) -> None:
    """Write the pairs, side by side, to a PNG."""
    height, width = (side * SHEET_SCALE for side in images.shape[1:])
    sheet = Image.new("L", (SHEET_COLUMNS * (2 * width + 12), -(-len(pairs) // SHEET_COLUMNS) * (height + 6)), 90)
    for place, pair in enumerate(pairs):
        for side, row in enumerate(pair):
            corner = (place % SHEET_COLUMNS * (2 * width + 12) + side * (width + 2), place // SHEET_COLUMNS * (height + 6))
            sheet.paste(Image.fromarray(images[row]).resize((width, height), Image.Resampling.NEAREST), corner)
    sheet.save(path)


if __name__ == "__main__":
    main()
