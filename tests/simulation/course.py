"""The course of a run: build a small store, let a seeded schedule loose on it, heal everything, and wait."""

from __future__ import annotations

from collections.abc import Sequence

from tests.simulation import checks, restraint
from tests.simulation.invariants import Violation
from tests.simulation.node import Node
from tests.simulation.world import Parts, World

MIN_EVENTS = 300
MIN_FAULTS = 5
MIN_KINDS = 3
SETTLE_SECONDS = (6.0, 6.0, 8.0, 10.0, 15.0)
RARE = ("quiet hours", "crash loop", "long suspend", "only proven left")
"""Faults that take many simulated minutes, and so are left out of most runs."""
RARE_EVERY = 8
"""One of them is in every eighth run; each other fault is in every fiftieth at least, and in more by chance."""


def follow(world: World) -> None:
    """All of it: build, schedule, heal, converge. Raises `Violation`."""
    build(world)
    schedule(world)
    heal(world)
    settle(world)


def build(world: World) -> None:
    """A small store, and agents that start at once."""
    for environment, parent in (("base", None), ("production", "base"), ("eu", "production"), ("paper", "base")):
        world.store.submit(world.plans.structure(environment, parent))
        world.loop.run_until(world.loop.now + 0.2)
    world.store.submit(world.plans.first())
    world.publisher.start()
    world.loop.run_until(world.loop.now + 1.5)
    world.store.found()
    rng = world.loop.rng
    world.nodes += [
        Node(world, "one", "production", {"node": "n1", "region": "ny4", "bot": "b1"}),
        Node(world, "two", rng.choice(["production", "eu"]), {"node": "n2", "bot": "b2"}, hold="all"),
        Node(
            world,
            "three",
            rng.choice(["eu", "paper", "base"]),
            {"node": "n3", "region": "ldn", "bot": "b3"},
            require={"mode": "paper"} if rng.random() < 0.7 else None,
            hold="all" if rng.random() < 0.5 else "binding",
        ),
    ]
    for node in world.nodes:
        node.start()
    world.loop.run_until(world.loop.now + 2)


def schedule(world: World) -> None:
    """Commits and faults by chance, at least so many of each."""
    rng = world.loop.rng
    usual = [kind for kind in world.faults.kinds if kind not in RARE]
    some = {*rng.sample(usual, rng.randint(MIN_KINDS, 5)), usual[world.seed % len(usual)]}
    if world.seed % RARE_EVERY == 0:
        some.add(RARE[world.seed // RARE_EVERY % len(RARE)])
    kinds = list(world.kinds) or sorted(some)
    coming = [*kinds, *rng.choices([kind for kind in kinds if kind not in RARE] or kinds, k=rng.randint(2, 4))]
    rng.shuffle(coming)
    while coming or world.events < MIN_EVENTS or not _has_suffered(world):
        world._pause = min(rng.expovariate(1.2), 6.0)
        if not coming and world.events >= MIN_EVENTS:  # some of them found nothing to break: others take their turn
            coming.append(rng.choice(usual))
        if coming and rng.random() < 0.6:
            world.faults.strike(coming.pop())
        elif world.store.up:
            world.commit()
        world.loop.run_until(world.loop.now + world._pause)


def _has_suffered(world: World) -> bool:
    """Whether enough faults took effect; where the kinds are given, they are all that there will be."""
    return bool(world.kinds) or (world.fired.total() >= MIN_FAULTS and len(world.fired) >= MIN_KINDS)


def heal(world: World) -> None:
    """Every fault ends."""
    world.healed = True
    world.trace.note(world.loop.now, "world", "heals")
    world.channel.active.clear()
    world.usual_polls()
    if not world.store.up:
        world.store.restart()
    if not world.redis.up:
        world.redis.restart(None)
    world.redis.cap = 20
    world.publisher.stop_for(0)
    for node in world.nodes:
        node.wire.mend()
        if node.suspended:
            node.resume()
        if node.replica is None:
            node.start()
    if world.redis_poisoned:
        world.clean_redis()
    world.loop.run_until(world.loop.now + 3)
    world.declare()
    for node in world.nodes:
        world.store.submit(world.plans.label(node.environment, node.identity["bot"], "paper"))
        world.store.submit(world.plans.put(node.environment, "risk.global.max_leverage", b"3"))
    world.loop.run_until(world.loop.now + 1)
    world.store.sign(sorted(world.store.image.lines))


def settle(world: World) -> None:
    """Wait until all is well, within a bounded time."""
    for seconds in SETTLE_SECONDS[:-1]:
        world.loop.run_until(world.loop.now + seconds)
        try:
            checks.converges(world)
            break
        except Violation:
            continue
    else:
        world.loop.run_until(world.loop.now + SETTLE_SECONDS[-1])
        checks.converges(world)
    checks.acknowledged_commits_survive(world)
    for node in world.nodes:
        restraint.polls_have_jitter(node)


def run(seed: int, parts: Parts | None = None, kinds: Sequence[str] = ()) -> World:
    """One run of one seed; raises `Violation`."""
    world = World(seed, parts or Parts(), kinds)
    follow(world)
    return world
