"""The model that answers: loaded once, and replaced by a new champion between two requests. A registry that does not answer changes nothing."""

import logging
import threading
from collections.abc import Callable

from pipeline.errors import PipelineError
from pipeline.serving.answering import Answering

LOG = logging.getLogger(__name__)


class CurrentModel:
    """A classifier, and the thread that follows the registry. `classifier` may be another object at each reading: read it once per request."""

    def __init__(self, classifier: Answering, load: Callable[[], Answering], version: Callable[[], str], poll_seconds: float) -> None:
        """load: the model as it is now in the registry. version: its number there, found without loading it."""
        self.classifier = classifier
        self.registry_errors = 0
        self._load, self._version, self._poll_seconds = load, version, poll_seconds
        self._said = ""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="registry", daemon=True)

    def start(self) -> None:
        """Begin to follow the registry."""
        self._thread.start()

    def stop(self) -> None:
        """Stop following."""
        self._stopped.set()

    def look(self) -> None:
        """Load another version if the registry names one now."""
        try:
            named = self._version()
            if named != self.classifier.version:
                before, self.classifier = self.classifier.shown, self._load()
                LOG.info("%s answers now, in place of %s.", self.classifier.shown, before)
            self._say("")
        except PipelineError as error:
            self.registry_errors += 1
            self._say(f"{error} {self.classifier.shown} goes on answering.")

    def _follow(self) -> None:
        while not self._stopped.wait(self._poll_seconds):
            try:
                self.look()
            except Exception:  # a fault of a library must not end the thread
                self.registry_errors += 1
                LOG.exception("The registry could not be looked at.")

    def _say(self, line: str) -> None:
        """Log a line, once while it stays the same."""
        if line and line != self._said:
            LOG.warning("%s", line)
        self._said = line
