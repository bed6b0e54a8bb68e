"""Metrics for Prometheus, in a registry of our own; what is true now is looked at when somebody asks.

Labels of the metrics are bounded: kinds of requests, statuses, feeds, alarms; never a path or a value.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from trimtab.model.changes import Change
from trimtab.model.reports import Status
from trimtab.standing import Standing
from trimtab_sidecar.node import Node

FEEDS: Final = ("redis", "postgres", "disk", "none")
_APPLY_BUCKETS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_PROPAGATION_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
_REFUSED: Final = "refused"


class Metrics:
    """What is counted as it happens. See `trimtab_sidecar.node.Watcher`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._applied = Counter("trimtab_applied", "States that were served.", registry=self.registry)
        self._apply_seconds = Histogram(
            "trimtab_apply_seconds",
            "From a verified state to every local reader being able to see it.",
            buckets=_APPLY_BUCKETS,
            registry=self.registry,
        )
        self._propagation = Histogram(
            "trimtab_propagation_seconds",
            "From the writer's clock in a change to our clock when it was served; the clocks may differ.",
            buckets=_PROPAGATION_BUCKETS,
            registry=self.registry,
        )
        self._refused = Counter(
            "trimtab_refused", "Reasons for which something that arrived was refused.", registry=self.registry
        )
        self._requests = Counter(
            "trimtab_http_requests", "Answers, by kind and status.", ["kind", "status"], registry=self.registry
        )
        self._connections = Gauge("trimtab_http_connections", "Connections that are open.", registry=self.registry)
        self._cut = Counter(
            "trimtab_http_connections_cut",
            "Connections that we ended: late, idle, unread, displaced, refused.",
            ["why"],
            registry=self.registry,
        )
        self._streams = Gauge("trimtab_http_streams", "Streams of changes that are open.", registry=self.registry)
        self._slow_streams = Counter(
            "trimtab_http_slow_streams", "Streams cut off because nobody read them.", registry=self.registry
        )
        self._renders = Counter(
            "trimtab_renders", "Renderings, by outcome: written, same, failed.", ["outcome"], registry=self.registry
        )
        self._said = ""

    def applied(self, seconds: float, change: Change | None) -> None:
        """A state is served; `change` is the one that led there, if it was one."""
        self._applied.inc()
        self._apply_seconds.observe(seconds)
        written = None if change is None else _written_at(change)
        if written is not None:
            self._propagation.observe(max(0.0, time.time() - written))

    def stood(self, standing: Standing) -> None:
        """What is true may be new; a refusal is counted once for each reason."""
        said = standing.alarms.get(_REFUSED, "")
        if said and said != self._said:
            self._refused.inc()
        self._said = said

    def answered(self, kind: str, status: int) -> None:
        """A request was answered."""
        self._requests.labels(kind, str(status)).inc()

    def rendered(self, outcome: str) -> None:
        """A file was looked after: written, same, or failed."""
        self._renders.labels(outcome).inc()

    def connection_opened(self) -> None:
        """See `trimtab_sidecar.http.connections.Counting`."""
        self._connections.inc()

    def connection_closed(self) -> None:
        """See `trimtab_sidecar.http.connections.Counting`."""
        self._connections.dec()

    def connection_cut(self, why: str) -> None:
        """See `trimtab_sidecar.http.connections.Counting`."""
        self._cut.labels(why).inc()

    def stream_opened(self) -> None:
        """See `trimtab_sidecar.http.stream.Counting`."""
        self._streams.inc()

    def stream_closed(self, *, slow: bool) -> None:
        """See `trimtab_sidecar.http.stream.Counting`."""
        self._streams.dec()
        if slow:
            self._slow_streams.inc()

    async def metrics(self, _request: web.Request) -> web.Response:
        """`/metrics`: the text format of Prometheus."""
        return web.Response(body=generate_latest(self.registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})


class Standings(Collector):
    """What is true about a node when it is asked."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def collect(self) -> Iterator[Metric]:
        """One family after the other."""
        node = self._node
        now = {
            "trimtab_ready": ("Whether validated data are served, and bots that attach find them.", float(node.ready)),
            "trimtab_epoch": ("The epoch that is served.", float(node.position.epoch)),
            "trimtab_revision": ("The revision that is served.", float(node.position.revision)),
            "trimtab_proven_revision": (
                "The store's revision up to which nothing is known to be missing.",
                float(node.standing.freshness.proven.revision),
            ),
            "trimtab_staleness_seconds": (
                "Seconds since what is served was last proven to be the newest; +Inf if it never was.",
                node.staleness_seconds,
            ),
        }
        for name, (text, value) in now.items():
            yield GaugeMetricFamily(name, text, value=value)
        bots = node.attached()
        if bots is not None:
            yield GaugeMetricFamily("trimtab_attached", "Bots that read through this sidecar.", value=bots.count)
            yield GaugeMetricFamily(
                "trimtab_attached_slowest_revision",
                "The revision of the one that is furthest behind, 0 without any.",
                value=bots.slowest.revision,
            )
        yield GaugeMetricFamily(
            "trimtab_local_overrides", "Paths that this node sets for itself.", value=node.overlaid.held
        )
        yield _one_of("trimtab_status", "How far freshness can be trusted.", "status", list(Status), node.status)
        yield _one_of("trimtab_feed", "What keeps it up to date now.", "feed", FEEDS, node.feed)
        alarms = GaugeMetricFamily("trimtab_alarm", "What a person should know now.", labels=["alarm"])
        for name in node.known_alarms:
            alarms.add_metric([name], 1.0)
        yield alarms


def _written_at(change: Change) -> float | None:
    """When it was written, by the writer's clock; None where it does not say."""
    try:
        return datetime.fromisoformat(change.time).timestamp()
    except ValueError:
        return None


def _one_of(name: str, text: str, label: str, known: list[Status] | tuple[str, ...], now: str) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for one in known:
        family.add_metric([str(one)], float(one == now))
    return family
