"""`expect`: a writer names the revision that it edited, and is refused if what it touches has changed since.

What counts is a document as resolved: a change that no reader of the touched documents can see does not refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from trimtab.model import layers, paths, resolution
from trimtab.model.errors import ExpectationFailed, ValidationError
from trimtab.model.resolution import ABSENT, Absent
from trimtab.model.states import State
from trimtab.model.values import Document, Value, thaw
from trimtab.model.views import same
from trimtab_store import reading
from trimtab_store.database import Connection
from trimtab_store.editing import Request

MAX_COMBINATIONS: Final = 4_096
_SHOWN: Final = 200


def check(
    connection: Connection, request: Request, now: State, expected: int, document_of: Callable[[str], str]
) -> None:
    """Raise `ExpectationFailed` with both values if a touched document changed after `expected`.

    `now` holds the touched documents whole; `document_of` tells the outermost document of a path. Readers are told
    apart by every combination of labels that a layer of these documents names. Raises `RevisionNotFound` for a revision
    that never was.
    """
    at = reading.moment(connection, expected)
    touched = [document_of(one) if one else one for one in request.scopes]
    environment = request.environment
    lineage_then = reading.forest_at(connection, at.revision)
    if environment not in lineage_then.parents:
        raise ExpectationFailed(
            f"expect={expected} no longer holds", f"{environment} did not exist then", "Read it again, then edit"
        )
    then = reading.line(connection, environment, touched, at)
    for selector in label_sets(then, now):
        for document in touched:
            old, new = _resolved(then, selector, document), _resolved(now, selector, document)
            for path, one, two in differences(document, old, new):
                raise ExpectationFailed(
                    f"expect={expected} no longer holds",
                    f"{path or 'the environment'} in {environment} was {shown(one)} at revision {expected} and is "
                    f"{shown(two)} now{_for(selector)}",
                    "Read it again, then edit with the new revision",
                )


def label_sets(*found: State) -> list[dict[str, str]]:
    """Every combination of labels that a reader of these states could have, as far as layers tell readers apart.

    The combinations are the unions of selectors that can meet, the empty one included: for any reader, the union of all
    selectors that match it resolves exactly as its own labels do.
    """
    selectors = {layers.parse(text) for state in found for _, text in state.trees}
    unions: dict[tuple[tuple[str, str], ...], None] = {(): None}
    for selector in sorted(selectors):
        for union in list(unions):
            if layers.Selector(union).can_meet(selector):
                unions[tuple(sorted({*union, *selector.labels}))] = None
        if len(unions) > MAX_COMBINATIONS:
            raise ValidationError(
                "This cannot be compared with an earlier revision",
                f"the layers tell more than {MAX_COMBINATIONS} kinds of readers apart",
                "Edit fewer documents at a time, without expect or pin",
            )
    return [dict(union) for union in unions]


def differences(
    path: str, old: Value | Absent, new: Value | Absent
) -> Iterator[tuple[str, Value | Absent, Value | Absent]]:
    """The outermost paths at which two resolved values differ, with both."""
    if same(old, new):
        return
    if not (isinstance(old, Document) and isinstance(new, Document)):
        yield path, old, new
        return
    one, two = dict(old), dict(new)
    for segment in sorted(one.keys() | two.keys()):
        yield from differences(paths.child(path, segment), one.get(segment, ABSENT), two.get(segment, ABSENT))


def shown(value: Value | Absent) -> str:
    """A value for a message: short, and with nothing in it that drives a terminal."""
    text = "absent" if isinstance(value, Absent) else ascii(thaw(value))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _resolved(state: State, given: dict[str, str], document: str) -> Value | Absent:
    return resolution.resolve_at(state, given, document) if document else resolution.resolve_all(state, given)


def _for(selector: dict[str, str]) -> str:
    return f" for {','.join(f'{k}={v}' for k, v in sorted(selector.items()))}" if selector else ""
