"""Validation hooks: what may say no to a change before it is committed.

A hook is a function of one document before and after the change, as readers with certain labels see it. It answers
with messages; one message for a label set that the configuration itself declares refuses the whole change, one for
labels that only agents reported becomes a warning. Hooks run outside every lock, in the process that writes; they
read nothing else and may be called again for the same change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from trimtab.model import canonical, documents, labels, layers, paths, resolution
from trimtab.model.canonical import Json
from trimtab.model.errors import HookRefused
from trimtab.model.resolution import Absent
from trimtab.model.states import State
from trimtab.model.values import Value, thaw

Labels: TypeAlias = "Mapping[str, str]"
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
class Targets:
    """The label sets of one environment: `declared` in its configuration, and `reported` by agents only."""

    declared: tuple[Labels, ...]
    reported: tuple[Labels, ...] = ()


@dataclass(frozen=True, slots=True)
class Sides:
    """A line before and after a change, as far as it was read."""

    before: State
    after: State


def targets(sides: Sides, edited_layers: Iterable[str], reported: Iterable[Labels]) -> Targets:
    """Whom the edit can reach in one line.

    Declared are the bots of `fleet.bots`, each also with the node and region that an edited layer names; where no bot
    is declared, the edited layers' own labels, so that an edit is never looked at by nobody.
    """
    found: list[dict[str, str]] = []
    places = [dict(layers.parse(text).labels) for text in sorted(set(edited_layers))]
    identities = [{k: v for k, v in place.items() if k in {"node", "region"}} for place in places] or [{}]
    bots = sorted({*labels.declared_bots(sides.before), *labels.declared_bots(sides.after)})
    for bot in bots:
        found.extend({"bot": bot, **identity} for identity in [{}, *identities])
    if not bots:
        found.extend(places or [{}])
    declared = _distinct(found)
    return Targets(declared, tuple(one for one in _distinct(map(dict, reported)) if one not in declared))


def run(
    hooks: Sequence[Hook], sides: Sides, of: Targets, touched: Iterable[str], words: tuple[str, bool]
) -> Iterator[str]:
    """Call every hook for every touched document and target; yields warnings, raises `HookRefused` with the refusals.

    `words` are author and urgency. Targets that see the same are asked about once.
    """
    refusals: list[str] = []
    for document in _documents(sides, touched):
        for change, declared in _changes(sides, of, document, words):
            for hook in hooks:
                for message in hook(change):
                    if declared:
                        refusals.append(_place(change, message))
                    else:
                        yield _place(change, message)
    if refusals:
        more = f" (and {len(refusals) - MAX_MESSAGES} more)" if len(refusals) > MAX_MESSAGES else ""
        raise HookRefused(
            "This change is refused", "; ".join(refusals[:MAX_MESSAGES]) + more, "Change the value, or the rule first"
        )


def _changes(
    sides: Sides, of: Targets, document: str, words: tuple[str, bool]
) -> Iterator[tuple[DocumentChange, bool]]:
    grouped: dict[tuple[object, object], tuple[list[Labels], Value | Absent, Value | Absent, bool]] = {}
    for identity, declared in [*((one, True) for one in of.declared), *((one, False) for one in of.reported)]:
        old_labels = labels.effective(sides.before, identity)
        new_labels = labels.effective(sides.after, identity)
        old = resolution.resolve_at(sides.before, old_labels, document)
        new = resolution.resolve_at(sides.after, new_labels, document)
        key = (_key(old), _key(new))
        if key[0] == key[1]:
            continue
        grouped.setdefault(key, ([], old, new, declared))[0].append(new_labels)
    environment = sides.after.lineage.environment
    for seen, old, new, declared in grouped.values():
        yield (
            DocumentChange(
                environment=environment,
                path=document,
                labels=tuple(seen),
                old=old,
                new=new,
                author=words[0],
                urgent=words[1],
            ),
            declared,
        )


def overlays_on(state: State, dimensions: set[str]) -> Iterator[str]:
    """The paths of items in layers that select on one of these dimensions."""
    for item in state.items():
        if dimensions.intersection(layers.parse(item.layer).dimensions):
            yield item.path


def differing_dimensions(sides: Sides, of: Targets) -> set[str]:
    """The dimensions whose label a change gives, takes or alters for some target."""
    found: set[str] = set()
    for identity in (*of.declared, *of.reported):
        old, new = labels.effective(sides.before, identity), labels.effective(sides.after, identity)
        found |= {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
    return found


def touches_labels(touched: Iterable[str]) -> bool:
    """Whether an edit of these paths may change what labels a bot is read with."""
    return any(labels.is_label_path(path) for path in touched)


def _distinct(found: Iterable[dict[str, str]]) -> tuple[Labels, ...]:
    return tuple({tuple(sorted(one.items())): one for one in found}.values())


def _key(value: Value | Absent) -> bytes:
    """Bytes by which two resolved values are told apart, 1 and 1.0 too."""
    plain: Json = None if isinstance(value, Absent) else thaw(value)
    return b"" if isinstance(value, Absent) else canonical.encode(plain)


def _place(change: DocumentChange, message: str) -> str:
    shown = ", ".join(
        ",".join(f"{k}={v}" for k, v in sorted(one.items())) or "every reader" for one in change.labels[:3]
    )
    more = f" and {len(change.labels) - 3} more" if len(change.labels) > 3 else ""  # noqa: PLR2004 - a line of a message
    return f"{change.path} in {change.environment} for {shown}{more}: {message}"


def _documents(sides: Sides, touched: Iterable[str]) -> list[str]:
    """The documents that hold the touched paths; for a path above documents, those that stand below it."""
    found: set[str] = set()
    for path in touched:
        document = documents.document_of(path)
        segments = paths.parse(path)
        found.add(document)
        if len(segments) == 1 or segments == ("fleet", "bots"):
            held = {item.path for side in (sides.before, sides.after) for item in side.items()}
            found |= {documents.document_of(one) for one in held if paths.is_below(one, path)}
    return sorted(found)
