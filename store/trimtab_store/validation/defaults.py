"""The rules that hold where nobody says otherwise."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab_store.validation.builtin import BUILT_IN_RULES
from trimtab_store.validation.rules import Rule


def in_force(rules: Sequence[Rule] | None) -> tuple[Rule, ...] | None:
    """The rules of a store that was connected with `rules`; None where nothing but hooks looks at the content."""
    if rules is None:
        return BUILT_IN_RULES
    return tuple(rules) or None
