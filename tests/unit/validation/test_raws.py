"""What resolves undecoded is what `resolution` makes of the same layers."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from tests.support.model_strategies import World, segments, worlds
from trimtab.model import canonical, paths, resolution, states
from trimtab.model.resolution import Absent
from trimtab.model.values import thaw
from trimtab_store.validation.resolved import Contents, Resolved


@given(worlds(), st.lists(segments, max_size=3))
def test_every_reader_sees_at_every_path_what_it_resolves_to(world: World, more: list[tuple[str, ...]]) -> None:
    state = states.build(world.lineage, world.model_items())
    side = Resolved(state, Contents())
    held = {tuple(item.path[:depth]) for item in world.items for depth in range(1, len(item.path) + 1)}
    for place in sorted({*held, *more}):
        path = paths.join(place)
        readers = side.readers(side.overlays(path))
        for labels in world.readers:
            content = side.content(path, readers.overlays(labels))
            expected = resolution.resolve_at(state, labels, path)
            assert content.is_absent == isinstance(expected, Absent)
            if isinstance(expected, Absent) or isinstance(content.json, Absent):
                assert expected is content.json
                continue
            assert canonical.encode(content.json) == canonical.encode(thaw(expected))
            assert set(content.leaves()) == {one for one, _ in resolution.leaves(branches(state, labels, path), path)}


def branches(state: states.State, labels: dict[str, str], path: str) -> resolution.Branches:
    return resolution.branches_at(resolution.root_branches(state, labels), paths.parse(path))
