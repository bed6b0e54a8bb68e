from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.model import paths, patterns
from trimtab.model.errors import PathError

CASES = [
    ("risk.**", "risk", True),
    ("risk.**", "risk.global.max", True),
    ("risk.**", "risks", False),
    ("risk.*", "risk", False),
    ("risk.*", "risk.global", True),
    ("risk.*", "risk.global.max", False),
    ("**", "a", True),
    ("**", "a.b.c", True),
    ("*", "a.b", False),
    ("**.symbol", "symbol", True),
    ("**.symbol", "token.x.symbol", True),
    ("token.*.symbol", "token.x.symbol", True),
    ("token.*.symbol", "token.x.y.symbol", False),
    ("a.**.b.**.c", "a.b.c", True),
    ("a.**.b.**.c", "a.x.b.y.z.c", True),
    ("a.**.b.**.c", "a.c.b", False),
    ("**.**", "a", True),
    ("**.**.**.a", "a", True),
    ('data.suffixes.".L"', 'data.suffixes.".L"', True),
    ('data.*.".*"', 'data.suffixes.".*"', True),
    ('"*"', '"*"', True),
    ('"*"', "a", False),
    ('"**".*', '"**".a', True),
]


@pytest.mark.parametrize(("pattern", "path", "expected"), CASES)
def test_a_pattern_matches_what_it_says(pattern: str, path: str, expected: bool) -> None:  # noqa: FBT001 - a table
    assert patterns.parse(pattern).matches(path) is expected


@pytest.mark.parametrize(
    "text", ["", ".", "a.", "*.", "a..b", "a*", "***", "a.b*.c", "a.**b", '"a', ".**", "**.", "* ", "a.*\n"]
)
def test_a_pattern_outside_the_grammar_is_refused(text: str) -> None:
    with pytest.raises(PathError):
        patterns.parse(text)


def _oracle(pattern: list[str], path: list[str]) -> bool:
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(_oracle(pattern[1:], path[skipped:]) for skipped in range(len(path) + 1))
    return bool(path) and pattern[0] in {"*", path[0]} and _oracle(pattern[1:], path[1:])


@given(
    st.lists(st.sampled_from(["a", "b", "*", "**"]), min_size=1, max_size=6),
    st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=7),
)
def test_matching_agrees_with_the_definition(pattern: list[str], path: list[str]) -> None:
    assert patterns.parse(".".join(pattern)).matches(".".join(path)) == _oracle(pattern, path)


def test_a_hostile_pattern_takes_no_exponential_time() -> None:
    pattern = patterns.parse(".".join(["**", "a"] * 15))
    steps = 0
    for length in range(1, 33):
        steps += pattern.matches(paths.join(("a",) * (length - 1) + ("b",)))
    assert steps == 0
