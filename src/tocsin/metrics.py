"""What Prometheus reads at /metrics. Label sets are bounded: outcomes and reasons are enumerations, never ids or URLs.

One registry for a process. A worker counts what it does; what lies in the database is asked for at each scrape. What is
counted for each delivery is plain numbers until somebody scrapes: a worker has one thread, and no time for locks.
"""

from bisect import bisect_left
from collections import Counter as Numbers
from collections.abc import Iterable, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30)
LATENCY_SECONDS: Final = (*SECONDS, 60, 300, 1800, 7200, 43_200, 259_200)


class Tally(Collector):
    """A counter with one label."""

    def __init__(self, name: str, documentation: str, label: str, registry: CollectorRegistry) -> None:
        self._about = (name, documentation)
        self._label = label
        self._numbers: Numbers[str] = Numbers()
        registry.register(self)

    def count(self, value: str) -> None:
        self._numbers[value] += 1

    def collect(self) -> Iterable[Metric]:
        family = CounterMetricFamily(*self._about, labels=[self._label])
        for value, number in sorted(self._numbers.items()):
            family.add_metric([value], number)
        return [family]


class Timing(Collector):
    """A histogram of seconds; `buckets`: upper bounds, rising."""

    def __init__(self, name: str, documentation: str, buckets: Sequence[float], registry: CollectorRegistry) -> None:
        self._about = (name, documentation)
        self._buckets = tuple(buckets)
        self._numbers = [0] * (len(self._buckets) + 1)
        self._sum = 0.0
        registry.register(self)

    def observe(self, seconds: float) -> None:
        self._numbers[bisect_left(self._buckets, seconds)] += 1
        self._sum += seconds

    def collect(self) -> Iterable[Metric]:
        family, so_far, buckets = HistogramMetricFamily(*self._about), 0, []
        for bound, number in zip((*self._buckets, float("inf")), self._numbers, strict=True):
            so_far += number
            buckets.append(("+Inf" if bound == float("inf") else str(float(bound)), so_far))
        family.add_metric([], buckets, self._sum)
        return [family]


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.attempts = Tally("tocsin_attempts", "POSTs to receivers, by what became of them", "outcome", self.registry)
        self.deliveries = Tally("tocsin_deliveries", "Deliveries by decision", "decision", self.registry)
        self.attempt_seconds = Timing("tocsin_attempt_seconds", "Duration of POSTs", SECONDS, self.registry)
        self.delivery_latency_seconds = Timing(
            "tocsin_delivery_latency_seconds",
            "From the commit of an event to its delivery",
            LATENCY_SECONDS,
            self.registry,
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
        self.mails = Tally("tocsin_mails", "Mails to people, by what became of them", "outcome", self.registry)
        self.mails_waiting = Gauge("tocsin_mails_waiting", "Mails that are not sent yet", registry=self.registry)
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
