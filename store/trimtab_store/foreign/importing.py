"""Importing: from one file of a bot to the edits that hold it, each field once."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

from trimtab import categories
from trimtab.model import canonical, items, layers, paths
from trimtab.model.documents import KNOWN
from trimtab.model.errors import ValidationError, ValueRefused
from trimtab_store.foreign import secrets
from trimtab_store.foreign.homes import Home, same, without
from trimtab_store.foreign.returning import CATEGORY, content

if TYPE_CHECKING:
    from trimtab.model.canonical import Json
    from trimtab_store.foreign.projects import Project
    from trimtab_store.ports import Edits

Secrets: TypeAlias = Literal["keep-out", "refuse"]
_DIMENSION: Final = "bot"


def _nothing(layer: str, path: str) -> bool:
    del layer, path
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the environment holds already, as far as an import has to know.

    `files` is what the bot sees at `foreign.<bot>`; `per_bot` whether overlays may name a bot; `holds` tells whether
    a layer of the environment itself has anything at or below a path.
    """

    files: Mapping[str, Json] = field(default_factory=dict[str, "Json"])
    per_bot: bool = True
    holds: Callable[[str, str], bool] = _nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One file, taken apart."""

    bot: str
    file: str
    content: dict[str, Json]
    """What the file says, with references for its secrets."""
    homes: tuple[Home, ...]
    kept: Mapping[str, str]
    """What could have stood in a document of its own and does not: place in the file → why."""
    secrets: Mapping[str, str]
    """What was left out: place in the file → the name that stands for it."""
    record: Mapping[str, Json]
    stale: tuple[Home, ...]
    """What an earlier import of this file put in documents and this one does not."""

    @property
    def path(self) -> str:
        """Where what is left of the file stands, with its homes."""
        return paths.join((CATEGORY, self.bot, self.file))

    def edits(self) -> Iterator[tuple[Literal["unset", "set", "merge"], str, str, Json]]:
        """Every edit in order: what to do, path, layer, value."""
        for home in self.stale:
            yield "unset", home.path, home.layer, None
        for name in self.exchanges:
            yield "merge", paths.join(("exchange", name)), "", {}
        for home in self.homes:
            yield "set", home.path, home.layer, home.value(self.content)
        yield "set", self.path, "", dict(self.record)

    @property
    def exchanges(self) -> list[str]:
        """The exchanges that a strategy of the file trades on; each has to be a document."""
        named = [home.value(self.content) for home in self.homes if _is_exchange(home)]
        return [name for name in named if isinstance(name, str)]

    def apply(self, edit: Edits) -> None:
        """Put everything into an edit block."""
        for what, path, layer, value in self.edits():
            if what == "unset":
                edit.unset(path, layer)
            elif what == "merge":
                edit.merge(path, value, layer)
            else:
                edit.set(path, value, layer)


def plan(  # noqa: PLR0913 - a file, whose it is, and what is there
    project: Project,
    text: bytes,
    name: str,
    *,
    bot: str,
    file: str,
    strategy: str = "",
    held: Held | None = None,
    keep: Secrets = "keep-out",
) -> Import:
    """How a file is imported. Nothing is changed.

    Raises `FileRefused` for a file that breaks a rule, `SecretsRefused` where it holds secrets and may not, and
    `ValidationError` if it would not come back as it is.
    """
    layers.check_label(_DIMENSION, bot)
    held = held or Held()
    whole, left_out = _without_secrets(project, text, name, (bot, file))
    if left_out and keep == "refuse":
        raise secrets.SecretsRefused(
            f"{name} holds {len(left_out)} secrets", ", ".join(left_out), "Remove them, or use --secrets keep-out"
        )
    homes, kept = _taken(whole, project.homes(whole, bot, strategy), held, file)
    record: dict[str, Json] = {
        "project": project.name,
        "values": cast("Json", without(whole, homes)),
        "homes": [home.to_json() for home in homes],
    }
    made = Import(
        bot=bot,
        file=file,
        content=whole,
        homes=homes,
        kept=kept,
        secrets=left_out,
        record=record,
        stale=tuple(_stale(held, file, homes)),
    )
    _check_return(made, name)
    return made


def _without_secrets(
    project: Project, text: bytes, name: str, whose: tuple[str, str]
) -> tuple[dict[str, Json], dict[str, str]]:
    """What a file says, with references in place of its secrets, and these references by place."""
    read = project.read(text, name)
    canonical.encode(read)
    if not isinstance(read, dict):
        raise ValueRefused(f"{name} is refused", "it holds no object", f"Name a file that {project.name} reads")
    found, left_out = secrets.kept_out(read, whose, lambda place: project.is_secret(read, place))
    return cast("dict[str, Json]", found), left_out


def _taken(
    content: dict[str, Json], proposed: Iterable[Home], held: Held, file: str
) -> tuple[tuple[Home, ...], dict[str, str]]:
    """The homes that can be taken, and why the others cannot."""
    kept: dict[str, str] = {}
    homes: list[Home] = []
    others = {path: other for other in held.files if other != file for path in _paths(held.files[other])}
    for home in proposed:
        other = next((others[path] for path in others if _overlap(path, home.path)), None)
        if home.layer and not held.per_bot:
            kept[home.place] = f"the dimension {_DIMENSION} is not declared, so {home.path} cannot be this bot's own"
        elif other is not None:
            kept[home.place] = f"{home.path} belongs to the file {other} of this bot"
        else:
            homes.append(home)
    while refused := _refused(content, homes):
        kept.update({home.place: why for home, why in refused})
        homes = [home for home in homes if all(home is not one for one, _ in refused)]
    return tuple(homes), kept


def _refused(content: dict[str, Json], homes: list[Home]) -> list[tuple[Home, str]]:
    """The homes whose values are refused by the category of their document, with its words."""
    found: list[tuple[Home, str]] = []
    for document in sorted({KNOWN.of(home.path) for home in homes}):
        own = [home for home in homes if KNOWN.of(home.path) == document]
        value = _document(document, own, content)
        problems = categories.check(KNOWN.type_of(document) or "", value, document)
        for problem in problems:
            meant = [home for home in own if _overlap(home.path, problem.path)] or own
            found += [(home, f"{problem.path}: {problem.why}") for home in meant]
    return found


def _document(document: str, homes: list[Home], content: dict[str, Json]) -> Json:
    made: dict[str, Json] = {}
    above = len(paths.parse(document))
    for home in homes:
        *way, last = paths.parse(home.path)[above:]
        here = made
        for segment in way:
            here = cast("dict[str, Json]", here.setdefault(segment, {}))
        here[last] = home.value(content)
    return made


def _stale(held: Held, file: str, homes: tuple[Home, ...]) -> Iterator[Home]:
    now = {(home.layer, home.path) for home in homes}
    for one in _homes(held.files.get(file)):
        home = Home(at=(), path=cast("str", one["path"]), layer=cast("str", one.get("layer", "")))
        if "when" not in one and (home.layer, home.path) not in now and held.holds(home.layer, home.path):
            yield home


def _homes(record: Json) -> list[dict[str, Json]]:
    found = record.get("homes") if isinstance(record, dict) else None
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _paths(record: Json) -> Iterator[str]:
    return (cast("str", one["path"]) for one in _homes(record) if "when" not in one)


def _overlap(one: str, other: str) -> bool:
    return one == other or paths.is_below(one, other) or paths.is_below(other, one)


def _is_exchange(home: Home) -> bool:
    category, *_, last = paths.parse(home.path)
    return category == "strategy" and last == "exchange"


def _check_return(made: Import, name: str) -> None:
    """Refuse what no path can name, and what would not come back: no file has failed this, and none may in silence."""
    seen: dict[str, Json] = {}
    for what, path, _, value in made.edits():
        if what != "unset":
            collections.deque(items.leaves(path, value), maxlen=0)
            seen = cast("dict[str, Json]", _put(seen, paths.parse(path), value))
    if not same(content(seen, made.bot, made.file), made.content):
        raise ValidationError(f"{name} would not come back as it is", "", "Report this, with the names of its fields")


def _put(tree: Json, way: tuple[str, ...], value: Json) -> Json:
    if not way:
        return value
    inside = tree if isinstance(tree, dict) else {}
    return {**inside, way[0]: _put(inside.get(way[0], {}), way[1:], value)}
