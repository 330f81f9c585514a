"""What pixels and files say of a data set: its range, images that show nothing or are odd, classes that repeat themselves or each other."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.dataset.judged import Judged, pictures_of
from pipeline.dataset.split_names import TEST
from pipeline.errors import SourceError
from pipeline.images.decoding import FORMATS, MOST_PIXELS
from pipeline.images.values import number
from pipeline.quality.class_checks import ClassProblem
from pipeline.quality.findings import ImageProblem
from pipeline.quality.inspection import FLOATING, MODES, NEARLY_BLACK, SIXTEEN_BIT_COLOUR, WHOLE_NUMBERS
from pipeline.quality.repeated_classes import TIMES_REPEATED, count_pictures, find_shared
from pipeline.quality.value_range import FEW_SHADES, ValueRange, find_range, find_uneven, rows_outside, shades_used

NAMED = 5
ODD_SHARE = 0.01
"""A format, colour mode or size that more images than this have is no oddity."""
COMMON_SHARE = 0.9
"""Nor is it where the images have no format or mode in common."""
SIZES_APART = 4.0
"""An odd side is so many times longer or shorter than the median, at least."""
FENCE = 3.0
"""And so many interquartile ranges beyond the quartiles, on a logarithmic scale: far out, in the words of Tukey (1977), Exploratory data analysis."""


def range_of(judged: Judged) -> ValueRange | None:
    """The range of values of the deep images that are kept, found from those for training; None if there are none."""
    deep = judged.images.deep[judged.kept[judged.images.deep["row"]]]
    if not len(deep):
        return None
    training = deep[judged.splits[deep["row"]] != TEST]
    depths = judged.images.facts["depth"][(training if len(training) else deep)["row"]]
    return find_range(training, floating=bool((depths == FLOATING).any()))


def limits_of_model(judged: Judged) -> dict[str, Any]:
    """The part of report.json about the values and the size of images that a model of this data set takes.

    max_pixels is the usual limit unless there are larger images, so that a new ingest.max_pixels alone re-fits nothing.
    """
    facts, value_range = judged.images.facts[judged.kept], range_of(judged)
    most = int((facts["width"].astype(np.int64) * facts["height"]).max(initial=0))
    return {
        "value_range": value_range._asdict() if value_range else None,
        "max_pixels": judged.max_pixels if most > MOST_PIXELS else MOST_PIXELS,
    }


def image_problems(judged: Judged, value_range: ValueRange | None) -> list[ImageProblem]:
    """Images that show nothing, or not all of what is in the file."""
    facts = judged.images.facts
    deep = judged.images.deep[judged.kept[judged.images.deep["row"]]]
    problems = [ImageProblem("one_colour", row, "") for row in np.flatnonzero(judged.kept & facts["one_colour"]).tolist()]
    dark = np.flatnonzero(judged.kept & ~facts["one_colour"] & (facts["brightest"] <= NEARLY_BLACK))
    problems += [ImageProblem("nearly_black", row, f"its largest value is {facts['brightest'][row]} of 255") for row in dark.tolist()]
    for found in deep[deep["not_finite"] > 0]:
        problems.append(ImageProblem("not_finite", int(found["row"]), f"{found['not_finite']:,} of its values are NaN or infinite"))
    for row in np.flatnonzero(judged.kept & (facts["frames"] > 1)).tolist():
        problems.append(ImageProblem("more_pages", row, f"{facts['frames'][row]:,} images in the file, of which only the first is read"))
    problems += odd_files(facts, np.flatnonzero(judged.kept))
    if value_range is not None:
        for found in deep[rows_outside(deep, value_range)]:
            note = f"its values go from {number(found['least'])} to {number(found['most'])}, the range is {value_range.in_words}"
            problems.append(ImageProblem("clipped_values", int(found["row"]), note))
    return problems


def odd_files(facts: np.ndarray, kept: np.ndarray) -> list[ImageProblem]:
    """The few of the images whose file is unlike all others, in format, colour mode or size. facts: of all images. kept: int (N,), rows to look at."""
    notes: dict[int, list[str]] = {}
    for field, names in (("format", FORMATS), ("mode", MODES)):
        numbers, counts = np.unique(facts[field][kept], return_counts=True)
        if not len(kept) or counts.max() < COMMON_SHARE * len(kept):
            continue
        for value, count in zip(numbers.tolist(), counts.tolist(), strict=True):
            if count <= ODD_SHARE * len(kept):
                note = f"the only one in {names[value]}" if count == 1 else f"one of {count} in {names[value]}"
                for row in kept[facts[field][kept] == value].tolist():
                    notes.setdefault(row, []).append(note)
    widths, heights = facts["width"][kept].astype(np.float64), facts["height"][kept].astype(np.float64)
    odd = _far_out(widths) | _far_out(heights)
    if odd.sum() <= ODD_SHARE * len(kept):
        for i in np.flatnonzero(odd).tolist():
            note = f"{widths[i]:.0f} × {heights[i]:.0f} px, where the median is {np.median(widths):.0f} × {np.median(heights):.0f} px"
            notes.setdefault(int(kept[i]), []).append(note)
    return [ImageProblem("odd_file", row, "; ".join(notes[row])) for row in sorted(notes)]


def _far_out(sides_px: np.ndarray) -> np.ndarray:
    """bool (N,): which lengths are far from the others."""
    if not len(sides_px):
        return np.zeros(0, bool)
    logs = np.log(sides_px)
    low, middle, high = np.quantile(logs, [0.25, 0.5, 0.75])
    beyond = (logs < low - FENCE * (high - low)) | (logs > high + FENCE * (high - low))
    far: np.ndarray = beyond & (np.abs(logs - middle) >= np.log(SIZES_APART))
    return far


def value_problems(judged: Judged, value_range: ValueRange | None) -> list[ClassProblem]:
    """Findings about the values of the data set as a whole."""
    depths = judged.images.facts["depth"][judged.kept]
    whole, floating, coarse = (int((depths == depth).sum()) for depth in (WHOLE_NUMBERS, FLOATING, SIXTEEN_BIT_COLOUR))
    problems = []
    if coarse:
        problems.append(ClassProblem("sixteen_bit_colour", (), f"{coarse:,} of {len(depths):,} images"))
    if value_range is None:
        return problems
    kinds = {"8 bits": len(depths) - whole - floating, "whole numbers of 16 or 32 bits": whole, "floating point numbers": floating}
    if sum(map(bool, kinds.values())) > 1:
        note = ", ".join(f"{count:,} of {kind}" for kind, count in kinds.items() if count)
        problems.append(ClassProblem("mixed_depths", (), f"{note}; the range is {value_range.in_words}"))
    if value_range.guessed:
        problems.append(ClassProblem("guessed_range", (), f"{value_range.in_words}: {value_range.how}"))
    deep = judged.images.deep[judged.kept[judged.images.deep["row"]]]
    training = deep[judged.splits[deep["row"]] != TEST]
    if uneven := find_uneven(training, value_range):
        note = (
            f"{uneven.images:,} of {uneven.of:,} training images have values from {number(uneven.low)} to {number(uneven.high)}, which become at most "
            f"{uneven.shades:.0f} of 256 shades each; all together go from {number(uneven.least)} to {number(uneven.most)}; "
            "preprocess.value_range sets another range"
        )
        problems.append(ClassProblem("uneven_range", (), note))
    shades = shades_used(training, value_range)
    if shades < FEW_SHADES:
        problems.append(
            ClassProblem(
                "few_shades", (), f"about {shades:.0f} of 256 shades for nearly all training pixels; the range is {value_range.in_words}"
            )
        )
    return problems


def repetitions(judged: Judged) -> list[ClassProblem]:
    """Classes that consist of few pictures many times over, or of the pictures of another class; of all images, also those left out."""
    names, labels, pictures = judged.images.labels, judged.images.facts["label"], pictures_of(judged)
    few = [found for found in count_pictures(pictures, labels, names) if found.images >= TIMES_REPEATED * found.pictures]
    shared = find_shared(pictures, labels, names)
    return [
        *[ClassProblem("repeated_picture", (found.name,), found.in_words) for found in few],
        *[ClassProblem("repeated_class", (found.name, found.other), found.in_words) for found in shared],
    ]


def refuse_repeated_classes(judged: Judged, name: str) -> None:
    """Raise SourceError, naming the classes, if classes repeat each other for the most part."""
    shared = find_shared(pictures_of(judged), judged.images.facts["label"], judged.images.labels)
    if shared:
        raise SourceError(
            f"ingest.source: in {name}, {_listed([found.in_words for found in shared])}, so their labels contradict each other. Does the folder hold "
            "a copy of itself? Remove one of each two, or merge them."
        )


def refuse_nothing_to_see(judged: Judged, name: str) -> None:
    """Raise SourceError if no image shows anything, or every class is a single picture."""
    facts = judged.images.facts[judged.kept]
    if not len(facts):
        return
    if facts["one_colour"].all():
        raise SourceError(
            f"ingest.source: each of the {len(facts):,} images of {name} is of a single colour, so there is nothing to learn. Was the export "
            "faulty? Open one of them in an image viewer."
        )
    if (facts["brightest"] <= NEARLY_BLACK).all() and (facts["depth"] == SIXTEEN_BIT_COLOUR).all():
        raise SourceError(
            f"ingest.source: the colour images of {name} have 16 bits per channel, but no value above {NEARLY_BLACK * 256 + 255}: 12 bits or fewer. "
            f"Only the upper 8 bits are read, which leaves the values 0 to {facts['brightest'].max()} of 255. Multiply the values (12 bits by 16, "
            "10 bits by 64), or save the images with 8 bits per channel."
        )
    if (facts["brightest"] <= 1).all():
        raise SourceError(
            f"ingest.source: the images of {name} have no values but 0 and 1 of 255, as masks have: they are black. Multiply their values by 255."
        )
    counted = count_pictures(pictures_of(judged), judged.images.facts["label"], judged.images.labels)
    if all(found.pictures == 1 for found in counted) and any(found.images > 1 for found in counted):
        raise SourceError(
            f"ingest.source: every class of {name} is one picture ({_listed([found.in_words for found in counted])}), so nothing is left to test "
            "a model with. Add other images of each class."
        )


def _listed(phrases: Sequence[str]) -> str:
    more = f" and {len(phrases) - NAMED:,} more" if len(phrases) > NAMED else ""
    return ", ".join(phrases[:NAMED]) + more
