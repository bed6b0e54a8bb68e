"""Pursuit: what is missing, and whom to ask for it.

Hints (a name from the channel, an unsigned head) may be wrong and are dropped once Postgres had nothing for them, a
newer epoch once Redis had no snapshot of it; an answer to what was asked before the hint says nothing about it. Hints
of newer epochs are kept apart, so that a false one hides none of our own epoch. What was verified, or waits for a
primary's certificate, is pursued until the line has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from trimtab.model import links
from trimtab.model.links import Position
from trimtab.replica.events import AskHead, Effect, FetchChanges, FetchSnapshot, Source
from trimtab.replica.freshness import Freshness
from trimtab.replica.keeping import Keeping
from trimtab.replica.line import Line
from trimtab.replica.requests import Kind, Request, Requests


class _Hint:
    """How far somebody says that the line goes, and the last request that was asked before we heard it last."""

    def __init__(self) -> None:
        self.position = links.START
        self._asked_before = 0

    def heard(self, position: Position, asked: int) -> None:
        """Somebody says so; `asked` is the newest request."""
        self.position, self._asked_before = max(self.position, position), asked

    def had_nothing(self, request: Request) -> None:
        """Who was asked had nothing for it."""
        if request.number > self._asked_before:
            self.position = links.START


class Pursuit:
    """Decides after every event what to ask for."""

    def __init__(self, random: Callable[[], float], line: Line, freshness: Freshness, keeping: Keeping) -> None:
        self._line, self._freshness, self._keeping = line, freshness, keeping
        self.requests = Requests(random)
        self._confirmed = False
        self._hint, self._epoch_hint = _Hint(), _Hint()
        self._known = links.START
        self._snapshot_known = links.START
        self._snapshot_hinted = False

    # -- what was learned ----------------------------------------------------------------------------------------------

    def hinted(self, position: Position) -> None:
        """Somebody says that the line goes further."""
        here = self._line.position
        if position > here:
            (self._epoch_hint if position.epoch > here.epoch else self._hint).heard(position, self.requests.newest)

    def known(self, position: Position) -> None:
        """An authentic link shows that the line goes further: feeds that had nothing may have it now."""
        if position > self._known:
            self._known = position
            self._news()

    def snapshot_known(self, position: Position) -> None:
        """An authentic link can only be followed by taking a snapshot of it, or of a later one."""
        if position > self._snapshot_known:
            self._snapshot_known = position
            self._news()

    def doubted(self, now: float) -> None:
        """Something does not fit: compare with the primary soon."""
        self.requests.hasten_poll(now, self._freshness.poll_after)

    def subscription_changed(self, *, confirmed: bool) -> None:
        """News may have been missed: only a comparison of heads makes the subscription count."""
        self.requests.forget("redis")
        self._freshness.subscribed = False
        self._confirmed = confirmed
        if confirmed:
            self.requests.unreachable.end("redis")
            self.requests.empty_handed.end("redis")
        else:
            self.requests.end_grace()

    def progressed(self, source: Source) -> None:
        """A feed gave what brought the line on."""
        self.requests.empty_handed.end(source)

    def changes_led_nowhere(self, request: Request, now: float, *, trimmed: bool) -> None:
        """A feed has nothing that follows: take its snapshot if history is cut, else ask the other feed."""
        if trimmed and not self._snapshot_hinted:
            self._snapshot_hinted = True
            return
        self.requests.empty_handed.grow(request.source, now)
        if request.source == "postgres":
            self._had_nothing(request)

    def snapshot_led_nowhere(self, request: Request, now: float) -> None:
        """Not what was wanted: it may not be signed yet, or the hint was wrong."""
        self.requests.empty_handed.grow(request.source, now)
        self._snapshot_hinted = False
        if self._epoch_hint.position.epoch > self._line.position.epoch:
            self._epoch_hint.had_nothing(request)  # whichever feed it is: it has none of such an epoch
        elif request.source == "postgres":
            self._had_nothing(request)

    def snapshot_adopted(self, source: Source) -> None:
        """The line stands at a snapshot now."""
        self._snapshot_hinted = False
        self.progressed(source)

    def _had_nothing(self, request: Request) -> None:
        self._hint.had_nothing(request)
        self._epoch_hint.had_nothing(request)

    # -- what is asked for ---------------------------------------------------------------------------------------------

    def pursue(self, now: float) -> Iterator[Effect]:
        """Ask for whatever is missing: a head that is due, a snapshot, or changes."""
        yield from self._heads(now)
        here = self._line.position
        wanted = max(self._hint.position, self._epoch_hint.position, self._known, self._freshness.awaited)
        if self._line.snapshot is None or self._wants_snapshot(here, wanted):
            yield from self._snapshot(now)
        elif wanted > here and not self._freshness.forked:
            yield from self._changes(now, here)
        elif self._keeping.wants_compaction(now):
            yield from self._snapshot(now, compacting=True)

    def _wants_snapshot(self, here: Position, wanted: Position) -> bool:
        return self._snapshot_hinted or self._snapshot_known > here or wanted.epoch > here.epoch

    def _heads(self, now: float) -> Iterator[Effect]:
        if self.requests.poll_is_due(now):
            self.requests.schedule_poll(now, self._freshness.poll_after)
            yield self._head("postgres", now)
        uncompared = self._confirmed and not self._freshness.subscribed
        if (
            uncompared
            and not self.requests.is_open("redis head", "redis")
            and now >= self.requests.unreachable.until["redis"]
        ):
            yield self._head("redis", now)

    def _head(self, source: Source, now: float) -> AskHead:
        kind: Kind = "redis head" if source == "redis" else "postgres head"
        seen = max(self._line.position, self._keeping.floor)
        return AskHead(source, self.requests.ask(kind, source, now, seen), self._along(source))

    def _along(self, source: Source) -> Position | None:
        """Our position, where a head may as well bring what follows it: nobody else does, and it would be of use."""
        asked = source == "postgres" and not self._freshness.subscribed
        if not asked or self._line.snapshot is None or self._freshness.forked or self._snapshot_hinted:
            return None
        in_vain = self.requests.empty_handed.failed("postgres") or self.requests.is_open("changes", "postgres")
        return None if in_vain else self._line.position

    def _changes(self, now: float, here: Position) -> Iterator[Effect]:
        source = self.requests.choose(now, subscribed=self._freshness.subscribed)
        if source is not None and not self.requests.is_open("changes", source):
            yield FetchChanges(source, self.requests.ask("changes", source, now), here)

    def _snapshot(self, now: float, *, compacting: bool = False) -> Iterator[Effect]:
        source = self.requests.choose(now, subscribed=self._freshness.subscribed)
        if source is None or self.requests.is_open("snapshot", source):
            return
        if compacting:
            self._keeping.compaction_asked(now)
        yield FetchSnapshot(source, self.requests.ask("snapshot", source, now, compacting=compacting))

    def _news(self) -> None:
        for source in ("redis", "postgres"):
            self.requests.empty_handed.lift(source)
