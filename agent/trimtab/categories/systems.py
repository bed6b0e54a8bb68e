"""The system that the bots run on, and the exchanges."""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeAlias

from immutables import Map
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from trimtab.categories.base import Category, Part, Table
from trimtab.categories.operations import LogLevel
from trimtab.categories.units import Amount, AnyRatio, Count, Flag, Megabytes, Milliseconds, Seconds, Secret, Text

Port: TypeAlias = Annotated[Count, Field(ge=1, le=65_535)]
AtLeastOne: TypeAlias = Annotated[Count, Field(ge=1)]
NotNegative: TypeAlias = Annotated[Count, Field(ge=0)]
Duration: TypeAlias = Annotated[Seconds, Field(gt=0)]


class Database(Part):
    """Where the system keeps its own data: a URL, or a host with the rest."""

    url: Secret | None = None
    host: Text | None = None
    port: Port = 5432
    name: Text | None = None
    username: Text | None = None
    password: Secret | None = None
    pool_size: AtLeastOne = 5
    max_overflow: NotNegative = 10
    ssl_mode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] | None = None
    echo_sql: Flag = False

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.url is not None and self.host is not None:
            raise PydanticCustomError("either", "is given beside host, and only one of them can count", {"at": "url"})
        return self


class RedisServer(Part):
    """The system's own Redis."""

    host: Text | None = None
    port: Port = 6379
    db: NotNegative = 0
    password: Secret | None = None


class Api(Part):
    """The system's own interface."""

    host: Text | None = None
    port: Port = 8000
    workers: AtLeastOne = 4
    cors_origins: tuple[Text, ...] = ()


class Orchestrator(Part):
    """What runs the strategies."""

    max_concurrent_strategies: AtLeastOne = 10
    strategy_timeout: Duration = 300
    health_check_interval: Duration = 30
    restart_on_failure: Flag = True


class Performance(Part):
    """What the system is built for."""

    max_latency_ms: Annotated[Milliseconds, Field(ge=1)] = 100
    throughput_target: AtLeastOne = 1_000
    memory_limit_mb: Megabytes = 2_048


class System(Category):
    """`system`; the defaults are those of development."""

    environment: Text | None = None
    debug: Flag = False
    log_level: LogLevel = "INFO"
    database: Database = Database()
    redis: RedisServer = RedisServer()
    api: Api = Api()
    orchestrator: Orchestrator = Orchestrator()
    performance: Performance = Performance()
    cache_max_size_mb: Megabytes = 128
    max_concurrent_requests: AtLeastOne = 5
    worker_threads: AtLeastOne | None = None


class Fees(Part):
    """Fractions of the traded value; a rebate is negative."""

    maker: Annotated[AnyRatio, Field(ge=-0.1, le=0.1)] | None = None
    taker: Annotated[AnyRatio, Field(ge=-0.1, le=0.1)] | None = None


class Exchange(Category):
    """`exchange.<id>`; credentials and limits have the names that the exchange gives them."""

    credentials: Table[Secret] = Map()
    testnet: Flag = False
    limits: Table[Amount] = Map()
    fees: Fees = Fees()
    symbols: tuple[Text, ...] = ()
