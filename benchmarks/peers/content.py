"""The configuration that every peer holds: the same documents, the same value read. Imports nothing of ours."""

from __future__ import annotations

from typing import Any, Final

FIELDS: Final = 5
VALUES: Final[tuple[Any, ...]] = (2.5, "BTC-USD", True, 7200, ["a", "b"])
"""As `benchmarks.fixtures` has them; that module imports an agent, which a process of a peer must not hold."""
FIRST: Final = 2.5
"""The value that is read, until something changes it."""


def document(items: int) -> str:
    """The name of the document in the middle, which is read."""
    return f"t{items // FIELDS // 2:06d}"


def path(items: int) -> str:
    """The path of the value that is read."""
    return f"desk.{document(items)}.field_0"


def nested(items: int, value: float = FIRST) -> dict[str, Any]:
    """Everything as one nested object, with this value at the path that is read."""
    texts = {
        f"t{number:06d}": {f"field_{place}": one for place, one in enumerate(VALUES)}
        for number in range(items // FIELDS)
    }
    texts[document(items)]["field_0"] = value
    return {"desk": texts}


def flat(items: int, value: float = FIRST) -> dict[str, Any]:
    """The same, path by path."""
    return {
        f"desk.{name}.{field}": one
        for name, fields in nested(items, value)["desk"].items()
        for field, one in fields.items()
    }
