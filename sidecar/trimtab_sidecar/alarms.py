"""Alarms in the log: a line when one is raised, and one when it is over. What they are now, status and metrics say."""

from __future__ import annotations

from collections.abc import Mapping

from trimtab_sidecar import logs


class AlarmLog:
    """Says each alarm once, however its text goes on to change."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def note(self, alarms: Mapping[str, str]) -> None:
        """These are the alarms now: name → text."""
        for name in sorted(alarms.keys() - self._said):
            logs.LOGGER.warning("alarm", alarm=name, why=alarms[name])
        for name in sorted(self._said - alarms.keys()):
            logs.LOGGER.info("alarm_over", alarm=name)
        self._said = set(alarms)
