"""The rules that hold where nobody says otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trimtab_store.validation.rules import Rule

BUILT_IN: Final[tuple[Rule, ...]] = ()


def in_force(rules: Sequence[Rule] | None) -> tuple[Rule, ...] | None:
    """The rules of a store that was connected with `rules`; None where nothing but hooks looks at the content."""
    if rules is None:
        return BUILT_IN
    return tuple(rules) or None
