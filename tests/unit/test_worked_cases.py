"""The cases of docs/resolution.md, read from that page and run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from trimtab.model import canonical, items, labels, layers, paths, resolution, values, views
from trimtab.model.errors import TrimtabError
from trimtab.model.resolution import ABSENT, Absent
from trimtab.model.states import State
from trimtab.model.structure import DEFAULT_DIMENSIONS, Lineage
from trimtab_store.drafts import Draft
from trimtab_store.operations import Hide, Leaves, Unset

Case = dict[str, Any]
PAGE = Path(__file__).parents[2] / "docs" / "resolution.md"
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
CASES: list[Case] = [case for block in BLOCKS for case in cast("list[Case]", yaml.safe_load(block))]
NAMES = [str(case["case"]) for case in CASES]


def _commit(state: State, where: str, what: str) -> State:
    """One commit: `base mode=live` and `set risk.max 3`, through the operations and checks that the store uses."""
    environment, _, layer = where.partition(" ")
    verb, _, rest = what.partition(" ")
    path, _, text = rest.partition(" ")
    layer = layers.parse(layer).text
    draft = Draft(environment, state, state)
    if verb == "hide":
        Hide(layer, path).apply(draft)
    elif verb == "unset":
        Unset(layer, path).apply(draft)
    else:
        assert verb in {"set", "merge"}
        leaves = tuple(items.leaves(path, json.loads(text)))
        Leaves(layer, path, leaves, merges=verb == "merge").apply(draft)
    for edit in draft.edits():
        labels.check_edit(edit.layer, edit.path, edit.outcome)
        resolution.check_conflicts(draft.state, environment, edit.layer, edit.path)
    return draft.state


def _run(case: Case) -> tuple[State, str]:
    """The state after all commits, and what the last one was told if it was refused."""
    environments = tuple(case.get("environments", ["base", "production"]))
    state = State(Lineage(environments, tuple(case.get("dimensions", DEFAULT_DIMENSIONS))))
    given = [(where, what) for step in case["given"] for where, what in step.items()]
    for number, (where, what) in enumerate(given, 1):
        try:
            state = _commit(state, where, what)
        except TrimtabError as error:
            if number < len(given):
                raise
            return state, str(error)
    return state, ""


def _reader(text: str) -> dict[str, str]:
    return {} if text == "anyone" else dict(layers.parse(text).labels)


def _told(value: resolution.Absent | values.Value) -> str:
    return "nothing" if isinstance(value, Absent) else canonical.encode(values.thaw(value)).decode()


def _expected(value: object) -> str:
    return "nothing" if value == "nothing" else canonical.encode(value).decode()


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_the_case_holds(case: Case) -> None:
    state, refused = _run(case)
    if "refused" in case:
        assert case["refused"] in refused
        return
    assert refused == ""
    for who, expected in case["sees"].items():
        reader = labels.effective(state, _reader(who))
        view = views.build(state, reader)
        for path, value in expected.items():
            assert f"{who}: {path} = {_told(resolution.resolve_at(state, reader, path))}" == (
                f"{who}: {path} = {_expected(value)}"
            )
            assert _told(view.index.get(path, ABSENT)) == _expected(value)
    for path, layer in case.get("decided", {}).items():
        first = labels.effective(state, _reader(next(iter(case["sees"]))))
        (winner,) = [candidate for candidate in resolution.explain(state, first, path) if candidate.wins]
        assert f"{winner.environment} ({winner.selector})" == layer


def test_the_page_has_a_case_for_every_rule() -> None:
    headings = re.findall(r"^## \d+\. ", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(BLOCKS) == len(headings) == 8
    assert len(set(NAMES)) == len(NAMES) >= 40
    assert all(
        case.keys() <= {"case", "environments", "dimensions", "given", "sees", "decided", "refused"} for case in CASES
    )
    assert all(("sees" in case) != ("refused" in case) for case in CASES)


def test_every_path_and_layer_on_the_page_is_written_canonically() -> None:
    for case in CASES:
        for expected in case.get("sees", {}).values():
            assert [path for path in expected if paths.canonical(path) != path] == []
