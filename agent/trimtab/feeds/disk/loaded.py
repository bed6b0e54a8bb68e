"""What an agent's directory gives back at a start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from trimtab.feeds.disk import generations
from trimtab.feeds.disk.applied import NAME as APPLIED
from trimtab.feeds.disk.generations import Generation
from trimtab.files import Files
from trimtab.model.errors import TrimtabError
from trimtab.model.links import Position
from trimtab.model.statements import Trust

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


def read_generations(files: Files, trust: Trust, environment: str) -> tuple[dict[str, Generation], list[str]]:
    """The generations that are sound, by name, and what is to be said of the others."""
    alarms: list[str] = []
    read = {name: _read(files, name, trust, environment, alarms) for name in (APPLIED, PROVEN, PREVIOUS)}
    return {name: found for name, found in read.items() if found is not None}, alarms


def _read(files: Files, name: str, trust: Trust, environment: str, alarms: list[str]) -> Generation | None:
    try:
        generation = generations.read(files.read(name, generations.MAX_BYTES), trust, environment)
    except FileNotFoundError:
        return None
    except (OSError, TrimtabError) as error:
        alarms.append(f"The generation {name} on disk is not used: {error}")
        return None
    if generation.cut:
        alarms.append(f"The generation {name} on disk ends at {generation.position}: {generation.cut}")
    return generation
