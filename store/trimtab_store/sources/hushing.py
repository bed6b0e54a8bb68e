"""Errors that do not show what variables said: it may be a secret, whatever it was meant for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from trimtab.model import canonical
from trimtab.model.errors import TrimtabError
from trimtab.model.problems import MASK, DocumentsRefused


def hush(error: TrimtabError, said: Iterable[bytes]) -> TrimtabError:
    """The error with these contents masked wherever its words hold one. It may be the same object."""
    texts = {text for content in said for text in _texts(content)}
    if not texts:
        return error
    listed = "|".join(re.escape(text) for text in sorted(texts, key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w.])(?:{listed})(?!\w|\.\d)")

    def masked(text: str) -> str:
        return pattern.sub(MASK, text)

    if isinstance(error, DocumentsRefused):
        problems = [
            replace(one, value=masked(one.value), why=masked(one.why), remedy=masked(one.remedy))
            for one in error.problems
        ]
        return DocumentsRefused(problems, masked(error.what))
    error.what, error.why, error.remedy = masked(error.what), masked(error.why), masked(error.remedy)
    error.args = (error.what,)
    error.__cause__ = error.__context__ = None  # these may hold the same words
    return error


def _texts(content: bytes) -> Iterable[str]:
    """How a value may stand in a message: as JSON, or as bare text."""
    value = canonical.trusted(content) if content else None
    if value is None or isinstance(value, bool):
        return
    yield content.decode()
    if isinstance(value, str) and value:
        yield value
