"""What Prometheus reads at /metrics. Label sets are bounded: outcomes and reasons are enumerations, never ids or URLs.

One registry for a process. A worker counts what it does; what lies in the database is asked for at each scrape.
"""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30)
LATENCY_SECONDS: Final = (*SECONDS, 60, 300, 1800, 7200, 43_200, 259_200)


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.attempts = Counter(
            "tocsin_attempts", "POSTs to receivers, by what became of them", ["outcome"], registry=self.registry
        )
        self.deliveries = Counter("tocsin_deliveries", "Deliveries by decision", ["decision"], registry=self.registry)
        self.attempt_seconds = Histogram(
            "tocsin_attempt_seconds", "Duration of POSTs", buckets=SECONDS, registry=self.registry
        )
        self.delivery_latency_seconds = Histogram(
            "tocsin_delivery_latency_seconds",
            "From the commit of an event to its delivery",
            buckets=LATENCY_SECONDS,
            registry=self.registry,
        )
        self.refused_addresses = Counter(
            "tocsin_refused_addresses", "Attempts refused for their address", ["reason"], registry=self.registry
        )
        self.events_removed = Counter("tocsin_events_removed", "Events removed by age", registry=self.registry)
        self.deliveries_lost = Counter(
            "tocsin_deliveries_lost",
            "Deliveries given up because their event reached the last limit of age",
            registry=self.registry,
        )
        self.leases_lost = Counter("tocsin_leases_lost", "Leases that another worker took over", registry=self.registry)
        self.appended = Gauge("tocsin_events_appended", "Events in all logs, ever", registry=self.registry)
        self.pending = Gauge(
            "tocsin_deliveries_pending", "Events that enabled webhooks have not come to yet", registry=self.registry
        )
        self.parked = Gauge(
            "tocsin_deliveries_parked", "Deliveries that wait for a retry or behind one", registry=self.registry
        )
        self.oldest_pending_seconds = Gauge(
            "tocsin_oldest_pending_seconds", "Age of the oldest event not delivered yet", registry=self.registry
        )
        self.open_breakers = Gauge(
            "tocsin_open_breakers", "Endpoints that are down: only probes are sent", registry=self.registry
        )

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)
