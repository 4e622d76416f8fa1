"""What ``GET /metrics`` counts, for Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

# Of the text format that generate_latest writes.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """The numbers of one server, with those of its process: memory, processor time, open files.

    Args:
        n_waiting: returns how many images wait or are being computed.
    """

    def __init__(self, n_waiting: Callable[[], float]) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter("alexnet_requests", "Requests", ["path", "status"], registry=self._registry)
        self._seconds = Histogram(
            "alexnet_request_seconds", "Seconds per request", ["path"], buckets=SECONDS, registry=self._registry
        )
        self._images = Counter("alexnet_images", "Images", ["model", "outcome"], registry=self._registry)
        self._batches = Histogram(
            "alexnet_batch_images", "Images per batch", ["model"], buckets=BATCH_SIZES, registry=self._registry
        )
        self._engine = Histogram(
            "alexnet_engine_seconds", "Seconds per batch", ["model"], buckets=SECONDS, registry=self._registry
        )
        Gauge("alexnet_waiting_images", "Images that wait or are being computed", registry=self._registry).set_function(
            n_waiting
        )
        ProcessCollector(registry=self._registry)

    def count_request(self, path: str, status: int, seconds: float) -> None:
        """Count a request. ``path`` must be one of a few, since each gets numbers of its own."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def count_images(self, model: str, n_computed: int, n_unreadable: int) -> None:
        """Count the images of a request."""
        if n_computed:
            self._images.labels(model, "computed").inc(n_computed)
        if n_unreadable:
            self._images.labels(model, "unreadable").inc(n_unreadable)

    def count_batch(self, model: str, n_images: int, seconds: float) -> None:
        """Count a batch."""
        self._batches.labels(model).observe(n_images)
        self._engine.labels(model).observe(seconds)

    def text(self) -> bytes:
        """Return all numbers in the text format of Prometheus."""
        return generate_latest(self._registry)
