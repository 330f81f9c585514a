"""Numbers for Prometheus: requests, images, seconds, the version that answers, the shadow."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric

from pipeline.model_server.current_model import CurrentModel
from pipeline.model_server.shadow import Shadow

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


class Metrics:
    """A registry of its own, so that two servers in one process do not share numbers."""

    def __init__(self, current: CurrentModel, shadow: Shadow | None) -> None:
        self._registry = CollectorRegistry()
        self._current = current
        self.requests = Counter("classifier_requests", "Requests by status", ["status"], registry=self._registry)
        self.images = Counter("classifier_images", "Images answered, by label", ["label"], registry=self._registry)
        self.seconds = Histogram("classifier_request_seconds", "Seconds per request", buckets=SECONDS, registry=self._registry)
        self.waiting = Gauge("classifier_requests_waiting", "Requests that wait or are being answered", registry=self._registry)
        self._info = Gauge("classifier_model_info", "1 for the version that answers", ["name", "version"], registry=self._registry)
        self._registry.register(
            _Counted("classifier_registry_errors", "Looks at the registry that failed", lambda: current.registry_errors)
        )
        if shadow:
            for name, what, value in (
                ("classifier_shadow_images", "Images that the shadow has answered, too", lambda: shadow.compared),
                ("classifier_shadow_disagreements", "Images with another label by the shadow", lambda: shadow.disagreed),
                ("classifier_shadow_skipped", "Images that came too fast for the shadow", lambda: shadow.skipped),
                ("classifier_shadow_failed", "Images on which the shadow failed", lambda: shadow.failed),
            ):
                self._registry.register(_Counted(name, what, value))

    def text(self) -> bytes:
        """In Prometheus's text format."""
        classifier = self._current.classifier
        self._info.clear()
        self._info.labels(classifier.name, classifier.version).set(1)
        return generate_latest(self._registry)


class _Counted:
    """A count that is kept elsewhere."""

    def __init__(self, name: str, what: str, value: Callable[[], int]) -> None:
        self._name, self._what, self._value = name, what, value

    def collect(self) -> Iterator[Metric]:
        """What Prometheus's registry calls."""
        yield CounterMetricFamily(self._name, self._what, value=self._value())
