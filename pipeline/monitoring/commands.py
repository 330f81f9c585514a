"""`pipeline drift`: new images beside those that a model knows."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.csv_text import csv_text
from pipeline.dataset.intake import PROPERTY_NAMES
from pipeline.dataset.shards import SIZE
from pipeline.drift import FEWEST
from pipeline.drift.properties import property_shifts
from pipeline.drift.verdict import Side, find_drift, sample
from pipeline.drift.words import lines, verdict
from pipeline.errors import ConfigError, SourceError
from pipeline.features.extractor import embedder
from pipeline.files import write_bytes
from pipeline.images.decoding import decode
from pipeline.images.thumbnails import thumbnail
from pipeline.monitoring.embedding import Embedding
from pipeline.monitoring.found import Found, as_json, as_rows, as_text
from pipeline.monitoring.opened import Opened, opened
from pipeline.monitoring.page import Newest, render_drift
from pipeline.monitoring.reference import known_images, read_reference, training_images
from pipeline.monitoring.seen_images import look_at
from pipeline.paths import Paths
from pipeline.predicting.inputs import Named, find_images
from pipeline.serving.answering import Prediction

SEED = 0
SHOWN = 12
THUMBNAIL_PX = 160


def run_drift(options: argparse.Namespace, paths: Paths) -> int:
    """Print what differs. Exit code 2 with --strict if there is an alarm."""
    named = find_images(_named(options.images), paths.scratch / "drift" / "inputs")
    for note in named.notes:
        print(f"note: {note}", file=sys.stderr)
    images = [named.images[i] for i in sample(len(named.images), SEED)]
    with opened(options.model, paths) as model:
        found = _compare(images, len(named.images), model, paths)
    if found.fitted_to:
        print(f"note: {found.fitted_to_in_words}", file=sys.stderr)
    if options.page:
        write_bytes(Path(options.page), _page(found).encode())
    if options.csv:
        sys.stdout.write(csv_text(as_rows(found)))
    else:
        print(json.dumps(as_json(found), indent=2, ensure_ascii=False) if options.json else as_text(found, SHOWN, options.page))
    if options.strict and found.drift.alarms:
        raise SourceError(verdict(found.drift))
    return 0


def _named(images: Sequence[str]) -> Sequence[str]:
    if not images:
        raise ConfigError("No images named. Name files, folders, archives, tables or URLs, or `-` for paths from standard input.")
    return images


def _compare(images: Sequence[Named], named: int, model: Opened, paths: Paths) -> Found:
    """Everything that is found. Raises SourceError for too few images that can be read."""
    known = known_images(model, paths)
    spec = known.image_spec
    embedding = Embedding(embedder(known.pretrained, (spec.height, spec.width, spec.channels)), paths.scratch / "drift" / "features")
    seen = look_at([image.content for image in images], spec, embedding)
    example = next((f" For example {images[i].path}: {fault}." for i, fault in seen.faults.items()), "")
    _refuse_few(len(seen.rows), f"{len(seen.rows):,} of {len(images):,} images can be read", example)
    reference = read_reference(known, embedding, model, paths)
    embedding.forget_others()
    training = training_images(known, paths)
    used, of_training = [images[i] for i in seen.rows], np.array([key in training for key in seen.sha256], bool)
    answers = list(model.classifier.stream([image.content for image in used]))
    usable = np.array([not answer.error for answer in answers])
    _refuse_few(int(usable.sum()), f"{model.classifier.shown} can use {usable.sum():,} of {len(used):,} images")
    pictures = len(np.unique(seen.groups[usable]))
    _refuse_few(pictures, f"The {usable.sum():,} images are near copies of {pictures:,} pictures")
    used, answers = ([each for each, kept in zip(every, usable, strict=True) if kept] for every in (used, answers))
    labels = _labels(used, model.classifier.class_names)
    new = Side(
        seen.features[usable], seen.properties[usable], seen.groups[usable], np.stack([each.probabilities for each in answers]), labels
    )
    drift = find_drift(new, reference, seed=SEED)
    shifts = property_shifts((*PROPERTY_NAMES, SIZE), new.properties, reference.properties)
    return Found(
        model=model.classifier.shown,
        class_names=model.classifier.class_names,
        images=used,
        answers=answers,
        labels=labels,
        named=named,
        left_out=len(images) - len(used),
        reference=len(reference.features),
        fitted_to=int(of_training[usable].sum()),
        drift=drift,
        properties=shifts,
    )


def _refuse_few(count: int, said: str, example: str = "") -> None:
    if count < FEWEST:
        raise SourceError(f"{said}; with fewer than {FEWEST} nothing can be said.{example}")


def _labels(images: Sequence[Named], class_names: Sequence[str]) -> np.ndarray | None:
    """The classes, int (M,), by the names of the folders, if every image is in a folder that is called like a class; else None."""
    place = {name: k for k, name in enumerate(class_names)}
    folders = [Path(image.path).parent.name for image in images]
    return np.array([place[folder] for folder in folders]) if all(folder in place for folder in folders) else None


def _page(found: Found) -> str:
    newest = [_newest(found.images[i], found.answers[i]) for i in found.drift.newest[:SHOWN].tolist()]
    return render_drift(verdict(found.drift), lines(found.drift, found.properties, found.class_names), found.facts, newest)


def _newest(image: Named, answer: Prediction) -> Newest:
    picture = thumbnail(decode(image.content(), reduce_large_jpegs=True), THUMBNAIL_PX)
    return Newest(picture, image.path, answer.label, answer.probability)
