"""Stamps: of what a raised schema covers, and of documents of built-in types, where an environment begins to hold one.

Nobody stamps the built-in documents that stand in stores when a release of Trimtab raises a type: without a stamp they
are of version 1. So whatever is written for a newer version says so, in the same revision, and each environment for
itself: what another one did, or a rollback undid, then says nothing about its own items. While every type is at version
1 nothing is stamped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from trimtab.model import canonical, documents, paths, states
from trimtab.model.documents import METADATA
from trimtab.model.items import Item
from trimtab.model.states import State
from trimtab.model.structure import Lineage
from trimtab_store.drafts import Draft, Place
from trimtab_store.evolution import builtin, raising
from trimtab_store.evolution.versions import Schemas, owns, stamp_of, stamp_path, versions_exist


def mark(draft: Draft, scopes: Iterable[str], lines: Iterable[State], *, raises: bool) -> list[str]:
    """Stamp what a draft makes of documents, or say what has to be read beside `scopes` before that can be done.

    `lines` are those that the draft extends, before it. With `raises` the documents of schemas whose version it raises
    are stamped with the old one.
    """
    read = set(scopes)
    raised = raising.raised(draft) if raises else []
    unread = [path for one in raised if not raising.covered(one, read) for path in one.scopes]
    needed = [path for document in _touched(draft) for path in (document, stamp_path(document))]
    unread += [path for path in needed if read.isdisjoint({"", path, *paths.parents(path)})]
    if not unread:
        held = list(lines) if raised else []
        for one in raised:
            raising.stamp(one, draft, held)
        stamp(draft)
    return unread


def stamp(draft: Draft) -> None:
    """Stamp what the environment begins to hold, and keep the stamps of what it goes on to hold."""
    touched = _touched(draft)
    if not touched:
        return
    schemas, environment = Schemas.of(draft.state), draft.environment
    for document in touched:
        schema, at = schemas.of_document(document), stamp_path(document)
        if schema is None or schema.registered:
            continue
        was, will = (owns(state, environment, document) for state in (draft.before, draft.state))
        old, new = (state.content(environment, "", at) for state in (draft.before, draft.state))
        if was and not will and old == new:
            draft.remove("", at)
        elif was and will and old and not new:
            draft.put("", at, old)
        elif will and not was and (not new or new == old):
            _say(draft, at, schemas.version_in(draft.before, document))


def bring_back(draft: Draft, then: State) -> list[str]:
    """Stamp what a rollback brought back, wherever it would not count as the version that it was of; where it did."""
    environment, stamped = draft.environment, list[str]()
    if not versions_exist(draft.state):
        return stamped
    was, will = Schemas.of(then), Schemas.of(draft.state)
    held = {will.documents.of(item.path) for item in draft.state.items(environment)}
    for document in sorted(held):
        old, new = was.of_document(document), will.of_document(document)
        if old is None or new is None or old.name != new.name or not owns(draft.state, environment, document):
            continue
        own = owns(then, environment, document)
        version = stamp_of(then, environment, document, old) if own else was.version_in(then, document)
        if stamp_of(draft.state, environment, document, new) != version:
            stamped.append(stamp_path(document))
            draft.put("", stamped[-1], canonical.encode(version))
    return stamped


def of_files(lineage: Lineage, above: Iterable[Item], own: Mapping[Place, bytes]) -> list[Item]:
    """The stamps that the last environment of a lineage would get if it began to hold these items."""
    if not builtin.UPGRADES:
        return []
    before = states.build(lineage, (item for item in above if item.environment in lineage.environments))
    draft = Draft(lineage.environment, before, before)
    for (layer, path), content in own.items():
        draft.put(layer, path, content)
    stamp(draft)
    return [
        Item(lineage.environment, edit.layer, edit.path, edit.outcome)
        for edit in draft.edits()
        if edit.outcome is not None and (edit.layer, edit.path) not in own
    ]


def _say(draft: Draft, at: str, version: int) -> None:
    """Put a stamp where the version is not the one that goes without saying, or where another one stands."""
    if version > 1 or draft.state.content(draft.environment, "", at):
        draft.put("", at, canonical.encode(version))


def _touched(draft: Draft) -> list[str]:
    """The documents of raised built-in types that a draft changes, or whose stamps it changes; sorted."""
    if not builtin.UPGRADES:
        return []
    known = Schemas.of(draft.state).documents
    found = {_described(known, edit.path) for edit in draft.edits()}
    return sorted(one for one in found if builtin.version_of(documents.KNOWN.type_of(one)) > 1)


def _described(known: documents.Documents, path: str) -> str:
    """The document that a path is in, or that it describes."""
    segments = paths.parse(known.of(path))
    return paths.join(segments[1:] if segments[0] == METADATA and len(segments) > 1 else segments)
