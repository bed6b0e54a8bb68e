"""The overrides of a node in the states that its sidecar shares: for each reader what it would get if it were alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab import categories
from trimtab.model import canonical, labels, states, views
from trimtab.model.canonical import Json
from trimtab.model.items import Item, LeafEdit
from trimtab.model.links import Position
from trimtab.model.overriding import Overrides, outcome, wanted
from trimtab.model.resolution import Absent
from trimtab.model.snapshots import Snapshot
from trimtab.model.states import State
from trimtab.model.structure import Lineage
from trimtab.model.tightening import tightens
from trimtab.model.trees import HIDDEN
from trimtab.model.values import Document, Value
from trimtab.model.views import View
from trimtab_sidecar.overrides import kinds
from trimtab_sidecar.overrides.overlay import Overlaid, Overlay

IDENTITY = {"node": "n1", "region": "ny4"}
LINEAGE = Lineage(("base", "production"))
LEVERAGE, FLOOR = "risk.global.max_leverage", "risk.global.min_liquidity"
WISH: dict[str, Json] = {"risk": {"global": {"max_leverage": 3, "min_liquidity": 3, "note": {"deep": 1}}}}
OPEN: dict[str, Json] = {"permitted": True, "overridable": ["risk.**", "mev.**"], "protected": ["risk.**"]}
LAYERS = ["", "bot=x", "bot=y", "mode=live", "region=ny4", "region=ld4", "bot=x,mode=live"]
PATTERNS: list[Json] = [["risk.**"], [LEVERAGE], [], "risk.**"]


def put(layer: str, path: str, value: Json) -> LeafEdit:
    return LeafEdit(layer, path, "put", canonical.encode(value))


def remove(layer: str, path: str) -> LeafEdit:
    return LeafEdit(layer, path, "remove")


def hide(layer: str, path: str) -> LeafEdit:
    return LeafEdit(layer, path, "hide")


def labelled(bot: str, mode: str) -> LeafEdit:
    return put("", f"fleet.bots.{bot}.labels.mode", mode)


def edits() -> st.SearchStrategy[tuple[str, LeafEdit]]:
    limits = st.sampled_from([LEVERAGE, FLOOR, "risk.global.other"])
    layer = st.sampled_from(LAYERS)
    return st.tuples(
        st.sampled_from(LINEAGE.environments),
        st.one_of(
            st.builds(put, layer, limits, st.integers(1, 5)),
            st.builds(remove, layer, limits),
            st.builds(
                hide,
                layer,
                st.sampled_from([LEVERAGE, "risk", "risk.global", "override"]),
            ),
            st.builds(put, layer, st.just("override.config.permitted"), st.booleans()),
            st.builds(
                put,
                layer,
                st.sampled_from(["override.config.overridable", "override.config.protected"]),
                st.sampled_from(PATTERNS),
            ),
            st.builds(
                labelled,
                st.sampled_from(["x", "y", "z"]),
                st.sampled_from(["live", "paper"]),
            ),
        ),
    )


def applied(state: State, made: Iterable[tuple[str, LeafEdit]]) -> State:
    for environment, edit in made:
        state = state.apply(environment, [edit])
    return state


def begun(tree: Mapping[str, Json], layers: Mapping[str, Mapping[str, Json]] | None = None) -> State:
    items = [
        Item("production", layer, path, content)
        for layer, values in {"": tree, **(layers or {})}.items()
        for path, content in wanted(values).items()
    ]
    return states.build(LINEAGE, items)


def snapshot(state: State, revision: int = 1) -> Snapshot:
    return Snapshot("production", Position(1, revision), b"%032d" % revision, state)


def seen(state: State, bot: str | None = None, identity: Mapping[str, str] = IDENTITY) -> View:
    whole = identity if bot is None else {**identity, "bot": bot}
    return views.build(state, labels.effective(state, whole))


def same(one: Value | Absent, two: Value | Absent) -> bool:
    return views.same(one, two)


BOTS = [None, "x", "y", "z", "unheard-of"]
Identity = Mapping[str, str]
IDENTITIES: list[Identity] = [IDENTITY, {"bot": "x", "region": "ny4"}, {}]


def readers(identity: Identity) -> list[Identity]:
    """Whoever may read through a sidecar with these labels."""
    bots = [None] if "bot" in identity else BOTS
    regions = [None] if "region" in identity else [None, "ny4", "ld4", "unheard-of"]
    named = [{"bot": bot, "region": region} for bot in bots for region in regions]
    return [{**identity, **{name: label for name, label in one.items() if label is not None}} for one in named]


def check(state: State, overrides: Overrides, overlaid: Overlaid, identity: Identity) -> None:
    """Each reader gets what it would alone, or what configuration says, and that only where another one is refused."""
    told = {one.path: one.why for one in overlaid.told}
    refused: set[str] = set()
    kept: set[str] = set()
    holds: set[str] = set()
    for reader in readers(identity):
        plain, real = seen(state, None, reader), seen(overlaid.snapshot.state, None, reader)
        alone, became = overrides.over(plain)
        assert plain.labels == real.labels
        for one in became:
            value, before = real.index.peek(one.path), plain.index.peek(one.path)
            if one.why:
                assert same(value, before)
                refused |= {one.path} if not isinstance(before, Absent | Document) else set()
                continue
            assert same(value, before) or same(value, alone.index.peek(one.path))
            (holds if same(value, one.value) else kept).add(one.path)
        untouched = {path: content for path, content in plain.index.leaves() if path not in told}
        assert {path: content for path, content in real.index.leaves() if path not in told} == untouched
    assert kept <= refused  # configuration stands where another reader of the same candidate is refused
    for path, why in told.items():
        assert bool(why) == (path in refused or path not in holds)


@given(st.lists(edits(), max_size=25), st.lists(edits(), max_size=6), st.sampled_from(IDENTITIES))
def test_every_reader_gets_what_it_would_get_alone_and_nobody_what_is_not_permitted(
    first: Sequence[tuple[str, LeafEdit]], later: Sequence[tuple[str, LeafEdit]], identity: Identity
) -> None:
    overrides = Overrides(wanted(WISH))
    state = applied(begun({"override": {"config": OPEN}, "risk": {"global": {"max_leverage": 4}}}), first)
    overlay = Overlay(identity, overrides)
    overlaid = outcome(overlay.over(snapshot(state), None))
    check(state, overrides, overlaid, identity)
    for revision, (environment, edit) in enumerate(later, 2):
        before, state = overlaid, state.apply(environment, [edit])
        overlaid = outcome(overlay.over(snapshot(state, revision), [edit.path]))
        anew = outcome(Overlay(identity, overrides).over(snapshot(state, revision), None))
        assert (overlaid.snapshot, overlaid.replaced, overlaid.told) == (anew.snapshot, anew.replaced, anew.told)
        check(state, overrides, overlaid, identity)
        for reader in readers(identity):
            old = seen(before.snapshot.state, None, reader)
            new = seen(overlaid.snapshot.state, None, reader)
            if old.labels == new.labels:
                touched = overlaid.moved | {edit.path}
                assert (
                    views.advance(old, overlaid.snapshot.state, touched)[1] == list(views.compare_steps(old, new))[-1]
                )


@given(st.lists(edits(), max_size=25))
def test_what_is_protected_is_never_looser_for_anybody(made: Sequence[tuple[str, LeafEdit]]) -> None:
    state = applied(begun({"override": {"config": OPEN}, "risk": {"global": {"max_leverage": 4}}}), made)
    overlaid = outcome(Overlay(IDENTITY, Overrides(wanted(WISH))).over(snapshot(state), None))
    for bot in BOTS:
        plain, real = seen(state, bot), seen(overlaid.snapshot.state, bot)
        protected = plain.index.get("override.config.protected")
        for path in (LEVERAGE, FLOOR):
            was, now = plain.index.peek(path), real.index.peek(path)
            assert isinstance(was, Absent) is isinstance(now, Absent)
            if protected == ("risk.**",) and not isinstance(was, Absent) and not isinstance(now, Absent):
                assert tightens(path, was, now)


def told(state: State, wish: dict[str, Json]) -> Overlaid:
    return outcome(Overlay(IDENTITY, Overrides(wanted(wish), categories.check)).over(snapshot(state), None))


def test_a_bot_that_is_tighter_already_stays_so_and_is_named() -> None:
    state = begun(
        {"override": {"config": OPEN}, "risk": {"global": {"max_leverage": 5}}},
        {"bot=canary": {"risk": {"global": {"max_leverage": 1}}}, "node=n2": {"risk": {"global": {"max_leverage": 1}}}},
    )
    overlaid = told(state, {"risk": {"global": {"max_leverage": 3}}})
    assert [seen(overlaid.snapshot.state, bot).index[LEVERAGE] for bot in ("a", "canary")] == [3, 1]
    [one] = overlaid.told
    assert one.why == "for bot=canary: override.config protects this path: an override may only tighten it"
    assert overlaid.snapshot.hash != snapshot(state).hash


def test_what_one_bot_may_not_holds_for_none_that_sees_the_same() -> None:
    closed: dict[str, Json] = {"override": {"config": {"permitted": False}}}
    state = begun(
        {"override": {"config": OPEN}, "risk": {"global": {"max_leverage": 5}}, "fleet": FLEET}, {"mode=live": closed}
    )
    overlaid = told(state, {"risk": {"global": {"max_leverage": 3}}})
    assert overlaid.told[0].why == "the environment does not permit local overrides"
    assert (overlaid.replaced, overlaid.snapshot) == ({}, snapshot(state))


FLEET: dict[str, Json] = {"bots": {"mm": {"labels": {"mode": "live"}}}}


def test_a_document_that_one_bot_could_not_use_is_left_for_all_who_share_the_field() -> None:
    state = begun(
        {"override": {"config": OPEN}, "mev": {"protection": {"min_priority_fee": 1000, "max_priority_fee": 50_000}}},
        {"bot=x": {"mev": {"protection": {"max_priority_fee": 2000}}}},
    )
    overlaid = told(state, {"mev": {"protection": {"min_priority_fee": 3000}}})
    assert overlaid.replaced == {}
    assert "mev.protection" in overlaid.told[0].why
    fine = told(state, {"mev": {"protection": {"min_priority_fee": 1500}}})
    assert [seen(fine.snapshot.state, bot).index["mev.protection.min_priority_fee"] for bot in ("a", "x")] == [1500] * 2


def test_too_many_kinds_of_readers_are_judged_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    layers: dict[str, dict[str, Json]] = {
        f"bot=b{number}": {"risk": {"global": {"max_leverage": 5}}} for number in range(4)
    }
    state = begun({"override": {"config": OPEN}, "risk": {"global": {"max_leverage": 5}}}, layers)
    wish: dict[str, Json] = {"risk": {"global": {"max_leverage": 3}}}
    assert len(told(state, wish).replaced) == 5
    for name in ("MAX_KINDS", "MAX_IDENTITIES"):
        with monkeypatch.context() as patched:
            patched.setattr(kinds, name, 4)
            assert (told(state, wish).replaced, "too many" in told(state, wish).told[0].why) == ({}, True)


def test_other_overrides_are_another_state_of_the_same_revision_and_none_is_the_state_itself() -> None:
    state = begun({"override": {"config": OPEN}, "risk": {"global": {"max_leverage": 5, "min_liquidity": 1}}})
    overlay = Overlay(IDENTITY, Overrides(wanted({"risk": {"global": {"max_leverage": 3}}})))
    first = outcome(overlay.over(snapshot(state), None))
    overlay.want(Overrides(wanted({"risk": {"global": {"max_leverage": 2, "min_liquidity": 2}}})))
    second = outcome(overlay.over(snapshot(state), None))
    assert [sorted(one.moved) for one in (first, second)] == [[LEVERAGE], [LEVERAGE, FLOOR]]
    overlay.want(Overrides({}))
    third = outcome(overlay.over(snapshot(state), []))
    assert (third.snapshot, sorted(third.moved), third.variant) == (snapshot(state), [LEVERAGE, FLOOR], "")
    assert len({first.snapshot.hash, second.snapshot.hash, third.snapshot.hash}) == 3
    assert HIDDEN not in first.replaced.values()


def test_a_bot_that_is_moved_to_where_it_is_not_permitted_takes_it_from_all_who_share_the_value() -> None:
    closed: dict[str, Json] = {"override": {"config": {"permitted": False}}}
    state = begun({"override": {"config": OPEN}, "risk": {"global": {"max_leverage": 5}}}, {"mode=live": closed})
    overlay = Overlay(IDENTITY, Overrides(wanted({"risk": {"global": {"max_leverage": 3}}})))
    assert outcome(overlay.over(snapshot(state), None)).held == 1
    path = "fleet.bots.mm.labels.mode"
    moved = outcome(overlay.over(snapshot(state.apply("production", [put("", path, "live")]), 2), [path]))
    assert (moved.held, sorted(moved.moved)) == (0, [LEVERAGE])
