"""HCL files: attributes and blocks of literals. Functions, references, templates and heredocs are refused.

    risk "global" {                     the same as  risk = { global = { max_leverage = 3.0 } }
      max_leverage = 3.0
    }

python-hcl2 finds the structure. Before it, every token is looked at, so that what can be slow or clever never reaches
it: strings are handed over as blanks of the same length and read here, which keeps `${NAME}` for the interpolation that
all files share.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Final

import lark
from hcl2.parser import parser

from trimtab.model import canonical
from trimtab.model.canonical import MAX_DEPTH, Json
from trimtab.model.errors import ValueRefused
from trimtab_store.files.errors import FileRefused, shown
from trimtab_store.files.text import characters, place_of

MAX_HCL_BYTES: Final = 128 * 1024
"""The parser takes some twenty seconds for a MiB."""

_TOKEN: Final = re.compile(
    r"(?P<skipped>[ \t\r\n]+|#[^\n]*|//[^\n]*|/\*[\s\S]*?\*/)"
    r'|(?P<string>"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+")'
    r"|(?P<heredoc><<-?[A-Za-z])"
    r"|(?P<open>[\[{(])|(?P<close>[\]})])"
    r"|(?P<word>[A-Za-z0-9_][A-Za-z0-9_.-]*)|(?P<mark>[=:,-])"
)
_TEMPLATE: Final = re.compile(r"(?<!\$)\$\{(?![A-Za-z_][A-Za-z0-9_]*(?::-[^}]*)?\})|(?<!%)%\{")
_ESCAPE: Final = re.compile(r"\\(?:u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)|%%\{")
_ESCAPED: Final = {"\\n": "\n", "\\r": "\r", "\\t": "\t", '\\"': '"', "\\\\": "\\", "%%{": "%{"}
_LITERALS: Final[dict[str, bool | None]] = {"true": True, "false": False, "null": None}
_NAMES: Final = frozenset({"identifier", "keyword", "literal_value"})
_NUMBERS: Final = frozenset({"int_lit", "float_lit"})
_PASSED_OVER: Final = "new_line_or_comment"


def load_hcl(text: str | bytes, *, name: str) -> Json:
    """The value of an HCL file of at most 128 KiB; raises `FileRefused` with line, column, rule and remedy."""
    if len(text) > MAX_HCL_BYTES:
        why = f"it is larger than {MAX_HCL_BYTES // 1024} KiB"
        raise FileRefused(name, "size", why, "Split it into several files, or write it as YAML or JSON")
    return _Reader(characters(text, name).replace("\r\n", "\n"), name).value()


class _Reader:
    def __init__(self, text: str, name: str) -> None:
        self._text, self._name = text, name
        self._strings: dict[int, str] = {}

    def value(self) -> Json:
        """The whole file."""
        blanked = self._blanked()
        try:
            tree = parser().parse(blanked + "\n")
        except lark.exceptions.UnexpectedInput as error:
            position = min(getattr(error, "pos_in_stream", None) or len(self._text), len(self._text))
            remedy = "Write NAME = VALUE, or a block NAME { … }"
            raise self._at(position, "syntax", "this is not HCL", remedy) from error
        except lark.exceptions.LarkError as error:
            raise FileRefused(self._name, "syntax", "this is not HCL", "Write NAME = VALUE") from error
        return self._body(_children(tree)[0])

    def _blanked(self) -> str:
        """The text with every string blank; refuses what is beyond literals, and what is nested too deep."""
        parts: list[str] = []
        position = depth = 0
        while position < len(self._text):
            token = _TOKEN.match(self._text, position)
            if token is None or token.lastgroup == "heredoc" or token[0] == "(":
                raise self._foreign(position)
            depth += (token.lastgroup == "open") - (token.lastgroup == "close")
            if depth > MAX_DEPTH:
                why = f"values are nested deeper than {MAX_DEPTH} levels here"
                raise self._at(position, "depth", why, "Flatten the value")
            written = token[0]
            if token.lastgroup == "string":
                self._strings[position] = self._string(position, written)
                written = f'"{"x" * (len(written) - 2)}"'
            parts.append(written)
            position = token.end()
        return "".join(parts)

    def _string(self, position: int, written: str) -> str:
        template = _TEMPLATE.search(written)
        if template:
            why = "a template stands in this string; only ${NAME} and ${NAME:-default} are read"
            raise self._at(position + template.start(), "expression", why, "Write the value out; $${ is a plain ${")
        return _ESCAPE.sub(partial(self._escaped, position), written[1:-1])

    def _escaped(self, position: int, found: re.Match[str]) -> str:
        sequence = found[0]
        if sequence in _ESCAPED:
            return _ESCAPED[sequence]
        digits = sequence[2:]
        number = int(digits, 16) if digits else -1
        if not digits or number > 0x10FFFF or 0xD800 <= number <= 0xDFFF or not number:  # noqa: PLR2004 - Unicode
            why = f"{shown(sequence)} is no escape that stands for a character"
            raise self._at(position + 1 + found.start(), "escape", why, "Write \\\\ for a backslash")
        return chr(number)

    def _foreign(self, position: int) -> FileRefused:
        rest = self._text[position : position + 2]
        if rest == "<<":
            return self._at(position, "heredoc", "a heredoc starts here", "Write a string in quotes, with \\n")
        if rest[:1] == '"':
            return self._at(position, "syntax", "this string has no end on its line", "Close it with a quote")
        if rest[:1] in {"(", "?", "!", "&", "|", "+", "*", "/", "%", ">", "<", "$"}:
            return self._at(position, "expression", "an expression stands here", "Write the value out")
        return self._at(position, "syntax", f"{shown(rest[:1])} does not stand in HCL here", "Put it in quotes")

    def _body(self, tree: Any) -> dict[str, Json]:
        found: dict[str, Json] = {}
        blocks: set[tuple[str, ...]] = set()
        for one in _children(tree):
            if one.data == "block":
                self._block(one, found, blocks)
            else:
                head, *_, value = one.children
                self._put(found, self._word(head), self._expression(value), one)
        return found

    def _block(self, tree: Any, found: dict[str, Json], blocks: set[tuple[str, ...]]) -> None:
        nodes: list[Any] = [one for one in _children(tree) if isinstance(one, lark.Tree)]
        *heads, body = nodes
        path = tuple(self._word(one) for one in heads)
        if path in blocks:
            raise self._at(tree.meta.start_pos, "duplicate-key", "this block stands twice", "Make one block of them")
        if len(path) > MAX_DEPTH:
            why = f"values are nested deeper than {MAX_DEPTH} levels here"
            raise self._at(tree.meta.start_pos, "depth", why, "Flatten the value")
        here = found
        for length, word in enumerate(path, 1):
            if word not in here:
                here[word] = {}
            elif not any(block[:length] == path[:length] for block in blocks):
                raise self._twice(word, tree)  # an attribute of this name stands above
            below = here[word]
            assert isinstance(below, dict), "a block makes mappings"
            here = below
        blocks.add(path)
        for word, value in self._body(body).items():
            self._put(here, word, value, tree)

    def _put(self, found: dict[str, Json], word: str, value: Json, tree: Any) -> None:
        if word in found:
            raise self._twice(word, tree)
        found[word] = value

    def _twice(self, word: str, tree: Any) -> FileRefused:
        why = f"the key {shown(word)} stands twice, and one value would be lost"
        return self._at(tree.meta.start_pos, "duplicate-key", why, "Remove one of them")

    def _word(self, tree: Any) -> str:
        """A key, a block's type or one of its labels."""
        while tree.data in {"expr_term", "object_elem_key"} and len(tree.children) == 1:
            tree = tree.children[0]
        if tree.data == "string":
            return self._strings[tree.meta.start_pos]
        if tree.data in _NAMES:
            return str(tree.children[0])
        raise self._at(tree.meta.start_pos, "key", "no name stands here", "Write a name, or a string in quotes")

    def _expression(self, tree: Any) -> Json:
        if tree.data == "expr_term" and len(tree.children) == 1:
            return self._expression(tree.children[0])
        if tree.data == "tuple":
            return [self._expression(one) for one in _children(tree) if isinstance(one, lark.Tree)]
        return self._object(tree) if tree.data == "object" else self._literal(tree)

    def _literal(self, tree: Any) -> Json:
        if tree.data == "string":
            return self._strings[tree.meta.start_pos]
        if tree.data == "literal_value":
            return _LITERALS[str(tree.children[0])]
        if tree.data in _NUMBERS:
            return self._number(str(tree.children[0]), tree)
        if tree.data == "unary_op" and str(tree.children[0]) == "-":
            inner = tree.children[1].children[0]
            if isinstance(inner, lark.Tree) and inner.data in _NUMBERS:
                return self._number(f"-{inner.children[0]}", tree)
        why = "an expression stands here; only literals are read"
        raise self._at(tree.meta.start_pos, "expression", why, "Write the value out, strings in quotes")

    def _object(self, tree: Any) -> dict[str, Json]:
        found: dict[str, Json] = {}
        for one in _children(tree):
            if isinstance(one, lark.Tree):
                self._put(found, self._word(one.children[0]), self._expression(one.children[-1]), one)
        return found

    def _number(self, text: str, tree: Any) -> Json:
        try:
            return canonical.integer(text) if text.lstrip("-").isdigit() else canonical.real(text)
        except (ValueRefused, ValueError) as error:
            why = f"{error.what}: {error.why}" if isinstance(error, ValueRefused) else "this is no number"
            remedy = error.remedy if isinstance(error, ValueRefused) else "Write it as a string"
            raise self._at(tree.meta.start_pos, "number", why, remedy) from error

    def _at(self, position: int, rule: str, why: str, remedy: str) -> FileRefused:
        line, column = place_of(self._text, position)
        return FileRefused(self._name, rule, why, remedy, line=line, column=column)


def _children(tree: Any) -> list[Any]:
    """What a node holds, less line ends and comments."""
    return [one for one in tree.children if not (isinstance(one, lark.Tree) and one.data == _PASSED_OVER)]
