"""Reading: the one interface of everything that a bot reads from, in its process or attached to a sidecar.

`Agent` and what `attach` gives follow it, and one suite of tests runs over both. Write a bot against this and choose
where it reads from when it starts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar, overload

from trimtab.model.reports import Refusal, Status
from trimtab.model.values import Value
from trimtab.pending import ChangeEvent
from trimtab.reader import Pin

if TYPE_CHECKING:
    from trimtab.categories import (
        Bot,
        CircuitBreaker,
        DataSource,
        Exchange,
        Mev,
        Monitoring,
        RiskLimits,
        RiskParameters,
        Strategy,
        System,
        TradedToken,
        Trader,
    )

Default = TypeVar("Default")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Bound(Protocol[T_co]):
    """A typed, live view of one subtree."""

    @property
    def current(self) -> T_co:
        """The newest value that its model accepted; raises `RequirementFailed`."""
        ...

    @property
    def refused(self) -> Refusal | None:
        """What its model refuses at the served revision."""
        ...

    @property
    def revision(self) -> int:
        """The newest revision that `current` agrees with."""
        ...


class Reading(Protocol):
    """Reads one environment as one set of labels sees it. Reading takes no lock, and fails for no server's sake."""

    def __getitem__(self, path: str) -> Value:
        """The value at a path, leaf or subtree; raises `PathNotFound`, `PathError` or `RequirementFailed`."""
        ...

    def __contains__(self, path: str) -> bool:
        """Whether anything resolves at a path."""
        ...

    @overload
    def get(self, path: str) -> Value: ...
    @overload
    def get(self, path: str, default: Default) -> Value | Default: ...
    def get(self, path: str, default: Any = None) -> Any:
        """The value at a path, or the default where there is none."""
        ...

    def pinned(self) -> Pin:
        """The served view, which stays as it is."""
        ...

    def bind(self, path: str, kind: type[T]) -> Bound[T]:
        """A typed, live view; raises `PathNotFound`, `ModelRefused`, `UsageError`, `RequirementFailed`."""
        ...

    def changes(self, pattern: str) -> AsyncIterator[ChangeEvent]:
        """What changes from now on, for `async for`."""
        ...

    def wait_for(self, revision: int, timeout: float = 10.0) -> bool:
        """Whether a revision is served, waiting so many seconds for it."""
        ...

    def max_staleness(self, path: str) -> float:
        """How stale the category of a path may become before its reader should care, in seconds."""
        ...

    def close(self) -> None:
        """Stop following. What was read last stays readable."""
        ...

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def risk_parameters(self) -> RiskParameters:
        """`risk.parameters`. This and the following: typed access (`trimtab.typed`), the newest accepted value."""
        ...

    def risk_limits(self) -> RiskLimits:
        """`risk.global`."""
        ...

    def circuit_breaker(self) -> CircuitBreaker:
        """`circuit_breaker.config`."""
        ...

    def mev(self) -> Mev:
        """`mev.protection`."""
        ...

    def monitoring(self) -> Monitoring:
        """`monitoring.config`."""
        ...

    def system(self) -> System:
        """`system`."""
        ...

    def trader(self) -> Trader:
        """`trader`; its defaults where nobody said anything."""
        ...

    def token(self, address: str) -> TradedToken:
        """`token.<address>`, with the slippage and the fee that it is traded with."""
        ...

    def strategy(self, name: str) -> Strategy:
        """`strategy.<name>`."""
        ...

    def bot(self, name: str) -> Bot:
        """`bot.<name>`."""
        ...

    def data_source(self, name: str) -> DataSource:
        """`data.<name>`."""
        ...

    def exchange(self, name: str) -> Exchange:
        """`exchange.<name>`."""
        ...

    def trading_mode(self) -> str:
        """The label `mode`, `paper` where there is none."""
        ...

    @property
    def environment(self) -> str:
        """The environment that is read."""
        ...

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels that it is read with."""
        ...

    @property
    def revision(self) -> int:
        """The revision of the served view."""
        ...

    @property
    def epoch(self) -> int:
        """The epoch of the served view."""
        ...

    @property
    def hash(self) -> str:
        """The hash that names the served state."""
        ...

    @property
    def status(self) -> Status:
        """How far the freshness of the served view can be trusted."""
        ...

    @property
    def staleness_seconds(self) -> float:
        """Seconds since the served view was last proven to be the newest; infinite if it never was."""
        ...

    @property
    def alarms(self) -> Mapping[str, str]:
        """What a person should know now: name → text."""
        ...

    @property
    def refused(self) -> tuple[Refusal, ...]:
        """What the models of bindings refuse."""
        ...

    @property
    def too_stale(self) -> tuple[str, ...]:
        """The categories that are staler now than `max_staleness` allows."""
        ...
