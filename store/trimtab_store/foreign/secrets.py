"""Secrets in other bots' files: found by name and by what they look like, and replaced by references.

Secrets are not imported: the store keeps none yet. `SECURE:<bot>.<file>.<place>` stands where one was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from trimtab.model import paths
from trimtab.model.errors import PathError, ValidationError

if TYPE_CHECKING:
    from trimtab.model.canonical import Json

Segments: TypeAlias = "tuple[str, ...]"
IsSecret: TypeAlias = "Callable[[Segments], bool]"
"""Whether a project keeps a secret at a place of its file."""
REFERENCE: Final = "SECURE:"

_UNNAMED: Final = re.compile(r"[^A-Za-z0-9_-]")
_WORD_END: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NAMED: Final = re.compile(
    r"(^|_)(secrets?|passwords?|passwd|pwd|passphrase|mnemonic|(private|api|secret|signing|access)_?keys?"
    r"|(access|auth|bearer|bot|refresh|session|telegram|ws)_token|tokens?_secret|jwt(_\w+)?_key|authorization|cookie"
    r"|credentials?|webhook_url|chat_id|(seed|secret)_phrase)(_\d+)?$"
)
_LOOKS_SO: Final = (
    re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://[^/?#@\s]*:[^/?#@\s]+@"),  # a password in an address
    re.compile(  # a key in the question of an address; a short `token` or `key` there may be a coin or a number
        r"[A-Za-z][A-Za-z0-9+.\-]*://[^?#\s]*\?(?:[^#\s]*&)?"
        r"(?:(?:\w+_)?(?:api_?key|access_token|secret|password|passwd)=[^&#\s]|(?:token|key|auth)=[^&#\s]{16})",
        re.IGNORECASE,
    ),
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    re.compile(r"\d{6,12}:[A-Za-z0-9_-]{30,64}\Z"),  # a telegram bot's token
    re.compile(r"https://(discord(app)?\.com/api/webhooks|hooks\.slack\.com|api\.telegram\.org/bot)"),
)


class SecretsRefused(ValidationError):
    """A file that holds secrets, where none may be read."""

    code = "secrets"


def kept_out(content: Json, owner: Segments, is_secret: IsSecret) -> tuple[Json, dict[str, str]]:
    """The content with a reference for each secret, and place → its name; `owner` begins the names."""
    found: dict[str, str] = {}
    return _replaced(content, (), owner, is_secret, found, inside=False), found


def looks_secret(at: Segments, value: object) -> bool:
    """Whether the name at the end of a place, or the value, says that it is a secret, in any project."""
    named = at and _NAMED.search(_WORD_END.sub("_", at[-1]).lower())
    return bool(named) or (isinstance(value, str) and any(one.match(value.strip()) for one in _LOOKS_SO))


def _replaced(
    value: Json, at: Segments, owner: Segments, is_secret: IsSecret, found: dict[str, str], *, inside: bool
) -> Json:
    secret = inside or bool(at and (is_secret(at) or looks_secret(at, value)))
    if isinstance(value, dict):
        return {
            name: _replaced(one, (*at, name), owner, is_secret, found, inside=secret) for name, one in value.items()
        }
    if isinstance(value, list):
        return [
            _replaced(one, (*at, str(number)), owner, is_secret, found, inside=secret)
            for number, one in enumerate(value)
        ]
    if not secret or not _tells(value):
        return value
    name = ".".join(_UNNAMED.sub("_", part) for part in (*owner, *at))
    taken = sum(one == name or one.startswith(f"{name}~") for one in found.values())
    found[shown(at)] = name = f"{name}~{taken + 1}" if taken else name
    return f"{REFERENCE}{name}"


def shown(at: Segments) -> str:
    """A place for people; also one that no path can name."""
    return ".".join(_written(part) for part in at)


def _written(part: str) -> str:
    try:
        return paths.write(part)
    except PathError:
        return json.dumps(part)


def _tells(value: Json) -> bool:
    """Whether there is something to keep secret: no switch, nothing empty, and no reference already."""
    if value is None or isinstance(value, bool) or value == "":
        return False
    return not (isinstance(value, str) and value.startswith(REFERENCE))
