"""The README of an export: what the model is, what it was trained on, how good it is here, and what it cannot do. Values in, Markdown out."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.evaluation.proportion import wilson_interval
from pipeline.exporting.agreement import Agreement
from pipeline.exporting.formats import Format
from pipeline.judging.sentences import sentence
from pipeline.names import in_markdown

RESIZED = {
    "pad": "scaled to fit, the rest black",
    "crop": "scaled, and cut to the middle",
    "stretch": "scaled without keeping the ratio of its sides",
}


@dataclass(frozen=True)
class Exported:
    """What is exported. version: its number, else what tells the model apart. tags: of the version, or none. made: what export.json says."""

    shown: str
    version: str
    tags: Mapping[str, str]
    spec: Mapping[str, Any]
    made: Mapping[str, Any]


def model_card(exported: Exported, how: Format, found: Agreement) -> str:
    """The content of README.md."""
    spec, made = exported.spec, exported.made
    names = ", ".join(in_markdown(name) for name in spec["class_names"])
    what = f"{made['format']}, {'8-bit whole numbers' if made['int8'] else 'float32'}"
    return "\n".join(
        [
            f"# {in_markdown(exported.shown)}: {what}",
            "",
            f"Labels an image with one of {len(spec['class_names']):,} classes: {names}.",
            "",
            "```console",
            f"$ pip install {how.needs} numpy pillow",
            "$ python predict.py my.png",
            "```",
            "",
            f"- `{how.file}`: the model, sha256 of its `.keras` file `{made['model_sha256'][:12]}`. Images uint8 (N, {spec['height']}, {spec['width']}, "
            f"{spec['channels']}) in, probabilities (N, {len(spec['class_names'])}) out; standardising is part of it.",
            f"- `spec.json`: what comes before: an image is turned upright by EXIF, transparency becomes white, then {_colours(spec)}, "
            f"{spec['width']} x {spec['height']} px, {RESIZED[spec['resize']]} (bicubic); and the class names, in order",
            "- `predict.py`: all of this as a program",
            "- `export.json`: how this export was made and measured",
            "",
            "## Trained on",
            "",
            *_training(exported),
            "",
            "## How good it is",
            "",
            *_quality(exported, found),
            "",
            "## Limits",
            "",
            *_limits(spec, made),
            "",
        ]
    )


def _colours(spec: Mapping[str, Any]) -> str:
    return "grey" if spec["channels"] == 1 else "RGB"


def _training(exported: Exported) -> list[str]:
    spec, tags = exported.spec, exported.tags
    counts = spec.get("data_counts", {})
    lines = [
        f"- data set {in_markdown(str(spec.get('dataset_name', '')))}: {counts.get('images', 0):,} images, digest "
        f"`{str(spec.get('dataset_digest', ''))[:12]}`, of which some were held out for the test"
    ]
    wanted = {"source": "source", "mlflow.source.git.commit": "code, commit", "seed": "seed", "dvc_lock_digest": "all stages, digest"}
    return lines + [f"- {said}: `{tags[name]}`" for name, said in wanted.items() if tags.get(name)]


def _quality(exported: Exported, found: Agreement) -> list[str]:
    low, high = wilson_interval(found.export_hits, found.images)
    lines = [
        f"- this export: accuracy {found.export_hits / found.images:.4f}, 95 % interval {low:.4f} to {high:.4f}, on {found.images:,} test images",
        f"- beside the model itself: {found.in_words()}",
    ]
    if decision := exported.tags.get("decision"):
        lines.append(f"- the gate: {in_markdown(sentence(json.loads(decision), exported.version))}")
    return lines


def _limits(spec: Mapping[str, Any], made: Mapping[str, Any]) -> list[str]:
    lines: Sequence[str] = (
        "- It gives one of its classes to any picture, also to one of something else.",
        "- Its accuracy is that on images like those of the test split; on others it may be worse.",
        "- `predict.py` writes no note on images unlike the training images, which the pipeline never calls sure.",
        "- `predict.py` decodes large JPEGs in full, the pipeline at a smaller scale: probabilities may differ a little.",
    )
    deep = [f"- Images of more than 8 bits are to be scaled from {spec['value_range']} to 0…255 first."] if spec.get("value_range") else []
    whole = (
        ["- Whole numbers were measured on the processor named in `export.json`; on another one, measure again."] if made["int8"] else []
    )
    return [*lines, *deep, *whole]
