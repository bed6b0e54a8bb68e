"""The metrics of a sidecar, as a scrape reads them."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from tests.support.sidecar import client, running, until
from tests.support.signed_line import SignedLine
from tests.support.world import World
from trimtab.feeds.feed import Arrived
from trimtab.model.changes import Change
from trimtab_sidecar.metrics import Metrics

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def scrape(ask: aiohttp.ClientSession) -> Samples:
    async with ask.get("/metrics") as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return samples(await answer.text())


def samples(text: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def one(found: Samples, name: str, **labels: str) -> float:
    return found[name, tuple(sorted(labels.items()))]


async def test_a_scrape_tells_what_is_true_and_what_happened(made: World, short_directory: Path) -> None:
    async with running(made, short_directory) as sidecar, client(sidecar) as ask:
        await until(lambda: sidecar.node.feed == "redis")
        found = await scrape(ask)
        assert [one(found, f"trimtab_{name}") for name in ("ready", "epoch", "revision")] == [1, 1, 1]
        assert [one(found, "trimtab_feed", feed=feed) for feed in ("redis", "postgres", "disk", "none")] == [1, 0, 0, 0]
        assert (one(found, "trimtab_status", status="LIVE"), one(found, "trimtab_status", status="STALE")) == (1, 0)
        assert 0 <= one(found, "trimtab_staleness_seconds") < 60
        for number in range(3):
            made.commit({"risk.global.max_leverage": number})
            await until(lambda: sidecar.node.position.revision == made.revision)
        made.redis.inject(Arrived(SignedLine("staging").extend().message))
        await until(lambda: "refused" in sidecar.node.known_alarms)
        assert (await ask.get("/v1/values/nothing")).status == 404
        found = await scrape(ask)
        assert (one(found, "trimtab_revision"), one(found, "trimtab_applied_total")) == (4, 4)
        assert one(found, "trimtab_apply_seconds_count") == 4
        assert (one(found, "trimtab_refused_total"), one(found, "trimtab_alarm", alarm="refused")) == (1, 1)
        assert one(found, "trimtab_http_requests_total", kind="/v1/values", status="404") == 1
        assert one(found, "trimtab_http_requests_total", kind="/metrics", status="200") == 1


async def test_without_data_it_says_so(made: World, short_directory: Path) -> None:
    made.down()
    async with running(made, short_directory, ready=False) as sidecar, client(sidecar) as ask:
        found = await scrape(ask)
        assert (one(found, "trimtab_ready"), one(found, "trimtab_staleness_seconds")) == (0, math.inf)
        assert one(found, "trimtab_feed", feed="none") == 1


async def test_whatever_is_asked_for_the_series_are_bounded(made: World, short_directory: Path) -> None:
    async with running(made, short_directory) as sidecar, client(sidecar) as ask:
        for number in range(20):
            await ask.get(f"/v1/values/a.b{number}")
            await ask.get(f"/nowhere/{number}")
        found = await scrape(ask)
        kinds = {dict(labels)["kind"] for name, labels in found if name == "trimtab_http_requests_total"}
        assert kinds == {"/v1/values", "other"}


def test_propagation_is_from_the_writers_clock_to_ours() -> None:
    metrics = Metrics()
    now = datetime.now(UTC)
    times = [(now - timedelta(seconds=ago)).isoformat().replace("+00:00", "Z") for ago in (0.03, 3.0, -5.0)]
    for text in (*times, "", "yesterday"):
        metrics.applied(0.002, Change(environment="production", author="t", reason="", time=text))
    counted = {
        sample.labels["le"]: sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "trimtab_propagation_seconds_bucket"
    }
    assert (counted["0.01"], counted["2.5"], counted["10.0"]) == (1, 2, 3)
    assert counted["+Inf"] == 3


def test_the_registry_of_the_process_is_left_alone() -> None:
    Metrics()
    assert not [family.name for family in REGISTRY.collect() if family.name.startswith("trimtab")]
