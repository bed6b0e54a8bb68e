"""What goes wrong with the primary and its writers, and what is configured that agents must not serve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.simulation.fault import Subject


class StoreFaults(Subject):
    """Faults of the store, and configuration that is one."""

    @property
    def kinds(self) -> dict[str, Callable[[], None]]:
        return {
            "primary crash": self._primary_crash,
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
            "urgent while stopped": self._urgent_while_stopped,
            "urgent out of sight": self._urgent_out_of_sight,
        }

    def _primary_crash(self) -> None:
        if self._world.store.up:
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
        if self._world.store.up:
            self._fire("epoch")
        self._world.store.declare_epoch()

    def _writer(self, *, killed: bool = False, frozen: bool = False) -> None:
        self._world.store.submit(replace(self._world.plan(), killed=killed, frozen=frozen))
        self._commits(1)

    def _writers(self) -> None:
        """Many writers in one instant, one of whom changes the structure."""
        if self._world.store.up:
            self._fire("writers at once")
        for _ in range(5):
            self._world.commit()
        self._world.store.submit(self._world.plans.structure("eu", self._rng.choice(["base", "production", "paper"])))
        for _ in range(3):
            self._world.commit()

    def _relays(self) -> None:
        if self._world.store.up and self._world.redis.up:
            self._fire("relays down")
        self._disturb()
        self._world.publisher.stop_for(self._loop.between(3, 20))
        self._writer(killed=True)

    def _skewed(self) -> None:
        """A writer that does more than its change says: state, checksum and snapshot hold it, the change does not."""
        plan, more = self._world.plan(), self._world.plans.put("base", "strategy.unsaid", b"7").edits[0]
        self._submit("checksum differs", replace(plan, unsaid=more, urgent=False))

    def _newer(self) -> None:
        """A change in a format that this program cannot read."""
        self._submit("newer writer", replace(self._world.plan(), garbled=True, urgent=False))

    def _reparent(self) -> None:
        parent = self._rng.choice(["base", "production", "paper"])
        self._submit("environment re-parented", self._world.plans.structure("eu", parent))
        self._commits(1)

    def _create(self) -> None:
        name = f"new{len(self._world.store.image.forest.parents)}"
        parent = self._rng.choice(["base", "production", "eu"])
        for _ in range(3):
            self._world.commit_to(parent)
        self._submit("environment created", self._world.plans.structure(name, parent))
        for _ in range(2):
            self._world.commit_to(parent)

    def _label(self) -> None:
        node = self._node()
        environment = self._rng.choice(["base", node.environment])
        mode = self._rng.choice(["live", "paper"])
        self._submit("label change", self._world.plans.label(environment, node.identity["bot"], mode))

    def _requirement(self) -> None:
        node = next((node for node in self._world.nodes if node.require), None)
        if node is None:
            return
        plans, store = self._world.plans, self._world.store
        self._submit("requirement violated", plans.label(node.environment, node.identity["bot"], "live"))
        self._commits(1)
        if self._loop.chance(0.5):
            self._later(0.5, 3, lambda: store.submit(plans.refused(urgent=self._loop.chance(0.5))))
        self._later(2, 15, lambda: store.submit(plans.label(node.environment, node.identity["bot"], "paper")))

    def _refused(self) -> None:
        self._submit("value refused", self._world.plans.refused())
        self._commits(1)

    def _urgent(self) -> None:
        """Urgent edits while a value is refused."""
        world = self._world
        world.store.submit(world.plans.refused(urgent=self._loop.chance(0.3)))
        self._later(0.1, 2, lambda: self._submit("urgent", world.plan(urgent=True)))
        self._later(0.5, 4, world.commit)

    def _urgent_while_stopped(self) -> None:
        """An urgent edit while readers are stopped by `require=`, then a way on that a binding refuses."""
        node = next((node for node in self._world.nodes if node.require and node.hold == "all"), None)
        if node is None:
            return
        plans, bot = self._world.plans, node.identity["bot"]
        for plan in (
            plans.label(node.environment, bot, "live"),
            self._world.plan(urgent=True)
            if self._loop.chance(0.3)
            else plans.put("base", "trading.size", b"9", urgent=True),
            plans.refused(),
            plans.label(node.environment, bot, "paper"),
        ):
            self._submit("urgent while stopped" if plan.urgent else "", plan)
            self._loop.run_until(self._loop.now + 0.3)

    def _urgent_out_of_sight(self) -> None:
        """An urgent edit and a refused value, both behind a change that agents can only follow by a snapshot."""
        node = self._rng.choice([node for node in self._world.nodes if node.hold == "all"])
        world, plans = self._world, self._world.plans
        self._cut_node(node, ("redis", "postgres"), 2, 8)
        self._newer()
        for plan in (
            plans.put(self._rng.choice(["base", node.environment]), "trading.size", b"9", urgent=True),
            plans.refused(),
        ):
            self._loop.run_until(self._loop.now + 0.3)
            self._submit("urgent out of sight" if plan.urgent else "", plan)
        self._loop.run_until(self._loop.now + 0.3)
        world.store.sign(sorted(world.store.image.lines))
