"""Redis as a model: keys that can be lost, a channel that cannot be trusted with anything."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.simulation.image import Entry, Signed
from tests.simulation.loop import Loop
from trimtab.model.links import START, Position
from trimtab.replica.events import Arrived, Named

INLINE_BYTES = 1200
"""Stands for the 32 KiB of the real thing, so that both ways are used."""


@dataclass
class Keys:
    """What stands in Redis for one environment. `trimmed` is the newest entry that the cap removed."""

    head: tuple[Position, bytes] | None = None
    stream: list[Entry] = field(default_factory=list[Entry])
    snapshot: Signed | None = None
    trimmed: Position = START


@dataclass(eq=False)
class Session:
    """One subscriber's connection. `deliver` hands it a notice."""

    environment: str
    deliver: Callable[[Arrived | Named], None]


class Redis:
    """The server. `append` and `start` are the publisher's scripts, atomic as they are in Redis."""

    def __init__(self, loop: Loop, cap: int) -> None:
        self.loop = loop
        self.cap = cap
        self.up = True
        self.keys: dict[str, Keys] = {}
        self.sessions: list[Session] = []
        self.appended: Callable[[str, Entry], None] = lambda _environment, _entry: None

    def of(self, environment: str) -> Keys:
        """The keys of one environment."""
        return self.keys.setdefault(environment, Keys())

    def append(self, environment: str, entry: Entry) -> str:
        """The script of DESIGN §4.4: appends the very next change, or says why not."""
        keys = self.of(environment)
        epoch = entry.position.epoch
        first = entry.previous_revision == 0
        if keys.head is None or epoch > keys.head[0].epoch:
            if not first:
                return "BEHIND"
            self.keys[environment] = keys = Keys()
        else:
            word = self.place(keys, keys.head, entry)
            if word:
                return word
        keys.stream.append(entry)
        keys.head = (entry.position, entry.hash)
        while len(keys.stream) > self.cap:
            keys.trimmed = keys.stream.pop(0).position
        self.appended(environment, entry)
        self.announce(environment, self.notice(entry))
        return "APPENDED"

    def place(self, keys: Keys, head: tuple[Position, bytes], entry: Entry) -> str:
        """Why an entry is not the next one; empty if it is."""
        position, digest = head
        if position.epoch > entry.position.epoch:
            return "OLD"
        if position.revision == entry.position.revision:
            return "ALREADY" if digest == entry.hash else "FORK"
        if position.revision > entry.position.revision:
            return "OLD"
        if entry.previous_revision > position.revision:
            return "BEHIND"
        if entry.previous_revision != position.revision or entry.previous_hash != digest:
            return "FORK"
        newest = keys.stream[-1].position if keys.stream else keys.snapshot and keys.snapshot.position
        return "" if newest == position else "BROKEN"

    def start(self, environment: str, seen: tuple[Position, bytes] | None, signed: Signed) -> bool:
        """Start an environment anew from a signed snapshot, unless somebody else was first."""
        if self.of(environment).head != seen:
            return False
        self.keys[environment] = Keys((signed.position, signed.hash), [], signed, START)
        self.announce(environment, Named(signed.position))
        return True

    def notice(self, entry: Entry) -> Arrived | Named:
        """How a change is announced: whole if it is short."""
        return Arrived(entry.raw) if len(entry.raw) <= INLINE_BYTES else Named(entry.position)

    def announce(self, environment: str, notice: Arrived | Named) -> int:
        """PUBLISH: whoever is subscribed at this instant, once, if all goes well; how many these are."""
        subscribed = [session for session in self.sessions if session.environment == environment]
        for session in subscribed:
            session.deliver(notice)
        return len(subscribed)

    def dump(self) -> dict[str, Keys]:
        """What a save would write."""
        return copy.deepcopy(self.keys)

    def stop(self) -> None:
        """The server dies; its connections are gone."""
        self.up = False
        self.sessions.clear()

    def restart(self, dump: dict[str, Keys] | None) -> None:
        """The server is back, with an old dump or with nothing."""
        self.keys = copy.deepcopy(dump or {})
        self.up = True
