"""What is wrong with a definition: its shape, or what its parts say of each other."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.templates import small
from trimtab.model.problems import DocumentsRefused
from trimtab_store.templates import definition


def faults(**changed: Any) -> list[tuple[str, str]]:
    return [(one.path.removeprefix("template.small."), one.rule) for one in definition.faults(small(**changed))]


def with_parameter(name: str, **fields: Any) -> Any:
    found: Any = small()["parameters"]
    return {**found, name: fields}


def test_a_sound_definition_has_no_faults() -> None:
    assert faults() == []


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"required": ["exchange", "exchange"]}, ("required", "duplicate")),
        ({"optional": ["note", "exchange"]}, ("optional", "duplicate")),
        ({"required": ["exchange", "stop_loss"]}, ("required", "default")),
        (
            {"customizable": ["stop_loss", "take_profit", "symbols", "note"], "optional": []},
            ("customizable", "default"),
        ),
        ({"parameters": with_parameter("spare", type="text")}, ("parameters", "unused")),
        ({"parameters": with_parameter("stop_loss", type="number", minimum=0.1)}, ("defaults", "range")),
        ({"parameters": with_parameter("stop_loss", type="text")}, ("defaults", "type")),
        ({"parameters": with_parameter("stop_loss", type="number", minimum=2, maximum=1)}, ("parameters", "bounds")),
        ({"parameters": with_parameter("exchange", type="text", maximum=5)}, ("parameters", "bounds")),
        ({"parameters": with_parameter("stop_loss", type="number", max_length=5)}, ("parameters", "bounds")),
        (
            {"parameters": with_parameter("exchange", type="text", max_length=3, example="long")},
            ("parameters", "length"),
        ),
        ({"validation_rules": ["stop_loss"]}, ("validation_rules", "condition")),
        ({"validation_rules": ["stop_los <= 1"]}, ("validation_rules", "unknown-parameter")),
        ({"validation_rules": ["exchange <= 1"]}, ("validation_rules", "type")),
        ({"validation_rules": ["take_profit <= stop_loss"]}, ("validation_rules", "condition")),
        ({"optional": ["note", "spare"]}, ("documents", "unused")),
    ],
)
def test_a_fault_is_found(changed: dict[str, Any], found: tuple[str, str]) -> None:
    assert found in faults(**changed)


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ({"a": "<exchnge>"}, "unknown-parameter"),
        ({"a": "about <note>"}, "optional"),
        ({"a": "about <symbols>"}, "type"),
        ({"<exchange>": 1}, "key"),
    ],
)
def test_a_misplaced_parameter_is_found(body: Any, rule: str) -> None:
    found: Any = small()["documents"]
    (fault,) = faults(documents={**found, "bot.<id>": body})
    assert fault == ("documents", rule)


def test_a_path_that_is_none_is_found() -> None:
    found: Any = small()["documents"]
    assert faults(documents={**found, "bot..x": {"a": 1}}) == [("documents", "path")]


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"documents": {}}, "documents"),
        ({"documents": None}, "documents"),
        ({"requierd": []}, "requierd"),
        ({"name": "Small one"}, "name"),
        ({"version": "1"}, "version"),
        ({"required": ["Exchange"]}, "required"),
        ({"parameters": {"exchange": {"type": "string"}}}, "parameters.exchange.type"),
        ({"parameters": {"exchange": {"minimum": "5"}}}, "parameters.exchange.minimum"),
        ({"parameters": {"exchange": {"pattern": "(a+)+$"}}}, "parameters.exchange.pattern"),
    ],
)
def test_a_wrong_shape_is_found_first(changed: dict[str, Any], path: str) -> None:
    found = {one.path for one in definition.faults(small(**changed), "small")}
    assert found == {f"template.small.{path}"}


def test_it_must_be_called_what_it_is_stored_under() -> None:
    assert [one.rule for one in definition.faults(small(), "large")] == ["name"]


@pytest.mark.parametrize("value", [None, 5, [], "text", {}])
def test_what_is_no_definition_is_refused(value: Any) -> None:
    with pytest.raises(DocumentsRefused, match="is refused"):
        definition.read(value, "small")


def test_another_spelling_means_the_same() -> None:
    parameters = {**small()["parameters"], "exchange": {"type": "text", "minLength": 2, "maxLength": 4}}
    made = definition.read(small(parameters=parameters))
    with pytest.raises(DocumentsRefused, match="at most 4 characters"):
        made.instance({"id": "x", "exchange": "binance"})


def test_a_type_that_is_not_said_is_that_of_the_default() -> None:
    found = small()["documents"]
    documents: Any = {"strategy.<id>": {**found["strategy.<id>"], "name": "<id>"}}
    defaults = {**_defaults(), "stop_loss": 1, "take_profit": 2.5}
    made = definition.read(small(parameters={}, defaults=defaults, documents=documents))
    assert {name: one.kind for name, one in made.parameters.items()} == {
        "id": "text",
        "exchange": "any",
        "note": "any",
        "stop_loss": "integer",
        "take_profit": "number",
        "symbols": "list",
        "order_type": "text",
    }


def test_a_definition_that_no_json_can_hold_is_refused() -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = {"a": deep}
    for value in (deep, float("nan"), 2**64, "\ud800"):
        assert [one.rule for one in definition.faults(small(documents={"bot.<id>": value}))] == ["value"]


def _defaults() -> dict[str, Any]:
    found: Any = small()["defaults"]
    return dict(found)


@pytest.mark.parametrize(
    ("path", "body", "why", "remedy"),
    [
        ("bot.<id>", {"bot_id": "<id>", "timefrme": 1}, "timefrme: Bot has no such field", "Did you mean timeframe?"),
        (
            'strategy."eu-<id>"',
            {"schedule": {"tradingHour": {"start": "<id>"}}},
            "schedule.tradingHour: Schedule has no such field",
            "Did you mean trading_hours?",
        ),
        ("risk.global", {"max_corelation": 0.5, "maxLeverage": 2}, "max_corelation: RiskLimits has no such field",
         "Did you mean max_correlation?"),
    ],
)  # fmt: skip
def test_a_field_that_its_category_does_not_know_is_found(path: str, body: Any, why: str, remedy: str) -> None:
    (found,) = definition.faults(small(documents={**small()["documents"], path: body}))
    assert (found.path, found.rule) == ("template.small.documents", "unknown-field")
    assert (found.why, found.remedy) == (f"{path}: {why}", remedy)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ('strategy."eu-<id>"', {"parameters": {"anything": "<id>"}}),
        ("optimizer.<id>", {"anything": 1}),
        ("mine.<id>", {"anything": 1}),
        ("bot.<id>", {"stop_loss_pct": 5}),
    ],
)
def test_a_field_of_a_free_part_or_of_another_spelling_is_fine(path: str, body: Any) -> None:
    assert faults(documents={**small()["documents"], path: body}) == []
