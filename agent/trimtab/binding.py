"""Bindings: typed, live views of one subtree.

    limits = agent.bind("risk.global", RiskLimits)
    limits.current.max_leverage

A new value is built aside and swapped in together with the view. A model that refuses a new value keeps its last good
one, says what it refused, and is asked again at every later revision.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, NoReturn, TypeVar, cast, get_origin

from pydantic import ValidationError

from trimtab.cache import Cache
from trimtab.model import paths, views
from trimtab.model.errors import ModelRefused
from trimtab.model.positions import Position
from trimtab.model.reports import Refusal
from trimtab.model.resolution import ABSENT, Absent
from trimtab.model.values import Value
from trimtab.reader import Assignment, Held, requirement_failed
from trimtab.resolving import Resolved
from trimtab.shapes import Shape, reason_of

T = TypeVar("T")
_logger: Final = logging.getLogger("trimtab")


class Binding(Generic[T]):
    """`current` is the newest value that the model accepted; reading it is reading one slot."""

    __slots__ = ("_accepted", "_bell", "_judged", "_served", "_shape", "_withheld", "current", "path", "refused")

    current: T
    if TYPE_CHECKING:
        _value: T
    path: str
    refused: Refusal | None
    """What the model refuses at the served revision: path, revision and reason; None while it agrees."""

    def __init__(self, path: str, shape: Shape[T], served: Callable[[], int]) -> None:
        self.path = path
        self.refused = None
        self._bell: object = True
        self._shape = shape
        self._served = served
        self._judged: Value | Absent = ABSENT
        self._accepted = 0
        self._withheld = ""

    @property
    def revision(self) -> int:
        """The newest revision that `current` agrees with: the served one, unless a newer value was refused."""
        served = self._served()  # first: a swap in between may only make the answer older, never wrong
        return served if self.refused is None else self._accepted

    def kept(self) -> object:
        """What `current` gives now, to keep it alive during a swap."""
        return _CURRENT.__get__(self)

    def _newest(self) -> T:
        """What `current` gives where `_bell` is false. Where it is true, `_value` is that: quicker than a property."""
        return self.current

    def __repr__(self) -> str:
        return f"Binding({self.path!r}, {self._shape.name})"


class Withheld(Binding[T]):
    """What a binding becomes while `require=` does not hold."""

    __slots__ = ()
    _bell = False

    @property
    def current(self) -> NoReturn:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride] - it refuses
        """Refuse."""
        raise requirement_failed(self._withheld)


_CURRENT: Final = Binding.__dict__["current"]
setattr(Binding, "_value", _CURRENT)  # noqa: B010 - another name of the slot, which its class body cannot give it


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What one view means for one binding."""

    binding: Binding[Any]
    judged: Value | Absent
    value: object = None
    refusal: Refusal | None = None
    accepted: bool = False


class Bindings:
    """All bindings of a reader. The lock keeps binding and swapping apart; readers never see it.

    `plain` is what a binding is, `withheld` what it becomes while `require=` does not hold: of one layout.
    """

    def __init__(self, plain: type[Binding[Any]] = Binding[Any], withheld: type[Binding[Any]] = Withheld[Any]) -> None:
        self._plain: type[Binding[Any]] = get_origin(plain) or plain
        self._refusing: type[Binding[Any]] = get_origin(withheld) or withheld
        self._lock = threading.RLock()
        self._bound: dict[tuple[str, int], Binding[Any]] = {}
        self._judged: tuple[Resolved, dict[int, _Verdict]] | None = None

    def add(self, path: str, kind: type[T], held: Callable[[], Held]) -> Binding[T]:
        """The binding of a path and type: the one that there is already, or a new one over the held view.

        Raises `PathNotFound`, `ModelRefused`, `UsageError`, and `RequirementFailed` where nothing may be read.
        """
        spelled = paths.canonical(path)
        key = (spelled, id(kind))
        known = self._bound.get(key)
        if known is not None:
            return cast("Binding[T]", known)
        shape = Shape(kind)
        with self._lock:
            here = held()
            here.check()
            binding = self._plain(spelled, shape, lambda: held().position.revision)
            self.prepare(binding)
            here.cache[spelled]  # raises `PathNotFound` with the nearest name
            verdict = _judge(binding, here.cache, here.position)
            if verdict.refusal is not None:
                raise ModelRefused(
                    f"{shape.name} refuses {spelled} at revision {here.position.revision}",
                    verdict.refusal.reason,
                    "Change the value or the model",
                )
            _settle(verdict, here.position)
            binding.current = cast("T", verdict.value)
            return cast("Binding[T]", self._bound.setdefault(key, binding))

    def prepare(self, binding: Binding[Any]) -> None:
        """Called with each new binding before anybody sees it."""

    def bound(self) -> list[Binding[Any]]:
        """Every binding."""
        return list(self._bound.values())

    def judge(self, view: Resolved, position: Position) -> Sequence[Refusal]:
        """What the bindings refuse of a view. Changes nothing that anybody sees."""
        with self._lock:
            verdicts = self._verdicts(view, Cache(view.index), position)
            return [verdict.refusal for verdict in verdicts if verdict.refusal is not None]

    def serve(self, held: Held, swap: Callable[[Sequence[Assignment]], object]) -> None:
        """Have `swap` set the new values together with the view."""
        with self._lock:
            verdicts = self._verdicts(held.view, held.cache, held.position)
            self._judged = None
            kept = [verdict.binding.kept() for verdict in verdicts]
            swap(list(_assignments(verdicts, self._plain)))
            for verdict in verdicts:
                _settle(verdict, held.position)
            del kept

    def withhold(self, reason: str, swap: Callable[[Sequence[Assignment]], object]) -> None:
        """Have `swap` make every binding refuse to be read."""
        with self._lock:
            for binding in self._bound.values():
                binding._withheld = reason  # noqa: SLF001 - one part with Binding
            swap([(binding, "__class__", self._refusing) for binding in self._bound.values()])

    def refusals(self) -> tuple[Refusal, ...]:
        """What bindings refuse of the served view."""
        return tuple(one.refused for one in list(self._bound.values()) if one.refused is not None)

    def after_fork(self) -> None:
        """In a forked child: whoever held the lock is gone."""
        self._lock = threading.RLock()
        self._judged = None

    def _verdicts(self, view: Resolved, cache: Cache, position: Position) -> list[_Verdict]:
        known = self._judged[1] if self._judged is not None and self._judged[0] is view else {}
        verdicts = {id(one): known.get(id(one)) or _judge(one, cache, position) for one in list(self._bound.values())}
        self._judged = (view, verdicts)
        return list(verdicts.values())


def _assignments(verdicts: Iterable[_Verdict], plain: type[Binding[Any]]) -> Iterator[Assignment]:
    for verdict in verdicts:
        binding = verdict.binding
        if type(binding) is not plain:
            yield (binding, "__class__", plain)
        if verdict.accepted:
            yield (binding, "current", verdict.value)
        if verdict.refusal is not binding.refused:
            yield (binding, "refused", verdict.refusal)


def _judge(binding: Binding[Any], cache: Cache, position: Position) -> _Verdict:
    """Ask the model, unless it has accepted this very value already."""
    value = cache.find(binding.path)
    before = binding._judged  # noqa: SLF001 - one part with Binding
    if binding.refused is None and (value is before or (not isinstance(before, Absent) and views.same(value, before))):
        return _Verdict(binding, value)
    reason = "nothing resolves there any more"
    if not isinstance(value, Absent):
        try:
            return _Verdict(binding, value, binding._shape.read(value), accepted=True)  # noqa: SLF001 - one part with it
        except ValidationError as error:
            reason = reason_of(error, value)
        except Exception as error:  # a validator is the bot author's code: whatever it raises is a refusal
            _logger.exception("The model of the binding %s raised an error", binding.path)
            reason = f"its model raised {type(error).__name__}"
    return _Verdict(binding, value, refusal=Refusal(binding.path, position.revision, reason))


def _settle(verdict: _Verdict, position: Position) -> None:
    binding = verdict.binding
    binding._judged = verdict.judged  # noqa: SLF001 - one part with Binding
    if verdict.refusal is None:
        binding._accepted = position.revision  # noqa: SLF001 - the same
