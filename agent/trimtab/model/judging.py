"""Judging: which of a node's overrides hold, for every kind of reader that it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Final, TypeAlias

from trimtab.model import canonical, documents, layers, paths, resolution, trees
from trimtab.model.canonical import Json
from trimtab.model.index import Index
from trimtab.model.permitting import NOTHING_THERE, permission
from trimtab.model.problems import Problem
from trimtab.model.resolution import Absent
from trimtab.model.states import LayerKey
from trimtab.model.trees import Node
from trimtab.model.values import Document, Value, thaw
from trimtab.model.views import View

Check: TypeAlias = Callable[[str, Json, str], Sequence[Problem]]
"""What is wrong with a document: its type, its value, its path. See `trimtab.categories.check`."""
Place: TypeAlias = "tuple[LayerKey, str]"
"""A candidate: the layer that it stands in, and the path."""
FOR: Final = "for "
"""What an answer begins with that is about some of the readers."""
_STEP: Final = 8
_UNKNOWN: Final = "unknown-field"


class Judgement:
    """One judgement; `steps` makes it. `hidden` is what is there for the first reader who sees anything."""

    def __init__(self, wanted: Mapping[str, bytes], readers: Sequence[View], check: Check | None) -> None:
        self._wanted = wanted
        self._readers = readers
        self._check = check
        self._seen: list[dict[str, LayerKey]] = []  # for each reader: path → the layer whose candidate decides
        self._refused: dict[Place, tuple[str, View]] = {}
        self._apart: dict[str, str] = {}  # why, of paths where a reader has no single value
        self.hidden: dict[str, Value] = {}

    def steps(self) -> Iterator[None]:
        """Judge, in steps."""
        for number, reader in enumerate(self._readers, 1):
            self._seen.append(self._look(reader))
            if number % _STEP == 0:
                yield
        whole = False
        while self._check is not None:
            before = len(self._refused)
            for number, (reader, seen) in enumerate(zip(self._readers, self._seen, strict=True), 1):
                self._examine(reader, seen, self._check, whole=whole)
                if number % _STEP == 0:
                    yield
            if len(self._refused) == before:
                break
            whole = True  # a document that is still wrong without these fields is left as it is, for everybody

    @cached_property
    def held(self) -> list[Place]:
        """The candidates that give way."""
        places = {(layer, path) for seen in self._seen for path, layer in seen.items()}
        return sorted(places - self._refused.keys())

    def why(self, path: str) -> str:
        """Why an override does not hold, or for whom; empty if it does."""
        places = {(seen[path], path) for seen in self._seen if path in seen}
        if not places:
            return self._apart.get(path, "nobody reads here")
        refused = [self._refused[place] for place in sorted(places) if place in self._refused]
        if not refused:
            return ""
        reason, reader = refused[0]
        if len(refused) == len(places) and {said for said, _ in refused} == {reason}:
            return reason
        more = f" and {len(refused) - 1} more" if len(refused) > 1 else ""
        return f"{FOR}{self._name(reader)}{more}: {reason}"

    def _look(self, reader: View) -> dict[str, LayerKey]:
        """Where a reader has a single value, and what speaks against each override there."""
        permitted = permission(reader)
        seen: dict[str, LayerKey] = {}
        for path, content in self._wanted.items():
            there, value = reader.index.peek(path), resolution.decoded(content)
            why = permitted.against(path, there, value)
            if isinstance(there, Absent | Document):
                self._apart[path] = self._misspelt(reader, path) if why == NOTHING_THERE else why
                continue
            layer = seen[path] = _deciding(reader, path)
            self.hidden.setdefault(path, there)
            if why:
                self._refused.setdefault((layer, path), (why, reader))
        return seen

    def _examine(self, reader: View, seen: Mapping[str, LayerKey], check: Check, *, whole: bool) -> None:
        """Refuse what makes a document wrong: the fields that are said to be, else all that is overridden in it."""
        held: dict[str, list[str]] = {}
        for path, layer in seen.items():
            if (layer, path) not in self._refused:
                held.setdefault(documents.document_of(path), []).append(path)
        for document, own in held.items():
            problems = self._problems(reader, document, own, check)
            if not problems:
                continue
            said = {path: one for one in reversed(problems) for path in own if _is_at(one.path, path)}
            whom = self._seen if whole else [seen]
            for path in own if whole or not said else said:
                why = self._words(path, said.get(path, problems[0]))
                for places in whom:
                    if path in places:
                        self._refused.setdefault((places[path], path), (why, reader))

    def _problems(self, reader: View, document: str, own: Sequence[str], check: Check) -> list[Problem]:
        """What is wrong with a document because of the overrides in it."""
        kind = documents.KNOWN.type_of(document)
        if kind is None:
            return []
        tree: Node = trees.EMPTY
        for path in own:
            tree = trees.put(tree, paths.parse(path), self._wanted[path])
        found = check(kind, _plain(Index((tree, *reader.index.branches)), document), document)
        if not found:
            return []
        before = {(one.path, one.rule) for one in check(kind, _plain(reader.index, document), document)}
        return [
            one for one in found if (one.path, one.rule) not in before or any(_is_at(one.path, path) for path in own)
        ]

    def _misspelt(self, reader: View, path: str) -> str:
        """Why an override of nothing does not hold: in the words of its document where that knows no such field."""
        document = documents.document_of(path)
        kind = documents.KNOWN.type_of(document)
        if self._check is not None and kind is not None and document in reader.index and path != document:
            tree = trees.put(trees.EMPTY, paths.parse(path), self._wanted[path])
            value = _plain(Index((tree, *reader.index.branches)), document)
            for one in self._check(kind, value, document):
                if one.rule == _UNKNOWN and _is_at(path, one.path):
                    return self._words(path, one)
        return NOTHING_THERE

    def _words(self, path: str, problem: Problem) -> str:
        """What is wrong, as a commit is told; of text only by which rule, for it could be a secret."""
        if isinstance(canonical.trusted(self._wanted[path]), bool | int | float | None):
            return str(problem)
        return f"{problem.path} breaks the rule {problem.rule} of its document"

    def _name(self, reader: View) -> str:
        """The labels of a reader that not all have."""
        common = set(reader.labels.items())
        for one in self._readers:
            common.intersection_update(one.labels.items())
        return layers.of(dict(reader.labels.items() - common)).text or "readers without labels of their own"


def _deciding(reader: View, path: str) -> LayerKey:
    """The layer whose candidate a reader sees at a path where it sees a leaf."""
    segments = paths.parse(path)
    for layer, tree in zip(reader.order, reader.index.branches, strict=True):
        if trees.content_of(trees.descend(tree, segments)) is not None:
            return layer
    raise AssertionError("what is seen stands somewhere")


def _plain(index: Index, document: str) -> Json:
    value = index.peek(document)
    return None if isinstance(value, Absent) else thaw(value)


def _is_at(path: str, above: str) -> bool:
    """Whether a path is another one, or lies below it."""
    return path == above or above in paths.parents(path)
