from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.model import documents, paths
from trimtab.model.documents import KNOWN, Documents
from trimtab.model.errors import PathError

REGISTERED = Documents({"venue.*.limits": "venue_limits", "venue.main.limits": "main_limits", "alerts": "alerts"})
SEGMENTS = st.sampled_from(
    ["venue", "main", "limits", "risk", "global", "exchange_limits", "meta", "alerts", "x", "a.b"]
)


@pytest.mark.parametrize(
    ("path", "document", "kind"),
    [
        ("trading.max_position_size", "trading", "trading"),
        ("risk", "risk", None),
        ("risk.limits", "risk.limits", None),
        ("risk.limits.portfolio.max_exposure", "risk.limits.portfolio", "risk_limit"),
        ("risk.unheard.of.it", "risk.unheard", None),
        ("data.failover.crypto", "data.failover", "data_failover"),
        ("data.binance.api_key", "data.binance", "data_source"),
        ("fleet.bots.mm.labels.mode", "fleet.bots.mm", "fleet_bot"),
        ("meta", "meta", None),
        ("meta.trading.owner", "meta.trading", "meta"),
        ("meta.risk.global.owner", "meta.risk.global", "meta"),
        ("meta.risk", "meta.risk", None),
        ("meta.risk.limits", "meta.risk.limits", None),
        ("meta.anything.at.owner", "meta.anything.at", "meta"),
        ("anything.at.all", "anything.at", None),
        ("anything", "anything", None),
    ],
)
def test_a_path_belongs_to_the_document_that_a_type_is_registered_for(
    path: str, document: str, kind: str | None
) -> None:
    assert (KNOWN.of(path), KNOWN.type_of(document)) == (document, kind)


def test_of_several_patterns_the_longest_counts_and_then_the_one_that_names_more() -> None:
    assert REGISTERED.of("venue.main.limits.max") == "venue.main.limits"
    assert [REGISTERED.type_of(f"venue.{name}.limits") for name in ("main", "other")] == ["main_limits", "venue_limits"]
    assert REGISTERED.of("venue.other.fees.maker") == "venue.other"
    assert REGISTERED.of("alerts.telegram.chat") == "alerts"


def test_a_registered_pattern_takes_the_place_of_the_built_in_one() -> None:
    assert Documents({"strategy.*": "mine"}).type_of("strategy.x") == "mine"


@pytest.mark.parametrize("pattern", ["*.x", "risk.**", "", "risk..x"])
def test_what_names_no_documents_is_no_pattern_of_theirs(pattern: str) -> None:
    with pytest.raises(PathError):
        documents.shape_of(pattern)


@given(st.lists(SEGMENTS, min_size=1, max_size=6))
def test_a_document_is_above_its_path_and_its_own_document(segments: list[str]) -> None:
    path = paths.join(segments)
    document = REGISTERED.of(path)
    assert document == path or paths.is_below(path, document)
    assert REGISTERED.of(document) == document
    kind = REGISTERED.type_of(document)
    for inside in ("x", "limits", "global"):  # below a document of a type everything is its own
        assert kind is None or REGISTERED.of(paths.join([*paths.parse(document), inside, "y"])).startswith(document)
