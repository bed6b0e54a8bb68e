"""The follower: drives a replica with asyncio, natively in a sidecar, on one daemon thread inside a bot.

One inbox of events, handled one after the other; effects are carried out as they come. Long work is cut into steps, and
between two steps other threads get their turn, so that a busy reader is not stalled. What goes wrong in here stays in
here: it is logged, it raises an alarm, and following starts again from the state that was verified last.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from contextlib import suppress
from typing import Final

from trimtab import clock, keeper
from trimtab.account import Account
from trimtab.errands import Errands
from trimtab.feeds.feed import Feed
from trimtab.inbox import Inbox
from trimtab.keeper import Keeper
from trimtab.model.links import START
from trimtab.model.reports import Report
from trimtab.replica.events import (
    AskHead,
    Effect,
    Event,
    FetchChanges,
    FetchSnapshot,
    FloorRead,
    ForgetUncleanEnds,
    Pause,
    PersistChange,
    PersistSnapshot,
    PromoteProven,
    Raise,
    RaiseFloor,
    Recovered,
    ReportDue,
    Serve,
    Source,
    Started,
    Subscribed,
    SubscriptionLost,
    Withhold,
)
from trimtab.replica.machine import Replica
from trimtab.reporting import Reporting
from trimtab.standing import Face, Plan, Seed, Sources

_logger: Final = logging.getLogger("trimtab")
BREATH_SECONDS: Final = 50e-6
"""Between two steps the thread really sleeps: only then does a waiting reader get the interpreter at once."""
_FIRST_RESTART_SECONDS: Final = 0.1
_LONGEST_RESTART_SECONDS: Final = 5.0
_LOAD_SECONDS: Final = 5.0
_CLOSE_SECONDS: Final = 1.0


class Follower:
    """Follows for one face until `stop`. `run` is its life, on any event loop."""

    def __init__(self, plan: Plan, sources: Sources, face: Face, seed: Seed | None = None) -> None:
        self.sources = sources
        self._plan = plan
        self._face = face
        self._seed = seed or Seed()
        self._inbox = Inbox()
        asked: dict[Source, Feed] = {"postgres": sources.postgres}
        if sources.redis is not None:
            asked["redis"] = sources.redis
        self._errands = Errands(plan.environment, asked, self.tell)
        self._account = Account(plan, face, self._errands)
        self._reporting = Reporting(
            sources.postgres, sources.redis, self._report, lambda: self._replica.freshness.poll_after
        )
        self._keeper: Keeper | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._subscribed = False
        self._stopping = self._loaded = False
        self._recovered: Recovered | None = None
        self._served = False
        self._replica = self._new_replica()
        if sources.lacking:
            self._account.alarm("disk", sources.lacking)

    # -- from other threads ------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """End `run` soon; from any thread, and more than once."""
        self._stopping = True
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # closed already
                loop.call_soon_threadsafe(self._inbox.wake)

    def report(self) -> None:
        """Report soon: the face has news of its own. On the loop's thread."""
        self._reporting.due()

    def seed(self) -> Seed:
        """Where another follower may go on from, here or in a forked child. Anything but `run` may call it."""
        replica = self._replica
        return Seed(
            replica.line.snapshot,
            max(replica.floor, self._face.held.position),
            self._recovered if replica.serving.quarantined is not None else None,
        )

    # -- life ----------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follow until `stop`; never raises anything but cancellation."""
        self._loop = asyncio.get_running_loop()
        tasks = [self._loop.create_task(self._reporting.run())]
        if self.sources.redis is not None:
            tasks.append(self._loop.create_task(self._errands.listen(self.sources.redis, self._inbox.__len__)))
        failures = 0
        try:
            while not self._stopping:
                try:
                    await self._follow()
                except Exception as error:  # whatever it is, the bot goes on reading and we go on following
                    _logger.exception("The follower failed and starts again")
                    failures += 1
                    self._account.alarm(
                        "follower", f"it failed and started again, last of {type(error).__name__}: {error}"
                    )
                    await self._start_again(failures)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._leave()

    async def _follow(self) -> None:
        if not self._loaded and self.sources.disk is not None:
            self._loaded = True
            self._keeper = Keeper(self.sources.disk, self.tell, self._account.alarm)
            await self._recover(self._keeper)
        if self._seed.snapshot is not None:
            await self._take(FloorRead(position=self._seed.floor))
            await self._take(self._seed.recovery(self._seed.snapshot))
        await self._take(Started(awaits_redis=self.sources.redis is not None))
        if self._subscribed:
            self.tell(Subscribed())
        while not self._stopping:
            await self._take(await self._inbox.next(self._replica.wake_at))

    async def _recover(self, kept: Keeper) -> None:
        try:
            async with asyncio.timeout(_LOAD_SECONDS):
                loaded = await kept.load()
        except TimeoutError:
            self._keeper = None  # nothing may be written to a directory that was not read
            self._account.alarm("disk", "the directory does not answer and is done without")
            return
        steps = keeper.recovered(loaded, self._plan.environment, self._plan.trust, quarantines=kept.quarantines)
        for event in steps:
            if event is None:
                await self._breathe()
                continue
            if isinstance(event, Recovered):
                self._recovered = event
            await self._take(event)

    async def _start_again(self, failures: int) -> None:
        await self._errands.stop()
        self._inbox.clear()
        self._seed = self.seed()
        known = self._replica.freshness
        self._replica, self._served = self._new_replica(), False
        mine = self._replica.freshness
        mine.certified_at, mine.proven, mine.poll_after = known.certified_at, known.proven, known.poll_after
        mine.ahead, mine.forked = known.ahead, known.forked
        self._stand()
        longest = min(_LONGEST_RESTART_SECONDS, _FIRST_RESTART_SECONDS * 2 ** min(failures, 10))
        await asyncio.sleep(longest * random.uniform(0.5, 1.0))  # noqa: S311 - jitter

    async def _leave(self) -> None:
        """Give everything back, whatever answers; each part has its own deadline."""
        await self._errands.stop()
        await self._reporting.close()
        if self._keeper is not None:
            await self._keeper.close()
        for feed in (self.sources.redis, self.sources.postgres):
            if feed is not None:
                try:
                    async with asyncio.timeout(_CLOSE_SECONDS):
                        await feed.close()
                except Exception:  # it is going anyway
                    _logger.exception("A feed could not be closed")
        self._stand(following=False)

    # -- events --------------------------------------------------------------------------------------------------------

    def tell(self, event: Event) -> None:
        """Put an event into the inbox; on the loop's thread."""
        if isinstance(event, Subscribed | SubscriptionLost):
            self._subscribed = isinstance(event, Subscribed)
        self._inbox.put(event)

    async def _take(self, event: Event) -> None:
        for effect in self._replica.handle(event, clock.now()):
            if isinstance(effect, Pause):
                await self._breathe()
            elif isinstance(effect, Serve):
                first, self._served = not self._served, True
                for _ in self._face.serve(effect, first=first):
                    await self._breathe()
            else:
                self._carry_out(effect)
        self._stand()

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case AskHead() | FetchChanges() | FetchSnapshot():
                self._errands.start(effect)
            case Withhold():
                self._stand()  # whoever is stopped sees at once with which labels
                self._face.withhold(effect.reason)
            case PersistChange() | PersistSnapshot() | RaiseFloor() | PromoteProven() | ForgetUncleanEnds():
                if self._keeper is not None:
                    self._keeper.carry(effect)
            case Raise():
                _logger.warning("%s: %s", effect.alarm, effect.text)
            case ReportDue():
                self._reporting.due()
            case Pause() | Serve():
                raise AssertionError("carried out where they come")

    async def _breathe(self) -> None:
        """Let the other tasks of this loop run, then whoever reads in the other threads of this process."""
        await asyncio.sleep(0)
        if self._face.held.position > START:
            time.sleep(BREATH_SECONDS)  # noqa: ASYNC251 - releasing the interpreter is the point

    # -- what is true --------------------------------------------------------------------------------------------------

    def _stand(self, *, following: bool = True) -> None:
        self._face.stand(self._account.standing(self._replica, busy=bool(self._inbox), following=following))

    def _report(self, *, closed: bool) -> Report | None:
        return self._account.report(self._replica, closed=closed)

    def _new_replica(self) -> Replica:
        plan = self._plan
        return Replica(
            plan.environment,
            plan.trust,
            plan.identity,
            random=random.random,
            require=plan.require,
            hold=plan.hold,
            admit=self._face.judge,
            keeps=self.sources.disk is not None,
            overrides=plan.overrides,
        )
