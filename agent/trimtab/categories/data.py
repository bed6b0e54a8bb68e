"""Data sources, and the three documents about all of them: failover, symbols and the rules of providers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, TypeAlias

from immutables import Map
from pydantic import Field

from trimtab.categories.base import Category, Part, Table
from trimtab.categories.units import Count, Flag, Hours, Number, Seconds, Secret, Text

Interval: TypeAlias = Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w", "1M"]


class RateLimit(Part):
    """How often a source may be asked; `providers.RATE_LIMITS` has what the providers allow."""

    requests_per_minute: Annotated[Count, Field(ge=1)] | None = None
    burst_limit: Annotated[Count, Field(ge=1)] | None = None
    backoff_factor: Annotated[Number, Field(ge=1)] | None = None
    max_retries: Annotated[Count, Field(ge=0)] | None = None


class Caching(Part):
    """What is kept of the answers."""

    enabled: Flag = False
    cache_dir: Text | None = None
    max_age_hours: Annotated[Hours, Field(gt=0)] = 24


class DataSource(Category):
    """`data.<source>`; usual are 1,000 bars back for crypto, 252 for daily data."""

    other_spellings: ClassVar[Mapping[str, tuple[str, ...]]] = {"rate_limiting": ("rate_limit",)}

    api_key: Secret | None = None
    symbol: Text | None = None
    interval: Interval | None = None
    lookback_bars: Annotated[Count, Field(ge=1)] | None = None
    retry_interval: Annotated[Seconds, Field(gt=0)] = 60
    testnet: Flag = False
    fundamentals_enabled: Flag = False
    rate_limit: RateLimit = RateLimit()
    caching: Caching = Caching()


class DataFailover(Category):
    """`data.failover`: the sources of each asset class, in the order in which they are asked."""

    crypto: tuple[Text, ...] = ()
    stock_intraday: tuple[Text, ...] = ()
    stock_daily: tuple[Text, ...] = ()


class DataSymbols(Category):
    """`data.symbols`: by what a symbol is told to be of an asset class."""

    patterns: Table[tuple[Text, ...]] = Map()
    suffixes: Table[tuple[Text, ...]] = Map()
    known_assets: Table[tuple[Text, ...]] = Map()
    exchange_suffixes: Table[Text] = Map()
    """Suffix → exchange, as ".L" → LSE."""


class ProviderRule(Part):
    """Who is asked for one asset class, and for which intervals."""

    primary: Text
    fallbacks: tuple[Text, ...] = ()
    min_interval: Interval = "1m"
    max_interval: Interval = "1M"


class DataRules(Category):
    """`data.rules`; usual ones are in `providers.RULES`."""

    crypto: ProviderRule | None = None
    stock_intraday: ProviderRule | None = None
    stock_daily: ProviderRule | None = None
