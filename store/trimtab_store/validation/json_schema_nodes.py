"""A JSON Schema as a graph of its subschemas: which of them look at the same value, which at what is inside it.

Only what can be judged here and now is taken: `$ref` leads into the same text, every keyword belongs to the draft, no
subschema starts a document of its own. So nothing has to be fetched, and the graph is the whole schema.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from trimtab.model.canonical import Json
from trimtab.model.errors import nearest
from trimtab_store.validation.json_schema_faults import Fault, Pointer

MAX_KEYWORDS: Final = 4_000
_NEAR: Final = 0.8
"""An unknown keyword as close as this to a known one is a slip of the pen; any other is an annotation."""

_LISTS: Final = {"allOf", "anyOf", "oneOf", "prefixItems"}
_MAPS: Final = {"properties", "patternProperties", "dependentSchemas", "$defs", "definitions", "dependencies"}
_SINGLES: Final = {
    "not", "if", "then", "else", "items", "additionalItems", "contains", "additionalProperties", "propertyNames",
    "unevaluatedItems", "unevaluatedProperties", "contentSchema",
}  # fmt: skip
_IN_PLACE: Final = {"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies"}
_UNUSED: Final = {"$defs", "definitions", "contentSchema"}
_BOTH: Final = {
    "$schema", "$id", "$ref", "$comment", "title", "description", "default", "examples", "readOnly", "writeOnly",
    "type", "enum", "const", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "maxLength",
    "minLength", "pattern", "format", "items", "maxItems", "minItems", "uniqueItems", "contains", "maxProperties",
    "minProperties", "required", "properties", "patternProperties", "additionalProperties", "propertyNames", "allOf",
    "anyOf", "oneOf", "not", "if", "then", "else", "contentEncoding", "contentMediaType", "definitions",
}  # fmt: skip
_ONLY: Final = {
    7: {"additionalItems", "dependencies"},
    2020: {
        "$anchor", "$defs", "prefixItems", "minContains", "maxContains", "dependentRequired", "dependentSchemas",
        "unevaluatedItems", "unevaluatedProperties", "contentSchema", "deprecated",
    },
}  # fmt: skip
_NEVER: Final = {
    "$dynamicRef": "which schema it leads to is known only while a value is checked",
    "$dynamicAnchor": "only $dynamicRef uses it",
    "$recursiveRef": "it belongs to draft 2019-09",
    "$recursiveAnchor": "it belongs to draft 2019-09",
    "$vocabulary": "it belongs to meta-schemas",
}
FORMATS: Final = {
    "date", "date-time", "email", "hostname", "idn-email", "idn-hostname", "ipv4", "ipv6", "iri", "iri-reference",
    "json-pointer", "regex", "relative-json-pointer", "time", "uri", "uri-reference", "uri-template",
}  # fmt: skip
"""What `format` checks in both drafts; 2020-12 has `duration` and `uuid` besides."""
HINTS: Final = ("binary", "decimal", "double", "file-path", "float", "int32", "int64", "password", "path")
"""Formats of other tools that check nothing; a `password` is secret."""
UNIT: Final = "x-unit"
SECRET: Final = "x-secret"  # noqa: S105 - the name of a keyword


@dataclass(slots=True, eq=False)
class Node:
    """One subschema. `in_place` look at the same value, `named` at the child of that name, `others` at any child."""

    pointer: Pointer
    schema: dict[str, Json]
    in_place: list[Node] = field(default_factory=list["Node"])
    named: dict[str, Node] = field(default_factory=dict[str, "Node"])
    others: list[Node] = field(default_factory=list["Node"])

    @property
    def unit(self) -> str:
        """What a number is counted in, or nothing."""
        return str(self.schema.get(UNIT, ""))

    @property
    def is_secret(self) -> bool:
        """Whether what stands here is shown to nobody."""
        said = self.schema
        return said.get(SECRET) is True or said.get("writeOnly") is True or said.get("format") == "password"

    @property
    def patterns(self) -> tuple[str, ...]:
        """The regular expressions that it holds itself."""
        own = self.schema.get("pattern")
        below = self.schema.get("patternProperties")
        return (*([own] if isinstance(own, str) else []), *(below if isinstance(below, dict) else ()))


@dataclass(slots=True)
class Graph:
    """The subschemas of one text, by where they stand; `faults` is what cannot be taken."""

    root: Node
    draft: int
    nodes: dict[Pointer, Node] = field(default_factory=dict[Pointer, Node])
    anchors: dict[str, Pointer] = field(default_factory=dict[str, Pointer])
    faults: list[Fault] = field(default_factory=list[Fault])
    keywords: int = 0

    @property
    def has_forms(self) -> bool:
        """Whether a value may have one of several forms somewhere: what is wrong is then told for each of them."""
        return any(node.schema.keys() & {"anyOf", "oneOf"} for node in self.nodes.values())

    def reaching(self, segments: tuple[str | int, ...]) -> list[Node]:
        """The subschemas that may look at a place in a document, from the root on; patterns count as matching."""
        found = closure([self.root])
        for segment in segments:
            found = inside(found, segment)
        return found


def inside(nodes: list[Node], segment: str | int) -> list[Node]:
    """The subschemas that may look at a child of what some look at."""
    named = (node.named.get(str(segment)) for node in nodes)
    return closure([*(node for node in named if node is not None), *(one for node in nodes for one in node.others)])


def closure(nodes: list[Node]) -> list[Node]:
    """Some subschemas with all that look at the same value, each once."""
    found = dict.fromkeys(nodes)
    waiting = list(found)
    while waiting:
        for node in waiting.pop().in_place:
            if node not in found:
                found[node] = None
                waiting.append(node)
    return list(found)


def graph_of(schema: dict[str, Json], draft: int) -> Graph:
    """Read a schema; what is wrong with it stands in `faults`."""
    graph = Graph(Node((), schema), draft)
    _add(graph, graph.root)
    for node in list(graph.nodes.values()):
        _follow(graph, node)
    return graph


def _add(graph: Graph, node: Node) -> None:
    graph.nodes[node.pointer] = node
    graph.keywords += len(node.schema)
    if graph.keywords > MAX_KEYWORDS:
        return
    known = _BOTH | _ONLY[graph.draft]
    for keyword, value in node.schema.items():
        if keyword not in known:
            graph.faults.extend(_unknown(node.pointer, keyword, known, graph.draft))
        elif keyword == "$id" and node.pointer:
            graph.faults.append(Fault(node.pointer, "reference", "an $id inside a schema moves what $ref means"))
        elif keyword == "$schema" and node.pointer:
            graph.faults.append(Fault(node.pointer, "draft", "one schema has one draft, named at its top"))
        elif keyword == "format" and isinstance(value, str):
            graph.faults.extend(_format(node.pointer, value, graph.draft))
        elif keyword == "$anchor" and isinstance(value, str):
            graph.anchors[value] = node.pointer
        for steps, below in _subschemas(keyword, value):
            child = Node((*node.pointer, keyword, *steps), below)
            _attach(node, keyword, steps, child)
            _add(graph, child)


def _subschemas(keyword: str, value: Json) -> Iterator[tuple[Pointer, dict[str, Json]]]:
    """Each subschema of a keyword with the way to it; `true` and `false` hold nothing."""
    found: list[tuple[Pointer, Json]] = []
    if isinstance(value, list) and (keyword in _LISTS or keyword == "items"):
        found = [((str(at),), one) for at, one in enumerate(value)]
    elif isinstance(value, dict) and keyword in _MAPS:
        found = [((name,), one) for name, one in value.items()]
    elif keyword in _SINGLES:
        found = [((), value)]
    for steps, one in found:
        if isinstance(one, dict | bool):
            yield steps, one if isinstance(one, dict) else {}


def _attach(node: Node, keyword: str, steps: Pointer, child: Node) -> None:
    if keyword in _IN_PLACE:
        node.in_place.append(child)
    elif keyword == "properties" or (keyword in {"prefixItems", "items"} and steps):
        node.named[steps[0]] = child
    elif keyword not in _UNUSED:
        node.others.append(child)


def _unknown(pointer: Pointer, keyword: str, known: set[str], draft: int) -> Iterator[Fault]:
    if keyword in _NEVER:
        yield Fault(pointer, "keyword", f"{keyword} is not supported: {_NEVER[keyword]}", "Use $ref")
    elif any(keyword in words for words in _ONLY.values()):
        name = "2020-12" if draft == 7 else "7"  # noqa: PLR2004 - a draft's name
        yield Fault(pointer, "keyword", f"{keyword} belongs to draft {name} and would be ignored", "Name that $schema")
    elif close := difflib.get_close_matches(keyword, known, n=1, cutoff=_NEAR):
        yield Fault(pointer, "keyword", f"{keyword!r} is no keyword", f"Did you mean {close[0]}?")


def _format(pointer: Pointer, name: str, draft: int) -> Iterator[Fault]:
    later = ("duration", "uuid") if draft != 7 else ()  # noqa: PLR2004 - a draft's name
    known = sorted({*FORMATS, *HINTS, *later})
    if name not in known:
        yield Fault((*pointer, "format"), "format", f"the format {_short(name)} is not known", nearest(name, known))


def _follow(graph: Graph, node: Node) -> None:
    """Join a `$ref` to what it leads to, reading that if it is no subschema elsewhere."""
    reference = node.schema.get("$ref")
    if not isinstance(reference, str):
        return
    if not reference.startswith("#"):
        why = f"$ref {_short(reference)} leads out of this text, and nothing is ever fetched"
        graph.faults.append(Fault(node.pointer, "reference", why, "Put it into $defs and write #/$defs/<name>"))
        return
    target = None if "%" in reference else _target(graph, reference[1:])
    if target is None:
        why = f"$ref {_short(reference)} leads nowhere"
        graph.faults.append(Fault(node.pointer, "reference", why, "Name a schema in this text"))
        return
    if graph.draft == 7:  # noqa: PLR2004 - in draft 7 a $ref makes its neighbours void
        node.in_place.clear()
        node.named.clear()
        node.others.clear()
    node.in_place.append(target)


def _target(graph: Graph, fragment: str) -> Node | None:
    pointer = graph.anchors.get(fragment)
    if pointer is None and (not fragment or fragment.startswith("/")):
        pointer = tuple(_unescaped(part) for part in fragment.split("/")[1:])
    return None if pointer is None else graph.nodes.get(pointer)


def _unescaped(part: str) -> str:
    return part.replace("~1", "/").replace("~0", "~")


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}…")  # noqa: PLR2004 - a line of an error message
