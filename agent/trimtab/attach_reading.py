"""The quickest read that looks at shared memory first: no Python frame runs on a hit.

`config[path]` is found by the interpreter as the class attribute `__getitem__`. Here that is `property(next)`: the next
of an endless iterator gives the function that is then called with the path. `itertools.compress` chooses it: while the
bell of the log is true it gives the C method of the cache, otherwise the last function of its list, which takes the
news. All of that is C under one hold of the interpreter's lock, so threads may share it. A Python method that compares
a word costs half as much again (docs/decisions/0011-shared-memory.md has the measurements).
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, compress, cycle, repeat
from typing import TYPE_CHECKING, Any, Final, Self

from trimtab.model.values import Value

PASSES: Final = 1023
"""So many reads in a row look at the bell only; the one after them goes the slow way in any case, and looks further."""
_SHUT: Final[list[Any]] = [*[False] * PASSES, True]


if TYPE_CHECKING:
    Choosing = compress[Callable[[str], Value]]
else:
    Choosing = compress  # which knows no types when it runs


class Watching(Choosing):
    """Reads by a look-up as long as a bell is true, else by a function that may take its time."""

    _lookups: list[Callable[[str], Value]]
    _bells: list[Any]

    if TYPE_CHECKING:

        def __getitem__(self, path: str) -> Value:
            """The value at a path, leaf or subtree; raises `PathNotFound`, `PathError` or `RequirementFailed`."""
            ...
    else:
        __getitem__ = property(next)

    __iter__ = None  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType] - it is no iterator to anybody

    def __new__(cls, *_given: Any, **_named: Any) -> Self:
        """Shut: every read goes the slow way."""
        choices, lookups = _endless([None] * (PASSES + 1))
        selectors, bells = _endless(_SHUT)
        made = super().__new__(cls, choices, selectors)
        lookups[:] = [made.read_slowly] * (PASSES + 1)
        made._lookups, made._bells = lookups, bells
        return made

    def read_slowly(self, path: str) -> Value:
        """Take what is new, and read."""
        raise NotImplementedError

    def shut(self) -> None:
        """From now on every read goes the slow way."""
        self._bells[:] = _SHUT

    def watch(self, lookup: Callable[[str], Value], bell: object) -> None:
        """Read by a look-up while a bell is true. In between every read goes the slow way.

        The lists keep their lengths: the two iterators over them never part.
        """
        if self._bells[0] is not False:
            self.shut()
        fresh: Sequence[Callable[[str], Value]] = [*[lookup] * PASSES, self.read_slowly]
        self._lookups[:] = fresh
        self._bells[:] = [*[bell] * PASSES, True]


def _endless(items: list[Any]) -> tuple[Iterator[Any], list[Any]]:
    """An iterator that goes round a list for ever, and the list: what is put into it in place comes round next.

    `cycle` keeps its items in a list of its own, which the collector shows. It is 2 ns quicker than a chain over a list
    of ours, which does the same wherever an interpreter does it in another way.
    """
    round_and_round = cycle(items)
    for _ in range(len(items) + 1):
        next(round_and_round)  # once round: it holds them all now, and nothing else
    held: list[Any] = gc.get_referents(round_and_round)
    own: list[list[Any]] = [one for one in held if one.__class__ is list and one == items and one is not items]
    if len(own) == 1:
        return round_and_round, own[0]
    ours = list(items)
    chained = chain.from_iterable(repeat(ours))
    next(chained)
    return chained, ours
