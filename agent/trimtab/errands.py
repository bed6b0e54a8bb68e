"""Errands: what the replica asks of the feeds, each carried out as a task that ends in exactly one event."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Final, Protocol, TypeAlias

from trimtab.feeds import feed as feeds
from trimtab.feeds.feed import Feed, PushFeed, Reporter
from trimtab.model.errors import EnvironmentNotFound, FeedUnavailable, TrimtabError, UnavailableError
from trimtab.replica.events import (
    Arrived,
    AskHead,
    ChangesAnswered,
    Event,
    FetchChanges,
    FetchSnapshot,
    HeadAnswered,
    Named,
    RequestFailed,
    SnapshotAnswered,
    Source,
    Subscribed,
    SubscriptionLost,
)

_logger: Final = logging.getLogger("trimtab")
Ask: TypeAlias = AskHead | FetchChanges | FetchSnapshot
NEWS: Final = 1_024
"""News that wait to be handled; beyond that the channel is not read on, so that a flood stays where it comes from."""
_RELISTEN_SECONDS: Final = 1.0
_PATIENCE_SECONDS: Final[Mapping[type[Ask], float]] = {AskHead: 10.0, FetchChanges: 10.0, FetchSnapshot: 30.0}
"""The replica gives up after about as long; this only keeps tasks from piling up."""
_FLOOD_SECONDS: Final = 0.001
_DEFAULT_POLL_MS: Final = 1_000


class ReportingFeed(Feed, Reporter, Protocol):
    """A feed that also takes reports: Postgres."""

    def abandon(self) -> None:
        """In a forked child: silence what was inherited, without a word on any connection."""
        ...


class ReportingPushFeed(PushFeed, ReportingFeed, Protocol):
    """A feed that also brings news and takes reports: Redis."""


class Errands:
    """Runs on the follower's event loop. `problems` says what went wrong last with each feed that was asked."""

    def __init__(self, environment: str, asked: Mapping[Source, Feed], tell: Callable[[Event], None]) -> None:
        self._environment = environment
        self._asked = asked
        self._tell = tell
        self._tasks: set[asyncio.Task[None]] = set()
        self.tried: frozenset[Source] = frozenset()
        self.heard_primary = False
        self.problems: Mapping[Source, TrimtabError] = {}

    def start(self, ask: Ask) -> None:
        """Carry out a request; its answer comes as an event."""
        task = asyncio.get_running_loop().create_task(self._carry_out(ask))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Let go of everything that is under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def listen(self, feed: PushFeed, waiting: Callable[[], int]) -> None:
        """Pass on what a feed brings by itself, for ever."""
        while True:
            reason = "the feed ended the subscription"
            try:
                async with aclosing(feed.subscribe()) as notices:
                    async for notice in notices:
                        self._hear(notice)
                        while waiting() > NEWS:  # noqa: ASYNC110 - a flood, rare; nobody tells when it is over
                            await asyncio.sleep(_FLOOD_SECONDS)
            except UnavailableError as error:
                reason = str(error)
            except Exception as error:  # a bug in a feed must not end the subscription
                _logger.exception("The subscription failed unexpectedly")
                reason = f"{type(error).__name__}: {error}"
            self._hear(feeds.Lost(reason))
            await asyncio.sleep(_RELISTEN_SECONDS * random.uniform(0.5, 1.0))  # noqa: S311 - jitter

    def _hear(self, notice: feeds.Notice) -> None:
        match notice:
            case feeds.Arrived(message):
                self._tell(Arrived(message))
            case feeds.Named(position=position):
                self._tell(Named(position))
            case feeds.Subscribed():
                self._tell(Subscribed())
            case feeds.Lost(reason):
                self._note("redis", FeedUnavailable("Redis does not answer", reason))
                self._tell(SubscriptionLost(reason))

    async def _carry_out(self, ask: Ask) -> None:
        feed = self._asked.get(ask.source)
        problem: TrimtabError | None = None
        try:
            if feed is None:
                raise FeedUnavailable(f"The feed {ask.source} is not configured")  # noqa: TRY301 - told as an event
            async with asyncio.timeout(_PATIENCE_SECONDS[type(ask)]):
                answer = await self._answer(ask, feed)
        except UnavailableError as error:
            problem = error
        except EnvironmentNotFound as error:
            problem = error
        except TimeoutError:
            problem = FeedUnavailable(f"The feed {ask.source} does not answer", "it took too long")
        except Exception as error:  # a bug in a feed must not stop the replica from asking again
            _logger.exception("The feed %s failed unexpectedly", ask.source)
            problem = FeedUnavailable(f"The feed {ask.source} failed", f"{type(error).__name__}: {error}")
        else:
            self._note(ask.source, None)
            self._tell(answer)
        if problem is not None:
            self._note(ask.source, problem)
            self._tell(RequestFailed(source=ask.source, request=ask.request, reason=str(problem)))

    def _answer(self, ask: Ask, feed: Feed) -> Awaitable[Event]:
        match ask:
            case AskHead():
                return self._head(ask, feed)
            case FetchChanges():
                return self._changes(ask, feed)
            case FetchSnapshot():
                return self._snapshot(ask, feed)

    async def _head(self, ask: AskHead, feed: Feed) -> Event:
        head = await feed.head(ask.after)
        if head is None:
            raise EnvironmentNotFound(
                f"There is no environment {self._environment!r} in {ask.source}",
                "",
                "See `trimtab env list`, and correct environment=… or TRIMTAB_ENVIRONMENT",
            )
        if ask.source == "postgres" and not head.is_replica:
            self.heard_primary = True
        return HeadAnswered(
            source=ask.source,
            request=ask.request,
            position=head.position,
            hash=head.hash,
            store_revision=head.store_revision or 0,
            is_replica=head.is_replica or head.store_revision is None,
            poll_after_ms=head.poll_after_ms or _DEFAULT_POLL_MS,
            messages=head.messages,
        )

    async def _changes(self, ask: FetchChanges, feed: Feed) -> Event:
        found = await feed.changes(ask.after)
        return ChangesAnswered(
            source=ask.source,
            request=ask.request,
            messages=found.messages,
            complete=found.complete,
            trimmed=found.trimmed,
        )

    async def _snapshot(self, ask: FetchSnapshot, feed: Feed) -> Event:
        found = await feed.snapshot()
        if found is None:
            return SnapshotAnswered(source=ask.source, request=ask.request)
        return SnapshotAnswered(source=ask.source, request=ask.request, statement=found.statement, body=found.body)

    def _note(self, source: Source, problem: TrimtabError | None) -> None:
        problems: dict[Source, TrimtabError] = dict(self.problems)
        problems.pop(source, None)
        if problem is not None:
            problems[source] = problem
        self.problems = problems
        self.tried = frozenset[Source]((*self.tried, source))
