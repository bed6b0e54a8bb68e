"""What is wrong with a rule: with its document before it is ever asked, and with its answer when it gives none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from trimtab.model import documents, paths
from trimtab.model.canonical import Json
from trimtab.model.documents import METADATA
from trimtab.model.errors import PathError, nearest
from trimtab.model.problems import Problem
from trimtab_store.validation import cel_text
from trimtab_store.validation.builtin_live import MODES
from trimtab_store.validation.cel_process import EVALUATOR, Exceeded

OURS: Final = frozenset({METADATA, "rule", "schema"})
"""Categories that no rule is about: what says how they are changed must stay changeable."""


def faults(value: Json, path: str) -> Iterator[Problem]:
    """What is wrong with the document of a rule beside its shape, which its model says: patterns, paths, expression."""
    if not isinstance(value, dict):
        return
    for pattern in texts(value.get("documents")):
        if (fault := pattern_fault(pattern)) is not None:
            yield Problem(path=f"{path}.documents", rule="pattern", why=fault[0], remedy=fault[1], value=pattern[:80])
    yield from _modes_nobody_has(value, path)
    for named in texts(value.get("reads")):
        try:
            if paths.canonical(named) != named:
                why = "it is not written as paths are"
                yield Problem(path=f"{path}.reads", rule="path", why=why, remedy=f"Write {paths.canonical(named)}")
        except PathError as error:
            yield Problem(path=f"{path}.reads", rule="path", why=f"{error.what}: {error.why}", remedy=error.remedy)
    cel = value.get("cel")
    if isinstance(cel, str):
        for why, remedy in cel_faults(cel):
            yield Problem(path=f"{path}.cel", rule="cel", why=why, remedy=remedy)


def _modes_nobody_has(value: Mapping[str, Json], path: str) -> Iterator[Problem]:
    for mode in texts(value.get("modes")):
        if mode not in MODES:
            why, remedy = (
                "a bot is paper or live, so it would never be asked",
                nearest(mode, MODES) or "Write one of them",
            )
            yield Problem(path=f"{path}.modes", rule="mode", why=why, remedy=remedy, value=mode[:80])


def texts(value: Json) -> tuple[str, ...]:
    """The texts of a list, or the one text that stands for it."""
    return tuple(one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str))


def pattern_fault(pattern: str) -> tuple[str, str] | None:
    """Why a pattern names no documents that a rule may be about, with the remedy; None if it does."""
    try:
        shape = documents.shape_of(pattern)
    except PathError as error:
        return f"{error.what}: {error.why}", error.remedy
    if shape[0] in OURS:
        return f"no rule is about {shape[0]} documents", "Name others"
    return None


@lru_cache(maxsize=1_024)
def cel_faults(cel: str) -> tuple[tuple[str, str], ...]:
    """What is wrong with an expression before it is ever evaluated: sentences with their place, and remedies."""
    try:
        answer = EVALUATOR.ask({"do": "compile", "cel": cel}) if len(cel) <= cel_text.MAX_LENGTH else {}
    except Exceeded as error:
        return ((f"it cannot be compiled: {error}", "Make it simpler"),)
    if "error" in answer:
        return (_syntax(str(answer["said"])),)
    return cel_text.read(cel).faults


def _syntax(said: str) -> tuple[str, str]:
    """The library's message as ours: `… ERROR: <input>:1:8: Syntax error: …` → `at 1:8: …`."""
    _, found, rest = said.partition("<input>:")
    line = rest.partition("\n")[0].replace(": Syntax error:", ":")[:200]
    return (f"at {line}" if found else said[:200]), "Expressions are written in CEL: docs/rules.md has examples"


_TOLD: Final = {
    "ZeroDivisionError": "it divides by zero",
    "OverflowError": "a number gets too large",
    "IndexError": "it asks for an element that is not there",
    "ValueError": "a function does not take what it is given",
    "RuntimeError": "a function does not take what it is given",
}
"""Errors of the library whose own words could show a value."""


def told(answer: Mapping[str, Any], cel: str) -> tuple[str, str]:
    """Why a rule gave neither true nor false, and what to do. Only what the expression itself says is repeated."""
    if "value" in answer:
        return f"the rule gives {_article(answer['value'])}, not true or false", "Compare with something"
    name, said = str(answer.get("error", "")), str(answer.get("said", "")).partition("\n")[0][:100]
    if name == "KeyError":
        field = said.strip("'")
        missing = f"there is no {field}" if field in cel else "there is no field of the name that was looked up"
        return f"{_FAILED}: {missing}", "Ask with has() first, or give the field a value"
    if name == "TypeError":
        why = f"{_FAILED}: operands of types that do not go together ({said.partition(': the operation')[0]})"
        return why, "Convert with double(), int() or string(); compare with null first"
    return f"{_FAILED}: {_TOLD.get(name, name)}", "Change the rule or the document"


_FAILED: Final = "the rule cannot be evaluated"


def _article(kind: str) -> str:
    return {"NoneType": "null", "int": "a number", "float": "a number", "str": "a text"}.get(kind, f"a {kind}")
