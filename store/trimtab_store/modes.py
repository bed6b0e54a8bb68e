"""Modes: moving a bot between paper and live is one change of its label `mode`, `fleet.bots.<bot>.labels.mode`.

A bot's mode is what its labels resolve to without looking at attribute layers, so a layer on its node or region may
decide it; a change that another layer would overrule is refused instead of made in vain.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias, cast

from trimtab.model import labels, paths
from trimtab.model.errors import PathNotFound, UsageError, ValidationError, nearest
from trimtab.model.states import State
from trimtab_store.drafts import Draft
from trimtab_store.editing import Request
from trimtab_store.operations import leaves_of

Mode: TypeAlias = Literal["paper", "live"]
DIMENSION: Final = "mode"


@dataclass(frozen=True, slots=True)
class Switch:
    """One bot's change of mode, as a request that makes it; `old` is its mode today, None if it has none."""

    bot: str
    old: str | None
    new: Mode
    request: Request

    @property
    def path(self) -> str:
        """The label that is changed."""
        return mode_path(self.bot)


def mode_path(bot: str) -> str:
    """Where the mode of a bot stands."""
    return paths.child(labels.labels_path(bot), DIMENSION)


def mode_of(text: str) -> Mode:
    """A mode as a person types it; raises `UsageError` for any other word."""
    if text in {"paper", "live"}:
        return cast("Mode", text)
    raise UsageError(f"The mode {text[:40]!r} is refused", "a bot is paper or live", nearest(text, ("paper", "live")))


def switch(state: State, bot: str, mode: Mode, words: Request) -> Switch:
    """The change that moves a declared bot; `state` holds `fleet.bots` of the line, `words` say who asks and why.

    Raises `PathNotFound` for a bot that is not declared, `ValidationError` where another layer decides the label.
    """
    known = labels.declared_bots(state)
    where = state.lineage.environment
    if bot not in known:
        remedy = nearest(bot, known) or f"Set {mode_path(bot)} to declare it"
        raise PathNotFound(f"{where} declares no bot {bot[:80]!r}", "", remedy)
    path = mode_path(bot)
    operation = leaves_of("", path, mode)
    draft = Draft(where, state, state)
    operation.apply(draft)
    found = labels.effective(draft.state, {"bot": bot}).get(DIMENSION)
    if found != mode:
        raise ValidationError(
            f"{bot} would still be {found or 'without a mode'}",
            f"a layer above the common one decides {path}",
            f"See trimtab explain {path} --label bot={bot}",
        )
    old = labels.effective(state, {"bot": bot}).get(DIMENSION)
    return Switch(bot, old, mode, replace(words, operations=(operation,)))
