"""Templates under test: a definition to vary, instances with examples, and how far two templates are apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from trimtab.model import documents, paths
from trimtab.model.canonical import Json
from trimtab.model.items import leaves
from trimtab_store.templates import Template

NAMING: Final = frozenset({"bot_id", "name", "description", "environment", "log_file", "symbol", "symbols", "address"})
"""Fields that only say how something is called, or what it is pointed at."""


def small(**changed: Any) -> dict[str, Any]:
    """A definition with a parameter of each use; `changed` fields stand before its own."""
    made: dict[str, Any] = {
        "name": "small",
        "category": "strategy",
        "required": ["exchange"],
        "optional": ["note"],
        "customizable": ["stop_loss", "take_profit", "symbols"],
        "parameters": {
            "exchange": {"type": "text", "min_length": 2, "max_length": 20, "example": "binance"},
            "note": {"type": "text"},
            "stop_loss": {"type": "number", "unit": "ratio", "exclusive_minimum": 0, "maximum": 0.5},
            "take_profit": {"type": "number", "unit": "ratio", "exclusive_minimum": 0, "maximum": 1},
            "symbols": {"type": "list", "items": "text", "min_length": 1},
        },
        "defaults": {"stop_loss": 0.02, "take_profit": 0.04, "symbols": ["BTC-USD"], "order_type": "limit"},
        "validation_rules": ["stop_loss <= take_profit"],
        "documents": {
            "strategy.<id>": {
                "name": "<id> on <exchange>",
                "exchange": "<exchange>",
                "symbols": "<symbols>",
                "parameters": {
                    "stop_loss": "<stop_loss>",
                    "take_profit": "<take_profit>",
                    "order_type": "<order_type>",
                    "note": "<note>",
                },
            }
        },
    }
    return {**made, **changed}


def substance(template: Template) -> dict[tuple[str, ...], bytes]:
    """What an instance says beside names: type of the document and field → content."""
    found = template.instance(template.examples())
    return {(what, *rest): content for what, rest, content in _fields(found.documents) if rest[-1] not in NAMING}


def apart(one: Template, other: Template) -> int:
    """In how many fields two templates differ, names aside: those that one has alone, and those with other values."""
    first, second = substance(one), substance(other)
    return sum(first.get(field) != second.get(field) for field in first.keys() | second.keys())


def _fields(made: Mapping[str, Json]) -> Iterator[tuple[str, tuple[str, ...], bytes]]:
    for path, value in made.items():
        document = documents.document_of(path)
        what = documents.KNOWN.type_of(document) or document
        for leaf, content in leaves(path, value):
            yield what, paths.parse(leaf)[len(paths.parse(document)) :] or ("",), content
