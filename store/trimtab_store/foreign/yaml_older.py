"""YAML as hummingbot reads most of its files: by PyYAML's safe loader, to which `yes` is true and `1_000` a number.

The structure is as strict as everywhere: no tag, anchor, alias, merge key, duplicate key.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, Final

import yaml
from yaml.nodes import MappingNode, Node, SequenceNode

from trimtab_store.files.errors import FileRefused, shown
from trimtab_store.files.text import characters
from trimtab_store.files.yaml_core import load_yaml

if TYPE_CHECKING:
    from trimtab.model.canonical import Json

_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG: Final = "tag:yaml.org,2002:"
_MAX_SCALAR: Final = 64
"""No number or time is longer; PyYAML would work at one of a million digits for minutes."""
_TIME: Final = "%Y-%m-%d %H:%M:%S"
"""How hummingbot writes times."""


def load(text: bytes, *, name: str) -> Json:
    """The value of such a file. A bare time becomes the text that hummingbot makes of it; raises `FileRefused`."""
    load_yaml(text, name=name)
    root: Node | None = yaml.compose(characters(text, name), Loader=_LOADER)
    return None if root is None else _value(root, name)


def _value(node: Node, name: str) -> Json:
    if isinstance(node, MappingNode):
        return {_key(key, name): _value(value, name) for key, value in node.value}
    if isinstance(node, SequenceNode):
        return [_value(one, name) for one in node.value]
    return _scalar(node, name)


def _key(node: Node, name: str) -> str:
    if node.tag != f"{_TAG}str":
        why = f"hummingbot reads the key {shown(str(node.value))} as something else than a text"
        raise _at(node, name, "key", why, "Put it in quotes")
    return str(node.value)


def _scalar(node: Node, name: str) -> Json:
    kind, text = node.tag.removeprefix(_TAG), str(node.value)
    make = _MAKERS.get(kind)
    if make is None:
        return text
    if len(text) > _MAX_SCALAR:
        raise _at(node, name, "number", f"it is longer than {_MAX_SCALAR} characters", "Put it in quotes")
    try:
        made = make(yaml.SafeLoader(""), node)
    except ValueError as error:
        why = f"hummingbot cannot read {shown(text)} as {'a time' if kind == 'timestamp' else 'a number'}"
        raise _at(node, name, kind, why, "Correct it, or put it in quotes") from error
    return made.strftime(_TIME) if isinstance(made, date) else made


_MAKERS: Final[dict[str, Any]] = {
    "null": yaml.SafeLoader.construct_yaml_null,
    "bool": yaml.SafeLoader.construct_yaml_bool,
    "int": yaml.SafeLoader.construct_yaml_int,
    "float": yaml.SafeLoader.construct_yaml_float,
    "timestamp": yaml.SafeLoader.construct_yaml_timestamp,
}


def _at(node: Node, name: str, rule: str, why: str, remedy: str) -> FileRefused:
    mark = node.start_mark
    return FileRefused(name, rule, why, remedy, line=mark.line + 1, column=mark.column + 1)
