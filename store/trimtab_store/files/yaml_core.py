r"""Strict YAML: the core schema of YAML 1.2, cut down to what JSON can say.

    null      null Null NULL ~ and nothing at all
    boolean   true True TRUE false False FALSE
    integer   [-+]?[0-9]+   0o[0-7]+   0x[0-9a-fA-F]+
    float     [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
    string    everything else: on, yes, 10:30, 1_000, 2026-01-01

(https://yaml.org/spec/1.2.2/#103-core-schema.) Tags, anchors, aliases, merge keys, several documents, duplicate keys,
keys that are not strings, infinities, numbers that no double holds and deep nesting are refused with their place.
PyYAML only cuts the text into events; it never builds a value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import yaml
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
)

from trimtab.model import canonical
from trimtab.model.canonical import MAX_DEPTH, Json
from trimtab.model.errors import ValueRefused
from trimtab_store.files.errors import FileRefused, shown
from trimtab_store.files.text import characters

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_BASED: Final = re.compile(r"0o(?P<octal>[0-7]+)|0x(?P<hexadecimal>[0-9a-fA-F]+)")
_REAL: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_STARTS_NUMBER: Final = frozenset("+-.0123456789")
# A 64-bit integer has 16 hexadecimal or 22 octal digits; more is not even converted.
_MAX_BASED: Final = 64

# libyaml where the wheel has it, the slower parser in Python elsewhere.
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True)
class _Open:
    """A list or mapping that is not closed yet; `key` waits for its value."""

    container: list[Json] | dict[str, Json]
    key: str | None = None


def load_yaml(text: str | bytes, *, name: str) -> Json:
    """The JSON value of a YAML document.

    Bytes are UTF-8, with or without a byte order mark, at most 16 MiB. `name` is the file that errors name. Raises
    `FileRefused` with line, column, rule and remedy.
    """
    root: list[Json] = []
    opened = [_Open(root)]
    for event in _events(characters(text, name), name):
        if isinstance(event, NodeEvent):
            _refuse_features(event, name)
            _take(opened, event, name)
        elif isinstance(event, CollectionEndEvent):
            opened.pop()
    if not root:
        why, remedy = "it holds no document", "Write its values, or remove the file"
        raise FileRefused(name, "empty", why, remedy)
    return root[0]


def _events(text: str, name: str) -> Iterator[Event]:
    documents = 0
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            if isinstance(event, DocumentStartEvent):
                documents += 1
                _check_document(event, documents, name)
            yield event
    except yaml.MarkedYAMLError as error:
        raise _syntax(error, text, name) from error
    except yaml.YAMLError as error:  # the reader's errors carry no mark; `characters` should have found their cause
        raise FileRefused(name, "syntax", str(error), "Save the file as plain UTF-8 text") from error


def _check_document(event: DocumentStartEvent, documents: int, name: str) -> None:
    if documents > 1:
        raise _at(event, name, "documents", "a second document starts here", "Keep one document in a file")
    if event.tags:
        raise _at(event, name, "tag", "%TAG declares a tag, and tags are refused", "Remove the directive")
    if event.version not in {None, (1, 2)}:
        why = "%YAML asks for another version, in which words such as on and 010 mean something else"
        raise _at(event, name, "version", why, "Remove the directive; files are YAML 1.2")


def _refuse_features(event: NodeEvent, name: str) -> None:
    if isinstance(event, AliasEvent):
        raise _at(event, name, "alias", f"*{shown(event.anchor or '')} is an alias", "Write the value out")
    if event.anchor is not None:
        raise _at(event, name, "anchor", f"&{shown(event.anchor)} is an anchor", "Remove it, and write values out")
    if isinstance(event, ScalarEvent | CollectionStartEvent) and event.tag is not None:
        remedy = "Remove the tag; put a value in double quotes to make it a string"
        raise _at(event, name, "tag", f"{shown(event.tag)} is a tag", remedy)


def _take(opened: list[_Open], event: NodeEvent, name: str) -> None:
    frame = opened[-1]
    if isinstance(frame.container, dict) and frame.key is None:
        frame.key = _key(event, frame.container, name)
        return
    value: Json
    if isinstance(event, ScalarEvent):
        value = _scalar(event, name)
    else:
        if len(opened) > MAX_DEPTH:
            why = f"values are nested deeper than {MAX_DEPTH} levels here"
            raise _at(event, name, "depth", why, "Flatten the value")
        value = {} if isinstance(event, MappingStartEvent) else []
        opened.append(_Open(value))
    if isinstance(frame.container, list):
        frame.container.append(value)
    elif frame.key is not None:
        frame.container[frame.key] = value
        frame.key = None


def _key(event: NodeEvent, siblings: dict[str, Json], name: str) -> str:
    if not isinstance(event, ScalarEvent):
        raise _at(event, name, "key", "a list or a mapping is the key here", "Use a string as the key")
    text = str(event.value)
    plain = bool(event.implicit[0])
    if plain and text == "<<":
        raise _at(event, name, "merge", "<< is a merge key", 'Write the keys out, or quote it as "<<"')
    try:
        key = _scalar(event, name)
    except FileRefused as error:
        if error.rule != "number":
            raise
        key = None
    if not isinstance(key, str):
        why = f"the key {shown(text) or 'before this colon'} is not a string"
        raise _at(event, name, "key", why, f'Quote it, as in "{shown(text)}":')
    if key in siblings:
        why = f"the key {shown(key)} stands twice in this mapping, and one of the two would be lost"
        raise _at(event, name, "duplicate-key", why, "Remove one of them")
    return key


def _scalar(event: ScalarEvent, name: str) -> Json:
    text = str(event.value)
    if "\x00" in text:
        raise _at(event, name, "nul", "this string holds the character U+0000", "Remove it")
    if not event.implicit[0]:
        return text
    try:
        return plain_scalar(text)
    except ValueRefused as error:
        raise _at(
            event, name, "number", f"{error.what}: {error.why}" if error.why else error.what, error.remedy
        ) from error


def plain_scalar(text: str) -> Json:
    """What a plain scalar with this text is; raises `ValueRefused` for a number that JSON does not have."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _STARTS_NUMBER:
        return text
    if _NOT_FINITE.fullmatch(text):
        raise ValueRefused(f"{text} is not finite, and JSON has no such number", "", "Use null, or quote it")
    return _number(text)


def _number(text: str) -> int | float | str:
    if _INTEGER.fullmatch(text):
        return canonical.integer(text)
    if _REAL.fullmatch(text):
        return canonical.real(text)
    based = _BASED.fullmatch(text)
    if based is None:
        return text
    if len(text) > _MAX_BASED:
        why, remedy = "it does not fit in 64 bits", "Write it as a string, in double quotes, to keep it exactly"
        raise ValueRefused(f"The number {shown(text, 40)} is refused", why, remedy)
    digits, base = (based["octal"], 8) if based["octal"] else (based["hexadecimal"], 16)
    return canonical.integer(str(int(digits, base)))


def _syntax(error: yaml.MarkedYAMLError, text: str, name: str) -> FileRefused:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    why = " ".join(part for part in (error.context, error.problem) if part) or "this is not YAML"
    lines = text.splitlines()
    here = lines[line] if line < len(lines) else ""
    if "\t" in here[: column + 1] and not here[:column].strip():
        rule, remedy = "tab", "Indent with spaces; YAML allows no tab in an indentation"
        why = "a tab stands in the indentation"
    elif here[column : column + 1] in {"@", "`", "%"}:
        rule, remedy = "syntax", "Put the value in double quotes; no plain value starts with this character"
    else:
        rule, remedy = "syntax", "Check the indentation, quotes, brackets and colons here and on the line above"
    return FileRefused(name, rule, shown(why, 200), remedy, line=line + 1, column=column + 1)


def _at(event: Event, name: str, rule: str, why: str, remedy: str) -> FileRefused:
    mark = event.start_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
    return FileRefused(name, rule, why, remedy, line=line, column=column)
