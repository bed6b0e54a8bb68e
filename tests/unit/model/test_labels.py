from __future__ import annotations

import pytest

from trimtab.model import labels, states
from trimtab.model.errors import LayerError, TrimtabError, ValueRefused
from trimtab.model.items import Item
from trimtab.model.states import State
from trimtab.model.structure import Lineage


def _state(*items: tuple[str, str, str, bytes]) -> State:
    return states.build(Lineage(("base", "production")), [Item(*item) for item in items])


BOTS = _state(
    ("base", "", "fleet.bots.mm-btc.labels.mode", b'"paper"'),
    ("base", "", "fleet.bots.mm-btc.labels.strategy", b'"market_maker"'),
    ("production", "region=ny4", "fleet.bots.mm-btc.labels.mode", b'"live"'),
    ("production", "bot=mm-eth", "fleet.bots.mm-btc.labels.mode", b'"other"'),
    ("base", "", 'fleet.bots."a b".labels.mode', b'"paper"'),
)


def test_attribute_labels_come_from_configuration_resolved_with_the_identity() -> None:
    assert labels.effective(BOTS, {"bot": "mm-btc"}) == {
        "bot": "mm-btc",
        "mode": "paper",
        "strategy": "market_maker",
    }
    assert labels.effective(BOTS, {"bot": "mm-btc", "region": "ny4"})["mode"] == "live"
    assert labels.effective(BOTS, {"bot": "a b"}) == {"bot": "a b", "mode": "paper"}


def test_a_bot_that_configuration_does_not_know_keeps_its_identity_alone() -> None:
    assert labels.effective(BOTS, {"bot": "stranger", "node": "n1"}) == {"bot": "stranger", "node": "n1"}
    assert labels.effective(BOTS, {"node": "n1"}) == {"node": "n1"}


def test_labels_that_no_commit_would_have_accepted_are_left_out() -> None:
    state = _state(
        ("base", "", "fleet.bots.x.labels.node", b'"n9"'),
        ("base", "", "fleet.bots.x.labels.mode", b"3"),
        ("base", "", "fleet.bots.x.labels.strategy", b'"a b"'),
        ("base", "", 'fleet.bots.x.labels."B D"', b'"x"'),
        ("base", "", "fleet.bots.x.labels.venue.sub", b'"x"'),
        ("base", "", "fleet.bots.x.labels.team", b'"red"'),
        ("base", "", "fleet.bots.y.labels", b'"text"'),
    )
    assert labels.effective(state, {"bot": "x", "node": "n1"}) == {"bot": "x", "node": "n1", "team": "red"}
    assert labels.effective(state, {"bot": "x"}) == {"bot": "x", "team": "red"}
    assert labels.effective(state, {"bot": "y"}) == {"bot": "y"}


def test_the_bots_that_any_layer_names_are_declared() -> None:
    assert labels.declared_bots(BOTS) == ["a b", "mm-btc"]
    assert labels.declared_bots(_state()) == []


ACCEPTED = [
    ("", "fleet.bots.x.labels.mode", b'"live"'),
    ("region=ny4", "fleet.bots.x.labels.mode", b'"live"'),
    ("bot=x,node=n1", "fleet.bots.x.labels.mode", b""),
    ("", "fleet.bots.x.labels", b"{}"),
    ("", "fleet.bots.x.labels", b""),
    ("mode=live", "fleet.bots.x.labels.mode", None),
    ("mode=live", "fleet.bots.x.note", b"3"),
    ("mode=live", "fleet.other.x.labels.mode", b"3"),
    ("mode=live", "risk.global", b"3"),
]


@pytest.mark.parametrize(("layer", "path", "content"), ACCEPTED)
def test_an_item_that_can_decide_labels_is_accepted(layer: str, path: str, content: bytes | None) -> None:
    labels.check_edit(layer, path, content)


REFUSED: list[tuple[str, str, bytes, type[TrimtabError], str]] = [
    ("mode=live", "fleet.bots.x.labels.mode", b'"live"', LayerError, "labels are resolved before mode is known"),
    ("bot=x,strategy=a", "fleet.bots.x.labels.mode", b"", LayerError, "before strategy is known"),
    ("mode=live", "fleet.bots.x.labels", b"{}", LayerError, "before mode is known"),
    ("mode=live", "fleet.bots.x", b"", LayerError, "before mode is known"),
    ("mode=live", "fleet.bots", b"", LayerError, "before mode is known"),
    ("mode=live", "fleet", b"", LayerError, "before mode is known"),
    ("", "fleet.bots.x.labels.node", b'"n1"', LayerError, "node is an identity label"),
    ("", "fleet.bots.x.labels.mode", b"3", ValueRefused, "labels are a flat object of strings"),
    ("", "fleet.bots.x.labels.mode", b"{}", ValueRefused, "labels are a flat object of strings"),
    ("", "fleet.bots.x.labels.mode.a", b'"x"', ValueRefused, "labels are a flat object of strings"),
    ("", "fleet.bots.x.labels", b'"x"', ValueRefused, "labels are a flat object of strings"),
    ("", "fleet.bots.x.labels.mode", b'"a b"', LayerError, "a label is 1 to 128 of"),
    ("", 'fleet.bots.x.labels."A"', b'"x"', LayerError, "it is lower-case letters"),
]


@pytest.mark.parametrize(("layer", "path", "content", "error", "said"), REFUSED)
def test_an_item_that_could_not_decide_labels_is_refused(
    layer: str, path: str, content: bytes, error: type[TrimtabError], said: str
) -> None:
    with pytest.raises(error) as refused:
        labels.check_edit(layer, path, content)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("fleet", True),
        ("fleet.bots", True),
        ("fleet.bots.x", True),
        ("fleet.bots.x.labels", True),
        ("fleet.bots.x.labels.mode", True),
        ("fleet.bots.x.note", False),
        ("fleet.nodes", False),
        ("risk", False),
    ],
)
def test_a_path_that_may_change_labels_is_known(path: str, expected: bool) -> None:  # noqa: FBT001 - a table
    assert labels.is_label_path(path) is expected
