"""Readers of feature-flag SDKs, each flag one item, without their servers: LaunchDarkly, OpenFeature, Unleash."""

from __future__ import annotations

import datetime as dt
import importlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.peers import content
from benchmarks.peers.reading import Place, Reading


def launchdarkly(place: Place) -> Reading:
    """Its client with test data, events off; for a full resync, what its stream does: parse, and init of the store."""
    client_module: Any = importlib.import_module("ldclient")
    config: Any = importlib.import_module("ldclient.config").Config
    kind: Any = importlib.import_module("ldclient.versioned_data_kind").FEATURES
    store: Any = importlib.import_module("ldclient.feature_store").InMemoryFeatureStore()
    data: Any = importlib.import_module("ldclient.integrations.test_data").TestData.data_source()
    key = content.path(place["items"])
    context: Any = client_module.Context.create("mm-btc")
    for name, value in json.loads(Path(place["values"]).read_text()).items():
        data.update(data.flag(name).variations(value).variation_for_all(0))
    client: Any = client_module.LDClient(
        config("sdk-key", feature_store=store, update_processor_class=data, send_events=False)
    )

    def change(sort: str, value: float, file: str) -> None:
        if sort == "one key":
            data.update(data.flag(key).variations(value).variation_for_all(0))
        else:
            store.init({kind: json.loads(Path(file).read_text())["flags"]})

    return Reading(
        read=lambda: client.variation(key, context, 0.0),
        expression="o.variation(k, c, 0.0)",
        names={"o": client, "k": key, "c": context},
        change=change,
        close=client.close,
    )


def flags_of_launchdarkly(values: dict[str, Any]) -> dict[str, Any]:
    """Flags as LaunchDarkly's stream tells them: on for all, with one variation."""
    return {
        "flags": {
            name: {"key": name, "version": 1_000_000, "on": True,
                   "variations": [value], "fallthrough": {"variation": 0},
                   "offVariation": 0, "salt": "", "prerequisites": [], "targets": [], "rules": []}
            for name, value in values.items()
        }
    }  # fmt: skip


def openfeature(place: Place) -> Reading:
    """Its client over the provider in memory."""
    api: Any = importlib.import_module("openfeature.api")
    memory: Any = importlib.import_module("openfeature.provider.in_memory_provider")
    key = content.path(place["items"])

    def flag(value: Any) -> Any:
        return memory.InMemoryFlag("value", {"value": value})

    def parsed(file: str) -> dict[str, Any]:
        values = json.loads(Path(file).read_text())
        return {name: flag(value) for name, value in values.items()}

    flags = parsed(place["values"])
    api.set_provider_and_wait(memory.InMemoryProvider(flags))
    client: Any = api.get_client()

    def change(sort: str, value: float, file: str) -> None:
        if sort == "one key":
            flags[key] = flag(value)
            api.set_provider_and_wait(memory.InMemoryProvider(flags))
        else:
            api.set_provider_and_wait(memory.InMemoryProvider(parsed(file)))

    return Reading(
        read=lambda: client.get_float_value(key, 0.0),
        expression="o.get_float_value(k, 0.0)",
        names={"o": client, "k": key},
        change=change,
        close=api.shutdown,
    )


def unleash(place: Place) -> Reading:
    """Its client, bootstrapped and offline; the value is the payload of a variant. Its scheduler reloads when told."""
    library: Any = importlib.import_module("UnleashClient")
    kept: Any = importlib.import_module("UnleashClient.cache").FileCache
    scheduling: Any = importlib.import_module("apscheduler.schedulers.background")
    key = content.path(place["items"])
    directory = tempfile.mkdtemp(prefix="tt-unleash-")
    cache = kept("bench", directory=directory)
    cache.bootstrap_from_file(Path(place["unleash"]))
    scheduler = scheduling.BackgroundScheduler()
    client: Any = library.UnleashClient(
        "http://unused.invalid", "mm-btc", cache=cache, disable_metrics=True, disable_registration=True,
        refresh_interval=86_400, scheduler=scheduler, scheduler_executor="default",
    )  # fmt: skip
    client.initialize_client(fetch_toggles=False)

    def change(_sort: str, _value: float, file: str) -> None:
        cache.bootstrap_from_file(Path(file))  # what a poll does first: the text goes into the cache
        for job in scheduler.get_jobs():
            job.modify(next_run_time=dt.datetime.now(dt.UTC))

    def close() -> None:
        client.destroy()
        shutil.rmtree(directory)

    return Reading(
        read=lambda: float(client.get_variant(key)["payload"]["value"]),
        expression='float(o.get_variant(k)["payload"]["value"])',
        names={"o": client, "k": key},
        change=change,
        close=close,
    )


def features(values: dict[str, Any]) -> dict[str, Any]:
    """Flags as Unleash's server tells them to a client: on for all, with one variant that holds the value."""
    return {
        "version": 2,
        "features": [
            {
                "name": name,
                "type": "operational",
                "enabled": True,
                "strategies": [{"name": "default", "parameters": {}}],
                "variants": [
                    {"name": "value", "weight": 1000, "stickiness": "default", "overrides": [],
                     "payload": {"type": "json", "value": json.dumps(value)}}
                ],
            }
            for name, value in values.items()
        ],
    }  # fmt: skip
