"""Standing: what a layer holds already where an instance would go, so that nothing is replaced unseen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trimtab.model import layers, paths
from trimtab.model.canonical import Json
from trimtab.model.errors import ConflictError
from trimtab.model.items import leaves
from trimtab_store.queries import Queries
from trimtab_store.templates.template import Instance


@dataclass(frozen=True, slots=True)
class Standing:
    """What was seen at a revision: the documents of an instance that stand there already, and say something else."""

    revision: int
    others: tuple[str, ...]

    def require_free(self, *, named: bool = True) -> None:
        """Raise `ConflictError` naming what stands there; `named`: another id would lead elsewhere."""
        if self.others:
            raise ConflictError(
                f"{', '.join(self.others)} stands there already",
                "it holds something else than this instance",
                "Choose another id, or add --replace" if named else "Add --replace if it may go",
            )


def look(queries: Queries, environment: str, layer: str, made: Instance) -> Standing:
    """What the environment's own layer holds at the documents; commit with `expect` of the revision that it is of."""
    written = layers.parse(layer).text
    revision = queries.document(environment, next(iter(made.documents))).moment.revision
    others: list[str] = []
    for path, value in made.documents.items():
        held = {one.path: one.content for one in queries.items(environment, path, own=True) if one.layer == written}
        if held and held != dict(leaves(path, value)):
            others.append(path)
    return Standing(revision, tuple(others))


def nested(documents: Mapping[str, Json]) -> dict[str, Json]:
    """Documents as one object, category by category: the shape of a file in a tree."""
    found: dict[str, Json] = {}
    for path, value in documents.items():
        *above, last = paths.parse(path)
        here = found
        for segment in above:
            inner = here.setdefault(segment, {})
            assert isinstance(inner, dict), "no document of a template lies inside another"
            here = inner
        here[last] = value
    return found
