"""What `/metrics` tells Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Meters:
    """Counts and times of one app."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "mmmc_requests", "Requests by route and status.", ["path", "status"], registry=self.registry
        )
        self.seconds = Histogram("mmmc_request_seconds", "Time of a request.", ["path"], registry=self.registry)
        self.batches = Histogram(
            "mmmc_batch_pictures", "Pictures of a batch.", buckets=(1, 2, 4, 8, 16, 32), registry=self.registry
        )
        self.objects = Counter("mmmc_objects", "Objects found.", registry=self.registry)
        self.waiting = Gauge("mmmc_waiting_requests", "Pictures that wait for a batch.", registry=self.registry)

    def text(self) -> bytes:
        """All of them, as Prometheus reads it."""
        return generate_latest(self.registry)
