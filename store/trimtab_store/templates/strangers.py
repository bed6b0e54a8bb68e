"""Strangers: fields in a template's documents that their category does not know, whatever the parameters are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from trimtab import categories
from trimtab.model import paths
from trimtab.model.canonical import Json
from trimtab.model.documents import KNOWN
from trimtab.model.errors import PathError
from trimtab_store.templates.bodies import Body
from trimtab_store.templates.parameters import Parameter

_ANY = "x"
"""Stands for the value of a parameter that has neither a default nor an example."""


def strangers(
    bodies: Mapping[str, Json], parameters: Mapping[str, Parameter], defaults: Mapping[str, Json]
) -> Iterator[tuple[str, str]]:
    """Why and remedy of each. The parts of the template fit together already."""
    values = {name: defaults.get(name, _sample(one)) for name, one in parameters.items()}
    for path, body in bodies.items():
        try:
            filled = Body(path, body).fill(values)
        except PathError:  # the value that stands in its path makes none: another may
            continue
        kind = None if filled is None else KNOWN.type_of(filled[0])
        if filled is None or kind is None:
            continue
        depth = len(paths.parse(filled[0]))
        for one in categories.check(kind, filled[1], filled[0]):
            if one.rule == "unknown-field":
                yield f"{path}: {'.'.join(paths.parse(one.path)[depth:])}: {one.why}", one.remedy


def _sample(one: Parameter) -> Json:
    return _ANY if one.example is None else one.example
