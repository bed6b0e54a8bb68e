"""Providers: what exchanges and data sources allow, and who is asked for what. Data, for templates and examples.

Figures per minute and orders are those of the founding design (SPEC §3.2, §3.9).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from trimtab.categories.data import ProviderRule, RateLimit
from trimtab.categories.risk import ExchangeLimits

RATE_LIMITS: Final[Mapping[str, RateLimit]] = MappingProxyType(
    {
        "binance": RateLimit(requests_per_minute=1_200, burst_limit=100),
        "yahoo": RateLimit(requests_per_minute=100, burst_limit=20),
        "polygon": RateLimit(requests_per_minute=300, backoff_factor=1.5),
        "finnhub": RateLimit(requests_per_minute=60, max_retries=3),
        "alpha_vantage": RateLimit(requests_per_minute=5),
        "newsapi": RateLimit(requests_per_minute=100),
        "openweather": RateLimit(requests_per_minute=60),
        "fred": RateLimit(requests_per_minute=120),
        "stocktwits": RateLimit(requests_per_minute=200),
        "gnews": RateLimit(requests_per_minute=10),
        "reddit": RateLimit(requests_per_minute=60),
    }
)
"""Data source → what it allows."""

RULES: Final[Mapping[str, ProviderRule]] = MappingProxyType(
    {
        "crypto": ProviderRule(
            primary="binance", fallbacks=("coingecko", "alpha_vantage"), min_interval="1m", max_interval="1M"
        ),
        "stock_intraday": ProviderRule(
            primary="fmp", fallbacks=("alpaca", "alpha_vantage", "polygon"), min_interval="1m", max_interval="4h"
        ),
        "stock_daily": ProviderRule(
            primary="yahoo", fallbacks=("alpaca", "tiingo", "fmp"), min_interval="1d", max_interval="1M"
        ),
    }
)
"""Asset class → who is asked first, who then, and for which intervals."""

LOOKBACK_BARS: Final[Mapping[str, int]] = MappingProxyType({"crypto": 1_000, "stock_daily": 252})
"""Asset class → how far back its data usually reach."""

PROVIDERS: Final = tuple(
    sorted({*RATE_LIMITS, *(one for rule in RULES.values() for one in (rule.primary, *rule.fallbacks))})
)
"""Every data source that is known by name."""

EXCHANGE_LIMITS: Final[Mapping[str, ExchangeLimits]] = MappingProxyType(
    {
        "hyperliquid": ExchangeLimits(max_open_orders=20, max_position_value=Decimal(50_000), rate_limit_per_second=10),
        "phemex": ExchangeLimits(max_open_orders=15, max_position_value=Decimal(30_000), rate_limit_per_second=5),
    }
)
"""Exchange → `risk.exchange_limits` that it is usually traded with."""
