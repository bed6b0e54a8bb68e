"""The faults, by name. Each is a method that makes it happen; what must be fired is fired where it takes effect."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tests.simulation.channel import CHANNEL_FAULTS
from tests.simulation.forger import Forger
from tests.simulation.node import Node
from tests.simulation.store import Plan
from trimtab.replica.events import PersistLost

if TYPE_CHECKING:
    from tests.simulation.disk import Name
    from tests.simulation.redis import Keys
    from tests.simulation.world import World

FORGERIES: Final = ("forged", "foreign", "replayed", "tampered", "hinted", "storm", "poisoned")
QUIET_POLL_MS: Final = 30_000


class Faults:
    """Everything that can go wrong in a world."""

    def __init__(self, world: World) -> None:
        self._world, self._loop, self._rng = world, world.loop, world.loop.rng
        self._forger = Forger(world)
        self._dump: dict[str, Keys] = {}
        self.kinds: dict[str, Callable[[], None]] = {
            **{name: (lambda name=name: self._channel(name)) for name in CHANNEL_FAULTS},
            **{name: (lambda name=name: self._forge(name)) for name in FORGERIES},
            "redis restart": self._redis_restart,
            "redis outage": self._redis_outage,
            "old dump": self._old_dump,
            "primary crash": self._primary_crash,
            "cut from redis": lambda: self._cut("redis"),
            "cut from postgres": lambda: self._cut("postgres"),
            "cut from both": lambda: self._cut("redis", "postgres"),
            "subscription lost": lambda: self._lose(silently=False),
            "silently resubscribed": lambda: self._lose(silently=True),
            "redis alone": self._redis_alone,
            "slow answers": self._slow,
            "stale replica": self._stale,
            "trimmed stream": self._trim,
            "failover": self._fail_over,
            "epoch": self._epoch,
            "writer killed": lambda: self._writer(killed=True),
            "writer frozen": lambda: self._writer(frozen=True),
            "writers at once": self._writers,
            "relays down": self._relays,
            "checksum differs": self._skewed,
            "newer writer": self._newer,
            "environment re-parented": self._reparent,
            "environment created": self._create,
            "label change": self._label,
            "requirement violated": self._requirement,
            "value refused": self._refused,
            "urgent": self._urgent,
            "disk lost": self._disk_lost,
            "urgent while stopped": self._urgent_while_stopped,
            "crash": self._crash,
            "clean restart": self._restart,
            "applied rotten": lambda: self._rot("applied"),
            "only proven left": lambda: self._rot("applied", "previous"),
            "crash loop": self._crash_loop,
            "wall clock jump": self._wall,
            "suspend": lambda: self._suspend(3, 40),
            "long suspend": lambda: self._suspend(300, 1500),
            "quiet hours": self._quiet,
            "poll interval": self._poll,
        }

    def strike(self, kind: str) -> None:
        """Make one fault happen now."""
        self._world.trace.note(self._loop.now, "fault", kind)
        self.kinds[kind]()

    # -- helpers -------------------------------------------------------------------------------------------------------

    def _fire(self, kind: str) -> None:
        self._world.fire(kind)

    def _node(self) -> Node:
        return self._rng.choice(self._world.nodes)

    def _line(self) -> str:
        return self._node().environment

    def _later(self, low: float, high: float, call: Callable[[], None]) -> None:
        """Undo something after a while, unless the run has healed everything by then."""
        healing = self._world.healed

        def come() -> None:
            if self._world.healed == healing:
                call()

        self._loop.after(self._loop.between(low, high), come)

    def _disturb(self, node: Node | None = None) -> None:
        if node is None:
            self._world.disturbed_at = self._loop.now
        else:
            node.disturbed_at = self._loop.now

    def _commits(self, count: int) -> None:
        """Commits spread over the next seconds."""
        for _ in range(count):
            self._loop.after(self._loop.between(0.05, 3.0), self._world.commit)

    # -- the channel and the forger ------------------------------------------------------------------------------------

    def _channel(self, name: str) -> None:
        active = self._world.channel.active
        active.add(name)
        self._disturb()
        self._commits(2)

        def end() -> None:
            active.discard(name)
            self._disturb()

        self._later(2, 10, end)

    def _forge(self, name: str) -> None:
        self._disturb()
        self._fire(name)
        trick: Callable[[str], None] = getattr(self._forger, name)
        trick(self._line())
        if name == "poisoned":
            self._world.redis_poisoned = True
            self._later(5, 30, self._world.clean_redis)

    # -- redis ---------------------------------------------------------------------------------------------------------

    def _redis_down(self) -> None:
        world = self._world
        self._disturb()
        world.redis.stop()
        for node in world.nodes:
            node.lose_subscription(silently=self._loop.chance(0.2))

    def _redis_restart(self) -> None:
        self._fire("redis restart")
        self._redis_down()
        self._world.redis.restart(None)
        self._commits(1)

    def _redis_outage(self) -> None:
        self._fire("redis outage")
        self._redis_down()
        self._commits(2)
        dump = self._world.redis.dump() if self._loop.chance(0.5) else None

        def back() -> None:
            self._disturb()
            self._world.redis.restart(dump)

        self._later(2, 30, back)

    def _old_dump(self) -> None:
        if not self._dump:
            self._dump = self._world.redis.dump()
            self._later(1, 10, self._old_dump)
            self._commits(2)
            return
        self._fire("old dump")
        self._redis_down()
        self._world.redis.restart(self._dump)
        self._dump = {}

    def _trim(self) -> None:
        """Everything but the newest entry is cut while one agent is away."""
        node = self._node()
        self._disturb(node)
        node.lose_subscription(silently=self._loop.chance(0.5))
        self._world.redis.cap = 1
        self._commits(3)
        if self._loop.chance(0.5):
            self._cut_node(node, ("postgres",), 20, 30)

        def end() -> None:
            self._fire("trimmed stream")
            self._world.redis.cap = 20

        self._later(4, 15, end)

    def _relays(self) -> None:
        self._fire("relays down")
        self._disturb()
        self._world.publisher.stop_for(self._loop.between(3, 20))
        self._writer(killed=True)

    # -- the network ---------------------------------------------------------------------------------------------------

    def _cut(self, *sources: str) -> None:
        self._fire(f"cut from {'both' if len(sources) > 1 else sources[0]}")
        self._cut_node(self._node(), sources, 2, 40)
        self._commits(2)

    def _cut_node(self, node: Node, sources: tuple[str, ...], low: float, high: float) -> None:
        if "redis" in sources:
            node.cut.add("redis")
            node.lose_subscription(silently=False)
        if "postgres" in sources:
            node.cut.add("postgres")

        def mend() -> None:
            node.cut.difference_update(sources)
            self._disturb(node if "redis" in sources else None)

        self._later(low, high, mend)

    def _lose(self, *, silently: bool) -> None:
        self._fire("silently resubscribed" if silently else "subscription lost")
        self._node().lose_subscription(silently=silently)
        self._commits(1)

    def _redis_alone(self) -> None:
        """An agent that cannot reach Postgres misses a change on the channel; Redis has it."""
        node = self._node()
        self._fire("redis alone")
        node.cut.add("postgres")
        self._later(40, 60, lambda: node.cut.discard("postgres"))
        node.lose_subscription(silently=self._loop.chance(0.5))
        for _ in range(6):
            self._loop.after(self._loop.between(0.0, 5.2), lambda: self._world.commit_to(node.environment))
        self._world.pause(26.0)

    def _slow(self) -> None:
        node = self._node()
        self._fire("slow answers")
        self._disturb(node)
        node.slow = self._loop.between(0.5, 6.0)
        self._commits(2)

        def mend() -> None:
            node.slow = 0.0
            self._disturb(node)

        self._later(5, 25, mend)

    def _stale(self) -> None:
        """A pooler leads an agent to a standby (fired at each answer)."""
        node = self._node()
        node.misrouted = self._loop.between(0.5, 20.0)
        if self._loop.chance(0.6):
            node.lose_subscription(silently=False)
        self._commits(2)

        def mend() -> None:
            node.misrouted = 0.0

        self._later(5, 30, mend)

    # -- the store -----------------------------------------------------------------------------------------------------

    def _primary_crash(self) -> None:
        self._fire("primary crash")
        self._world.store.crash()
        self._later(0.5, 15, self._world.store.restart)

    def _fail_over(self) -> None:
        world = self._world
        world.commit()
        self._loop.run_until(self._loop.now + self._loop.between(0.01, 2.0))
        if not world.store.up:
            world.store.restart()
        if world.lose(world.store.fail_over(self._loop.between(0.02, 4.0))):
            self._fire("failover")
            self._disturb()
        self._commits(self._rng.randint(0, 4))
        self._later(1, 20, world.declare)

    def _epoch(self) -> None:
        self._fire("epoch")
        self._world.store.declare_epoch()

    def _writer(self, *, killed: bool = False, frozen: bool = False) -> None:
        plan = self._world.plan()
        self._fire("writer killed" if killed else "writer frozen")
        self._world.store.submit(
            Plan(plan.environment, plan.edits, killed=killed, frozen=frozen, note=plan.note, urgent=plan.urgent)
        )
        self._commits(1)

    def _writers(self) -> None:
        """Many writers in one instant, one of whom changes the structure."""
        self._fire("writers at once")
        for _ in range(5):
            self._world.commit()
        self._world.store.submit(self._world.plans.structure("eu", self._rng.choice(["base", "production", "paper"])))
        for _ in range(3):
            self._world.commit()

    def _skewed(self) -> None:
        """A writer that does more than its change says: state, checksum and snapshot hold it, the change does not."""
        self._fire("checksum differs")
        plan, more = self._world.plan(), self._world.plans.put("base", "strategy.unsaid", b"7").edits[0]
        self._world.store.submit(Plan(plan.environment, plan.edits, unsaid=more, note=plan.note))

    def _newer(self) -> None:
        """A change in a format that this program cannot read."""
        self._fire("newer writer")
        plan = self._world.plan()
        self._world.store.submit(Plan(plan.environment, plan.edits, garbled=True, note=plan.note))

    def _reparent(self) -> None:
        self._fire("environment re-parented")
        self._world.store.submit(self._world.plans.structure("eu", self._rng.choice(["base", "production", "paper"])))
        self._commits(1)

    def _create(self) -> None:
        name = f"new{len(self._world.store.image.forest.parents)}"
        parent = self._rng.choice(["base", "production", "eu"])
        self._fire("environment created")
        for _ in range(3):
            self._world.commit_to(parent)
        self._world.store.submit(self._world.plans.structure(name, parent))
        for _ in range(2):
            self._world.commit_to(parent)

    # -- what is configured --------------------------------------------------------------------------------------------

    def _label(self) -> None:
        node = self._node()
        self._fire("label change")
        environment = self._rng.choice(["base", node.environment])
        mode = self._rng.choice(["live", "paper"])
        self._world.store.submit(self._world.plans.label(environment, node.identity["bot"], mode))

    def _requirement(self) -> None:
        node = next((node for node in self._world.nodes if node.require), None)
        if node is None:
            return
        self._fire("requirement violated")
        plans, store = self._world.plans, self._world.store
        store.submit(plans.label(node.environment, node.identity["bot"], "live"))
        self._commits(1)
        if self._loop.chance(0.5):
            self._later(0.5, 3, lambda: store.submit(plans.refused(urgent=self._loop.chance(0.5))))
        self._later(2, 15, lambda: store.submit(plans.label(node.environment, node.identity["bot"], "paper")))

    def _refused(self) -> None:
        self._fire("value refused")
        self._world.store.submit(self._world.plans.refused())
        self._commits(1)

    def _urgent(self) -> None:
        """Urgent edits while a value is refused."""
        self._fire("urgent")
        world = self._world
        world.store.submit(world.plans.refused(urgent=self._loop.chance(0.3)))
        self._later(0.1, 2, lambda: world.store.submit(world.plan(urgent=True)))
        self._later(0.5, 4, world.commit)

    def _urgent_while_stopped(self) -> None:
        """An urgent edit while readers are stopped by `require=`, then a way on that a binding refuses."""
        node = next((node for node in self._world.nodes if node.require and node.hold == "all"), None)
        if node is None:
            return
        self._fire("urgent while stopped")
        store, plans, bot = self._world.store, self._world.plans, node.identity["bot"]
        for plan in (
            plans.label(node.environment, bot, "live"),
            self._world.plan(urgent=True) if self._loop.chance(0.3) else plans.put("base", "trading.size", b"9", urgent=True),
            plans.refused(),
            plans.label(node.environment, bot, "paper"),
        ):
            store.submit(plan)
            self._loop.run_until(self._loop.now + 0.3)

    # -- the machine ---------------------------------------------------------------------------------------------------

    def _crash(self) -> None:
        node = self._node()
        self._fire("crash")
        self._commits(1)
        node.crash()
        self._loop.run_until(self._loop.now + self._loop.between(0.01, 3.0))
        node.start()

    def _disk_lost(self) -> None:
        node = self._node()
        if node.replica is not None and not node.suspended:
            self._fire("disk lost")
            node.disk.lose()
            node.handle(PersistLost())
            self._commits(1)

    def _restart(self) -> None:
        node = self._node()
        self._fire("clean restart")
        node.stop()
        self._loop.run_until(self._loop.now + self._loop.between(0.01, 3.0))
        node.start()

    def _rot(self, *names: Name) -> None:
        """A crash after which generations on disk do not verify."""
        node = self._node()
        if len(names) > 1 and "proven" not in node.disk.generations:
            self._quiet()
            self._world.commit_to(node.environment)
            self._loop.run_until(self._loop.now + 2)
        if node.replica is None or not set(node.disk.generations) - set(names):
            return
        node.crash()
        for name in names:
            node.disk.rot(name)
        self._commits(1)
        if self._loop.chance(0.5):
            self._cut_node(node, ("redis", "postgres"), 2, 20)
        node.start()
        if node.disk.booted not in {None, *names}:
            self._fire("only proven left" if len(names) > 1 else "applied rotten")

    def _crash_loop(self) -> None:
        """A bot that dies of what it is served, three times in a row, ten minutes after all was well."""
        node = self._node()
        self._quiet()
        self._world.commit_to(node.environment)
        self._loop.run_until(self._loop.now + 3)
        for _ in range(3):
            node.crash()
            self._loop.run_until(self._loop.now + self._loop.between(0.1, 5.0))
            node.start()
            self._loop.run_until(self._loop.now + self._loop.between(0.1, 5.0))
        self._fire("crash loop")

    def _wall(self) -> None:
        self._fire("wall clock jump")
        for node in self._world.nodes:
            node.wall += self._rng.choice([-3600.0, -20.0, -3.0, 3.0, 86400.0])
        self._cut_node(self._node(), ("redis", "postgres"), 2, 20)
        self._commits(1)

    def _suspend(self, low: float, high: float) -> None:
        node = self._node()
        if node.suspended or node.replica is None:
            return
        self._fire("suspend" if low < 100 else "long suspend")
        node.suspend()
        self._commits(1)
        if low >= 100:
            self._world.slow_polls()
        self._loop.run_until(self._loop.now + self._loop.between(low, high))
        node.resume()
        self._world.usual_polls()

    def _quiet(self) -> None:
        """More than ten minutes in which nothing happens."""
        self._fire("quiet hours")
        self._world.slow_polls()
        self._loop.run_until(self._loop.now + self._loop.between(640, 700))
        self._world.usual_polls()

    def _poll(self) -> None:
        self._fire("poll interval")
        self._world.store.poll_after_ms = self._rng.choice([200, 500, 3000])
        self._later(3, 10, self._world.usual_polls)
