"""What a commit adds: signed links on every line that it reaches, and the state behind each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tests.simulation.image import Entry, Image
from trimtab.model import links, states
from trimtab.model.items import Item, LeafEdit
from trimtab.model.links import Link, Message, Position
from trimtab.model.statements import SigningKey
from trimtab.model.states import State


@dataclass(frozen=True)
class Extension:
    """A change as it is committed: its bytes, what it does to the edited environment, and the lines that it extends."""

    text: bytes
    edited: str
    edits: Sequence[LeafEdit]
    reach: Sequence[str]
    position: Position
    urgent: bool = False


def extend(key: SigningKey, now: float, before: Image, by: Extension) -> tuple[Image, dict[str, Entry]]:
    """The database after a change, and the links that it adds."""
    epoch, revision = by.position.epoch, by.position.revision
    held, lines, entries = dict(before.states), dict(before.lines), dict[str, Entry]()
    for environment in by.reach:
        state = based(before, held, environment).apply(by.edited, by.edits)
        line = lines.get(environment, ())
        last = line[-1] if line and line[-1].position.epoch == epoch else None
        previous = last.hash if last else links.genesis(environment, epoch)
        link = Link(
            environment=environment,
            epoch=epoch,
            revision=revision,
            previous_revision=last.position.revision if last else 0,
            previous_hash=previous,
            hash=links.chain(previous, by.text),
            checksum=state.checksum,
        ).signed(key)
        raw = Message(link, by.text).encode()
        urgent = revision if by.urgent else last.urgent if last else 0
        entries[environment] = Entry(link.position, link.previous_revision, previous, link.hash, raw, urgent)
        lines[environment] = (*line, entries[environment])
        held[environment] = state
    image = replace(
        before,
        time=now,
        commits=before.commits + 1,
        epoch=epoch,
        revision=max(revision, before.revision),
        states=held,
        lines=lines,
    )
    return image, entries


def based(before: Image, held: Mapping[str, State], environment: str) -> State:
    """The state of a line under its present lineage."""
    lineage = before.forest.lineage(environment)
    state = held.get(environment)
    if state is not None and state.lineage == lineage:
        return state
    items: list[Item] = []
    for name in lineage.environments:
        if name in before.states:
            items += before.states[name].items(name)
    return states.build(lineage, items)


def told(edit: LeafEdit) -> dict[str, object]:
    """An edit as the oracle reads it."""
    told: dict[str, object] = {"layer": edit.layer, "path": edit.path}
    if edit.operation == "put":
        told["put"] = json.loads(edit.content or b"null")
    else:
        told[edit.operation] = True
    return told
