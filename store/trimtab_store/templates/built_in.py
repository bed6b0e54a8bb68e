"""The built-in templates: one file each under `data`, read when it is asked for."""

from __future__ import annotations

from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from trimtab_store.files.yaml_core import load_yaml
from trimtab_store.templates import definition
from trimtab_store.templates.template import Template

_SUFFIX: Final = ".yaml"


@cache
def files() -> dict[str, Traversable]:
    """The file of each built-in template by its name, sorted; grouped in folders by category."""
    folders = [one for one in (resources.files("trimtab_store.templates") / "data").iterdir() if one.is_dir()]
    found = {
        file.name.removesuffix(_SUFFIX): file
        for one in folders
        for file in one.iterdir()
        if file.name.endswith(_SUFFIX)
    }
    return dict(sorted(found.items()))


@cache
def template(name: str) -> Template:
    """One of them, which must be among `files`."""
    file = files()[name]
    return definition.read(load_yaml(file.read_bytes(), name=f"{name}{_SUFFIX}"), name)
