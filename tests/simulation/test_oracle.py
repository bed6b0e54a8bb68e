"""The oracle is simple enough to be checked by hand, and the checks can fail."""

from __future__ import annotations

import pytest

from tests.simulation.oracle import Known, flatten, lineage_of


def known(*own: dict[tuple[str, str], str | None]) -> Known:
    return Known(tuple(f"e{n}" for n in range(len(own))), own)


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ([{("", "a.b"): "1"}], {"a.b": "1"}),
        ([{("", "a.b"): "1"}, {("", "a.b"): "2"}], {"a.b": "2"}),
        ([{("mode=live", "a.b"): "1"}, {("", "a.b"): "2"}], {"a.b": "1"}),
        ([{("mode=paper", "a.b"): "1"}, {("", "a.b"): "2"}], {"a.b": "2"}),
        ([{("region=ny4", "a"): "1", ("mode=live", "a"): "2"}], {"a": "2"}),
        ([{("mode=live,region=ny4", "a"): "1", ("mode=live", "a"): "2"}], {"a": "1"}),
        ([{("", "a.b"): "1", ("", "a.c"): "2"}, {("", "a"): None}], {}),
        ([{("", "a.b"): "1"}, {("", "a"): None, ("", "a.c"): "3"}], {"a.c": "3"}),
        ([{("mode=live", "a.b"): "1"}, {("", "a"): None}], {"a.b": "1"}),
        ([{("", "a"): "{}"}], {"a": "{}"}),
        ([{("", "a"): "{}", ("mode=live", "a.b"): "1"}], {"a.b": "1"}),
        ([{("", "a"): "{}", ("", "a.b"): "1"}, {("", "a.b"): None}], {"a": "{}"}),
    ],
)
def test_layers_are_laid_over_each_other_by_the_rules(
    own: list[dict[tuple[str, str], str | None]], expected: dict[str, str]
) -> None:
    assert flatten(known(*own), {"mode": "live", "region": "ny4"}) == expected


def test_a_lineage_begins_at_the_root() -> None:
    parents = {"base": None, "production": "base", "eu": "production"}
    assert lineage_of(parents, "eu") == ("base", "production", "eu")
