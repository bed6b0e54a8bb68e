"""Who is measured."""

from __future__ import annotations

from typing import Final

from benchmarks.peers.reading import Peer

ONE, ALL = "one key", "resync"
_AGAIN: Final = ", again where a read beside it lost what it set"
_SWAP: Final = "json.loads of the file, one reference swapped"

PEERS: Final = (
    Peer(
        key="plain",
        name="dict, flat, by path",
        family="inprocess",
        changed={ONE: "one item assigned", ALL: _SWAP},
        note="nobody brings it changes",
    ),
    Peer(
        key="model",
        name="frozen pydantic model, four attributes",
        family="inprocess",
        packages=("pydantic",),
        modules=("pydantic",),
        changed={ALL: "model_validate_json of the file, one reference swapped"},
    ),
    Peer(
        key="agent",
        name="Trimtab, agent in the process",
        family="ours",
        packages=("trimtab",),
        modules=("trimtab.agent", "trimtab.feeds.redis", "trimtab.feeds.postgres", "trimtab.feeds.disk"),
        changed={ONE: "committed by another process", ALL: "committed by another process: the snapshot taken whole"},
        by="store",
    ),
    Peer(
        key="attached",
        name="Trimtab, attached to shared memory",
        family="ours",
        packages=("trimtab",),
        modules=("trimtab.attached",),
        changed={ONE: "published by another process", ALL: "published by another process: a new snapshot file"},
        by="shared",
    ),
    Peer(
        key="pydantic_settings",
        name="pydantic-settings, four attributes",
        family="inprocess",
        packages=("pydantic-settings", "pydantic"),
        modules=("pydantic_settings",),
        changed={ALL: "Settings() anew from its JSON file, one reference swapped"},
    ),
    Peer(
        key="dynaconf",
        name="dynaconf",
        family="inprocess",
        packages=("dynaconf",),
        modules=("dynaconf",),
        changed={ONE: f"settings.set{_AGAIN}", ALL: f"settings.load_file{_AGAIN}"},
    ),
    Peer(
        key="omegaconf",
        name="OmegaConf",
        family="inprocess",
        packages=("omegaconf",),
        modules=("omegaconf",),
        changed={ONE: "OmegaConf.update", ALL: "OmegaConf.create of the parsed file, one reference swapped"},
        slow=True,
    ),
    Peer(
        key="launchdarkly",
        name="LaunchDarkly SDK, offline, events off",
        family="flags",
        packages=("launchdarkly-server-sdk",),
        modules=("ldclient", "ldclient.integrations.test_data", "ldclient.feature_store"),
        changed={ONE: "TestData.update", ALL: "as its stream does: json.loads, and init of its store"},
    ),
    Peer(
        key="openfeature",
        name="OpenFeature, provider in memory",
        family="flags",
        packages=("openfeature-sdk",),
        modules=("openfeature.api", "openfeature.provider.in_memory_provider"),
        changed={ONE: "a new provider with one flag replaced", ALL: "a new provider from the parsed file"},
    ),
    Peer(
        key="unleash",
        name="Unleash SDK, offline bootstrap",
        family="flags",
        packages=("UnleashClient", "yggdrasil-engine"),
        modules=("UnleashClient", "UnleashClient.cache", "apscheduler.schedulers.background"),
        changed={ONE: "its cache reloaded: it knows no smaller step", ALL: "its cache reloaded"},
    ),
    Peer(
        key="redis_cached",
        name="redis-py, client-side caching",
        family="remote",
        packages=("redis",),
        modules=("redis", "redis.cache", "redis.connection"),
        changed={ONE: "SET by another process", ALL: "every key SET by another process"},
        by="redis",
        note="loopback TCP: its cache fails on unix sockets; its refusal of a server called Valkey is set aside; "
        "threads that share it wait for each other",
        slow=True,
    ),
    Peer(
        key="redis_get",
        name="redis-py, GET over a unix socket",
        family="remote",
        packages=("redis",),
        modules=("redis",),
        slow=True,
    ),
    Peer(
        key="select",
        name="psycopg, SELECT by key over a unix socket",
        family="remote",
        packages=("psycopg",),
        modules=("psycopg",),
        shared=False,
        slow=True,
        note="prepared by itself after five executions",
    ),
    Peer(
        key="http_agent",
        name="HTTP agent on localhost, http.client kept alive",
        family="remote",
        packages=("uvicorn", "uvloop", "httptools"),
        modules=("http.client",),
        shared=False,
        slow=True,
        note="a bare ASGI application over a dict",
    ),
)
BY_KEY: Final = {peer.key: peer for peer in PEERS}
BASE: Final = "plain"
