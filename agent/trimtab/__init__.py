"""Trimtab for bots: follow one environment and read its configuration at the cost of a dict lookup.

from trimtab import Agent
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trimtab.agent import Agent
    from trimtab.binding import Binding
    from trimtab.model.reports import Status
    from trimtab.model.resolution import ABSENT
    from trimtab.pending import Changed, Reloaded

__all__ = ["ABSENT", "Agent", "Binding", "Changed", "Reloaded", "Status"]

_PLACES = {
    "ABSENT": "trimtab.model.resolution",
    "Agent": "trimtab.agent",
    "Binding": "trimtab.binding",
    "Changed": "trimtab.pending",
    "Reloaded": "trimtab.pending",
    "Status": "trimtab.model.reports",
}


def __getattr__(name: str) -> object:
    """Import a public name at its first use: importing trimtab itself loads no client library."""
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module 'trimtab' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - only here

    found = globals()[name] = getattr(import_module(place), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
