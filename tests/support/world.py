"""A world in memory for agents: one signed line of an environment, the feeds that carry it, and a way to connect."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Generator, Mapping
from pathlib import Path
from typing import Any, cast

from tests.support.signed_line import KEY
from trimtab.agent import Agent
from trimtab.errands import ReportingFeed, ReportingPushFeed
from trimtab.feeds.disk import DiskFeed
from trimtab.feeds.feed import Notice
from trimtab.feeds.memory import MemoryFeed
from trimtab.model import items, links, snapshots
from trimtab.model.changes import Change, EpochRecord
from trimtab.model.items import LeafEdit
from trimtab.model.links import Link, Message
from trimtab.model.reports import Report, decode
from trimtab.model.snapshots import Snapshot
from trimtab.model.states import State
from trimtab.model.structure import Lineage
from trimtab.standing import Plan, Sources


class Tap:
    """One agent's use of a feed that others use too: closing it leaves them alone, and its loop can be woken."""

    def __init__(self, feed: MemoryFeed) -> None:
        self._feed = feed
        self.loops: set[asyncio.AbstractEventLoop] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._feed, name)

    def subscribe(self) -> AsyncGenerator[Notice, None]:
        self.loops.add(asyncio.get_running_loop())
        return self._feed.subscribe()

    async def close(self) -> None:
        """Only this use ends."""

    def wake(self) -> None:
        """The feed was changed from another thread: have the loop look again."""
        for loop in self.loops:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(lambda: None)


class World:
    """`commit` extends the line and publishes it; `connect` gives an agent. Every agent is closed by `close`."""

    def __init__(self, *, poll_after_ms: int = 100) -> None:
        self.postgres = MemoryFeed("postgres", poll_after_ms=poll_after_ms)
        self.redis = MemoryFeed("redis", poll_after_ms=None)
        self.redis.is_replica = True
        self.state = State(Lineage(("production",)))
        self.link: Link | None = None
        self.trust = KEY.trust()
        self.agents: list[Agent] = []
        self.taps: list[Tap] = []
        self.epoch = 1
        self.revision = self.urgent = 0

    def commit(
        self,
        edits: Mapping[str, object] | None = None,
        *,
        layer: str = "",
        urgent: bool = False,
        silently: bool = False,
        remove: tuple[str, ...] = (),
    ) -> int:
        """One revision that puts these values; returns its number."""
        leaves = [leaf for path, value in (edits or {}).items() for leaf in items.leaves(path, value)]
        wanted = [LeafEdit(layer, path, "put", content) for path, content in leaves]
        wanted += [LeafEdit(layer, path, "remove") for path in remove]
        change = Change(
            environment="production", author="t", reason="", time="", urgent=urgent, edits=tuple(sorted(wanted))
        )
        return self._extend(change, silently=silently)

    def declare_epoch(self) -> int:
        """Begin the next epoch."""
        old, self.link = self.link, None
        assert old is not None
        self.epoch, self.urgent = self.epoch + 1, 0
        record = EpochRecord(self.epoch, old.epoch, old.revision, "nothing", "a test")
        change = Change(environment="production", author="t", reason="", time="", kind="epoch", epoch=record)
        revision = self._extend(change)
        self.sign()
        return revision

    def sign(self) -> None:
        """Publish a signed snapshot of the present state."""
        assert self.link is not None
        made = Snapshot("production", self.link.position, self.link.hash, self.state, self.urgent)
        body = snapshots.encode(made)
        statement = snapshots.sign(made, body, KEY).encode()
        for feed in (self.postgres, self.redis):
            feed.publish_snapshot(statement, body)

    def connect(self, *, redis: bool = True, **arguments: Any) -> Agent:
        """An agent of this world."""

        def open_sources(plan: Plan, keep: bool) -> Sources:  # noqa: FBT001
            disk = None
            if keep and "directory" in arguments:
                disk = DiskFeed.open(Path(arguments["directory"]), plan.environment, plan.trust)
            taps = Tap(self.postgres), Tap(self.redis)
            self.taps += taps
            postgres, push = cast("tuple[ReportingFeed, ReportingPushFeed]", taps)
            return Sources(postgres=postgres, redis=push if redis else None, disk=disk)

        given: dict[str, Any] = {"environment": "production", "trust": KEY.trust(), "timeout": 5.0, **arguments}
        if redis:
            given["redis_url"] = "redis://unused"
        agent = Agent.connect(**given, open_sources=open_sources)
        self.agents.append(agent)
        return agent

    def down(self, reason: str | None = "the test says so") -> None:
        """Take both feeds away, or bring them back with None."""
        self.postgres.down = self.redis.down = reason
        self.wake()

    def wake(self) -> None:
        """Have every agent's loop notice what was done to the feeds."""
        for tap in self.taps:
            tap.wake()

    def reports(self) -> list[Report]:
        """What agents reported, through either feed, in order of each."""
        return [decode(report) for report in (*self.redis.reports, *self.postgres.reports)]

    def close(self) -> None:
        for agent in self.agents:
            agent.close()

    def _extend(self, change: Change, *, silently: bool = False) -> int:
        self.revision += 1
        self.urgent = self.revision if change.urgent else self.urgent
        self.state = self.state.apply("production", change.edits)
        text = change.encode()
        before = links.genesis("production", self.epoch) if self.link is None else self.link.hash
        self.link = Link(
            environment="production",
            epoch=self.epoch,
            revision=self.revision,
            previous_revision=0 if self.link is None else self.link.revision,
            previous_hash=before,
            hash=links.chain(before, text),
            checksum=self.state.checksum,
        ).signed(KEY)
        message = Message(self.link, text).encode()
        for feed in (self.postgres, self.redis):
            feed.publish(message, silently=silently)
        self.wake()
        return self.revision


@contextlib.contextmanager
def world(**arguments: Any) -> Generator[World]:
    """A world with a first revision and its snapshot."""
    made = World(**arguments)
    made.commit({"risk.global": {"max_leverage": 3.0, "max_correlation": 0.7}, "trading.max_position_size": 0.05})
    made.sign()
    try:
        yield made
    finally:
        made.close()
