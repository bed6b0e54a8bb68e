"""What files, local/ and variables want of one environment: the nearer to the process, the stronger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.model import canonical, states
from trimtab.model.errors import TrimtabError
from trimtab.model.items import Item
from trimtab.model.problems import DocumentsRefused, Problem
from trimtab.model.structure import Lineage
from trimtab_store.drafts import Draft
from trimtab_store.files import FileRefused, read_tree
from trimtab_store.sources.hushing import hush
from trimtab_store.sources.known import Known
from trimtab_store.sources.laying import Lay
from trimtab_store.sources.target import Origin, Sources, Target


def planted(directory: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    return directory


def wanted(directory: Path, variables: dict[str, str], environment: str = "production") -> Target:
    tree = read_tree(directory, variables=variables)
    files = next(one for one in tree.environments if one.name == environment)
    sources = Sources(variables, process=True)
    target, _ = sources.target(files, tree.local, lambda items: Known.of((path, c) for (_, path), c in items.items()))
    return target


def values(target: Target, layer: str = "") -> dict[str, Any]:
    return {path: content and canonical.decode(content) for (at, path), content in target.items.items() if at == layer}


FILES = {
    "base/trading.yaml": "trading: {max_position_size: 0.01}\n",
    "production/trading.toml": "[trading]\nmax_position_size = 0.05\nmax_daily_loss = 5000\n",
    "production/overlays/mode=paper.json": '{"trading": {"max_daily_loss": 100}}',
    "production/common.hide.yaml": "- trading.note\n",
}


def test_local_lies_over_the_environment_and_variables_over_local(tmp_path: Path) -> None:
    planted(tmp_path, FILES)
    assert values(wanted(tmp_path, {})) == {
        "trading.max_position_size": 0.05,
        "trading.max_daily_loss": 5000,
        "trading.note": b"",
    }
    planted(tmp_path, {"local/my.hcl": 'trading {\n  max_position_size = 0.02\n  note = "mine"\n}\n'})
    assert values(wanted(tmp_path, {})) == {
        "trading.max_position_size": 0.02,
        "trading.max_daily_loss": 5000,
        "trading.note": "mine",
    }
    planted(tmp_path, {"local/.env": "TRADING_MAX_POSITION_SIZE=${SIZE:-0.03}\n"})
    assert values(wanted(tmp_path, {}))["trading.max_position_size"] == 0.03
    found = wanted(tmp_path, {"QUANTBOT_TRADING_MAX_POSITION_SIZE": "0.04", "SIZE": "0.9"})
    assert values(found)["trading.max_position_size"] == 0.04
    assert values(found, "mode=paper") == {"trading.max_daily_loss": 100}
    origin = found.origin(("", "trading.max_position_size"))
    assert origin == Origin("variable QUANTBOT_TRADING_MAX_POSITION_SIZE", ("QUANTBOT_TRADING_MAX_POSITION_SIZE",))


def test_every_value_tells_where_it_comes_from(tmp_path: Path) -> None:
    planted(tmp_path, {**FILES, "production/.env": "RISK_GLOBAL_MAX_LEVERAGE=${L}\n"})
    planted(tmp_path, {"production/mev.yaml": 'mev: {protection: {timeout_ms: "${T}"}}'})
    found = wanted(tmp_path, {"L": "2", "T": "500"})
    assert found.origin(("", "trading.max_daily_loss")) == Origin(str(tmp_path / "production/trading.toml"))
    assert found.origin(("", "mev.protection.timeout_ms")) == Origin(str(tmp_path / "production/mev.yaml"), ("T",))
    place = f"{tmp_path}/production/.env, line 1"
    assert found.origin(("", "risk.global.max_leverage")) == Origin(place, ("RISK_GLOBAL_MAX_LEVERAGE", "L"))
    assert found.said() == {b"2", b"500"}


def test_a_lone_reference_stays_text_where_a_field_takes_nothing_else(tmp_path: Path) -> None:
    text = (
        'data: {binance: {api_key: "${DIGITS}", lookback_bars: "${DIGITS}"}}\n'
        'venue: {key: "${DIGITS}"}\n'
        'bot: {b: {description: "${EMPTY}"}}\n'
    )
    planted(tmp_path, {"production/a.yaml": text})
    assert values(wanted(tmp_path, {"DIGITS": "0123", "EMPTY": ""})) == {
        "data.binance.api_key": "0123",
        "data.binance.lookback_bars": 123,
        "venue.key": 123,
        "bot.b.description": "",
    }


def test_what_the_process_says_is_not_looked_at_for_references(tmp_path: Path) -> None:
    planted(tmp_path, {"production/a.yaml": "venue: {name: x}\n"})
    found = wanted(tmp_path, {"QUANTBOT_VENUE_NAME": "${HOME}", "HOME": "/root"})
    assert values(found) == {"venue.name": "${HOME}"}


SAME = {
    "production/c.yaml": "logging: {backup_count: 3}\n",
    "production/d.json": '{"logging": {"backupCount": 3}}',
}


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ({"production/.env": "TRADING_MAX_DAILY_LOSS=1\n"}, "trading.toml sets trading.max_daily_loss, too"),
        ({"production/.env": "TRADING_MAX_DAILY_LOS=1\n"}, "Did you mean TRADING_MAX_DAILY_LOSS?"),
        ({"production/.env": "TRADING_MAX_POSITION_SIZE=${X}\n"}, "the variable X"),
        (
            {"production/b.env": "RISK_GLOBAL_MAX_LEVERAGE=1\n", "production/.env": "RISK_GLOBAL_MAX_LEVERAGE=1\n"},
            "too",
        ),
        ({"production/a.json": '{"trading": {"maxDailyLoss": 1}}'}, "sets trading.max_daily_loss, too"),
        (  # the same value in another spelling
            SAME,
            "sets logging.backup_count, too",
        ),
    ],
)
def test_two_places_for_one_value_and_names_without_meaning_are_refused(
    tmp_path: Path, files: dict[str, str], named: str
) -> None:
    planted(tmp_path, {**FILES, **files})
    with pytest.raises(FileRefused) as caught:
        wanted(tmp_path, {})
    assert named in str(caught.value)


def test_two_spellings_in_one_file_may_say_the_same(tmp_path: Path) -> None:
    planted(tmp_path, {"production/c.yaml": "logging: {backup_count: 3, backupCount: 3}\n"})
    assert values(wanted(tmp_path, {})) == {"logging.backup_count": 3}


def test_a_mapping_that_lies_over_a_value_takes_its_place_and_the_other_way_round() -> None:
    target = Target({("", "a.b"): b"1", ("", "c.d.e"): b"2", ("", "c.f"): b"", ("mode=live", "a.b"): b"3"})
    target._origins.update(dict.fromkeys(target.items, Origin("x")))
    target.lay(("", "a.b.g"), b"4", Origin("y"))
    target.lay(("", "c"), b"5", Origin("y"))
    assert target.items == {("", "a.b.g"): b"4", ("", "c"): b"5", ("mode=live", "a.b"): b"3"}


# Laying over a store

LINEAGE = Lineage(("base",))


def laid(held: dict[str, bytes], target: dict[str, bytes]) -> dict[str, bytes]:
    before = states.build(LINEAGE, [Item("base", "", path, content) for path, content in held.items()])
    draft = Draft("base", before, before)
    Lay({("", path): content for path, content in target.items()}).apply(draft)
    return {item.path: item.content for item in draft.state.items()}


@pytest.mark.parametrize(
    ("held", "target", "expected"),
    [
        ({}, {"a.b": b"1"}, {"a.b": b"1"}),
        ({"a.b": b"1", "a.c": b"2"}, {"a.b": b"3"}, {"a.b": b"3", "a.c": b"2"}),
        ({"a": b"1"}, {"a.b": b"2"}, {"a.b": b"2"}),
        ({"a.b.c": b"1", "a.d": b"2"}, {"a.b": b"3"}, {"a.b": b"3", "a.d": b"2"}),
        ({"a.b.c": b"1"}, {"a.b": b"{}"}, {"a.b": b"{}", "a.b.c": b"1"}),
        ({"a": b"{}"}, {"a.b": b"1"}, {"a": b"{}", "a.b": b"1"}),
        ({"a": b"", "a.b": b"1"}, {"a.b": b"2"}, {"a": b"", "a.b": b"2"}),
        ({"a.b": b"1"}, {"a": b""}, {"a": b"", "a.b": b"1"}),
    ],
)
def test_only_what_stands_in_the_way_goes(
    held: dict[str, bytes], target: dict[str, bytes], expected: dict[str, bytes]
) -> None:
    assert laid(held, target) == expected


PATHS = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(".".join)


def free_of_conflicts(items: dict[str, bytes]) -> dict[str, bytes]:
    return {path: text for path, text in items.items() if not any(one.startswith(f"{path}.") for one in items)}


def related(path: str, others: dict[str, bytes]) -> bool:
    return any(f"{path}.".startswith(f"{one}.") or f"{one}.".startswith(f"{path}.") for one in others)


@given(st.dictionaries(PATHS, st.just(b"1")), st.dictionaries(PATHS, st.just(b"2")))
def test_laying_puts_all_leaves_no_conflict_and_changes_nothing_the_second_time(
    held: dict[str, bytes], target: dict[str, bytes]
) -> None:
    held, target = free_of_conflicts(held), free_of_conflicts(target)
    found = laid(held, target)
    assert found == target | {path: text for path, text in held.items() if not related(path, target)}
    assert laid(found, target) == found


# Errors that say nothing


def test_an_error_that_would_show_what_a_variable_said_is_masked() -> None:
    said = [b'"hunter2"', b"50", b"true"]
    why = "50 is no ratio, 50.5 and 150 are none"
    problem = Problem(path="a.b", rule="unit", value='"hunter2"', why=why, remedy="x")
    found = hush(DocumentsRefused([problem]), said)
    assert isinstance(found, DocumentsRefused)
    assert found.problems[0].why == "*** is no ratio, 50.5 and 150 are none"
    assert found.problems[0].value == "***"
    plain = hush(FileRefused("x", "number", "hunter2 is no number", "Correct it"), said)
    assert isinstance(plain, FileRefused)
    assert (str(plain), plain.rule) == ("x is refused (number): *** is no number. Correct it.", "number")
    untouched = TrimtabError("a")
    assert hush(untouched, []) is untouched
