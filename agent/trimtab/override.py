"""The file of a node's local overrides: categories as JSON or TOML, read once when an agent connects."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final, cast

from trimtab.model import canonical
from trimtab.model.canonical import Json
from trimtab.model.errors import SettingError, TrimtabError
from trimtab.model.overriding import Overrides, wanted

MAX_BYTES: Final = 256 * 1024
_REMEDY: Final = "Write categories as JSON or TOML, such as risk.global.max_leverage = 1.5, or leave local= out"


def read(file: Path) -> Overrides:
    """What a file wants; raises `SettingError` for one that cannot be read or holds anything else."""
    return overrides(file, content(file))


def content(file: Path) -> bytes:
    """What stands in a file; raises `SettingError`."""
    try:
        with file.open("rb") as stream:
            text = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise _refused(file, error.strerror or type(error).__name__) from error
    if len(text) > MAX_BYTES:
        raise _refused(file, f"it has more than {MAX_BYTES} bytes")
    return text


def overrides(file: Path, text: bytes) -> Overrides:
    """What the content of a file wants, checked against the built-in categories; raises `SettingError`."""
    from trimtab.categories import check  # noqa: PLC0415 - brings every model, which only a node with overrides needs

    try:
        tree = _parsed(text) if file.suffix == ".toml" else canonical.decode(text)
        if not isinstance(tree, dict):
            raise _refused(file, "it holds no categories")
        return Overrides(wanted(tree), check)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _refused(file, f"it is no TOML ({error})") from error
    except SettingError:
        raise
    except TrimtabError as error:
        raise _refused(file, f"{error.what}: {error.why}" if error.why else error.what) from error


def _parsed(text: bytes) -> Json:
    # dates and infinities are refused by the canonical form, which every leaf is brought into
    return cast("Json", tomllib.loads(text.decode()))


def _refused(file: Path, why: str) -> SettingError:
    return SettingError(f"The local overrides in {file} cannot be used", why, _REMEDY)
