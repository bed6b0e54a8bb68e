"""Spelling: what is written in camelCase, or in a flat shape, is stored under the one name that readers use."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from trimtab import categories
from trimtab.model import paths
from trimtab.model.documents import KNOWN
from trimtab.model.problems import DocumentsRefused, Problem
from trimtab_store.drafts import Place
from trimtab_store.operations import Hide, Leaves, Operation, Replace, Unset

_LONGEST: Final = 80


@lru_cache(maxsize=2048)
def canonical(path: str) -> str:
    """The path under which a leaf, or what stands above leaves, is stored."""
    document = KNOWN.of(path)
    kind = KNOWN.type_of(document)
    if kind is None or document == path:
        return path
    segments = paths.parse(path)
    depth = len(paths.parse(document))
    spelled = categories.respell(kind, segments[depth:])
    return path if spelled == segments[depth:] else paths.join((*segments[:depth], *spelled))


def respelled(operations: tuple[Operation, ...]) -> tuple[Operation, ...]:
    """The operations with every path as it is stored: the same ones if they are written so already.

    Raises `DocumentsRefused` where one of them gives the same field two different values in two spellings.
    """
    spelled = tuple(map(_respelled, operations))
    return operations if all(map(operator.is_, spelled, operations)) else spelled


def _respelled(operation: Operation) -> Operation:
    match operation:
        case Leaves():
            if canonical(operation.path) == operation.path and all(
                canonical(one) == one for one, _ in operation.leaves
            ):
                return operation
            found = _merged(((operation.layer, path), content) for path, content in operation.leaves)
            leaves = tuple((path, content) for (_, path), content in found.items())
            return dataclasses.replace(operation, path=canonical(operation.path), leaves=leaves)
        case Replace():
            return Replace(_merged(operation.target.items()))
        case Unset() | Hide():
            path = canonical(operation.path)
            return operation if path == operation.path else dataclasses.replace(operation, path=path)
        case _:
            return operation


def _merged(found: Iterable[tuple[Place, bytes]]) -> dict[Place, bytes]:
    """Items by the place where they are stored."""
    kept: dict[Place, bytes] = {}
    written: dict[Place, str] = {}
    problems: list[Problem] = []
    for (layer, path), content in found:
        place = (layer, canonical(path))
        if kept.setdefault(place, content) != content:
            problems.append(_twice(place[1], written[place], path))
        written[place] = path
    if problems:
        raise DocumentsRefused(problems)
    return kept


def _twice(path: str, one: str, other: str) -> Problem:
    why = f"it is written twice with different values, as {one[-_LONGEST:]} and as {other[-_LONGEST:]}"
    return Problem(path=path, rule="spelling", why=why, remedy="Keep one of the two")
