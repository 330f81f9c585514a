"""A challenger that gets the same images as the champion and answers to nobody: where the two differ, a line is written."""

import json
import logging
import queue
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.serving.answering import Answering, Prediction

LOG = logging.getLogger(__name__)
MOST_WAITING = 64
DECIMALS = 6


class Shadow:
    """Scores requests in a thread of its own. Requests that come faster than it can answer are skipped and counted: the champion never waits."""

    def __init__(self, classifier: Answering, file: Path) -> None:
        """file: gets a line of JSON per image with another label. No image is kept, only its sha256."""
        self.classifier = classifier
        self.compared = self.disagreed = self.skipped = self.failed = 0
        self._file = file
        self._waiting: queue.Queue[tuple[str, list[Any], Sequence[Prediction]]] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._work, name="shadow", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def add(self, version: str, images: list[Any], answers: Sequence[Prediction]) -> None:
        """Images that version `version` has answered."""
        try:
            self._waiting.put_nowait((version, images, answers))
        except queue.Full:
            self.skipped += len(images)

    def drain(self) -> None:
        """Wait until all that was added is scored."""
        self._waiting.join()

    def _work(self) -> None:
        while True:
            version, images, answers = self._waiting.get()
            try:
                self._compare(version, images, answers)
            except Exception:  # a challenger that fails is a finding, not a reason to stop serving
                self.failed += len(images)
                LOG.exception("The shadow could not answer.")
            finally:
                self._waiting.task_done()

    def _compare(self, version: str, images: list[Any], answers: Sequence[Prediction]) -> None:
        lines = []
        for answer, other in zip(answers, self.classifier.answer(images), strict=True):
            self.compared += 1
            if other.label != answer.label:
                self.disagreed += 1
                lines.append(json.dumps(self._line(version, answer, other), ensure_ascii=False) + "\n")
        if lines:
            with self._file.open("a", encoding="utf-8") as file:
                file.write("".join(lines))

    def _line(self, version: str, answer: Prediction, other: Prediction) -> dict[str, Any]:
        return {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "sha256": answer.sha256,
            "version": version,
            "label": answer.label,
            "probability": round(answer.probability, DECIMALS),
            "shadow_version": self.classifier.version,
            "shadow_label": other.label,
            "shadow_probability": round(other.probability, DECIMALS) if not other.error else None,
            "shadow_error": other.error,
        }
