"""Rules of strategies: where they trade, and how much they risk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Final

from trimtab.categories.risk import RiskLimits
from trimtab.model import paths
from trimtab.model.canonical import Json
from trimtab.model.errors import PathError, nearest
from trimtab.model.problems import Problem, Severity
from trimtab.model.resolution import Absent
from trimtab_store.validation.builtin_rule import BuiltInRule, changed_in, held, number, part, texts
from trimtab_store.validation.rules import Seen

STRATEGIES: Final = "strategy"
EXCHANGES: Final = "exchange"
LIMITS: Final = "risk.global"


def severity_of(strategy: Json | Absent) -> Severity:
    """A strategy that is not enabled may be wrong; enabling it is a change of its document, and looked at again."""
    return "refuse" if is_enabled(strategy) else "warn"


def is_enabled(strategy: Json | Absent) -> bool:
    """Whether a strategy says that it is enabled."""
    return part(strategy, "enabled") is True


def exchange_path(exchange: str) -> str | None:
    """Where an exchange is configured, None if no path can say its name."""
    try:
        return paths.canonical(paths.child(EXCHANGES, exchange))
    except PathError:
        return None


class StrategyExchange(BuiltInRule):
    """The exchanges that a strategy names exist."""

    name = "strategy-exchange"
    watched = frozenset({STRATEGIES, EXCHANGES})

    def reads_also(self, document: str, before: Json | Absent, after: Json | Absent) -> tuple[str, ...]:
        """For a strategy its exchanges; for an exchange that goes away all strategies."""
        if paths.parent(document) == STRATEGIES:
            named = map(exchange_path, texts(part(after, "exchange")))
            return tuple(path for path in named if path is not None)
        return (STRATEGIES,) if isinstance(after, Absent) and not isinstance(before, Absent) else ()

    def judge(self, seen: Seen) -> Iterable[Problem]:
        """Each changed strategy against its exchanges, and all strategies against the exchanges that go away."""
        changed = changed_in(seen, STRATEGIES)
        for strategy in changed:
            yield from self._missing(seen, strategy, lambda path: isinstance(held(seen, path), Absent))
        gone = {
            exchange
            for exchange in changed_in(seen, EXCHANGES)
            if isinstance(seen.at(exchange), Absent) and not isinstance(seen.before(exchange), Absent)
        }
        if gone:
            for strategy in set(seen.documents(STRATEGIES)).difference(changed):
                yield from self._missing(seen, strategy, gone.__contains__)

    def _missing(self, seen: Seen, strategy: str, is_missing: Callable[[str], bool]) -> Iterator[Problem]:
        document = seen.at(strategy)
        for exchange in texts(part(document, "exchange")):
            path = exchange_path(exchange)
            if path is not None and not is_missing(path):
                continue
            known = [paths.last(one) for one in seen.documents(EXCHANGES)]
            yield Problem(
                path=f"{strategy}.exchange",
                rule=self.name,
                why=f"there is no exchange {exchange}: {path or 'a path cannot say its name, and'} is not configured",
                remedy=nearest(exchange, known) or "Configure it in the same change, or name another",
                value=exchange[:80],
                severity=severity_of(document),
            )


RISKS: Final = {
    "leverage": "max_leverage",
    "position_size": "max_position_size",
    "max_drawdown": "max_strategy_drawdown",
    "max_risk": "max_portfolio_risk",
}
"""A strategy's parameter → the global limit that it must not exceed. `max_risk` above 1 is an amount of money, which
cannot be compared with a share of the portfolio."""


class StrategyRisk(BuiltInRule):
    """A strategy risks no more than the global limits permit.

    A limit may always be lowered, for that may be all that stands between a fleet and its loss: strategies that exceed
    it then are warnings, until one of them is changed.
    """

    name = "strategy-risk"
    watched = frozenset({STRATEGIES, LIMITS})

    def reads_also(self, document: str, before: Json | Absent, after: Json | Absent) -> tuple[str, ...]:
        """For a strategy that says what it risks the limits; for limits that get tighter all strategies."""
        if document == LIMITS:
            return (STRATEGIES,) if _is_tighter(before, after) else ()
        return (LIMITS,) if any(part(after, "parameters", name) is not None for name in RISKS) else ()

    def judge(self, seen: Seen) -> Iterable[Problem]:
        """The changed strategies, or all of them where limits get tighter."""
        changed = set(changed_in(seen, STRATEGIES))
        concerned = set(changed)
        if LIMITS in seen.changed and _is_tighter(seen.before(LIMITS), seen.at(LIMITS)):
            concerned.update(seen.documents(STRATEGIES))
        for strategy in sorted(concerned):
            document = seen.at(strategy)
            severity = severity_of(document) if strategy in changed else "warn"
            yield from self._exceeding(strategy, document, held(seen, LIMITS), severity)

    def _exceeding(
        self, strategy: str, document: Json | Absent, limits: Json | Absent, severity: Severity
    ) -> Iterator[Problem]:
        for name, limit in RISKS.items():
            risked, permitted = number(part(document, "parameters", name)), permitted_by(limits, limit)
            if risked is None or permitted is None or risked <= permitted or (name == "max_risk" and risked > 1):
                continue
            yield Problem(
                path=f"{strategy}.parameters.{name}",
                rule=self.name,
                why=f"it is more than {LIMITS}.{limit}, which is {permitted:f}",
                remedy="Lower it, or change the limit first",
                value=f"{risked:f}"[:80],
                severity=severity,
            )


def permitted_by(limits: Json | Absent, limit: str) -> Decimal | None:
    """A global limit: as it stands, else its default; None where there are no limits at all."""
    if isinstance(limits, Absent):
        return None
    stands = part(limits, limit)
    return number(RiskLimits.model_fields[limit].default if stands is None else stands)


def _is_tighter(before: Json | Absent, after: Json | Absent) -> bool:
    """Whether some limit is lower than it was, or is one now."""
    for limit in RISKS.values():
        if not isinstance(before, Absent) and part(before, limit) == part(after, limit):
            continue
        old, new = permitted_by(before, limit), permitted_by(after, limit)
        if new is not None and (old is None or new < old):
            return True
    return False
