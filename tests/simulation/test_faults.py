"""A fault counts when it takes effect, not when it is struck: else one that nobody suffered would pass for tested."""

from __future__ import annotations

import pytest

from tests.simulation.channel import Channel
from tests.simulation.course import build
from tests.simulation.faults_wire import FORGERIES
from tests.simulation.world import Parts, World
from trimtab.model.links import START
from trimtab.replica.events import Named

OF_REDIS = (*FORGERIES, "redis restart", "redis outage", "subscription lost", "silently resubscribed", "redis alone")
OF_STORE = (
    "primary crash",
    "epoch",
    "writer killed",
    "writer frozen",
    "writers at once",
    "relays down",
    "checksum differs",
    "newer writer",
    "environment re-parented",
    "environment created",
    "label change",
    "requirement violated",
    "value refused",
    "urgent",
    "urgent while stopped",
    "urgent out of sight",
)
OF_MACHINE = ("disk lost", "crash", "clean restart", "applied rotten", "suspend")


def ready(seed: int = 1) -> World:
    world = World(seed, Parts())
    build(world)
    assert world.fired.total() == 0
    return world


@pytest.mark.parametrize("kind", OF_REDIS)
def test_while_redis_is_down_nothing_can_be_done_to_it(kind: str) -> None:
    world = ready()
    world.redis.stop()
    for node in world.nodes:
        node.wire.lose_subscription(silently=False)
    world.faults.strike(kind)
    assert world.fired[kind] == 0


@pytest.mark.parametrize("kind", OF_STORE)
def test_while_the_store_is_down_nobody_commits(kind: str) -> None:
    world = ready()
    world.store.crash()
    world.faults.strike(kind)
    world.loop.run_until(world.loop.now + 5)
    assert world.fired[kind] == 0


@pytest.mark.parametrize("kind", OF_MACHINE)
def test_a_stopped_process_cannot_be_hurt(kind: str) -> None:
    world = ready()
    for node in world.nodes:
        node.stop()
    world.faults.strike(kind)
    assert world.fired[kind] == 0


@pytest.mark.parametrize("kind", [*OF_REDIS, *OF_STORE, *OF_MACHINE])
def test_the_same_faults_count_where_there_is_something_to_hurt(kind: str) -> None:
    for seed in range(1, 20):  # some of them need an agent of a certain kind
        world = ready(seed)
        world.faults.strike(kind)
        world.loop.run_until(world.loop.now + 5)
        if world.fired[kind]:
            return
    pytest.fail(f"{kind} never took effect")


def test_a_name_on_the_channel_cannot_be_corrupted() -> None:
    world = ready()
    fired: list[str] = []
    channel = Channel(world.loop, fired.append)
    channel.active.add("corrupted")
    for _ in range(50):
        assert [notice for _, notice in channel.carry(Named(START))] == [Named(START)]
    assert fired == []
