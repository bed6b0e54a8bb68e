"""Rules of live mode: who may trade with real money, and what must be there before.

A bot is live by its label `mode`, so most of these are asked again when that label changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from trimtab.model import paths
from trimtab.model.canonical import Json
from trimtab.model.errors import nearest
from trimtab.model.labels import labels_path
from trimtab.model.problems import Problem
from trimtab.model.resolution import Absent
from trimtab_store.validation.builtin_rule import BuiltInRule, bot_of, changed_in, held, part, texts
from trimtab_store.validation.builtin_strategies import EXCHANGES, STRATEGIES, exchange_path, is_enabled
from trimtab_store.validation.rules import Seen

MODE: Final = "mode"
LIVE: Final = "live"
MODES: Final = ("paper", LIVE)
BOTS: Final = "bot"
FLEET: Final = "fleet.bots"
REQUIRED: Final = ("risk.parameters", "risk.global")
_LIVE_BROKER: Final = "_live"


class BotMode(BuiltInRule):
    """A bot is paper or live: under any other word no overlay and no rule of live mode would find it."""

    name = "bot-mode"
    watched = frozenset({FLEET})
    reads = (FLEET,)

    def judge(self, seen: Seen) -> Iterable[Problem]:
        """The labels of every bot that changed."""
        for bot in sorted(changed_in(seen, FLEET)):
            mode = part(held(seen, bot), "labels", MODE)
            if isinstance(mode, str) and mode not in MODES:
                yield Problem(
                    path=f"{labels_path(paths.last(bot))}.{MODE}",
                    rule=self.name,
                    why="a bot is paper or live",
                    remedy=nearest(mode, MODES) or f"Write {' or '.join(MODES)}",
                    value=mode,
                )


class LiveBroker(BuiltInRule):
    """A `_live` broker is only where the bot's mode is live."""

    name = "live-broker"
    watched = frozenset({BOTS, FLEET})
    reads = (FLEET,)
    dimensions = frozenset({"bot", MODE})

    def reads_also(self, document: str, before: Json | Absent, after: Json | Absent) -> tuple[str, ...]:
        """For a bot of the fleet its document."""
        del before, after
        return (_document_of(document),) if paths.parent(document) == FLEET else ()

    def judge(self, seen: Seen) -> Iterable[Problem]:
        """The reader's own bot, and bots that the fleet does not know: those are whatever their reader is."""
        if seen.labels.get(MODE) == LIVE:
            return
        own = bot_of(seen.labels)
        for bot in {*changed_in(seen, BOTS), *map(_document_of, changed_in(seen, FLEET))}:
            name = paths.last(bot)
            if paths.write(name) != own and not isinstance(seen.at(labels_path(name)), Absent):
                continue
            broker = part(held(seen, bot), "broker", "type")
            if isinstance(broker, str) and broker.endswith(_LIVE_BROKER):
                yield Problem(
                    path=f"{bot}.broker.type",
                    rule=self.name,
                    why=f"a live broker is for a bot whose mode is live, and this one's is {_mode(seen)}",
                    remedy=f"Set {labels_path(name)}.{MODE} to live in the same change, or choose a paper broker",
                    value=broker,
                )


def _mode(seen: Seen) -> str:
    return seen.labels.get(MODE, "not set")


def _document_of(fleet_bot: str) -> str:
    """`fleet.bots.x` → `bot.x`."""
    return paths.join((BOTS, paths.last(fleet_bot)))


class LiveLimits(BuiltInRule):
    """Who is live has limits."""

    name = "live-limits"
    watched = frozenset({*REQUIRED, FLEET})
    reads = REQUIRED
    dimensions = frozenset({MODE})

    def judge(self, seen: Seen) -> Iterable[Problem]:
        """Both documents of limits, for a live reader."""
        if seen.labels.get(MODE) != LIVE:
            return
        for document in REQUIRED:
            if not part(seen.at(document)):
                yield Problem(
                    path=document,
                    rule=self.name,
                    why="live mode needs these limits, and none are set",
                    remedy=f"Set {document} before a bot is live, or in the same change",
                )


class LiveCredentials(BuiltInRule):
    """Who is live has credentials for each exchange that it trades on, unless that one is a testnet.

    A bot trades where the broker of its document says, and where the strategy does that its label `strategy` names; one
    that has neither may trade by every strategy that is enabled. Whether credentials open anything is not known here;
    that they are there is.
    """

    name = "live-credentials"
    watched = frozenset({BOTS, FLEET, STRATEGIES, EXCHANGES})
    dimensions = frozenset({"bot", "strategy", MODE})

    def reads_also(self, document: str, before: Json | Absent, after: Json | Absent) -> tuple[str, ...]:
        """For bots and strategies the exchanges; for an exchange whose credentials go away who may trade there."""
        category = paths.parent(document)
        if category == EXCHANGES:
            return (BOTS, STRATEGIES, EXCHANGES) if _opens(before) and not _opens(after) else ()
        if category == FLEET:
            label = part(after, "labels", "strategy")
            strategy = paths.join((STRATEGIES, label)) if isinstance(label, str) and label else STRATEGIES
            return (_document_of(document), EXCHANGES, strategy)
        return () if isinstance(after, Absent) else (EXCHANGES,)

    def judge(self, seen: Seen) -> Iterable[Problem]:
        """The exchanges of a live reader, where something about them may have changed."""
        if seen.labels.get(MODE) != LIVE:
            return
        for exchange, user in sorted(self._used(seen)):
            path = exchange_path(exchange)
            if path is None or not _opens(held(seen, path)):
                yield Problem(
                    path=f"{path or EXCHANGES}.credentials",
                    rule=self.name,
                    why=f"{user} trades live on {exchange}, which has no credentials",
                    remedy="Give it credentials before the bot is live, or in the same change",
                )

    def _used(self, seen: Seen) -> Iterator[tuple[str, str]]:
        """The exchanges that the reader trades on, each with the document that says so, as far as these changed."""
        own, label = bot_of(seen.labels), seen.labels.get("strategy")
        lost = any(_opens(seen.before(one)) and not _opens(seen.at(one)) for one in changed_in(seen, EXCHANGES))
        anew = lost or f"{FLEET}.{own}" in seen.changed
        bot, strategy = f"{BOTS}.{own}", paths.join((STRATEGIES, label)) if label else ""
        broker = part(held(seen, bot), "broker", "type") if anew or bot in seen.changed else None
        if isinstance(broker, str) and broker.endswith(_LIVE_BROKER):
            yield broker.removesuffix(_LIVE_BROKER), bot
        if strategy:
            found = [strategy] if anew or strategy in seen.changed else []
        else:
            found = [one for one in seen.documents(STRATEGIES) if anew and broker is None and is_enabled(seen.at(one))]
        for one in found:
            yield from ((exchange, one) for exchange in texts(part(held(seen, one), "exchange")))


def _opens(exchange: Json | Absent) -> bool:
    """Whether an exchange can be traded on as far as can be seen: a testnet, or one with credentials."""
    credentials = part(exchange, "credentials")
    given = credentials.values() if isinstance(credentials, dict) else [credentials]
    return part(exchange, "testnet") is True or any(one is not None and one != "" for one in given)
