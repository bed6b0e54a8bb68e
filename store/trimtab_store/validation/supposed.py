"""Targets that nobody named: declared bots at the nodes and regions that overlays of the documents in question name.

Where a bot runs is said by its process, so a bot may well run where `fleet.bots` says nothing of. Of bots with the same
labels that no overlay names one stands for all, unless a rule asks which bot it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeAlias

from trimtab.model import layers
from trimtab.model.layers import Selector
from trimtab.model.problems import Problem
from trimtab_store.validation.resolved import Resolved
from trimtab_store.validation.rules import Rule
from trimtab_store.validation.targets import LABELS_SCOPE, PLACES, Labels, Target, attributes

LIMIT: Final = 10_000
"""So many bots at places are looked at."""

Place: TypeAlias = "tuple[tuple[str, str], ...]"
_Alike: TypeAlias = "Sequence[Target]"


@dataclass(frozen=True, slots=True)
class Supposed:
    """Such targets, and how many there are beyond `LIMIT`."""

    targets: tuple[Target, ...] = ()
    beyond: int = 0

    def told(self, environment: str, documents: Sequence[str]) -> Iterator[Problem]:
        """The warning that not all of them were looked at."""
        if self.beyond:
            yield Problem(
                path=documents[0],
                rule="targets",
                why=f"{self.beyond} more bots at nodes or regions that overlays name were not looked at; {LIMIT} were",
                remedy=f"`trimtab validate -e {environment}` looks at all of them",
                severity="warn",
                environment=environment,
            )


NOBODY: Final = Supposed()


def supposed(
    before: Resolved, after: Resolved, known: Sequence[Target], holding: Iterable[Selector], *, apart: bool
) -> Supposed:
    """The declared bots of one line at each place that a selector of `holding` names, but for the targets `known`.

    A bot is at a place only if it then sees one of those overlays. `apart`: some rule asks which bot it is.
    """
    named: dict[Place, list[Selector]] = {}
    for selector in holding:
        if place := tuple(label for label in selector.labels if label[0] in PLACES):
            named.setdefault(place, []).append(selector)
    for place in {_place(target.after) for target in known if target.declared}:
        named.pop(place, None)  # every bot is declared there
    bots = [one for one in known if one.declared and "bot" in one.after and not _place(one.after)] if named else []
    if not bots:
        return NOBODY
    at = _Arrivals(before, after, known)
    groups = [[bot] for bot in bots] if apart else at.alike(bots)
    pairs = ((place, group) for group in groups for place in sorted(named))
    found = (at.target(place, group, named[place]) for place, group in islice(pairs, LIMIT))
    return Supposed(tuple(one for one in found if one is not None), max(0, len(groups) * len(named) - LIMIT))


def tells_bots_apart(rules: Iterable[Rule], documents: Iterable[str], moved: frozenset[str]) -> bool:
    """Whether a rule that is asked about these documents, or because labels move, asks which bot reads."""
    looked = tuple(documents)
    asking = (rule for rule in rules if "bot" in rule.dimensions)
    return any(moved & rule.dimensions or any(map(rule.watches, looked)) for rule in asking)


def _place(labels: Labels) -> Place:
    return tuple((name, labels[name]) for name in sorted(PLACES) if name in labels)


def _others(labels: Labels) -> frozenset[tuple[str, str]]:
    return frozenset(label for label in labels.items() if label[0] != "bot")


class _Arrivals:
    """Puts bots at places."""

    def __init__(self, before: Resolved, after: Resolved, known: Sequence[Target]) -> None:
        sides = (before, after)
        self._reported = {(_place(one.after), one.after.get("bot")) for one in known if not one.declared}
        self._labels = (attributes(before), attributes(after))
        self._labelled = any(
            not PLACES.isdisjoint(one.dimensions)
            for side in sides
            for one in side.selectors(side.overlays(LABELS_SCOPE))
        )
        """Whether labels depend on where a bot is."""
        self._named = {dict(layers.parse(text).labels).get("bot") for side in sides for _, text in side.state.trees}

    def alike(self, bots: Sequence[Target]) -> Sequence[_Alike]:
        """The bots by their labels; one that an overlay names is alone, as each is where places say more of labels."""
        found: dict[object, list[Target]] = {}
        for one in bots:
            bot = one.after["bot"]
            alone = self._labelled or bot in self._named
            found.setdefault(bot if alone else (_others(one.before), _others(one.after)), []).append(one)
        return list(found.values())

    def target(self, place: Place, group: _Alike, overlays: Iterable[Selector]) -> Target | None:
        """One of a group at a place, for all who are not known to be there; None where there is nothing to see."""
        left = [one for one in group if (place, one.after["bot"]) not in self._reported]
        if not left:
            return None
        before, after = self._moved(left[0], dict(place))
        if not any(one.matches(after) for one in overlays):
            return None
        return Target(before, after, declared=False, supposed=len(left))

    def _moved(self, one: Target, place: Labels) -> tuple[Labels, Labels]:
        """The labels of a bot at a place on both sides, one object where they are the same."""
        if self._labelled:
            identity = {"bot": one.after["bot"], **place}
            before, after = (of(identity) for of in self._labels)
            return (after, after) if before == after else (before, after)
        after = {**one.after, **place}
        return after if one.before is one.after else {**one.before, **place}, after
