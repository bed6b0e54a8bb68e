"""Export and import: an environment's own items as one JSON, YAML or TOML document that people can read and edit.

    trimtab: 1
    environment: production
    parent: base
    layers:
      common:
        values:
          risk: {global: {max_leverage: 2.0}}
        hidden: [bot.scalper]
        empty: [token]
      mode=live: …

`values` nests items by their segments. What a nested object cannot say stands beside it: `hidden` lists tombstones,
`empty` lists empty objects that have other items below them. Nothing is lost either way: importing an export changes
nothing. TOML has no null: an environment that holds one cannot be exported as TOML.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import orjson

from trimtab.model import canonical, labels, layers, paths
from trimtab.model.canonical import Json
from trimtab.model.errors import LayerConflict, ValueRefused, nearest
from trimtab.model.items import Item, leaves
from trimtab.model.structure import Forest
from trimtab.model.trees import HIDDEN
from trimtab_store.drafts import Place
from trimtab_store.editing import Request
from trimtab_store.files.json_text import load_json
from trimtab_store.files.toml_text import load_toml
from trimtab_store.files.toml_writer import dump_toml, holds_null
from trimtab_store.files.yaml_core import load_yaml
from trimtab_store.files.yaml_writer import dump_yaml
from trimtab_store.operations import Replace

Format: TypeAlias = Literal["json", "yaml", "toml"]
FORMAT_VERSION: Final = 1
_EMPTY_OBJECT: Final = b"{}"
_FIELDS: Final = ("trimtab", "environment", "parent", "dimensions", "revision", "layers")
_LAYER_FIELDS: Final = ("values", "hidden", "empty")
_LOADERS: Final = {"json": load_json, "yaml": load_yaml, "toml": load_toml}
_NAMED: Final = 20
_REMEDY: Final = "Start from a file that `trimtab export` wrote"


@dataclass(frozen=True, slots=True)
class Imported:
    """What a file says: the environment that it was exported from, and every item by layer and path."""

    environment: str
    items: Mapping[Place, bytes]


def export(forest: Forest, environment: str, revision: int, items: Iterable[Item], form: Format = "json") -> bytes:
    """The file that holds an environment's own items, UTF-8; raises `ValueRefused` for what its format cannot say."""
    lineage = forest.lineage(environment)
    grouped: dict[str, list[tuple[str, bytes]]] = {}
    for item in items:
        if item.environment == environment:
            grouped.setdefault(item.layer, []).append((item.path, item.content))
    written: dict[str, Json] = {
        "trimtab": FORMAT_VERSION,
        "environment": environment,
        "parent": forest.parents[environment],
        "revision": revision,
        "layers": {layer or "common": _layer(grouped[layer]) for layer in sorted(grouped)},
    }
    if forest.parents[environment] is None:
        written["dimensions"] = list(lineage.dimensions)
    if form == "yaml":
        return dump_yaml(written).encode()
    if form == "toml":
        return _toml(written, grouped)
    return orjson.dumps(written, option=orjson.OPT_INDENT_2) + b"\n"


def read(text: bytes, form: Format, *, name: str = "the import") -> Imported:
    """Read such a file; raises `ValidationError` or `UsageError` naming what does not fit."""
    content = _LOADERS[form](text, name=name)
    fields = _object(content, "the file", _FIELDS)
    if fields.get("trimtab") != FORMAT_VERSION:
        raise ValueRefused("This file is refused", "it does not say trimtab: 1", _REMEDY)
    found: dict[Place, bytes] = {}
    for written, layer in _object(fields.get("layers"), "layers").items():
        _read_layer(layers.parse(written).text, layer, found)
    environment = fields.get("environment")
    if not isinstance(environment, str):
        raise ValueRefused("This file is refused", "it names no environment", _REMEDY)
    return Imported(environment, found)


def request(imported: Imported, environment: str | None, *, author: str, reason: str = "") -> Request:
    """The request that makes an environment's own items exactly those of a file."""
    return Request(
        environment=environment or imported.environment,
        author=author,
        reason=reason,
        kind="import",
        operations=(Replace(imported.items),),
    )


def _toml(written: dict[str, Json], grouped: Mapping[str, list[tuple[str, bytes]]]) -> bytes:
    nulls = [
        f"{path} ({layer or 'common'})"
        for layer, found in sorted(grouped.items())
        for path, content in found
        if content and holds_null(canonical.trusted(content))
    ]
    if nulls:
        more = f" and {len(nulls) - _NAMED} more" if len(nulls) > _NAMED else ""
        why = f"TOML has no null, which stands at {', '.join(nulls[:_NAMED])}{more}"
        raise ValueRefused("This environment cannot be exported as TOML", why, "Export it as YAML or JSON")
    return dump_toml({key: value for key, value in written.items() if value is not None}).encode()


def _layer(found: list[tuple[str, bytes]]) -> Json:
    """One layer: nested values, and beside them what nesting cannot say."""
    values: dict[str, Json] = {}
    hidden: list[Json] = []
    empty: list[Json] = []
    # An empty object comes before what stands below it, so whoever nests finds it there.
    above = {one for path, content in found if content != HIDDEN for one in paths.parents(path)}
    for path, content in found:
        if content == HIDDEN:
            hidden.append(path)
        elif content == _EMPTY_OBJECT and path in above:
            empty.append(path)
        else:
            _nest(values, path, canonical.trusted(content))
    layer: dict[str, Json] = {"values": values}
    return {**layer, **({"hidden": hidden} if hidden else {}), **({"empty": empty} if empty else {})}


def _nest(values: dict[str, Json], path: str, value: Json) -> None:
    *inner, last = paths.parse(path)
    here = values
    for segment in inner:
        below = here.setdefault(segment, {})
        assert isinstance(below, dict), "the store holds no scalar above an item"
        here = below
    here[last] = value


def _read_layer(layer: str, content: Json, found: dict[Place, bytes]) -> None:
    fields = _object(content, layer or "common", _LAYER_FIELDS)
    for category, value in _object(fields.get("values", {}), f"values of {layer or 'common'}").items():
        for path, leaf in leaves(paths.write(category), value):
            _add(found, layer, path, leaf)
    for name, leaf in (("hidden", HIDDEN), ("empty", _EMPTY_OBJECT)):
        listed = fields.get(name, [])
        if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
            raise ValueRefused("This file is refused", f"{name} of {layer or 'common'} is no list of paths", _REMEDY)
        for one in listed:
            _add(found, layer, paths.canonical(str(one)), leaf)
    for path in [path for (at, path), leaf in found.items() if at == layer and leaf not in {HIDDEN, _EMPTY_OBJECT}]:
        for above in paths.parents(path):
            if found.get((layer, above)) not in {None, HIDDEN, _EMPTY_OBJECT}:
                raise LayerConflict(f"{above} cannot be a value and hold {path} as well", "", "Remove one of the two")


def _add(found: dict[Place, bytes], layer: str, path: str, content: bytes) -> None:
    if (layer, path) in found:
        raise ValueRefused(
            "This file is refused", f"{path} stands twice in {layer or 'common'}", "Remove one of the two"
        )
    labels.check_edit(layer, path, content)
    found[layer, path] = content


def _object(value: Json, what: str, known: tuple[str, ...] = ()) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise ValueRefused("This file is refused", f"{what} is no object", _REMEDY)
    for key in value:
        if known and key not in known:
            raise ValueRefused(
                "This file is refused", f"{what} has the unknown field {key[:80]!r}", nearest(key, known) or _REMEDY
            )
    return value
