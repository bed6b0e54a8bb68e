"""The rule of dependencies: documents declare what they depend on in their metadata, and may rely on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from trimtab.model import paths
from trimtab.model.canonical import Json
from trimtab.model.documents import METADATA
from trimtab.model.errors import PathError
from trimtab.model.problems import Problem
from trimtab.model.resolution import Absent
from trimtab_store.validation.builtin_rule import BuiltInRule, held, part, texts
from trimtab_store.validation.rules import Seen

FIELD: Final = "dependencies"


class Dependencies(BuiltInRule):
    """Declared dependencies exist and lead in no circle; nothing that another document depends on goes away."""

    name = "dependencies"

    def watches(self, document: str) -> bool:
        """Every document: any may go away while another depends on it."""
        del document
        return True

    def reads_also(self, document: str, before: Json | Absent, after: Json | Absent) -> tuple[str, ...]:
        """For new dependencies what they name, and all metadata; all metadata where a document goes away."""
        if is_metadata(document):
            if (named := declared(after)) == declared(before):
                return ()
            return (METADATA, *(path for path in map(_path, named) if path is not None))
        return (METADATA,) if isinstance(after, Absent) and not isinstance(before, Absent) else ()

    def judge(self, seen: Seen) -> Iterable[Problem]:
        """What changed metadata declares, and what documents that go away leave behind."""
        gone: set[str] = set()
        for document in seen.changed:
            after = seen.at(document)
            if is_metadata(document):
                if declared(after) != declared(seen.before(document)):
                    yield from self._declared(seen, document)
            elif isinstance(after, Absent) and not isinstance(seen.before(document), Absent):
                gone.add(document)
        if gone:
            yield from self._left_behind(seen, gone)

    def _declared(self, seen: Seen, metadata: str) -> Iterator[Problem]:
        for named in declared(seen.at(metadata)):
            path = _path(named)
            if path is None or is_metadata(path):
                yield self._problem(metadata, named, f"{named!r} is no path of a document", "Name a document")
            elif isinstance(seen.at(path), Absent):
                yield self._problem(
                    metadata, named, f"there is no {path}", "Create it in the same change, or name another"
                )
        circle = _circle(seen, metadata)
        if circle:
            why = f"it depends on itself: {' → '.join(circle)}"
            yield self._problem(metadata, "", why, "Take one of these dependencies away")

    def _left_behind(self, seen: Seen, gone: set[str]) -> Iterator[Problem]:
        for metadata in seen.documents(METADATA):
            dependent = about(metadata)
            if dependent in seen.changed and isinstance(seen.at(dependent), Absent):
                continue
            for path in sorted(gone.intersection(filter(None, map(_path, declared(seen.at(metadata)))))):
                if metadata in seen.changed and declared(seen.at(metadata)) != declared(seen.before(metadata)):
                    continue  # told as a dependency that does not exist
                yield Problem(
                    path=path,
                    rule=self.name,
                    why=f"{dependent} depends on it",
                    remedy=f"Keep it, or take it out of {metadata}.{FIELD} in the same change",
                )

    def _problem(self, metadata: str, named: str, why: str, remedy: str) -> Problem:
        return Problem(path=f"{metadata}.{FIELD}", rule=self.name, why=why, remedy=remedy, value=named[:80])


def is_metadata(document: str) -> bool:
    """Whether a document is the metadata of another one."""
    return paths.is_below(document, METADATA)


def about(metadata: str) -> str:
    """The document that metadata are about: `meta.risk.global` → `risk.global`."""
    return metadata[len(METADATA) + 1 :]


def declared(metadata: Json | Absent) -> list[str]:
    """What metadata say that their document depends on."""
    return texts(part(metadata, FIELD))


def _path(named: str) -> str | None:
    try:
        return paths.canonical(named)
    except PathError:
        return None


def _circle(seen: Seen, metadata: str) -> list[str]:
    """The way from a document along dependencies back to itself; nothing if there is none."""
    start = about(metadata)
    came: dict[str, str] = {}
    waiting = [start]
    while waiting:
        here = waiting.pop()
        for path in filter(None, map(_path, declared(held(seen, f"{METADATA}.{here}")))):
            if path == start:
                way = [here]
                while way[-1] != start:
                    way.append(came[way[-1]])
                return [*reversed(way), start]
            if path not in came:
                came[path] = here
                waiting.append(path)
    return []
