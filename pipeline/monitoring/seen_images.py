"""New images as the reference has them: features of a pretrained network, properties, groups of near copies. No TensorFlow."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.dataset.splits import components
from pipeline.errors import ImageError
from pipeline.images.decoding import ImageSpec, decode, encoded_to_input
from pipeline.images.sharpness import of_pixels
from pipeline.monitoring.embedding import Embedding
from pipeline.parallel import parallel_map
from pipeline.progress import Progress
from pipeline.quality.fingerprints import FINGERPRINT_BYTES, fingerprint_of_plain, looks_of, plain
from pipeline.quality.inspection import content_digest
from pipeline.quality.near_duplicates import near_duplicates

AT_ONCE = 256
Content = Callable[[], bytes]


@dataclass(frozen=True)
class Seen:
    """M of the images. rows: int (M,), which. sha256: of their content, as `ingest` has it. features: float32 (M, F). properties: float32 (M, P), as
    `read_properties` has them. groups: int (M,).

    faults: why others cannot be read, by their row.
    """

    rows: np.ndarray
    sha256: Sequence[str]
    features: np.ndarray
    properties: np.ndarray
    groups: np.ndarray
    faults: Mapping[int, str]


def look_at(images: Sequence[Content], spec: ImageSpec, embedding: Embedding) -> Seen:
    """What is seen of images; those that cannot be read are left out."""
    chunks = [range(start, min(start + AT_ONCE, len(images))) for start in range(0, len(images), AT_ONCE)]
    rows, sha256, features, properties, prints = [], [], [], [], []
    faults: dict[int, str] = {}
    with Progress("look", len(images), "images") as progress:
        numbered = [[(i, images[i]) for i in chunk] for chunk in chunks]
        for seen, contents, inputs, numbers, fingerprints, unread in parallel_map(_Look(spec), numbered):
            rows += seen
            sha256 += contents
            faults |= unread
            features.append(embedding.rows(inputs))
            properties.append(np.column_stack([looks_of(fingerprints), numbers]).astype(np.float32))
            prints.append(fingerprints)
            progress.advance(AT_ONCE)
    if not rows:
        return Seen(np.empty(0, np.int64), [], np.empty((0, 0)), np.empty((0, 0)), np.empty(0, np.int64), faults)
    pairs = near_duplicates(np.concatenate(prints))
    groups = components(len(rows), pairs.astype(np.int64))
    return Seen(np.array(rows), sha256, np.concatenate(features), np.concatenate(properties), groups, faults)


@dataclass(frozen=True)
class _Look:
    """Decodes some images; picklable, so that it can be sent to another process."""

    spec: ImageSpec

    def __call__(
        self, numbered: Sequence[tuple[int, Content]]
    ) -> tuple[list[int], list[str], np.ndarray, np.ndarray, np.ndarray, dict[int, str]]:
        """(numbers of those that can be used, sha256, inputs, sharpness and blockiness and the logarithm of the pixels, fingerprints, faults)."""
        rows, contents, inputs, numbers, prints = [], [], [], [], []
        faults = {}
        for i, content in numbered:
            try:
                encoded = content()
                image = decode(encoded, max_pixels=self.spec.max_pixels, reduce_large_jpegs=True)
                inputs.append(encoded_to_input(encoded, self.spec))
            except (ImageError, OSError) as error:
                faults[i] = str(error)
                continue
            full = image.info.get("full_size", image.size)
            seen = plain(image)
            numbers.append((*of_pixels(seen), np.log(full[0] * full[1])))
            prints.append(fingerprint_of_plain(seen, image.info.get("full_size"))[0])
            rows.append(i)
            contents.append(content_digest(image, encoded).hex())
        shape = (len(rows), self.spec.height, self.spec.width, self.spec.channels)
        return (
            rows,
            contents,
            np.array(inputs, np.uint8).reshape(shape),
            np.array(numbers).reshape(-1, 3),
            np.array(prints, np.uint8).reshape(-1, FINGERPRINT_BYTES),
            faults,
        )
