"""Trimtab for bots: follow one environment and read its configuration at the cost of a dict lookup.

from trimtab import Agent     in the process of the bot
from trimtab import attach    from the sidecar of the node, through shared memory
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trimtab.agent import Agent
    from trimtab.attached import Attached, attach
    from trimtab.binding import Binding
    from trimtab.model.reports import Status
    from trimtab.model.resolution import ABSENT
    from trimtab.pending import Changed, Reloaded
    from trimtab.reading import Reading

__all__ = ["ABSENT", "Agent", "Attached", "Binding", "Changed", "Reading", "Reloaded", "Status", "attach"]

_PLACES = {
    "ABSENT": "trimtab.model.resolution",
    "Agent": "trimtab.agent",
    "Attached": "trimtab.attached",
    "Binding": "trimtab.binding",
    "Changed": "trimtab.pending",
    "Reading": "trimtab.reading",
    "Reloaded": "trimtab.pending",
    "Status": "trimtab.model.reports",
    "attach": "trimtab.attached",
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
