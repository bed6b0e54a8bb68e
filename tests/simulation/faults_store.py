"""What goes wrong with the primary and its writers, and what is configured that agents must not serve."""

from __future__ import annotations

from collections.abc import Callable

from tests.simulation.fault import Subject
from tests.simulation.image import Plan


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

    def _relays(self) -> None:
        self._fire("relays down")
        self._disturb()
        self._world.publisher.stop_for(self._loop.between(3, 20))
        self._writer(killed=True)

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
            self._world.plan(urgent=True)
            if self._loop.chance(0.3)
            else plans.put("base", "trading.size", b"9", urgent=True),
            plans.refused(),
            plans.label(node.environment, bot, "paper"),
        ):
            store.submit(plan)
            self._loop.run_until(self._loop.now + 0.3)

    def _urgent_out_of_sight(self) -> None:
        """An urgent edit and a refused value, both behind a change that agents can only follow by a snapshot."""
        node = self._rng.choice([node for node in self._world.nodes if node.hold == "all"])
        self._fire("urgent out of sight")
        world, plans = self._world, self._world.plans
        self._cut_node(node, ("redis", "postgres"), 2, 8)
        self._newer()
        for plan in (
            plans.put(self._rng.choice(["base", node.environment]), "trading.size", b"9", urgent=True),
            plans.refused(),
        ):
            self._loop.run_until(self._loop.now + 0.3)
            world.store.submit(plan)
        self._loop.run_until(self._loop.now + 0.3)
        world.store.sign(sorted(world.store.image.lines))
