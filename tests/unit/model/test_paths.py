from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.model_strategies import segment_texts
from trimtab.model import paths
from trimtab.model.errors import PathError

ACCEPTED = {
    "risk": ("risk",),
    "risk.global.max_leverage": ("risk", "global", "max_leverage"),
    'data.suffixes.".L"': ("data", "suffixes", ".L"),
    'a."b c".d': ("a", "b c", "d"),
    'a."say \\"hi\\" \\\\ bye"': ("a", 'say "hi" \\ bye'),
    "token.So11111111111111111111111111111111111111112": ("token", "So11111111111111111111111111111111111111112"),
    "exchange.BTC/USDT.5m": ("exchange", "BTC/USDT", "5m"),
    '"ü"."日本"': ("ü", "日本"),
    "a-b.c:d.@e.+f.$g.#h.%i.~j": ("a-b", "c:d", "@e", "+f", "$g", "#h", "%i", "~j"),
}


@pytest.mark.parametrize(("text", "segments"), ACCEPTED.items())
def test_a_path_reads_and_writes_its_segments(text: str, segments: tuple[str, ...]) -> None:
    assert paths.parse(text) == segments
    assert paths.join(segments) == text
    assert paths.canonical(text) == text


REFUSED = {
    "nothing": ("", "An empty path is refused"),
    "a dot": (".", "expected a segment at character 1, found '.'"),
    "a leading dot": (".a", "expected a segment at character 1"),
    "a trailing dot": ("a.", "expected a segment at character 3, found the end"),
    "two dots": ("a..b", "expected a segment at character 3, found '.'"),
    "a space": ("a b", "unexpected ' ' at character 2"),
    "a star": ("a.*", "expected a segment at character 3, found '*'"),
    "an unquoted letter beyond ASCII": ("ü", "expected a segment at character 1, found 'ü'"),
    "empty quotes": ('a.""', "An empty segment is refused"),
    "an open quote": ('a."b', "the quote at character 3 is never closed"),
    "an escape at the end": ('a."b\\', 'only \\" and \\\\ may be escaped'),
    "an unknown escape": ('"\\n"', 'only \\" and \\\\ may be escaped'),
    "text after a quote": ('"a"b', "unexpected 'b' at character 4"),
    "a quote within": ('a"b"', "unexpected '\"' at character 2"),
    "a line feed": ('"a\nb"', "it holds the character U+000A"),
    "a bare line feed": ("a\n", "unexpected U+000A at character 2"),
    "U+0000": ('"\x00"', "it holds the character U+0000"),
    "a terminal escape": ('"\x1b[2J"', "it holds the character U+001B"),
    "a right-to-left override": ('"\u202eabc"', "it holds the character U+202E"),
    "an isolate": ('"\u2066abc"', "it holds the character U+2066"),
    "a zero-width joiner": ('"a\u200db"', "it holds the character U+200D"),
    "a line separator": ('"\u2028"', "it holds the character U+2028"),
    "a next-line control": ('"\x85"', "it holds the character U+0085"),
    "a lone surrogate": ('"\ud800"', "it holds the character U+D800"),
    "33 segments": (".".join("a" * 33), "it has 33 segments, at most 32 are allowed"),
    "a segment of 256 bytes": ("a" * 256, "a segment is longer than 255 bytes"),
    "a quoted segment of 256 bytes": (f'"{"ü" * 128}"', "a segment is longer than 255 bytes"),
    "1,025 bytes": (".".join(["a" * 204] * 5) + "a", "it is longer than 1024 bytes"),
}


@pytest.mark.parametrize(("text", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_a_text_outside_the_grammar_is_refused_and_shown_harmlessly(text: str, said: str) -> None:
    with pytest.raises(PathError) as refused:
        paths.parse(text)
    assert said in str(refused.value)
    assert str(refused.value).isprintable()
    assert refused.value.exit_code == 2


LARGEST = ["a" * 255, ".".join("a" * 32), ".".join(["a" * 204] * 5), f'"{"ü" * 127}"']


@pytest.mark.parametrize("text", LARGEST)
def test_a_path_at_its_limit_is_accepted(text: str) -> None:
    assert paths.canonical(text) == text
    assert paths.split(text) == paths.parse(text)


@pytest.mark.parametrize("segments", [(), ("",), ("a", ""), ("a\n",), ("a" * 256,), ("a",) * 33])
def test_segments_that_no_path_can_hold_are_not_joined(segments: tuple[str, ...]) -> None:
    with pytest.raises(PathError):
        paths.join(segments)


@given(st.lists(segment_texts, min_size=1, max_size=8))
def test_joined_segments_parse_back_and_the_text_is_the_only_canonical_one(segments: list[str]) -> None:
    text = paths.join(segments)
    assert paths.parse(text) == tuple(segments)
    assert paths.canonical(text) == text
    quoted = ".".join('"' + segment.replace("\\", "\\\\").replace('"', '\\"') + '"' for segment in segments)
    assert paths.canonical(quoted) == text


@given(st.text(max_size=20) | st.text(st.sampled_from('a."\\ *\n'), max_size=12))
def test_any_text_is_a_path_or_a_refusal(text: str) -> None:
    try:
        segments = paths.parse(text)
    except PathError:
        return
    assert paths.parse(paths.join(segments)) == segments


@given(st.lists(segment_texts, min_size=1, max_size=6), segment_texts)
def test_family_relations_agree_with_the_segments(segments: list[str], more: str) -> None:
    text = paths.join(segments)
    above = [paths.join(segments[:length]) for length in range(len(segments) - 1, 0, -1)]
    assert list(paths.parents(text)) == above
    assert paths.parent(text) == (above[0] if above else "")
    assert paths.last(text) == segments[-1]
    assert paths.child(paths.parent(text), segments[-1]) == text
    assert paths.is_below(paths.child(text, more), text)
    assert not paths.is_below(text, text)


def test_a_path_is_not_below_one_that_only_starts_alike() -> None:
    assert not paths.is_below("risk.globally", "risk.global")
    assert paths.is_below("risk.global.x", "risk.global")
