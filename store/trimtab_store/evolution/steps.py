"""Declarative upgrade steps of a registered schema: `schema.<name>.upgrades`, a list of objects.

    {"version": 2, "rename": "size", "as": "base_size"}              another name at the same place
    {"version": 2, "move": "limits.daily", "into": "risk.daily"}     another place
    {"version": 2, "default": "mode", "value": "paper"}              where nothing shows at that path
    {"version": 2, "convert": "stop", "factor": 0.01}                a number times a number, exactly
    {"version": 2, "convert": "stop", "type": "string"}              string, number or integer
    {"version": 2, "convert": "side", "values": {"b": "buy"}}        word for word
    {"version": 2, "split": "pair", "into": ["base", "quote"], "at": "-"}

`version` is the one that a step leads to. Paths are relative to the document. Steps work on what one layer itself
holds, so that overlays keep their meaning: what readers see afterwards is what they saw, upgraded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import InvalidOperation
from typing import Final, TypeAlias

from trimtab.model import canonical, paths
from trimtab.model.canonical import Json, trusted
from trimtab.model.errors import TrimtabError, ValidationError, nearest
from trimtab.model.trees import HIDDEN
from trimtab_store.evolution import converting
from trimtab_store.evolution.builtin import Own, Relative

VERBS: Final[Mapping[str, frozenset[str]]] = {
    "rename": frozenset({"as"}),
    "move": frozenset({"into"}),
    "default": frozenset({"value"}),
    "convert": frozenset({"factor", "type", "values"}),
    "split": frozenset({"into", "at"}),
}
Field: TypeAlias = "Mapping[str, Json]"


class UpgradeRefused(ValidationError):
    """A step that makes no sense, or a value that it cannot be applied to."""

    code = "upgrade"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: to which version it leads, and what it does to one layer's own part of a document."""

    version: int
    verb: str
    path: Relative
    apply: Callable[[Own], Own]
    value: bytes | None = None
    """Of a default, which is no matter of one layer."""


def read(steps: Sequence[Json]) -> tuple[Step, ...]:
    """The steps as they are written, by version; raises `UpgradeRefused` naming the first that makes no sense."""
    return tuple(sorted((_step(number, one) for number, one in enumerate(steps, 1)), key=lambda one: one.version))


def _step(number: int, said: Json) -> Step:
    if not isinstance(said, dict):
        raise _senseless(number, "it is no object")
    verbs = [verb for verb in VERBS if verb in said]
    if len(verbs) != 1:
        raise _senseless(number, f"it says {' and '.join(verbs) or 'nothing to do'}", f"Known are {', '.join(VERBS)}")
    verb = verbs[0]
    known = {"version", verb, *VERBS[verb]}
    for name in said.keys() - known:
        raise _senseless(number, f"{name!r} does not belong to {verb}", nearest(name, known))
    version = said.get("version")
    if isinstance(version, bool) or not isinstance(version, int) or version <= 1:
        raise _senseless(number, "it names no version above 1 that it leads to")
    path = _path(number, said[verb])
    try:
        return Step(version, verb, path, _MAKERS[verb](path, said), _default(said) if verb == "default" else None)
    except (KeyError, TypeError, ValueError, InvalidOperation) as error:
        raise _senseless(number, f"{verb} needs {', '.join(sorted(VERBS[verb]))}") from error


def _path(number: int, said: Json) -> Relative:
    try:
        return paths.parse(_text(said))
    except (TrimtabError, TypeError) as error:
        raise _senseless(number, "it names no path") from error


def _text(said: Json) -> str:
    if not isinstance(said, str) or not said:
        raise TypeError(said)
    return said


# Moving


def _rename(path: Relative, said: Field) -> Callable[[Own], Own]:
    return _moving(path, (*path[:-1], _text(said["as"])))


def _move(path: Relative, said: Field) -> Callable[[Own], Own]:
    return _moving(path, paths.parse(_text(said["into"])))


def _moving(old: Relative, new: Relative) -> Callable[[Own], Own]:
    if old[: len(new)] == new or new[: len(old)] == old:
        raise ValueError(new)

    def apply(own: Own) -> Own:
        moving = {at: content for at, content in own.items() if at[: len(old)] == old}
        hidden = _hidden_above(own, old, new)
        if _hidden_above(own, new, old):  # it would hide what another layer moves there
            raise _inapplicable(new, "a layer hides what stands above it")
        if not moving and not hidden:
            return own
        if taken := [at for at in own if at[: len(new)] == new or (new[: len(at)] == at and own[at] not in _SOFT)]:
            raise _inapplicable(new, f"{paths.join(taken[0])} stands there already")
        kept = {at: content for at, content in own.items() if at not in moving}
        if hidden:
            kept[new] = HIDDEN  # what a tombstone above masked stays masked
        return {**kept, **{(*new, *at[len(old) :]): content for at, content in moving.items()}}

    return apply


_SOFT: Final = (HIDDEN, b"{}")


def _hidden_above(own: Own, path: Relative, other: Relative) -> bool:
    """Whether a tombstone stands above a path that does not stand above the other one."""
    return any(own.get(path[:length]) == HIDDEN for length in range(1, len(path)) if path[:length] != other[:length])


# Values


def _convert(path: Relative, said: Field) -> Callable[[Own], Own]:
    (way,) = [name for name in VERBS["convert"] if name in said]
    converted = converting.WAYS[way](said[way])

    def apply(own: Own) -> Own:
        content = own.get(path)
        if content is None or content == HIDDEN:
            if any(at[: len(path)] == path for at in own if at != path):
                raise _inapplicable(path, "it is an object, not a value")
            return own
        try:
            return {**own, path: canonical.encode(converted(trusted(content)))}
        except (ValueError, TypeError, InvalidOperation) as error:
            raise _inapplicable(path, f"{content.decode()[:80]} cannot be converted") from error

    return apply


def _split(path: Relative, said: Field) -> Callable[[Own], Own]:
    names, at = said["into"], _text(said["at"])
    if not isinstance(names, list) or not names:
        raise TypeError(names)
    targets = [(*path[:-1], _text(name)) for name in names]
    if len(set(targets)) != len(targets):
        raise ValueError(names)

    def apply(own: Own) -> Own:
        content = own.get(path)
        if content is None:
            return own
        kept = {place: held for place, held in own.items() if place != path}
        for target in targets:
            if any(place[: len(target)] == target for place in kept):
                raise _inapplicable(target, "it stands there already")
        if content == HIDDEN:
            return {**kept, **dict.fromkeys(targets, HIDDEN)}
        value = trusted(content)
        parts = value.split(at) if isinstance(value, str) else []
        if len(parts) != len(targets):
            raise _inapplicable(path, f"{content.decode()[:80]} has not {len(targets)} parts")
        return {**kept, **{target: canonical.encode(part) for target, part in zip(targets, parts, strict=True)}}

    return apply


def _no_matter_of_layers(_path: Relative, _said: Field) -> Callable[[Own], Own]:
    return lambda own: own


def _default(said: Field) -> bytes:
    value = said["value"]
    if isinstance(value, dict) and value:
        raise ValueError(value)
    return canonical.encode(value)


_MAKERS: Final[Mapping[str, Callable[[Relative, Field], Callable[[Own], Own]]]] = {
    "rename": _rename,
    "move": _move,
    "default": _no_matter_of_layers,
    "convert": _convert,
    "split": _split,
}


def _senseless(number: int, why: str, remedy: str = "") -> UpgradeRefused:
    return UpgradeRefused(f"Upgrade step {number} is refused", why, remedy or "See docs/registry.md")


def _inapplicable(path: Relative, why: str) -> UpgradeRefused:
    return UpgradeRefused(f"{paths.join(path)} cannot be upgraded", why, "Change the value or the step first")
