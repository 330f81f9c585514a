"""Small sets of images that a network can learn, drawn for tests: each class is a shape of its own colour, at mixed sizes."""

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

CLASSES = ("circle", "cross", "square", "stripes", "triangle")


def draw(kind: str, rng: np.random.Generator, colour: bool = True) -> Image.Image:
    """One image of a class, 40 to 90 px wide and high: the shape somewhere in it, on a ground with shades and noise of its own."""
    width, height = (int(side) for side in rng.integers(40, 91, 2))
    channels = 3 if colour else 1
    shades = Image.fromarray(rng.integers(0, 70, (3, 3, channels), dtype=np.uint8).squeeze()).resize((width, height))
    noise = rng.integers(0, 40, (height, width, channels), dtype=np.uint8).squeeze()
    image = Image.fromarray(np.asarray(shades) + noise)
    pen = ImageDraw.Draw(image)
    tint = {
        "circle": (230, 60, 60),
        "cross": (60, 200, 60),
        "square": (70, 90, 240),
        "stripes": (220, 210, 60),
        "triangle": (200, 80, 200),
    }[kind]
    fill = tint if colour else 230
    left, top, right, bottom = rng.uniform(0.1, 0.3, 4)
    box = [width * left, height * top, width * (1 - right), height * (1 - bottom)]
    if kind == "circle":
        pen.ellipse(box, fill=fill)
    elif kind == "square":
        pen.rectangle(box, fill=fill)
    elif kind == "triangle":
        pen.polygon([(box[0], box[3]), (box[2], box[3]), (width / 2, box[1])], fill=fill)
    elif kind == "cross":
        pen.line(box, fill=fill, width=8)
        pen.line([box[0], box[3], box[2], box[1]], fill=fill, width=8)
    else:
        for y in range(int(box[1]), int(box[3]), 10):
            pen.line([box[0], y, box[2], y], fill=fill, width=4)
    return image


def write_class_folders(
    folder: Path, classes: int = 3, per_class: int = 20, seed: int = 0, colour: bool = True, split: bool = False
) -> Path:
    """A folder of class folders of JPEGs; with `split` under train/ and test/, of which test/ has a fifth."""
    rng = np.random.default_rng(seed)
    for kind in CLASSES[:classes]:
        for i in range(per_class):
            part = ("test" if i % 5 == 0 else "train") if split else ""
            path = folder / part / kind / f"{kind} {i:03d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            draw(kind, rng, colour).save(path, quality=90)
    return folder


def empty_png(width: int, height: int) -> bytes:
    """A PNG whose header claims a size and whose pixels are not there: what must be refused before it is decoded."""
    chunks = (b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0), b"IDAT" + zlib.compress(bytes(1000)), b"IEND")
    parts = (struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
