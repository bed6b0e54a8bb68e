"""The contract of rules: what looks at resolved documents before a commit, and what it may look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from trimtab.model.canonical import Json
from trimtab.model.problems import Problem
from trimtab.model.resolution import Absent


class Seen(Protocol):
    """What one group of targets would see after a change: all label sets in it resolve every document alike."""

    @property
    def environment(self) -> str:
        """The environment that is read."""
        ...

    @property
    def labels(self) -> Mapping[str, str]:
        """One label set of the group. The others differ from it only in dimensions that no rule here asks for."""
        ...

    @property
    def changed(self) -> tuple[str, ...]:
        """The canonical paths of the documents that the change alters for this group, sorted."""
        ...

    def at(self, path: str) -> Json | Absent:
        """What resolves at a canonical path, or `ABSENT`.

        Only in changed documents and in what the rule `reads` or `reads_also`; a `LookupError` elsewhere. Plain JSON,
        shared between rules: not to be changed.
        """
        ...

    def before(self, path: str) -> Json | Absent:
        """The same as the group sees it today."""
        ...

    def documents(self, category: str) -> tuple[str, ...]:
        """The documents of a category that resolve after the change, sorted; of those that the rule `reads`."""
        ...


class Rule(Protocol):
    """Looks at what a change would make of documents. Pure, and may be called again for the same change.

    Called once for each group of targets for which some document that it `watches` changes. What it yields with the
    severity `refuse` refuses the whole change if the group holds a label set that the configuration declares, and is
    a warning if agents only reported them; `warn` is a warning in either case. `environment` and `labels` of a problem
    are filled in by the caller.
    """

    @property
    def name(self) -> str:
        """A stable name, for messages and tests."""
        ...

    @property
    def reads(self) -> tuple[str, ...]:
        """Canonical paths that it looks at beside the changed documents, each with everything below it."""
        ...

    def reads_also(self, document: str, before: Json | Absent, after: Json | Absent) -> tuple[str, ...]:
        """Canonical paths that it looks at, beside `reads`, because a document that it watches changes in this way.

        Asked for each way in which some target sees the document change. Mostly there are none: this is what keeps
        an ordinary commit from reading what only a removal needs.
        """
        ...

    @property
    def dimensions(self) -> frozenset[str]:
        """The labels that it asks for: targets that differ in these are never in one group."""
        ...

    def watches(self, document: str) -> bool:
        """Whether a change of this document concerns it."""
        ...

    def judge(self, seen: Seen) -> Iterable[Problem]:
        """What is wrong, if anything."""
        ...
