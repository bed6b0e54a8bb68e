"""An attached reader sees what the model sees, whatever it has read before; its events say what differs."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.support.model_oracle import OracleItem
from tests.support.model_strategies import World, as_edit, loose_items, worlds
from tests.support.shared_line import SharedLine, put
from trimtab.attached import attach
from trimtab.model import paths, states, views
from trimtab.model.items import LeafEdit
from trimtab.model.resolution import ABSENT
from trimtab.pending import Changed
from trimtab_sidecar.shared import Limits

IDENTITY = {"bot": "x", "region": "y"}
MODE = "fleet.bots.x.labels.mode"
Change = tuple[str, list[LeafEdit]]
History = tuple[World, list[Change], int]


@st.composite
def histories(draw: st.DrawFn) -> History:
    world = draw(worlds(conflicting=True, max_items=10))
    items = loose_items(world.environments, world.dimensions)
    changes: list[Change] = []
    for _ in range(draw(st.integers(1, 6))):
        drawn: list[tuple[OracleItem, bool]] = draw(st.lists(st.tuples(items, st.booleans()), min_size=1, max_size=3))
        environment = drawn[0][0].environment
        edits = [as_edit(item, remove=gone) for item, gone in drawn if item.environment == environment]
        if draw(st.integers(0, 3)) == 0:
            edits.append(put(MODE, draw(st.sampled_from(["x", "y"]))))
        changes.append((environment, list({(edit.layer, edit.path): edit for edit in edits}.values())))
    return world, changes, draw(st.integers(1, 6))


def every_path(line: SharedLine, world: World) -> list[str]:
    found = (
        {item.path for item in line.state.items()} | {paths.join(item.path) for item in world.items} | {"a.b", "none"}
    )
    return sorted({here for path in found | {"a.b", "none"} for here in (path, *paths.parents(path))})


@given(histories(), st.randoms(use_true_random=False))
def test_what_is_followed_is_what_the_model_sees(history: History, rng: random.Random) -> None:
    world, changes, frames = history
    with tempfile.TemporaryDirectory() as made:
        place = Path(made) / "shared"
        with SharedLine(place, limits=Limits(paths=6, frames=frames), lineage=world.lineage) as line:
            line.resync(states.build(world.lineage, world.model_items()))
            config = attach(place, IDENTITY, timeout=0)
            labels = dict(config.labels)
            before = views.build(line.state, labels)
            config.poll()
            for environment, edits in changes:
                for path in rng.choices(every_path(line, world), k=5):
                    config.get(path)
                line.edit(*edits, environment=environment)
                line.tidy()
                view = views.build(line.state, config.labels)
                for path in every_path(line, world):
                    assert views.same(config.get(path, ABSENT), view.index.peek(path)), path
                steps = views.compare_steps(before, view)
                differing = next(step for step in steps if step is not None)
                told = {event.path: (event.old, event.new) for event in config.poll() if isinstance(event, Changed)}
                assert told.keys() == differing.keys()
                assert all(views.same(told[path][1], new) for path, (_, new) in differing.items())
                before = view
            config.close()
