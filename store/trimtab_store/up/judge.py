"""What was lost: Postgres held against the bots' own journals, by a process that took no part.

    python -m trimtab_store.up.judge QUESTION.json

Counts, over all bots: committed values that are missing or different in the bot's final state (and values that it has
and nobody committed), and revisions that it saw out of order. Reads the tables itself and resolves with the model; it
shares neither connection nor memory with the run that it judges.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg
from pydantic import BaseModel, ConfigDict, TypeAdapter

from trimtab.model import canonical, labels, states, views
from trimtab.model.canonical import Json
from trimtab.model.items import Item
from trimtab.model.structure import Lineage
from trimtab.model.trees import HIDDEN
from trimtab.model.values import thaw


class Question(BaseModel):
    """Which bots to judge: journal and identity labels by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    database_url: str
    environment: str
    journals: dict[str, Path]
    identities: dict[str, dict[str, str]]


class Record(BaseModel):
    """What matters of one line of a journal: `reads` stands in a view that was seen, `final` in the last line."""

    seen: tuple[int, int]
    reads: dict[str, Any] | None = None
    final: dict[str, Any] | None = None


RECORD = TypeAdapter(Record)


def main(arguments: list[str]) -> None:
    """Print `{"lost": …, "bots": {name: {"differing": […], "out_of_order": n}}}`."""
    question = Question.model_validate_json(Path(arguments[0]).read_bytes())
    state = read_state(question.database_url, question.environment)
    bots: dict[str, Json] = {}
    lost = 0
    for name, journal in question.journals.items():
        records = [RECORD.validate_json(line) for line in journal.read_bytes().splitlines()]
        wrong = differing(state, question.identities[name], final_of(records))
        disorder = out_of_order(records)
        lost += len(wrong) + disorder
        bots[name] = {"differing": [*wrong], "out_of_order": disorder}
    sys.stdout.write(json.dumps({"lost": lost, "bots": bots}) + "\n")


def read_state(database_url: str, environment: str) -> states.State:
    """Everything that is committed for an environment and what it inherits from."""
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT name, parent, dimensions FROM trimtab.environments").fetchall()
        parents = {name: parent for name, parent, _ in rows}
        declared = {name: dimensions for name, _, dimensions in rows}
        chain = [environment]
        while parents[chain[0]] is not None:
            chain.insert(0, parents[chain[0]])
        found = connection.execute(
            "SELECT environment, layer, path, content FROM trimtab.configuration_current WHERE environment = ANY(%s)",
            [chain],
        ).fetchall()
    items = (
        Item(name, layer, path, HIDDEN if content is None else bytes(content)) for name, layer, path, content in found
    )
    return states.build(Lineage(tuple(chain), tuple(declared[chain[0]])), items)


def differing(state: states.State, identity: Mapping[str, str], final: Mapping[str, Json]) -> list[str]:
    """The paths at which a bot's final state is not what was committed."""
    view = views.build(state, labels.effective(state, identity))
    committed = {path: canonical.encode(thaw(view.index[path])) for path in view.leaf_paths()}
    held = {path: canonical.encode(value) for path, value in final.items()}
    return sorted(path for path in committed.keys() | held.keys() if committed.get(path) != held.get(path))


def out_of_order(records: Sequence[Record]) -> int:
    """How often a bot saw a revision that is not newer than the one before."""
    seen = [record.seen for record in records if record.reads is not None]
    return sum(two <= one for one, two in itertools.pairwise(seen))


def final_of(records: Sequence[Record]) -> Mapping[str, Json]:
    """A bot's final state; empty if it never wrote one, so that everything counts as lost."""
    finals = [record.final for record in records if record.final is not None]
    return finals[-1] if finals else {}


if __name__ == "__main__":
    main(sys.argv[1:])
