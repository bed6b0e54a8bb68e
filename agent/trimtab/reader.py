"""The hot face: what a bot reads, and how a new view takes the place of the old one.

`agent[path]` is found by the interpreter as the class attribute `__getitem__`, which is the bound C method of a view's
cache: no Python code runs on a hit. Each reader has a class of its own, so that setting that attribute swaps the
view for that reader alone. What a swap sets, it sets in one C call: no thread ever sees a part of it
(docs/decisions/0002-hot-map.md has the measurements).
"""

from __future__ import annotations

from abc import ABCMeta
from collections import deque
from collections.abc import ItemsView, Iterator, KeysView, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, ClassVar, Final, NoReturn, Self, TypeAlias, TypeVar, cast, overload

from trimtab.cache import Cache, Changes
from trimtab.model import views
from trimtab.model.errors import RequirementFailed
from trimtab.model.positions import START, Position
from trimtab.model.resolution import ABSENT, Absent
from trimtab.model.values import Value
from trimtab.resolving import Resolved

SWAPS_PER_CLASS: Final = 500
"""CPython 3.13 stops caching look-ups of a class that was modified a thousand times; a fresh class starts at none."""

Default = TypeVar("Default")
Face = TypeVar("Face", bound="Pin | Reader")
Assignment: TypeAlias = tuple[object, str, object]
"""An attribute to set as a part of a swap: (object, name, value)."""


class Named:
    """Tells which view it reads from."""

    _held: ClassVar[Held]

    @property
    def revision(self) -> int:
        """The revision of the view."""
        return self._held.position.revision

    @property
    def epoch(self) -> int:
        """The epoch of the view."""
        return self._held.position.epoch

    @property
    def hash(self) -> str:
        """The hash that names its state, in hexadecimal."""
        return self._held.hash.hex()


class Pin(Named):
    """One view, kept: a read-only mapping of path → value that stays as it is whatever happens later.

    Its look-ups are as quick as the agent's, and it can tell which view it is. Leaving its `with` block gives nothing
    back: a view costs only memory.
    """

    if TYPE_CHECKING:

        def __getitem__(self, path: str) -> Value:
            """The value at a path, leaf or subtree; raises `PathNotFound` with the nearest name."""
            ...

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels that this view is resolved for."""
        return MappingProxyType(dict(self._held.view.labels))

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and self._held.cache.find(path) is not ABSENT

    def __iter__(self) -> Iterator[str]:
        return iter(self._held.view.index)

    def __len__(self) -> int:
        return len(self._held.view.index)

    @overload
    def get(self, path: str) -> Value: ...
    @overload
    def get(self, path: str, default: Default) -> Value | Default: ...
    def get(self, path: str, default: Default | None = None) -> Value | Default | None:
        """The value at a path, or the default."""
        return self._held.cache.get_or(path, default)

    def keys(self) -> KeysView[str]:
        """Every path, leaf or interior."""
        return self._held.view.index.keys()

    def items(self) -> ItemsView[str, Value]:
        """Every path with its value; resolves all of them."""
        return self._held.view.index.items()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give nothing back."""


cast("ABCMeta", Mapping).register(Pin)


@dataclass(frozen=True, slots=True)
class Held:
    """A served view with its name. Immutable: whoever holds it sees one revision, whole.

    `withheld` says why it may not be read; empty where it may.
    """

    view: Resolved
    position: Position
    hash: bytes
    cache: Cache
    withheld: str = ""
    _pins: list[Pin] = field(default_factory=list[Pin], init=False, compare=False, repr=False)

    @property
    def pin(self) -> Pin:
        """The view as a pin. It is made once, at first need: most views are never pinned."""
        if not self._pins:
            self._pins.append(_own_class(Pin, self)())
        return self._pins[0]

    def following(self, view: Resolved, position: Position, digest: bytes, changed: Changes) -> Held:
        """The next view, which knows what was read from this one and is still so."""
        return Held(view, position, digest, self.cache.following(view.index, changed))

    def check(self) -> None:
        """Raise `RequirementFailed` where it may not be read."""
        if self.withheld:
            raise requirement_failed(self.withheld)


def hold(view: Resolved, position: Position, digest: bytes) -> Held:
    """A view that nothing was read from yet."""
    return Held(view, position, digest, Cache(view.index))


NOTHING: Final = hold(views.empty({}), START, b"")
"""What a reader holds before the first view."""


class Reader(Named):
    """Reads without a lock, an allocation or I/O; a writer swaps views in by `swap` and `withhold`."""

    _held: ClassVar[Held] = NOTHING
    _swaps: int = 0

    if TYPE_CHECKING:

        def __getitem__(self, path: str) -> Value:
            """The value at a path, leaf or subtree; raises `PathNotFound`, `PathError` or `RequirementFailed`."""
            ...

    def start_reading(self) -> None:
        """Give this reader a class of its own, which holds nothing yet. Called once."""
        self.__class__ = _own_class(type(self), NOTHING)

    @property
    def held(self) -> Held:
        """The served view with its name, also while it may not be read."""
        return self._held

    @overload
    def get(self, path: str) -> Value: ...
    @overload
    def get(self, path: str, default: Default) -> Value | Default: ...
    def get(self, path: str, default: Default | None = None) -> Value | Default | None:
        """The value at a path, or the default where there is none."""
        held = self._held
        if held.withheld:
            raise requirement_failed(held.withheld)
        found: Value | Absent = held.cache.get(path, ABSENT)
        return held.cache.get_or(path, default) if isinstance(found, Absent) else found

    def __contains__(self, path: str) -> bool:
        held = self._held
        held.check()
        return held.cache.find(path) is not ABSENT

    def pinned(self) -> Pin:
        """The served view, to read several values of one revision from: `with agent.pinned() as view: view[path]`."""
        held = self._held
        held.check()
        return held.pin

    def swap(self, held: Held, also: Sequence[Assignment] = ()) -> None:
        """Serve a view, and set what else belongs to it in the same moment."""
        self._swaps += 1
        if self._swaps % SWAPS_PER_CLASS == 0:
            here: list[Assignment] = [(self, "__class__", _own_class(type(self).__bases__[0], held))]
        else:
            here = [(type(self), "_held", held), (type(self), "__getitem__", _lookup(held))]
        kept = self._held
        assign_at_once([*here, *also])
        del kept  # only now: freeing it may run the code of others

    def withhold(self, reason: str, also: Sequence[Assignment] = ()) -> None:
        """From now on every read raises `RequirementFailed`, until the next `swap`."""
        self.swap(replace(self._held, withheld=reason), also)


def assign_at_once(assignments: Sequence[Assignment]) -> None:
    """Set attributes in one C call: no bytecode runs in between, so no thread sees some of them set and others not.

    The caller keeps what is replaced until all are set, so that no finalizer runs in between either.
    """
    targets, names, values = zip(*assignments, strict=True)
    deque(map(setattr, targets, names, values), maxlen=0)


def requirement_failed(reason: str) -> RequirementFailed:
    """The error of every read while `require=` does not hold."""
    return RequirementFailed(
        "Nothing may be read here",
        reason,
        "Change the labels of this bot in the configuration, or start it with another require=",
    )


class _Refusing(dict[str, Value]):
    """Takes the place of a cache while `require=` does not hold."""

    __slots__ = ("reason",)
    reason: str

    def __missing__(self, path: str) -> NoReturn:
        raise requirement_failed(self.reason)


def _lookup(held: Held) -> object:
    if not held.withheld:
        return held.cache.__getitem__
    refusing = _Refusing()
    refusing.reason = held.withheld
    return refusing.__getitem__


def _own_class(plain: type[Face], held: Held) -> type[Face]:
    """A class for one object, whose `__getitem__` is the C method of this view's cache."""
    same = {name: getattr(plain, name) for name in ("__module__", "__qualname__", "__doc__")}
    return type(plain.__name__, (plain,), {**same, "__slots__": (), "_held": held, "__getitem__": _lookup(held)})
