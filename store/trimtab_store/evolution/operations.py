"""What an upgrade does to one environment: its own items of one document, and its stamp."""

from __future__ import annotations

from dataclasses import dataclass

from trimtab.model import canonical, paths, resolution
from trimtab.model.canonical import Json
from trimtab.model.errors import Contention
from trimtab.model.resolution import Absent
from trimtab_store.drafts import Draft
from trimtab_store.evolution import builtin
from trimtab_store.evolution.builtin import Own
from trimtab_store.evolution.steps import Step
from trimtab_store.evolution.versions import Versioned, stamp_path


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Bring an environment's own items of a document from one version to another, layer by layer.

    `first` says that no environment above holds anything of the document: that is where defaults are put.
    """

    document: str
    schema: Versioned
    steps: tuple[Step, ...]
    old: int
    first: bool

    @property
    def scope(self) -> str:
        """The document."""
        return self.document

    def apply(self, draft: Draft) -> None:
        """Take every step in every layer; raises `UpgradeRefused` where one cannot be taken."""
        for step in self.steps:
            if self.old < step.version <= self.schema.version:
                self._each_layer(draft, step.apply)
                if step.value is not None and self.first:
                    self._default(draft, step, step.value)
        if not self.schema.registered:
            for upgrade in builtin.UPGRADES.get(self.schema.name, ())[self.old - 1 :]:
                self._each_layer(draft, upgrade)

    def words(self) -> Json:
        """Verb, document, schema and both versions."""
        return ["upgrade", self.document, self.schema.name, self.old, self.schema.version]

    def _each_layer(self, draft: Draft, take: builtin.Upgrade) -> None:
        depth = len(paths.parse(self.document))
        for layer in sorted(text for name, text in draft.state.trees if name == draft.environment):
            held: Own = {paths.parse(at)[depth:]: content for at, content in draft.own(layer, self.document)}
            after = take(held)
            for at in held.keys() - after.keys():
                draft.remove(layer, self._absolute(at))
            for at, content in after.items():
                if held.get(at) != content:
                    draft.put(layer, self._absolute(at), content)

    def _default(self, draft: Draft, step: Step, value: bytes) -> None:
        path = self._absolute(step.path)
        if isinstance(resolution.resolve_at(draft.state, {}, path), Absent):
            draft.put("", path, value)

    def _absolute(self, relative: tuple[str, ...]) -> str:
        return paths.join((*paths.parse(self.document), *relative))


@dataclass(frozen=True, slots=True)
class Stamp:
    """Say which version an environment's items of a document are written for now.

    `own` is the stamp that the environment itself had when this was planned: another one means that somebody else
    upgraded meanwhile.
    """

    document: str
    version: int
    own: bytes | None

    @property
    def scope(self) -> str:
        """Where the stamp stands."""
        return stamp_path(self.document)

    def apply(self, draft: Draft) -> None:
        """Put it; raises `Contention` if it is not what it was."""
        if draft.before.content(draft.environment, "", self.scope) != self.own:
            raise Contention(f"{self.document} was not upgraded", "somebody else upgraded it meanwhile", "Try again")
        draft.put("", self.scope, canonical.encode(self.version))

    def words(self) -> Json:
        """Verb, document and version."""
        return ["stamp", self.document, self.version]
