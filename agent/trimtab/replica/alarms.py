"""Alarms: what a person should know, each said once until it ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from trimtab.replica.events import Raise, ReportDue

ALARM_SECONDS: Final = 300.0
"""An alarm about something that passed ends when nothing renewed it for this long."""


class Alarms:
    """Two kinds: something happened (a refused message), and something is so (a fork) until it no longer is."""

    def __init__(self) -> None:
        self._happened: dict[str, tuple[str, float]] = {}
        self._lasting: dict[str, str] = {}

    def happened(self, name: str, text: str, now: float) -> Iterator[Raise]:
        """Say that something happened, unless it was said and goes on."""
        known = self._happened.get(name)
        self._happened[name] = (text, now)
        if known is None or now - known[1] >= ALARM_SECONDS:
            yield Raise(name, text)

    def last(self, lasting: Mapping[str, str]) -> Iterator[Raise | ReportDue]:
        """Say what is so since the last time; `lasting` maps names to texts, empty ones are not so."""
        now_so = {name: text for name, text in lasting.items() if text}
        if now_so.keys() == self._lasting.keys():
            self._lasting = now_so
            return
        before, self._lasting = self._lasting, now_so
        for name, text in now_so.items():
            if name not in before:
                yield Raise(name, text)
        yield ReportDue()

    def all(self, now: float) -> dict[str, str]:
        """Name → text."""
        passing = {name: text for name, (text, at) in self._happened.items() if now - at < ALARM_SECONDS}
        return {**passing, **self._lasting}
