"""What Prometheus may know; of all workers together, where there are several."""

import os

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"  # the library's own variable: set before it is loaded

REQUESTS = Counter("autoclf_requests", "Requests for predictions, by status.", ["status"])
REQUEST_SECONDS = Histogram("autoclf_request_seconds", "From the headers to the answer.", buckets=SECONDS)
IMAGES = Counter("autoclf_images", "Images, by what became of them.", ["outcome"])
BATCH_IMAGES = Histogram(
    "autoclf_batch_images", "Images that went through the model at once.", buckets=(1, 2, 4, 8, 16, 32)
)
BATCH_SECONDS = Histogram("autoclf_batch_seconds", "What a batch took.", buckets=SECONDS)
WAITING = Gauge("autoclf_waiting_images", "Images that wait for the model.", multiprocess_mode="livesum")
MODEL = Gauge("autoclf_model", "1 for the model in service.", ["model", "version"], multiprocess_mode="livemax")
MODEL_REFUSED = Counter("autoclf_models_refused", "New models that were not taken into service.")


def exposition() -> tuple[bytes, str]:
    """Return the figures in the form that Prometheus reads, and its content type."""
    registry: CollectorRegistry = REGISTRY
    if os.environ.get(MULTIPROCESS):
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry), CONTENT_TYPE_LATEST
