"""Whom a change can reach in one line: label sets that the configuration declares, and those that agents reported."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from trimtab.model import labels, resolution
from trimtab.model.layers import Selector
from trimtab.model.resolution import Branches
from trimtab_store.validation import raws
from trimtab_store.validation.raws import Raw
from trimtab_store.validation.resolved import Content, Resolved, Seen

Labels: TypeAlias = "Mapping[str, str]"
LABELS_SCOPE: Final = "fleet.bots"
"""What has to be read to know the targets of a line."""
PLACES: Final = frozenset({"node", "region"})
"""The dimensions that say where a bot runs."""


@dataclass(frozen=True, slots=True)
class Target:
    """A reader before and after a change; `declared` unless it is known from an agent's report only, or supposed.

    `supposed` is nothing for who is known; else the target stands for so many bots of which nobody said that they are
    where its labels say.
    """

    before: Labels
    after: Labels
    declared: bool
    supposed: int = 0

    @property
    def moved(self) -> frozenset[str]:
        """The dimensions whose label the change gives, takes or alters."""
        if self.before is self.after:
            return frozenset()
        named = self.before.keys() | self.after.keys()
        return frozenset(name for name in named if self.before.get(name) != self.after.get(name))


def targets(
    before: Resolved,
    after: Resolved,
    edited: Iterable[Selector],
    holding: Iterable[Selector],
    reported: Iterable[Labels],
    *,
    moves: bool,
) -> list[Target]:
    """The targets of one line, declared ones first.

    Declared are the bots of `fleet.bots`, each also with the node and region that an edited layer names. Where no bot
    is declared they are whoever sees the common layer alone, or with it one of the layers that were edited or are
    `holding` the documents in question, so that a change is never looked at by nobody. `moves`: whether labels may
    differ between the sides.
    """
    bots = sorted({*labels.declared_bots(before.state), *labels.declared_bots(after.state)})
    found: list[dict[str, str]] = []
    if bots:
        places = [{k: v for k, v in selector.labels if k in PLACES} for selector in edited]
        found.extend({"bot": bot, **place} for bot in bots for place in ({}, *places))
    else:
        found.extend(dict(selector.labels) for selector in (*edited, *holding))
        found.append({})
    declared = _distinct(found)
    others = [one for key, one in _distinct(map(dict, reported)).items() if key not in declared]
    new = attributes(after)
    old = attributes(before) if moves else None
    return [*_targets(declared.values(), old, new, declared=True), *_targets(others, old, new, declared=False)]


Attributes: TypeAlias = "Callable[[Labels], Labels]"


def _targets(
    identities: Iterable[Labels], old: Attributes | None, new: Attributes, *, declared: bool
) -> Iterator[Target]:
    for identity in identities:
        after = new(identity)
        before = after if old is None else old(identity)
        yield Target(after if before == after else before, after, declared)


def attributes(side: Resolved) -> Attributes:
    """What gives an identity the labels of its bot, as `labels.effective` does, without looking at every layer."""
    readers = side.readers(side.overlays(LABELS_SCOPE))
    branches: dict[Seen, Branches] = {}
    known: dict[Raw | None, Labels] = {None: {}}

    def effective(identity: Labels) -> Labels:
        bot = identity.get("bot")
        if bot is None:
            return identity
        seen = readers.overlays(identity)
        if seen not in branches:
            branches[seen] = side.branches(LABELS_SCOPE, side.layers(LABELS_SCOPE, seen))
        raw = raws.resolve(resolution.branches_at(branches[seen], (bot, "labels")))
        if raw not in known:
            known[raw] = labels.with_attributes({}, Content(LABELS_SCOPE, raw).value)
        return {**known[raw], **identity}

    return effective


def _distinct(found: Iterable[dict[str, str]]) -> dict[tuple[tuple[str, str], ...], dict[str, str]]:
    return {tuple(sorted(one.items())): one for one in found}
