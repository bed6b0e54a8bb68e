"""Bindings of an attached reader: the same, and each read looks at the bell first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from trimtab.binding import Binding, Bindings
from trimtab.reader import requirement_failed

T = TypeVar("T")


class AttachedBinding(Binding[T]):
    """`current` is the newest value that the model accepted, as of this very read."""

    __slots__ = ("_look", "_value")

    _look: Callable[[], None]
    _value: T

    @property
    def current(self) -> T:
        """The value."""
        if self._bell:
            return self._value
        return self._newest()

    @current.setter
    def current(self, value: T) -> None:  # pyright: ignore[reportIncompatibleVariableOverride] - it looks
        self._value = value

    def kept(self) -> object:
        """See `Binding.kept`."""
        return self._value

    def _newest(self) -> T:
        self._look()
        if type(self) is AttachedBinding:
            return self._value
        raise requirement_failed(self._withheld)


class AttachedWithheld(AttachedBinding[T]):
    """What it becomes while `require=` does not hold."""

    __slots__ = ()

    def _refuse(self) -> T:
        """Refuse, unless the requirement holds again."""
        self._look()
        if type(self) is not AttachedWithheld:
            return self._value
        raise requirement_failed(self._withheld)

    def _shut(self) -> bool:
        """Whoever looks at the bell first goes the way that refuses."""
        return False

    def _hang(self, bell: object) -> None:
        """Keep the bell for when it may be read again."""
        _BELL.__set__(self, bell)

    _bell = property(_shut, _hang)  # pyright: ignore[reportAssignmentType] - as `current`
    current = property(_refuse)  # pyright: ignore[reportIncompatibleMethodOverride] - nothing sets it while it refuses


_BELL: Final = Binding.__dict__["_bell"]


class AttachedBindings(Bindings):
    """All bindings of an attached reader. `look` takes what is new."""

    def __init__(self, look: Callable[[], None], bell: Callable[[], object]) -> None:
        super().__init__(AttachedBinding, AttachedWithheld)
        self._look = look
        self._bell = bell

    def prepare(self, binding: Binding[Any], bell: object = None) -> None:
        """Give a binding, before anybody sees it, what it looks at."""
        assert isinstance(binding, AttachedBinding)
        binding._look, binding._bell = self._look, bell or self._bell()  # noqa: SLF001 - one part with it

    def watch(self, bell: object) -> None:
        """Have every binding look at another bell."""
        for binding in self.bound():
            self.prepare(binding, bell)
