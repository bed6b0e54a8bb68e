"""Where the signing key comes from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from trimtab.model.errors import SettingError
from trimtab.model.statements import SigningKey

SIGNING_KEY: Final = "TRIMTAB_SIGNING_KEY"
_MODE: Final = 0o077


def read_key(given: Path | str | SigningKey | None) -> SigningKey | None:
    """A signing key from a file that only its owner may read; raises `SettingError`."""
    if isinstance(given, SigningKey):
        return given
    named = given or os.environ.get(SIGNING_KEY)
    if not named:
        return None
    path = Path(named)
    try:
        if path.stat().st_mode & _MODE:
            raise SettingError(f"The signing key {path} is refused", "others may read it", f"chmod 600 {path}")
        return SigningKey.from_bytes(path.read_bytes())
    except OSError as error:
        raise SettingError(f"The signing key {path} cannot be read", error.strerror or "", "Check the path") from error
