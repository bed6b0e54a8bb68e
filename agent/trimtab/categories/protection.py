"""Protection: against extraction by others, and against a venue that has gone bad."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from trimtab.categories.base import Category
from trimtab.categories.units import AnyRatio, Count, Flag, Milliseconds, Seconds


class Mev(Category):
    """`mev.protection`; fees in micro-lamports per compute unit."""

    min_priority_fee: Annotated[Count, Field(ge=1_000, le=100_000)]
    max_priority_fee: Annotated[Count, Field(ge=1_000, le=1_000_000)]
    dynamic_fee_enabled: Flag = False
    sandwich_protection_enabled: Flag = False
    timeout_ms: Annotated[Milliseconds, Field(ge=100, le=5_000)] | None = None
    wrap_sol_enabled: Flag = False
    use_shared_accounts: Flag = False

    @model_validator(mode="after")
    def _fees_in_order(self) -> Self:
        if self.max_priority_fee < self.min_priority_fee:
            raise PydanticCustomError(
                "order",
                "must be at least min_priority_fee, which is {least}",
                {"at": "max_priority_fee", "least": self.min_priority_fee},
            )
        return self


class CircuitBreaker(Category):
    """`circuit_breaker.config`. The two thresholds are required; 200 ms and 0.05 are usual."""

    latency_threshold_ms: Annotated[Milliseconds, Field(ge=50, le=1_000, json_schema_extra={"default": 200})]
    error_rate_threshold: Annotated[AnyRatio, Field(ge=0.01, le=1, json_schema_extra={"default": 0.05})]
    failure_threshold: Annotated[Count, Field(ge=1, le=100)] = 5
    recovery_timeout_secs: Annotated[Seconds, Field(ge=10, le=600)] = 60
    half_open_max_requests: Annotated[Count, Field(ge=1, le=10)] = 3
