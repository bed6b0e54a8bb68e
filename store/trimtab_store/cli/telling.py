"""What a command says after a commit, and waiting until the fleet serves it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from trimtab.model.canonical import Json
from trimtab.model.errors import NotServedEverywhere, UnavailableError
from trimtab_store.cli.options import Committing
from trimtab_store.cli.output import print_json, print_lines
from trimtab_store.writer import Committed, WaitOutcome

_NAMED: Final = 3


def tell(done: Committed, given: Committing, more: Mapping[str, Json] | None = None) -> None:
    """Say what was committed, then wait if that was asked for; raises `NotServedEverywhere`.

    `more` is what the JSON document says beside the commit.
    """
    if not given.as_json:
        print_lines(sentences(done))
    outcome = waited(done, given)
    if given.as_json:
        print_json({**done.to_dict(), **(more or {}), **served(outcome)})
    if outcome is not None:
        outcome.require()


def waited(done: Committed, given: Committing) -> WaitOutcome | None:
    """What came of waiting for the fleet, said to people where all serve it; None where nobody asked to wait."""
    patience = given.patience
    outcome = None if patience is None else _wait(done, patience)
    if outcome is not None and outcome.everywhere and not given.as_json:
        bots = f" and {_count(outcome.attached, 'attached bot')}" if outcome.attached else ""
        print_lines([f"Served by {_count(len(outcome.served), 'agent')}{bots}."])
    return outcome


def some(paths: Sequence[str]) -> str:
    """A few paths, and how many more there are."""
    few = ", ".join(paths[:_NAMED])
    return few if len(paths) <= _NAMED else f"{few} and {_count(len(paths) - _NAMED, 'more path')}"


def sentences(done: Committed) -> list[str]:
    """A commit for people."""
    if not done.created:
        return [f"Nothing changed; {done.environment} stands at revision {done.revision}."]
    again = " (committed before with this key)" if done.replayed else ""
    changed = f": {some(done.paths)}" if done.paths else ""
    return [
        f"Committed revision {done.revision}{again}{changed}; reaches {', '.join(done.environments)}.",
        *[f"Warning: {warning}" for warning in done.warnings],
    ]


def _wait(done: Committed, patience: float) -> WaitOutcome:
    try:
        return done.wait(patience)
    except UnavailableError as error:  # the commit stands, whoever cannot be asked
        raise NotServedEverywhere(
            f"Revision {done.revision} is committed, but the fleet cannot be asked", str(error), "See `trimtab status`"
        ) from error


def served(outcome: WaitOutcome | None) -> dict[str, Json]:
    """What came of waiting, for programs; nothing where nobody waited."""
    if outcome is None:
        return {}
    return {
        "served": list(outcome.served),
        "attached": outcome.attached,
        "stragglers": [
            {"agent": one.agent, "environment": one.environment, "why": one.why} for one in outcome.stragglers
        ],
        "refused": [{"agent": one.agent, "path": one.path, "reason": one.reason} for one in outcome.refused],
    }


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
