"""Checking what is stored against the rules of today: limits, layers, conflicts, documents, and the line's checksum."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from trimtab.model import canonical, labels, layers, paths, resolution
from trimtab.model.errors import TrimtabError, ValidationError, ValueRefused
from trimtab.model.items import Item
from trimtab.model.states import State
from trimtab.model.structure import Forest
from trimtab.model.trees import HIDDEN
from trimtab_store import environments, reading
from trimtab_store.database import Connection
from trimtab_store.drafts import Place
from trimtab_store.evolution import stamping
from trimtab_store.files import EnvironmentFiles, FleetTree
from trimtab_store.files.layer_files import Contents
from trimtab_store.operations import EVERYTHING
from trimtab_store.sources.hushing import hush
from trimtab_store.sources.known import Known
from trimtab_store.sources.target import Sources, Target
from trimtab_store.validation import defaults
from trimtab_store.validation.inspection import Inspector, Subject
from trimtab_store.validation.sides import Sides


@dataclass(frozen=True, slots=True)
class Checked:
    """What an environment holds and inherits, all of it valid: the number of items, and what there is to warn of."""

    items: int
    warnings: tuple[str, ...]


def check_stored(connection: Connection, environment: str, inspector: Inspector) -> Checked:
    """Check everything that an environment holds and inherits.

    Raises the error that would refuse such an item today, `DocumentsRefused` with all that is wrong with documents, or
    `ValidationError` if the tables were changed by hand.
    """
    state = reading.line(connection, environment, (EVERYTHING,))
    for item in state.items():
        check_item(state, item)
    check_checksum(connection, environment, state)
    return Checked(state.count, _inspected(environment, state, inspector) if inspector.looks else ())


def _inspected(environment: str, state: State, inspector: Inspector) -> tuple[str, ...]:
    """What there is to warn of if everything that stands in a state were put there now."""
    edited = [layers.parse(layer) for layer in sorted({layer for _, layer in state.trees})]
    held = sorted({item.path for item in state.items()})
    subject = Subject(environment, {environment: Sides(State(state.lineage), state)}, edited, held)
    return inspector.inspect_lines(subject).warnings("validate")


def check_item(state: State, item: Item) -> None:
    """Check one item against the grammar of paths, the limits of values, and the other layers of its line."""
    if paths.canonical(item.path) != item.path:
        raise ValueRefused(f"The path {item.path!r} is stored in another spelling than its own", "", "Set it again")
    if item.content != HIDDEN:
        _check_content(item)
    state.lineage.check_selector(layers.parse(item.layer))
    labels.check_edit(item.layer, item.path, item.content)
    if item.content != HIDDEN:
        resolution.check_conflicts(state, item.environment, item.layer, item.path)


def check_checksum(connection: Connection, environment: str, state: State) -> None:
    """Check that the items are those that the newest link of the line vouches for."""
    row = connection.execute(
        "SELECT checksum FROM trimtab.line_heads WHERE environment = %s", (environment,)
    ).fetchone()
    if row is not None and bytes(row[0]) != state.checksum:
        raise ValidationError(
            f"The items of {environment} do not add up to the checksum of its head",
            "somebody changed the tables by hand",
            "Restore a backup",
        )


def _check_content(item: Item) -> None:
    if canonical.encode(canonical.decode(item.content)) != item.content:
        raise ValueRefused(f"The value at {item.path} is not in its canonical form", "", "Set it again")
    if len(item.content) > canonical.MAX_ITEM_BYTES:
        raise ValueRefused(
            f"The value at {item.path} is too large",
            f"at most {canonical.MAX_ITEM_BYTES} bytes are allowed",
            "Split it",
        )


def check_tree(tree: FleetTree, environment: str | None, sources: Sources) -> Checked:
    """Check a tree of files by itself, all of its environments or the one that is named, with local/ and variables.

    Raises `FileRefused` for what files cannot say, `DocumentsRefused` with all that is wrong with documents.
    """
    chosen = tree.forest.lineage(environment).environments if environment else tuple(tree.forest.parents)
    held: list[Item] = []
    said: set[bytes] = set()
    for one in tree.environments:
        if one.name in chosen:
            target = _target(one, tree.local if one.name == environment else None, sources, held)
            stamps = stamping.of_files(tree.forest.lineage(one.name), held, target.items)
            held += [Item(one.name, layer, path, content) for (layer, path), content in target.items.items()]
            held += stamps
            said |= target.said()
    names = [environment] if environment else [one.name for one in tree.environments]
    lines = {name: _line(tree.forest, name, held) for name in names}
    edited = [layers.parse(layer) for layer in sorted({item.layer for item in held})]
    subject = Subject(names[0], lines, edited, sorted({item.path for item in held}))
    inspector = Inspector(defaults.in_force(None))
    try:
        return Checked(len(held), inspector.inspect_lines(subject).warnings("validate"))
    except TrimtabError as error:
        hushed = hush(error, said)
    raise hushed  # outside of `except`: what was hushed would come along as its context


def _target(files: EnvironmentFiles, local: Contents | None, sources: Sources, above: Iterable[Item]) -> Target:
    """What files and variables want an environment to hold; `above` is what it inherits."""
    inherited = [(item.path, item.content) for item in above]

    def known(found: Mapping[Place, bytes]) -> Known:
        return Known.of([*inherited, *((path, content) for (_, path), content in found.items())])

    return sources.target(files, local, known)[0]


def _line(forest: Forest, name: str, held: Iterable[Item]) -> Sides:
    """A line that begins with all that its files say."""
    lineage = forest.lineage(name)
    state = reading.state_of(lineage, held)
    environments.check_line(state)
    return Sides(State(lineage), state)
