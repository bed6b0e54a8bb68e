"""The guard of running agents: a change after which one of them could not read a document.

An agent says for schemas up to which version its code understands them. One that says nothing about a registered schema
does not read its documents; of a built-in type it understands version 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias, cast

from trimtab.model import paths
from trimtab.model.documents import METADATA
from trimtab.model.items import LeafEdit
from trimtab.model.problems import Problem
from trimtab.model.states import State
from trimtab_store.database import Connection
from trimtab_store.evolution.versions import Schemas, Versioned, owns, versions_exist
from trimtab_store.validation.sides import Sides

Agents: TypeAlias = "Mapping[str, Mapping[str, int]]"
_REMEDY: Final = "Update that bot first; or repeat it with --force REASON"
_AGENTS: Final = """
    SELECT environment, agent, report -> 'understands' FROM trimtab.agent_reports
     WHERE environment = ANY(%s) AND report -> 'closed' IS DISTINCT FROM 'true'::jsonb
"""


def risen(sides: Sides, edits: Sequence[LeafEdit]) -> dict[str, tuple[Versioned, int]]:
    """The documents that edits touch and that a line has for a newer version than before, with that version."""
    if not versions_exist(sides.after):
        return {}
    schemas, earlier = Schemas.of(sides.after), Schemas.of(sides.before)
    found: dict[str, tuple[Versioned, int]] = {}
    for document in {_document(schemas, edit.path) for edit in edits}:
        schema = schemas.of_document(document)
        if schema is None or not _exists(sides.after, document):
            continue
        version = schemas.version_in(sides.after, document)
        before = earlier.version_in(sides.before, document) if _exists(sides.before, document) else 1
        if version > before:
            found[document] = schema, version
    return found


def judge(name: str, found: Mapping[str, tuple[Versioned, int]], agents: Agents) -> Iterator[Problem]:
    """The documents of an environment that some running agent could not read, each with one agent."""
    for document, (schema, version) in sorted(found.items()):
        behind = [
            (agent, understood)
            for agent, said in sorted(agents.items())
            if (understood := said.get(schema.name, version if schema.registered else 1)) < version
        ]
        if behind:
            agent, understood = behind[0]
            more = f" and {len(behind) - 1} more" if len(behind) > 1 else ""
            yield Problem(
                path=document,
                rule="guard-versions",
                why=f"it would be written for version {version} of {schema.name}, and the running agent {agent}{more} "
                f"understands version {understood}",
                remedy=_REMEDY,
                environment=name,
            )


def agents_of(connection: Connection, environments: Sequence[str]) -> dict[str, Agents]:
    """What the agents of some environments say that they understand, by environment and name; agents write these."""
    found: dict[str, dict[str, Mapping[str, int]]] = {}
    for environment, agent, claimed in connection.execute(_AGENTS, (list(environments),)).fetchall():
        said = cast("dict[str, object]", claimed) if isinstance(claimed, dict) else {}
        understood = {k: v for k, v in said.items() if isinstance(v, int) and not isinstance(v, bool)}
        found.setdefault(environment, {})[agent] = understood
    return dict(found)


def _document(schemas: Schemas, path: str) -> str:
    """The document that a path is in, or that it describes."""
    document = schemas.documents.of(path)
    segments = paths.parse(document)
    return paths.join(segments[1:]) if segments[0] == METADATA and len(segments) > 1 else document


def _exists(state: State, document: str) -> bool:
    return any(owns(state, name, document) for name in state.lineage.environments)
