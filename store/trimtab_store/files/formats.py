"""Which reader a file's name asks for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

from trimtab.model.canonical import Json
from trimtab_store.files.errors import refused
from trimtab_store.files.json_text import load_json
from trimtab_store.files.toml_text import load_toml
from trimtab_store.files.yaml_core import load_yaml


class Load(Protocol):
    """Reads the bytes of a file; `name` is what errors call it. Raises `FileRefused`."""

    def __call__(self, text: bytes, *, name: str) -> Json:
        """The value."""
        ...


def load_hcl(text: bytes, *, name: str) -> Json:
    """The value of an HCL file; its parser is loaded for the first of them, not with every command."""
    from trimtab_store.files import hcl_text  # noqa: PLC0415 - see above

    return hcl_text.load_hcl(text, name=name)


READERS: Final[Mapping[str, Load]] = {
    ".yaml": load_yaml,
    ".yml": load_yaml,
    ".json": load_json,
    ".toml": load_toml,
    ".hcl": load_hcl,
}
ENV: Final = ".env"
_ALL: Final = (*READERS, ENV)


def ending(file: Path) -> str:
    """What a file's name ends in, `.env` for one that is called just that; raises `FileRefused` for any other."""
    found = ENV if file.name == ENV else file.suffix
    if found not in _ALL:
        known = ", ".join(_ALL[:-1])
        why = f"only files that end in {known} or {ENV} belong here"
        raise refused(file, "unknown-file", why, "Move it elsewhere")
    return found


def stem(file: Path) -> str:
    """A file's name without its ending."""
    return file.name.removesuffix(ending(file))


def load(text: bytes, file: Path) -> Json:
    """The value of a file in the format that its name says; raises `FileRefused`."""
    return READERS[ending(file)](text, name=str(file))
