"""Validation hooks: what may say no to a change before it is committed.

A hook is a function of one document before and after the change, as readers with certain labels see it. It answers
with messages; one message for a label set that the configuration itself declares refuses the whole change, one for
labels that only agents reported becomes a warning. Hooks run outside every lock, in the process that writes; they
read nothing else and may be called again for the same change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from trimtab.model.errors import HookRefused
from trimtab.model.problems import Problem
from trimtab.model.resolution import Absent
from trimtab.model.values import Value
from trimtab_store.validation.line import Line
from trimtab_store.validation.resolved import Content
from trimtab_store.validation.targets import Labels, Target

MAX_MESSAGES: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentChange:
    """One document as a change would leave it. `old` and `new` are `ABSENT` where nothing resolves.

    `labels` are the label sets that see exactly this, at least one. `path` is the document's canonical path.
    """

    environment: str
    path: str
    labels: tuple[Labels, ...]
    old: Value | Absent
    new: Value | Absent
    author: str
    urgent: bool


Hook: TypeAlias = Callable[[DocumentChange], Iterable[str]]
"""Messages in plain words; none accepts. A `ValidationError` that it raises refuses as well."""


@dataclass(frozen=True, slots=True)
class Objection:
    """What a hook said; `refuses` unless no configuration declares the readers."""

    change: DocumentChange
    message: str
    refuses: bool

    def __str__(self) -> str:
        seen = self.change.labels
        shown = ", ".join(
            ",".join(f"{k}={v}" for k, v in sorted(one.items())) or "every reader" for one in seen[:_SHOWN]
        )
        more = f" and {len(seen) - _SHOWN} more" if len(seen) > _SHOWN else ""
        return f"{self.change.path} in {self.change.environment} for {shown}{more}: {self.message}"

    def problem(self) -> Problem:
        """The same, to stand beside what rules found."""
        seen = self.change.labels
        return Problem(
            path=self.change.path,
            rule="hook",
            why=self.message,
            severity="refuse" if self.refuses else "warn",
            environment=self.change.environment,
            labels=dict(seen[0]),
            others=len(seen) - 1,
        )


_SHOWN: Final = 3


def ask(hooks: Sequence[Hook], line: Line, documents: Iterable[str], words: tuple[str, bool]) -> Iterator[Objection]:
    """Call every hook for every document that a change alters in a line, once for targets that see the same.

    `words` are author and urgency.
    """
    for document in documents if hooks else ():
        for change, declared in _changes(line, document, words):
            for hook in hooks:
                for message in hook(change):
                    yield Objection(change, message, declared)


def check(found: Iterable[Objection]) -> None:
    """Raise `HookRefused` with what refuses, if anything does."""
    refusals = [str(one) for one in found if one.refuses]
    if refusals:
        more = f" (and {len(refusals) - MAX_MESSAGES} more)" if len(refusals) > MAX_MESSAGES else ""
        raise HookRefused(
            "This change is refused", "; ".join(refusals[:MAX_MESSAGES]) + more, "Change the value, or the rule first"
        )


def _changes(line: Line, document: str, words: tuple[str, bool]) -> Iterator[tuple[DocumentChange, bool]]:
    """What becomes of a document, for each kind of readers to whom it becomes something else."""
    seen: dict[tuple[Content, Content], list[Target]] = {}
    for group in line.groups((document,)):
        if line.differs(document, group):
            seen.setdefault((line.old(document, group), line.new(document, group)), []).extend(group.targets)
    for (old, new), targets in seen.items():
        change = DocumentChange(
            environment=line.environment,
            path=document,
            labels=tuple(target.after for target in [one for one in targets if not one.supposed] or targets),
            old=old.value,
            new=new.value,
            author=words[0],
            urgent=words[1],
        )
        yield change, any(target.declared for target in targets)
