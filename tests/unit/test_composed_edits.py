"""Edits in the words of limits, tokens and strategies: which items they put."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from trimtab.categories import Token
from trimtab.model.errors import PathError, UsageError
from trimtab_store.editing import EditBlock, Request
from trimtab_store.operations import Leaves

SOL = "So11111111111111111111111111111111111111112"
Block = EditBlock[Request]


def put(do: Callable[[Block], object]) -> dict[tuple[str, str], str]:
    """(layer, path) → content of what is put."""
    with EditBlock(Request(environment="production", author="ann", reason=""), lambda request: request) as block:
        do(block)
    found: dict[tuple[str, str], str] = {}
    for operation in block.result.operations:
        assert isinstance(operation, Leaves)
        found.update({(operation.layer, path): content.decode() for path, content in operation.leaves})
    return found


def test_a_risk_limit_stands_among_the_global_ones() -> None:
    assert put(lambda edit: edit.update_risk_limit("max_leverage", 2.5, "mode=live")) == {
        ("mode=live", "risk.global.max_leverage"): "2.5"
    }
    assert put(lambda edit: edit.update_risk_limit("min_liquidity", Decimal("1E+3"))) == {
        ("", "risk.global.min_liquidity"): '"1000"'
    }


def test_a_token_stands_under_its_address_and_its_amounts_stay_exact() -> None:
    expected = {
        ("", f"token.{SOL}.address"): f'"{SOL}"',
        ("", f"token.{SOL}.symbol"): '"SOL"',
        ("", f"token.{SOL}.decimals"): "9",
        ("", f"token.{SOL}.min_order_size"): '"0.000000001"',
    }
    said = {"address": SOL, "symbol": "SOL", "decimals": 9, "min_order_size": Decimal("0.000000001")}
    assert put(lambda edit: edit.add_token(said)) == expected
    model = Token(address=SOL, symbol="SOL", decimals=9, min_order_size=Decimal("0.000000001"))
    assert put(lambda edit: edit.add_token(model)) == expected


def test_a_token_replaces_what_stood_there() -> None:
    block = EditBlock(Request(environment="production", author="ann", reason=""), lambda request: request)
    with block:
        block.add_token({"address": SOL, "symbol": "SOL", "decimals": 9})
    (operation,) = block.result.operations
    assert isinstance(operation, Leaves)
    assert (operation.path, operation.merges) == (f"token.{SOL}", False)


@pytest.mark.parametrize("token", [{}, {"address": ""}, {"address": 5}])
def test_a_token_without_an_address_is_refused(token: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="A token without an address"):
        put(lambda edit: edit.add_token(token))


def test_a_parameter_stands_below_its_strategy_whatever_they_are_called() -> None:
    assert put(lambda edit: edit.set_strategy_parameter("mm.v2", "size", 500)) == {
        ("", 'strategy."mm.v2".parameters.size'): "500"
    }
    with pytest.raises(PathError):
        put(lambda edit: edit.set_strategy_parameter("", "size", 500))


def test_an_update_leaves_what_it_does_not_name_alone() -> None:
    block = EditBlock(Request(environment="production", author="ann", reason=""), lambda request: request)
    with block:
        block.update({"risk.global": {"max_leverage": 2, "max_daily_loss": 0.05}, "logging.level": "DEBUG"})
    leaves = [operation for operation in block.result.operations if isinstance(operation, Leaves)]
    assert all(one.merges for one in leaves)
    assert [(path, content) for one in leaves for path, content in one.leaves] == [
        ("risk.global.max_leverage", b"2"),
        ("risk.global.max_daily_loss", b"0.05"),
        ("logging.level", b'"DEBUG"'),
    ]
