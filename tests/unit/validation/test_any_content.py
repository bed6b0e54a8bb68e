"""Whatever stands in documents that Trimtab knows, judging it ends in problems and in nothing else."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from tests.support.model_strategies import json_values
from trimtab.model import items, states
from trimtab.model.canonical import Json
from trimtab.model.documents import BUILT_IN
from trimtab.model.errors import TrimtabError
from trimtab.model.items import Item, LeafEdit
from trimtab.model.structure import Lineage
from trimtab_store.validation.builtin import BUILT_IN_RULES
from trimtab_store.validation.inspection import Inspector
from trimtab_store.validation.sides import Sides

LINEAGE = Lineage(("base",))
DOCUMENTS = sorted({pattern.replace("*", "x") for pattern in BUILT_IN} | {"meta.risk.global", "meta.strategy.x"})
FIELDS = ("exchange", "broker", "enabled", "dependencies", "labels", "documents", "text", "cel", "x", "credentials")

inner = st.dictionaries(st.sampled_from(FIELDS), json_values | st.just({"type": "binance_live"}), max_size=3)
contents = st.dictionaries(st.sampled_from(DOCUMENTS), json_values | inner, max_size=4)


def held(found: dict[str, Json]) -> dict[str, bytes]:
    leaves: dict[str, bytes] = {}
    for path, value in found.items():
        try:
            leaves.update(items.leaves(path, value))
        except TrimtabError:
            continue
    return leaves


@given(contents, contents, st.sampled_from(["live", "paper"]))
def test_any_content_is_judged(old: dict[str, Json], new: dict[str, Json], mode: str) -> None:
    before = states.build(LINEAGE, [Item("base", "", path, leaf) for path, leaf in held(old).items()])
    edits = [LeafEdit("", path, "remove") for path in held(old).keys() - held(new).keys()]
    edits += [LeafEdit("", path, "put", leaf) for path, leaf in held(new).items()]
    edits.append(LeafEdit("", "fleet.bots.y.labels.mode", "put", f'"{mode}"'.encode()))
    sides = {"base": Sides(before, before.apply("base", edits))}
    for problem in Inspector(BUILT_IN_RULES).inspect("base", sides, edits, {"base": [{"bot": "z"}]}).problems:
        assert problem.path
        assert problem.why
