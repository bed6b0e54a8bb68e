"""What an agent's directory gives back at a start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from trimtab.feeds.disk.generations import Generation
from trimtab.model.links import Position

PROVEN: Final = "proven"
PREVIOUS: Final = "previous"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What the directory gave back, all of it verified.

    `generations` holds those of `applied`, `proven` and `previous` that are sound. `clean`: the last run stopped
    cleanly (or there was none). `unclean_ends` are those found before this start. `alarms` are sentences for people.
    """

    generations: Mapping[str, Generation]
    floor: Position
    clean: bool
    unclean_ends: tuple[float, ...]
    alarms: tuple[str, ...]

    @property
    def newest(self) -> str | None:
        """The name of the newest generation, which further messages are appended to."""
        return max(self.generations, key=lambda name: self.generations[name].position, default=None)

    @property
    def proven(self) -> Generation | None:
        """The state to serve after a crash loop."""
        return self.generations.get(PROVEN) or self.generations.get(PREVIOUS)
