"""What happened in a run, in order: the same seed gives the same trace, byte for byte."""

from __future__ import annotations

import hashlib


class Trace:
    """Notes of a run: when, who, what. They are formatted only if somebody reads them."""

    def __init__(self) -> None:
        self._notes: list[tuple[float, str, str, tuple[object, ...]]] = []

    def note(self, now: float, who: str, what: str, *details: object) -> None:
        self._notes.append((now, who, what, details))

    def lines(self) -> list[str]:
        """The notes as text, one a line."""
        return [
            f"{now:11.4f}  {who:<10} {what:<22} {' '.join(str(detail) for detail in details)}".rstrip()
            for now, who, what, details in self._notes
        ]

    def digest(self) -> str:
        """A name for the whole run: SHA-256 over its lines."""
        return hashlib.sha256("\n".join(self.lines()).encode()).hexdigest()
