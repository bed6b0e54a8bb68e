r""".env files: a variable a line. What the variables mean is found out where the paths are known.

# a comment
RISK_GLOBAL_MAX_LEVERAGE=2.5          # also export NAME=VALUE
NAME='nothing is replaced in here: ${X}'
NAME="with \n, \t, \r, \", \\, \$ and ${X}"
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from trimtab_store.files.errors import FileRefused, shown
from trimtab_store.files.text import characters

_LINE: Final = re.compile(r"[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*(?P<value>.*)")
_NOTHING: Final = re.compile(r"[ \t]*(?:#.*)?")
_SINGLE: Final = re.compile(r"'(?P<text>[^']*)'[ \t]*(?:#.*)?")
_DOUBLE: Final = re.compile(r'"(?P<text>[^"\\]*+(?:\\.[^"\\]*+)*+)"[ \t]*(?:#.*)?')
_ESCAPE: Final = re.compile(r"\\(.)(\{)?")
_ESCAPED: Final = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$", "'": "'"}
_COMMENT: Final = re.compile(r"(?:^|[ \t])#.*")
MAX_ASSIGNMENTS: Final = 10_000
MAX_ENV_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Assignment:
    """A variable and its text, in which `$${` stands for `${`. The text may be secret: no message shows it."""

    name: str
    text: str = field(repr=False)
    file: str
    line: int | None = None


def load_env(text: str | bytes, *, name: str) -> tuple[Assignment, ...]:
    """The variables of a .env file of at most 1 MiB, in its order.

    Raises `FileRefused` with line, column, rule and remedy.
    """
    if len(text) > MAX_ENV_BYTES:
        raise FileRefused(
            name, "size", f"it is larger than {MAX_ENV_BYTES // 2**20} MiB", "Split it into several files"
        )
    found: dict[str, Assignment] = {}
    for number, line in enumerate(characters(text, name).split("\n"), 1):
        written = line.removesuffix("\r")
        if _NOTHING.fullmatch(written):
            continue
        match = _LINE.fullmatch(written)
        if match is None:
            why = "this line is no NAME=VALUE"
            raise FileRefused(name, "syntax", why, "Begin a comment with #", line=number, column=1)
        variable, column = match["name"], match.start("name") + 1
        if variable in found:
            why = f"the variable {shown(variable)} stands twice, and one value would be lost"
            raise FileRefused(name, "duplicate-key", why, "Remove one of them", line=number, column=column)
        if len(found) >= MAX_ASSIGNMENTS:
            why = f"it sets more than {MAX_ASSIGNMENTS} variables"
            raise FileRefused(name, "size", why, "Split it into several files", line=number, column=column)
        value = _value(match["value"], name, number, match.start("value") + 1)
        found[variable] = Assignment(variable, value, name, number)
    return tuple(found.values())


def _value(written: str, name: str, line: int, column: int) -> str:
    if written[:1] not in {'"', "'"}:
        return _COMMENT.sub("", written, count=1).strip(" \t")
    match = (_SINGLE if written[0] == "'" else _DOUBLE).fullmatch(written)
    if match is None:
        why = "the quotes of this value do not close at the end of its line"
        raise FileRefused(name, "quote", why, 'Write \\n for a line end, and \\" for a quote', line=line, column=column)
    if written[0] == "'":
        return match["text"].replace("${", "$${")
    unknown = next((one for one in _ESCAPE.finditer(match["text"]) if one[1] not in _ESCAPED), None)
    if unknown is not None:
        why, where = f"\\{shown(unknown[1])} is no escape", column + 1 + unknown.start()
        raise FileRefused(name, "escape", why, "Write \\\\ for a backslash", line=line, column=where)
    return _ESCAPE.sub(_unescaped, match["text"])


def _unescaped(found: re.Match[str]) -> str:
    brace = found[2] or ""
    return "$${" if found[1] == "$" and brace else _ESCAPED[found[1]] + brace
