"""Configuration to measure with: many small documents, as a fleet has them, and agents that hold it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from trimtab import Agent
from trimtab.feeds.memory import MemoryFeed
from trimtab.model import canonical, links, snapshots, states, views
from trimtab.model.changes import Change
from trimtab.model.items import Item, LeafEdit
from trimtab.model.links import Link, Message
from trimtab.model.snapshots import Snapshot
from trimtab.model.statements import SigningKey
from trimtab.model.states import State
from trimtab.model.structure import DEFAULT_DIMENSIONS, Lineage
from trimtab.model.views import View
from trimtab.standing import Plan, Sources

ENVIRONMENT = "production"
LINEAGE = Lineage((ENVIRONMENT,), DEFAULT_DIMENSIONS)
FIELDS = 5
VALUES: tuple[canonical.Json, ...] = (2.5, "BTC-USD", True, 7200, ["a", "b"])
"""Numbers, a string, a boolean and an array: what the fields of a document hold."""


def quick() -> bool:
    """Whether fewer samples are enough."""
    return "--quick" in sys.argv


def items(count: int) -> Iterator[Item]:
    """`count` items in documents of five fields."""
    values = [canonical.encode(value) for value in VALUES]
    for number in range(count):
        document, place = divmod(number, FIELDS)
        yield Item(ENVIRONMENT, "", f"desk.t{document:06d}.field_{place}", values[place])


def documents(count: int, *, salt: float = 0.0) -> dict[str, canonical.Json]:
    """The same items as one nested object; with `salt` every value is another one."""
    texts: dict[str, canonical.Json] = {}
    for document in range(count // FIELDS):
        texts[f"t{document:06d}"] = {
            f"field_{place}": value if not salt else [salt, document, place] for place, value in enumerate(VALUES)
        }
    return {"desk": texts}


def state(count: int) -> State:
    """The state that these items make."""
    return states.build(LINEAGE, items(count))


def view(count: int) -> tuple[State, View]:
    """The state, and what a bot sees of it."""
    built = state(count)
    return built, views.build(built, {"bot": "mm-btc"})


def some_path(count: int) -> str:
    """A path in the middle, as a string of its own: what a program that builds its paths has."""
    return f"desk.t{count // FIELDS // 2:06d}.field_0"


@dataclass
class SignedLine:
    """A line that begins with a state and grows by one put at a time: every message and snapshot is truly signed."""

    state: State
    key: SigningKey = field(default_factory=SigningKey.generate)
    revision: int = 0
    hash: bytes = field(default_factory=lambda: links.genesis(ENVIRONMENT, 1))

    def put(self, path: str, value: canonical.Json) -> bytes:
        """The message of the next change."""
        edit = LeafEdit("", path, "put", canonical.encode(value))
        self.state = self.state.apply(ENVIRONMENT, [edit])
        change = Change(environment=ENVIRONMENT, author="bench", reason="", time="", edits=(edit,)).encode()
        link = Link(
            environment=ENVIRONMENT,
            epoch=1,
            revision=self.revision + 1,
            previous_revision=self.revision,
            previous_hash=self.hash,
            hash=links.chain(self.hash, change),
            checksum=self.state.checksum,
        ).signed(self.key)
        self.revision, self.hash = link.revision, link.hash
        return Message(link, change).encode()

    def snapshot(self) -> tuple[bytes, bytes]:
        """The signed statement and the bytes of the present state."""
        made = Snapshot(ENVIRONMENT, links.Position(1, self.revision), self.hash, self.state)
        body = snapshots.encode(made)
        return snapshots.sign(made, body, self.key).encode(), body


def agent(count: int, more: Mapping[str, canonical.Json] | None = None) -> Agent:
    """A whole agent, its thread included, that holds `count` items, and `more` leaves, and follows feeds in memory."""
    also = [Item(ENVIRONMENT, "", path, canonical.encode(value)) for path, value in (more or {}).items()]
    line = SignedLine(states.build(LINEAGE, [*items(count), *also]))
    message = line.put(some_path(count), 2.5)
    signed = line.snapshot()

    def open_sources(_plan: Plan, _keep: bool) -> Sources:  # noqa: FBT001 - the shape of OpenSources
        feeds = MemoryFeed("postgres", poll_after_ms=1000), MemoryFeed("redis")
        for feed in feeds:
            feed.publish(message)
            feed.publish_snapshot(*signed)
        return Sources(postgres=feeds[0], redis=feeds[1])

    return Agent.connect(
        environment=ENVIRONMENT, labels={"bot": "mm-btc"}, trust=line.key.trust(), open_sources=open_sources
    )
