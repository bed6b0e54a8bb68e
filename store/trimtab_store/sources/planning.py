"""`trimtab plan`: what a tree of files and variables would change, environment by environment, parents first.

Everything is planned and validated against one state of the store, each environment against what those before it will
have made of it; nothing is committed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Final

from trimtab.model import paths
from trimtab.model.documents import BUILT_IN
from trimtab.model.errors import EnvironmentNotFound, StructureRefused, TrimtabError, nearest
from trimtab.model.items import Item
from trimtab.model.structure import Forest
from trimtab_store import reading
from trimtab_store.database import Connection
from trimtab_store.drafts import Place
from trimtab_store.editing import Request
from trimtab_store.files import EnvironmentFiles, FleetTree
from trimtab_store.masking import SCHEMAS, Secrets
from trimtab_store.operations import EVERYTHING, Replace
from trimtab_store.planning import Plan, Planner
from trimtab_store.sources import assigning
from trimtab_store.sources.ahead import Ahead
from trimtab_store.sources.hushing import hush
from trimtab_store.sources.known import Known
from trimtab_store.sources.laying import Lay
from trimtab_store.sources.target import Origin, Sources, Target
from trimtab_store.writer import Difference

_NAMED: Final = 5


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What to make of a tree: all of its environments, or the one that is named, over which local/ and variables lie.

    `prune` removes what an environment holds and the files do not. `words` are author, reason and what else a request
    says.
    """

    words: Request
    environment: str | None = None
    prune: bool = False
    sources: Sources = field(default_factory=lambda: Sources({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentPlan:
    """What would change in one environment, to bring it to `target`. `left` counts what else it holds and keeps."""

    name: str
    parent: str | None
    dimensions: tuple[str, ...] | None
    creates: bool
    differences: tuple[Difference, ...]
    target: Target
    left: int
    request: Request
    secrets: Secrets
    warnings: tuple[str, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether there is anything to commit."""
        return self.creates or bool(self.differences)

    def origin(self, one: Difference) -> Origin | None:
        """Where a new value comes from; None for what is removed."""
        return self.target.origin((one.layer, one.path))


@dataclass(frozen=True, slots=True)
class TreePlan:
    """The plans of the environments in the order in which they are to be committed, and what else should be known."""

    environments: tuple[EnvironmentPlan, ...]
    notes: tuple[str, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether there is anything to commit."""
        return any(one.changes for one in self.environments)


def plan_tree(connection: Connection, planner: Planner, tree: FleetTree, wanted: Wanted) -> TreePlan:
    """What a tree would change. Call it within one state of the database; raises every refusal of a commit."""
    forest = reading.forest(connection)
    chosen = _chosen(tree, wanted.environment)
    ahead = Ahead(forest=_grown(forest, tree, chosen))
    names = {name for one in chosen for name in ahead.forest.lineage(one.name).environments}
    held: dict[str, list[Item]] = {name: [] for name in names}
    for item in reading.items(connection, sorted(names), (EVERYTHING,)):
        held[item.environment].append(item)
    each = _Each(connection, replace(planner, surroundings=ahead), ahead, tree, wanted, held)
    plans = [each.plan(one, creates=one.name not in forest.parents) for one in chosen]
    stored = {paths.parse(item.path)[0] for listed in held.values() for item in listed}
    notes = (*_left_out(tree, wanted), *each.notes, *_misspelt(chosen, stored), *_almost(chosen, forest, tree))
    return TreePlan(tuple(plans), notes)


def _chosen(tree: FleetTree, environment: str | None) -> list[EnvironmentFiles]:
    if environment is None:
        return list(tree.environments)
    found = [one for one in tree.environments if one.name == environment]
    if not found:
        names = [one.name for one in tree.environments]
        remedy = nearest(environment, names) or f"There are {', '.join(names)}"
        raise EnvironmentNotFound(f"The files hold no environment {environment!r}", "", remedy)
    return found


def _grown(forest: Forest, tree: FleetTree, chosen: Iterable[EnvironmentFiles]) -> Forest:
    """The environments of the store with those that are missing; raises where files and store tell them differently."""
    for one in chosen:
        if one.name not in forest.parents:
            if one.parent is not None and one.parent not in forest.parents:
                raise EnvironmentNotFound(
                    f"{one.name} cannot be created",
                    f"it inherits from {one.parent}, which the store does not have yet",
                    f"Apply {one.parent} first, or all environments at once",
                )
            forest = forest.with_environment(one.name, one.parent, one.dimensions)
        elif tree.declared:
            _check_structure(forest, one)
    return forest


def _check_structure(forest: Forest, one: EnvironmentFiles) -> None:
    parent = forest.parents[one.name]
    if parent != one.parent:
        raise StructureRefused(
            f"{one.name} does not inherit from the same environment in files and store",
            f"it is {one.parent or 'none'} in the files, {parent or 'none'} in the store",
            f"Correct the files, or run trimtab env inherit {one.name} {one.parent or '-'}",
        )
    if one.dimensions is not None and one.dimensions != forest.dimensions[one.name]:
        raise StructureRefused(
            f"The dimensions of {one.name} differ between files and store",
            "",
            f"Correct the files, or run trimtab env dimensions {one.name} {' '.join(one.dimensions)}",
        )


def _misspelt(chosen: Iterable[EnvironmentFiles], stored: AbstractSet[str]) -> list[str]:
    """Categories that are neither built in nor in the store, and almost called like one that is."""
    known = {paths.parse(pattern.partition(".")[0])[0] for pattern in BUILT_IN} | stored
    named = {
        category: files.files.get(paths.write(category))
        for one in chosen
        for files in one.layers.values()
        for category in files.values
        if category not in known
    }
    return [
        f"The category {category} of {file} is new: {remedy}"
        for category, file in sorted(named.items())
        if (remedy := nearest(category, known))
    ]


def _almost(chosen: Iterable[EnvironmentFiles], forest: Forest, tree: FleetTree) -> list[str]:
    """Environments that nothing but a directory names, and that are almost called like one of the store."""
    return [
        f"The environment {one.name} is new: {remedy}"
        for one in chosen
        if not tree.declared and one.name not in forest.parents and (remedy := nearest(one.name, forest.parents))
    ]


def _left_out(tree: FleetTree, wanted: Wanted) -> list[str]:
    """What was left out because no environment is named that it would lie over."""
    if wanted.environment is not None:
        return []
    asked = assigning.of_process(wanted.sources.variables, wanted.sources.prefixes)
    named = [one.name for one in asked if one.name.startswith(wanted.sources.prefixes)]
    left_out = [*(["local/"] if tree.local else []), *named[:_NAMED], *(["…"] if len(named) > _NAMED else [])]
    return [f"Left out, for it lies over the one environment that -e names: {', '.join(left_out)}"] if left_out else []


@dataclass(slots=True)
class _Each:
    """Plans one environment after the other."""

    connection: Connection
    planner: Planner
    ahead: Ahead
    tree: FleetTree
    wanted: Wanted
    held: dict[str, list[Item]]
    notes: list[str] = field(default_factory=list[str])

    def plan(self, files: EnvironmentFiles, *, creates: bool) -> EnvironmentPlan:
        """The plan of one environment, which those after it count on."""
        local = self.tree.local if self.wanted.environment else None
        target, passed_over = self.wanted.sources.target(files, local, lambda items: self._known(files.name, items))
        if passed_over:
            more = f" and {len(passed_over) - _NAMED} more" if len(passed_over) > _NAMED else ""
            self.notes.append(f"No path is known for {', '.join(passed_over[:_NAMED])}{more}: passed over")
        operation = Replace(target.items) if self.wanted.prune else Lay(target.items)
        request = replace(self.wanted.words, environment=files.name, kind="import", operations=(operation,)).check()
        try:
            plan = self.planner.plan(self.connection, request)
        except TrimtabError as error:
            hushed = hush(error, target.said())
        else:
            self.ahead.will_hold(files.name, plan.edits)
            return self._result(files, target, plan, creates=creates)
        raise hushed  # outside of `except`: what was hushed would come along as its context

    def _result(self, files: EnvironmentFiles, target: Target, plan: Plan, *, creates: bool) -> EnvironmentPlan:
        held = {(one.layer, one.path): one.content for one in self.held.get(files.name, ())}
        differences = tuple(
            Difference(files.name, one.layer, one.path, held.get((one.layer, one.path)), one.outcome)
            for one in plan.edits
        )
        gone = {(one.layer, one.path) for one in differences if one.new is None}
        return EnvironmentPlan(
            name=files.name,
            parent=files.parent,
            dimensions=files.dimensions,
            creates=creates,
            differences=differences,
            target=target,
            left=len(held.keys() - target.items.keys() - gone),
            request=plan.request,
            secrets=self._secrets(files.name, target),
            warnings=plan.warnings,
        )

    def _secrets(self, environment: str, target: Target) -> Secrets:
        """What schemas of the line call secret, those that are stored and those of the files."""
        lineage = self.ahead.forest.lineage(environment).environments
        written = [
            one
            for one in self.tree.environments
            if one.name in lineage and any(SCHEMAS in layer.values for layer in one.layers.values())
        ]
        return Secrets.of(
            [(one.path, one.content) for name in lineage for one in self.held.get(name, ())],
            [(item.path, item.content) for one in written for item in one.items()],
            [(path, content) for (_, path), content in target.items.items()],
        )

    def _known(self, environment: str, items: Mapping[Place, bytes]) -> Known:
        """The paths of the line, as store and files have it."""
        lineage = self.ahead.forest.lineage(environment).environments
        stored = [(one.path, one.content) for name in lineage for one in self.held.get(name, ())]
        written = [
            (item.path, item.content)
            for one in self.tree.environments
            if one.name in lineage and one.name != environment
            for item in one.items()
        ]
        return Known.of([*stored, *written, *((path, content) for (_, path), content in items.items())])
