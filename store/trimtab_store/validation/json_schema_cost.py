"""What a check may cost: bounds that are known before a document is looked at.

A regular expression of the engine used takes time in proportion to the text, and a schema may still ask the same
value a million times over: by references that fan out, or by recursion that does so at each level of the document.
`Weights` says for each depth how often at most one value is looked at, and a document that would take too long with
this schema is refused instead of being checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

import jsonschema_rs
import orjson

from trimtab.model.canonical import Json
from trimtab_store.validation.json_schema_faults import Fault
from trimtab_store.validation.json_schema_nodes import Graph, Node

MAX_DEPTH: Final = 64
"""Of a document: 32 segments of a path, and 32 levels in a leaf."""
MAX_CHAIN: Final = 48
"""So many subschemas may lead into each other without going down in the document: the checker's stack is bounded."""
MAX_PATTERNS: Final = 128
MAX_PATTERN_LENGTH: Final = 1_000
MAX_WORK: Final = 10_000_000
"""Looks at a value, at 20 to 100 ns each."""
MAX_TOLD: Final = 20_000
"""Problems that the checker may make of one document, at 20 µs and 1.5 kB each."""
REGEX_BYTES: Final = 50_000
"""A compiled pattern; at this size the slowest one takes 2 µs for a character."""
_LIGHT_REGEX_BYTES: Final = 5_000
_NO_WALK: Final = 64
"""Below so many looks at one value any document that can be stored is checked within a second, unmeasured."""
_UNEVALUATED: Final = 3
_PER_PATTERN: Final = 4
_PER_CHARACTER: Final = 20
_OPTIONS: Final = 10
"""So many options of an `enum` take as much room in a problem as the problem itself."""
_CEILING: Final = 10**12
_ENGINE: Final = "the engine has none of them, because a pattern that needs them can take time without end"


@dataclass(frozen=True, slots=True)
class Weights:
    """How often at most a value is looked at, by its depth (or any less deep).

    `looks` are all of them, `slow` those by patterns that are slow enough to count its characters; `telling` is how
    much the checker would have to say of each. `is_endless`: the schema looks as deep as a document goes.
    """

    looks: tuple[int, ...]
    slow: tuple[int, ...] = (0,)
    telling: tuple[int, ...] = (0,)
    is_endless: bool = False

    @property
    def is_light(self) -> bool:
        """Whether no document needs measuring."""
        return not self.is_endless and not self.slow[-1] and self.looks[-1] <= _NO_WALK

    def refuses(self, value: Json) -> str:
        """Why a document would take too long or goes too deep; nothing if it is fine."""
        with suppress(orjson.JSONEncodeError):  # too deep for it, or no JSON
            written = len(orjson.dumps(value))
            if written * (self.looks[-1] + self.slow[-1] * _PER_CHARACTER) <= MAX_WORK:
                return ""  # as for nearly all documents, told 20 times faster than by counting
        size = Size()
        if not size.add(value, 0):
            return f"it is nested deeper than {MAX_DEPTH} levels"
        work = size.values * self.looks[size.depth] + size.characters * self.slow[size.depth] * _PER_CHARACTER
        return "" if work <= MAX_WORK else "checking it against this schema could take too long"

    def can_tell(self, value: Json) -> bool:
        """Whether all that may be wrong with a document fits into a few megabytes: each problem is an object."""
        size = Size()
        return size.add(value, 0) and size.values * self.telling[size.depth] <= MAX_TOLD


@dataclass(slots=True)
class Size:
    """How much there is in a document."""

    values: int = 0
    characters: int = 0
    depth: int = 0

    def add(self, value: Json, depth: int) -> bool:
        """Count a value with everything in it; False if it is too deep, uncounted."""
        if depth > MAX_DEPTH:
            return False
        self.values += 1
        self.depth = max(self.depth, depth)
        if isinstance(value, str):
            self.characters += len(value)
        elif isinstance(value, dict):
            self.characters += sum(map(len, value))
            return all(self.add(one, depth + 1) for one in value.values())
        elif isinstance(value, list):
            return all(self.add(one, depth + 1) for one in value)
        return True


def weigh(graph: Graph) -> Weights:
    """The weights of a schema; what cannot be bounded is added to the graph's faults."""
    patterns = {pattern: node for node in graph.nodes.values() for pattern in node.patterns}
    if len(patterns) > MAX_PATTERNS:
        why = f"it holds {len(patterns)} patterns, and {MAX_PATTERNS} is the limit"
        graph.faults.append(Fault((), "size", why, "Use enum or fewer patterns"))
        return Weights((0,))
    for pattern, node in patterns.items():
        if why := _refusal(pattern):
            graph.faults.append(Fault((*node.pointer, "pattern"), "pattern", f"{_short(pattern)} {why}"))
    order = _bottom_up(graph)
    if graph.faults:
        return Weights((0,))
    slow = {pattern for pattern in patterns if not _compiles(pattern, _LIGHT_REGEX_BYTES)}
    looks = _by_depth(graph, {node: _own(node) for node in order})
    characters = _by_depth(graph, {node: len(slow.intersection(node.patterns)) for node in order})
    telling = _by_depth(graph, {node: 1 + _options(node) // _OPTIONS for node in order})
    highest, slowest, told = (tuple(accumulate(found, max)) for found in (looks, characters, telling))
    return Weights(highest, slowest, told, is_endless=looks[-1] > 0)


def _refusal(pattern: str) -> str:
    """Why a pattern is not taken; nothing if it is."""
    if len(pattern) > MAX_PATTERN_LENGTH:
        return f"is longer than {MAX_PATTERN_LENGTH} characters"
    if _compiles(pattern, REGEX_BYTES):
        return ""
    if _compiles(pattern, 20 * REGEX_BYTES):
        return "would take too much memory: write smaller repetitions"
    if any(sign in pattern for sign in ("(?=", "(?!", "(?<=", "(?<!", "(?>")):
        return f"looks ahead or behind; {_ENGINE}"
    if any(f"\\{sign}" in pattern for sign in "123456789k"):
        return f"refers back to a group; {_ENGINE}"
    return "is no regular expression, or one too large to be compiled"


def _compiles(pattern: str, size: int) -> bool:
    options = jsonschema_rs.RegexOptions(size_limit=size, dfa_size_limit=REGEX_BYTES)
    try:
        jsonschema_rs.Draft202012Validator({"pattern": pattern}, pattern_options=options, offline=True)
    except jsonschema_rs.ValidationError:
        return False
    return True


def _bottom_up(graph: Graph) -> list[Node]:
    """The subschemas so that each comes after all that look at the same value; adds a fault for a ring of them."""
    chain: dict[Node, int] = {}
    for start in graph.nodes.values():
        way: list[Node] = [start]
        while way:
            node = way[-1]
            waiting = [below for below in node.in_place if below not in chain]
            if node in chain:
                way.pop()
            elif not waiting:
                chain[way.pop()] = 1 + max((chain[below] for below in node.in_place), default=0)
            elif any(below in way for below in waiting) or len(way) > MAX_CHAIN:
                why = f"it leads back to itself, or through more than {MAX_CHAIN} schemas, without going into the value"
                graph.faults.append(Fault(start.pointer, "recursion", why, "Refer to it from a property or an item"))
                return []
            else:
                way.append(waiting[0])
    if max(chain.values()) > MAX_CHAIN:
        graph.faults.append(Fault((), "recursion", f"more than {MAX_CHAIN} schemas lead into each other"))
    return list(chain)


def _by_depth(graph: Graph, own: Mapping[Node, int]) -> list[int]:
    """The sum of `own` over all looks at one value, by depth: subschemas in place, and what is asked of children.

    `own` comes in the order of `_bottom_up`. Of children with names only the worst counts: each is a value of its own.
    """
    found: list[int] = []
    above: dict[Node, int] = {}
    for depth in range(MAX_DEPTH + 1):
        level: dict[Node, int] = {}
        for node, looks in own.items():
            here = sum(level[below] for below in node.in_place)
            if depth:
                here += sum(above[below] for below in node.others)
                here += max((above[below] for below in node.named.values()), default=0)
            else:
                here += looks
            level[node] = min(here * (_UNEVALUATED if _asks_again(node) else 1), _CEILING)
        found.append(level[graph.root])
        above = level
        if not any(level.values()):
            break
    return found + [0] * (MAX_DEPTH + 1 - len(found))


def _asks_again(node: Node) -> bool:
    return "unevaluatedProperties" in node.schema or "unevaluatedItems" in node.schema


def _options(node: Node) -> int:
    options = node.schema.get("enum")
    return len(options) if isinstance(options, list) else 0


def _own(node: Node) -> int:
    """Looks that a subschema's own keywords take at one value: an object in `enum` is compared, a scalar is hashed."""
    compared = [node.schema.get("const"), node.schema.get("enum")]
    size = Size()
    for value in compared:
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict | list):
                size.add(one, 0)
    required = node.schema.get("required")
    asked = len(required) if isinstance(required, list) else 0
    return 1 + len(node.patterns) * _PER_PATTERN + size.values + asked // 8


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}…")  # noqa: PLR2004 - a line of an error message
