"""Local overrides in what a replica serves: always what resolving anew gives, and told as it differs."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from trimtab.model import canonical, states, views
from trimtab.model.canonical import Json
from trimtab.model.changes import Change
from trimtab.model.items import Item, LeafEdit
from trimtab.model.links import START, Position
from trimtab.model.overriding import Overrides, wanted
from trimtab.model.snapshots import Snapshot
from trimtab.model.structure import Lineage
from trimtab.replica.events import Serve
from trimtab.replica.serving import Serving

START_TREE: dict[str, Json] = {
    "risk": {"global": {"max_leverage": 3, "max_loss": 5}},
    "override": {"config": {"permitted": True, "overridable": ["risk.**"], "protected": ["risk.**"]}},
}
WISH: dict[str, Json] = {"risk": {"global": {"max_leverage": 2, "max_loss": 4}}}


def put(path: str, value: Json) -> LeafEdit:
    return LeafEdit("", path, "put", canonical.encode(value))


def remove(path: str) -> LeafEdit:
    return LeafEdit("", path, "remove")


LIMITS = st.sampled_from(["risk.global.max_leverage", "risk.global.max_loss", "risk.global.other"])
EDITS = st.one_of(
    st.builds(put, LIMITS, st.integers(1, 6)),
    st.builds(remove, st.sampled_from(["risk.global.max_leverage", "risk.global.other"])),
    st.builds(put, st.just("override.config.permitted"), st.booleans()),
)


def path_of(edit: LeafEdit) -> str:
    return edit.path


def offer(serving: Serving, snapshot: Snapshot, change: Change | None, follows: Position) -> Serve:
    served = [one for one in serving.offer(snapshot, change, follows) if isinstance(one, Serve)]
    assert len(served) == 1
    return served[0]


def change_of(edits: Sequence[LeafEdit]) -> Change:
    return Change(environment="base", author="a", reason="", time="", edits=tuple(edits))


@given(st.lists(st.tuples(st.lists(EDITS, min_size=1, max_size=3, unique_by=path_of), st.booleans())))
def test_what_is_served_is_the_state_with_the_overrides_that_hold_and_its_differences_are_real(
    steps: list[tuple[list[LeafEdit], bool]],
) -> None:
    overrides = Overrides(wanted(WISH))
    state = states.build(
        Lineage(("base",)), [Item("base", "", path, content) for path, content in wanted(START_TREE).items()]
    )
    serving = Serving({}, overrides=overrides)
    before, position = views.empty({}), START
    for number, (edits, contiguous) in enumerate([(list[LeafEdit](), False), *steps], 1):
        state = state.apply("base", edits)
        snapshot = Snapshot("base", Position(1, number), b"%032d" % number, state)
        served = offer(serving, snapshot, change_of(edits) if contiguous else None, position)
        fresh, told = overrides.over(views.build(state, {}))
        assert dict(served.view.index.items()) == dict(fresh.index.items())
        assert serving.overridden == told
        differences = {} if position == START else list(views.compare_steps(before, served.view))[-1]
        assert served.differences == differences
        before, position = served.view, snapshot.position
