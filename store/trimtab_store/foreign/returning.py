"""The way back: the content of a bot's file, from what a reader with that bot's labels sees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, cast

from trimtab.model import paths
from trimtab.model.errors import PathNotFound, ValidationError
from trimtab.model.values import Document

if TYPE_CHECKING:
    from trimtab.model.canonical import Json

CATEGORY: Final = "foreign"


def content(seen: Mapping[str, Json] | Document, bot: str, file: str) -> Json:
    """What the file of a bot says, given everything that the bot sees.

    Raises `PathNotFound` where nothing stands at a path that a home names, `ValidationError` where it stands for
    nothing in the file. The templates in `rendering/` do the same, and must give the same.
    """
    tree = seen.to_dict() if isinstance(seen, Document) else seen
    record = paths.join((CATEGORY, bot, file))
    found = _at(tree, f"{record}.values")
    homes = cast("list[dict[str, Json]]", _at(tree, f"{record}.homes"))
    for home in sorted(homes, key=lambda one: len(cast("list[str]", one["at"]))):
        found = _laid(found, cast("list[str]", home["at"]), _value(tree, home))
    return found


def _value(tree: Mapping[str, Json], home: Mapping[str, Json]) -> Json:
    path = cast("str", home["path"])
    found = _at(tree, path)
    if "when" not in home:
        return found
    known = cast("dict[str, Json]", home["when"])
    if not isinstance(found, str) or found not in known:
        raise ValidationError(f"The value at {path} stands for nothing in the file", "", f"Set {' or '.join(known)}")
    return known[found]


def _laid(content: Json, place: list[str], value: Json) -> Json:
    """The content with a value at a place; objects are laid over objects."""
    inside = content if isinstance(content, dict) else {}
    if place:
        name, *below = place
        return {**inside, name: _laid(inside.get(name, {}), below, value)}
    if not isinstance(value, dict):
        return value
    return {**inside, **{name: _laid(inside.get(name, {}), [], one) for name, one in value.items()}}


def _at(tree: Mapping[str, Json], path: str) -> Json:
    found: Json = dict(tree)
    for segment in paths.parse(path):
        if not isinstance(found, dict) or segment not in found:
            raise PathNotFound(f"Nothing is set at {path}", "the file of a bot needs it", "Set it, or import again")
        found = found[segment]
    return found
