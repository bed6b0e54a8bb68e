"""Path patterns: `risk.**` and `token.*.symbol`.

`*` stands for one segment, `**` for any number of segments, none included, so that `risk.**` matches `risk` itself. A
literal segment is written as in a path. Matching is a walk without backtracking over text: no regular expression.
"""

from __future__ import annotations

from dataclasses import dataclass

from trimtab.model import paths
from trimtab.model.errors import PathError


@dataclass(frozen=True, slots=True)
class Pattern:
    """A parsed pattern; None stands for `*`, Ellipsis-like `"**"` is kept as the string in `deep`."""

    text: str
    segments: tuple[str | None, ...]
    deep: tuple[bool, ...]

    def matches(self, path: str) -> bool:
        """Whether a canonical path matches."""
        reached = {0}
        reached = self._skip_deep(reached)
        for segment in paths.parse(path):
            reached = self._skip_deep(self._step(reached, segment))
            if not reached:
                return False
        return len(self.segments) in reached

    def _step(self, reached: set[int], segment: str) -> set[int]:
        following: set[int] = set()
        for place in reached:
            if place < len(self.segments):
                if self.deep[place]:
                    following.add(place)
                elif self.segments[place] is None or self.segments[place] == segment:
                    following.add(place + 1)
        return following

    def _skip_deep(self, reached: set[int]) -> set[int]:
        closed = set(reached)
        for place in sorted(reached):
            here = place
            while here < len(self.segments) and self.deep[here]:
                here += 1
                closed.add(here)
        return closed


def parse(text: str) -> Pattern:
    """Parse a pattern; raises `PathError` for a segment that is neither a wildcard nor a path segment."""
    segments: list[str | None] = []
    deep: list[bool] = []
    rest = text
    while True:
        star = next((s for s in ("**", "*") if rest == s or rest.startswith(f"{s}.")), None)
        if star is None:
            head = _literal(rest)
            segments.extend(paths.parse(rest[:head]))
            deep.extend(False for _ in segments[len(deep) :])
            rest = rest[head:]
        else:
            segments.append(None)
            deep.append(star == "**")
            rest = rest[len(star) :]
        if not rest:
            return Pattern(text, tuple(segments), tuple(deep))
        rest = rest[1:]
        if not rest:
            raise PathError(f"The pattern {text!r} is refused", "it ends with a dot", "Remove the dot")


def _literal(rest: str) -> int:
    """How many characters of `rest` are literal segments: up to the dot before the next wildcard."""
    position = 0
    quoted = False
    while position < len(rest):
        character = rest[position]
        if character == "\\" and quoted:
            position += 2
            continue
        if character == '"':
            quoted = not quoted
        if character == "." and not quoted and _starts_star(rest, position + 1):
            return position
        position += 1
    return len(rest)


def _starts_star(rest: str, position: int) -> bool:
    following = rest[position:]
    return following in {"*", "**"} or following.startswith(("*.", "**."))
