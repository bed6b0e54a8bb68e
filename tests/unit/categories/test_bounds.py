"""Every bound of SPEC §3, at it, below it and above it."""

from __future__ import annotations

from typing import Final

import pytest

from tests.unit.categories.samples import PATHS, check, sample, with_field
from trimtab.model.canonical import Json

N: Final = None
# type, field: refused below, lowest, highest, refused above; None where there is no bound
NUMBERS: Final[tuple[tuple[str, str, Json, Json, Json, Json], ...]] = (
    # 3.1
    ("trader", "default_slippage_bps", 0, 1, 1_000, 1_001),
    ("trader", "default_priority_fee", 999, 1_000, 1_000_000, 1_000_001),
    ("trader", "token_overrides.SOL.slippage_bps", 0, 1, 1_000, 1_001),
    ("trader", "token_overrides.SOL.priority_fee", 999, 1_000, 1_000_000, 1_000_001),
    # 3.2
    ("risk_parameters", "max_position_size", "-0.01", 0, N, N),
    ("risk_parameters", "daily_loss_limit", -0.01, "0", N, N),
    ("risk_parameters", "max_positions", 0, 1, 100, 101),
    ("risk_parameters", "max_exposure_per_token", -0.01, 0, 1, 1.01),
    ("risk_parameters", "stop_loss_percentage", -0.1, 0, 100, 100.1),
    ("risk_parameters", "take_profit_percentage", -0.1, 0, N, N),
    ("risk_limits", "max_portfolio_risk", -0.01, 0, 1, 1.01),
    ("risk_limits", "max_position_size", -0.01, 0, 1, 1.01),
    ("risk_limits", "max_strategy_drawdown", -0.01, 0, 1, 1.01),
    ("risk_limits", "max_leverage", 0, 0.01, N, N),
    ("risk_limits", "max_correlation", -0.01, 0, 1, 1.01),
    ("risk_limits", "min_liquidity", -1, 0, N, N),
    ("risk_limits", "max_daily_loss", -0.01, 0, 1, 1.01),
    ("risk_limits", "position_timeout", 0, 0.1, N, N),
    ("risk_limit", "max_exposure", -0.01, 0, 1, 1.01),
    ("risk_limit", "max_positions", 0, 1, 100, 101),
    ("risk_limit", "max_position_size", -1, 0, N, N),
    ("risk_limit", "max_daily_loss", -1, 0, N, N),
    ("risk_limit", "tokens.SOL", "-1", "0", N, N),
    ("position_sizing", "base_size", -0.01, 0, 1, 1.01),
    ("position_sizing", "max_size", -0.01, 0, 1, 1.01),
    ("position_sizing", "kelly_fraction", -0.01, 0, 1, 1.01),
    ("risk_circuit_breakers", "loss_threshold", -0.01, 0, 1, 1.01),
    ("risk_circuit_breakers", "profit_target", -0.01, 0, 1, 1.01),
    ("risk_circuit_breakers", "timeout_period", -1, 0, N, N),
    ("exchange_limits", "max_open_orders", -1, 0, N, N),
    ("exchange_limits", "max_position_value", -1, 0, N, N),
    ("exchange_limits", "rate_limit_per_second", 0, 0.1, N, N),
    ("trading", "max_position_size", -0.01, 0, 1, 1.01),
    ("trading", "max_daily_loss", -1, 0, N, N),
    # 3.3
    ("mev", "min_priority_fee", 999, 1_000, 100_000, 100_001),
    ("mev", "max_priority_fee", 999, 1_000, 1_000_000, 1_000_001),
    ("mev", "timeout_ms", 99, 100, 5_000, 5_001),
    # 3.4
    ("token", "decimals", -1, 0, 18, 19),
    ("token", "custom_slippage_bps", 0, 1, 1_000, 1_001),
    ("token", "transfer_fee_bps", -1, 0, 10_000, 10_001),
    ("token", "min_order_size", "-0.000000001", "0", N, N),
    ("token", "max_order_size", "-0.000000001", "0", N, N),
    # 3.5
    ("circuit_breaker", "latency_threshold_ms", 49, 50, 1_000, 1_001),
    ("circuit_breaker", "error_rate_threshold", 0.0099, 0.01, 1.0, 1.0001),
    ("circuit_breaker", "failure_threshold", 0, 1, 100, 101),
    ("circuit_breaker", "recovery_timeout_secs", 9, 10, 600, 601),
    ("circuit_breaker", "half_open_max_requests", 0, 1, 10, 11),
    # 3.6
    ("monitoring", "alert_thresholds.error_rate", -0.01, 0, 1, 1.01),
    ("monitoring", "alert_thresholds.response_time", 0, 1, N, N),
    ("monitoring", "alert_thresholds.memory_usage", -0.01, 0, 1, 1.01),
    ("monitoring", "health_check_interval", 0, 0.1, N, N),
    ("logging", "backup_count", -1, 0, N, N),
    ("security", "session_timeout", 0, 0.1, N, N),
    ("security", "max_login_attempts", 0, 1, N, N),
    # 3.7
    ("bot", "broker.initial_balance", 0, "0.01", N, N),
    ("bot", "broker.initial_balance", "0.00", 0.01, N, N),
    ("bot", "broker.commission", -0.001, 0, 0.1, 0.1001),
    ("bot", "risk_management.position_size", 0, 0.0001, 1, 1.01),
    ("bot", "risk_management.max_open_trades", 0, 1, 10, 11),
    ("bot", "risk_management.stop_loss_pct", 0, 0.1, 50, 50.1),
    ("bot", "risk_management.take_profit_pct", 0, 0.1, 100, 100.1),
    ("bot", "risk_management.max_daily_trades", 0, 1, 100, 101),
    ("bot", "risk_management.max_daily_loss", -1, 0, N, N),
    ("bot", "risk_management.max_drawdown_pct", 0, 0.1, 50, 50.1),
    ("bot", "risk_management.risk_per_trade", -0.01, 0, 1, 1.01),
    # 3.8
    ("system", "database.port", 0, 1, 65_535, 65_536),
    ("system", "database.pool_size", 0, 1, N, N),
    ("system", "database.max_overflow", -1, 0, N, N),
    ("system", "redis.port", 0, 1, 65_535, 65_536),
    ("system", "redis.db", -1, 0, N, N),
    ("system", "api.port", 0, 1, 65_535, 65_536),
    ("system", "api.workers", 0, 1, N, N),
    ("system", "orchestrator.max_concurrent_strategies", 0, 1, N, N),
    ("system", "orchestrator.strategy_timeout", 0, 0.1, N, N),
    ("system", "orchestrator.health_check_interval", 0, 0.1, N, N),
    ("system", "performance.max_latency_ms", 0, 1, N, N),
    ("system", "performance.throughput_target", 0, 1, N, N),
    ("system", "performance.memory_limit_mb", 0, 1, N, N),
    ("system", "cache_max_size_mb", 0, 1, N, N),
    ("system", "max_concurrent_requests", 0, 1, N, N),
    ("system", "worker_threads", 0, 1, N, N),
    ("exchange", "fees.maker", -0.11, -0.1, 0.1, 0.11),
    ("exchange", "fees.taker", -0.11, -0.1, 0.1, 0.11),
    ("exchange", "limits.min_order_value", -1, 0, N, N),
    # 3.9
    ("data_source", "lookback_bars", 0, 1, N, N),
    ("data_source", "retry_interval", 0, 0.1, N, N),
    ("data_source", "rate_limit.requests_per_minute", 0, 1, N, N),
    ("data_source", "rate_limit.burst_limit", 0, 1, N, N),
    ("data_source", "rate_limit.backoff_factor", 0.9, 1, N, N),
    ("data_source", "rate_limit.max_retries", -1, 0, N, N),
    ("data_source", "caching.max_age_hours", 0, 0.1, N, N),
    # 3.10
    ("meta", "schema_version", 0, 1, N, N),
    ("schema", "version", 0, 1, N, N),
    ("guard", "min_items", 0, 1, N, N),
    ("guard", "max_removed_share", 0, 0.01, 1, 1.01),
    ("guard", "max_risk_factor", 1, 1.01, N, N),
)
# type, field, lowest, highest number of characters, which character
LENGTHS: Final = (
    ("token", "symbol", 1, 10, "S"),
    ("token", "address", 32, 44, "1"),
    ("bot", "bot_id", 1, 50, "b"),
    ("bot", "symbol", 2, 20, "B"),
)
# type, field: every word that is allowed, some that are not
WORDS: Final[tuple[tuple[str, str, tuple[Json, ...], tuple[Json, ...]], ...]] = (
    (
        "bot",
        "broker.type",
        ("binance_live", "binance_paper", "ibkr_live", "ibkr_paper"),
        ("binance", "", "BINANCE_LIVE"),
    ),
    ("bot", "timeframe", ("1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"), ("2m", "1M", "1D", "", 5)),
    (
        "bot",
        "version",
        ("1.0.0", "0.0.1", "1.0.0-rc.1", "1.0.0+build"),
        ("1.0", "01.0.0", "v1.0.0", "1.0.0\n", "٣.0.0"),
    ),
    ("strategy", "version", ("1.0.0", "10.20.30"), ("1", "1.0.0.0", "")),
    ("template", "version", ("1.0.0",), ("one",)),
    ("strategy", "schedule.trading_hours.start", ("00:00", "23:59", "09:30"), ("24:00", "9:30", "23:60", "09:30:00")),
    ("strategy", "schedule.trading_hours.end", ("00:00", "23:59"), ("24:00", 2359)),
    ("strategy", "schedule.timezone", ("UTC", "Europe/Zurich", "Etc/GMT+5"), ("", "5", "Europe Zurich")),
    ("logging", "level", ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"), ("info", "TRACE", "")),
    ("logging", "max_file_size", ("100MB", "1GB", "512 KB", "1.5GB"), ("100", "MB", "100 megabytes", "-1MB")),
    ("monitoring", "log_level", ("INFO",), ("verbose",)),
    ("system", "log_level", ("WARNING",), ("warn",)),
    ("system", "database.ssl_mode", ("require", "verify-full", "disable"), ("on", True)),
    ("notifications", "performance_reports", ("never", "hourly", "daily", "weekly", "monthly"), ("sometimes", True)),
    ("data_source", "interval", ("1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w", "1M"), ("1y", "3m", "1MO")),
    ("data_rules", "crypto.max_interval", ("1M",), ("2M",)),
    ("meta", "status", ("draft", "active", "deprecated", "retired"), ("archived", "Draft")),
    ("meta", "created_at", ("2026-01-05T09:30:00Z", "2026-01-05T09:30:00+01:00"), ("2026-01-05T09:30:00", "soon", 5)),
    ("rule", "severity", ("refuse", "warn"), ("error",)),
    ("token", "address", ("So11111111111111111111111111111111111111112",), ("0" * 32, "O" * 40, "l" * 40, "I" * 40)),
)


def rules_broken(kind: str, field: str, value: Json) -> set[tuple[str, str]]:
    return {(one.path, one.rule) for one in check(kind, with_field(kind, field, value)) if one.rule != "address"}


@pytest.mark.parametrize(("kind", "field", "below", "lowest", "highest", "above"), NUMBERS)
def test_a_number_is_accepted_at_its_bounds_and_refused_beyond(
    kind: str, field: str, below: Json, lowest: Json, highest: Json, above: Json
) -> None:
    path = f"{PATHS[kind]}.{field}"
    for beyond in (below, above):
        if beyond is not None:
            broken = rules_broken(kind, field, beyond)
            assert broken in ({(path, "range")}, {(path, "unit")}), (beyond, broken)
    for at in (lowest, highest):
        if at is not None:
            assert not any(rule in {"range", "unit", "type"} for _, rule in rules_broken(kind, field, at)), at


@pytest.mark.parametrize(("kind", "field", "least", "most", "character"), LENGTHS)
def test_a_text_is_accepted_at_its_lengths_and_refused_beyond(
    kind: str, field: str, least: int, most: int, character: str
) -> None:
    for length in (least, most):
        assert rules_broken(kind, field, character * length) == set()
    for length in (least - 1, most + 1):
        ((path, rule),) = rules_broken(kind, field, character * length)
        assert (path, rule in {"length", "pattern"}) == (f"{PATHS[kind]}.{field}", True)


@pytest.mark.parametrize(("kind", "field", "known", "unknown"), WORDS)
def test_a_word_is_one_of_those_that_there_are(
    kind: str, field: str, known: tuple[Json, ...], unknown: tuple[Json, ...]
) -> None:
    for word in known:
        assert rules_broken(kind, field, word) == set(), word
    for word in unknown:
        assert rules_broken(kind, field, word), word


@pytest.mark.parametrize("kind", sorted(PATHS))
def test_a_field_that_there_is_none_of_is_refused(kind: str) -> None:
    problems = check(kind, {**sample(kind), "no_such_field": 1})
    expected = [] if kind == "optimizer" else [(f"{PATHS[kind]}.no_such_field", "unknown-field")]
    assert [(one.path, one.rule) for one in problems] == expected


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("risk_parameters", "max_position_size"),
        ("risk_parameters", "daily_loss_limit"),
        ("mev", "min_priority_fee"),
        ("mev", "max_priority_fee"),
        ("token", "address"),
        ("token", "symbol"),
        ("token", "decimals"),
        ("circuit_breaker", "latency_threshold_ms"),
        ("circuit_breaker", "error_rate_threshold"),
        ("bot", "bot_id"),
        ("bot", "broker"),
        ("bot", "symbol"),
        ("bot", "timeframe"),
    ],
)
def test_a_required_field_is_missed(kind: str, field: str) -> None:
    document = sample(kind)
    del document[field]
    assert [(one.path, one.rule) for one in check(kind, document)] == [(f"{PATHS[kind]}.{field}", "required")]


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("risk_parameters", "max_positions", "5"),
        ("risk_parameters", "max_positions", 5.5),
        ("risk_parameters", "max_positions", True),
        ("risk_parameters", "max_position_size", True),
        ("risk_parameters", "max_position_size", "1_000"),
        ("risk_parameters", "max_position_size", " 5 "),
        ("risk_parameters", "max_position_size", "1e9"),
        ("risk_parameters", "max_position_size", "NaN"),
        ("risk_parameters", "max_position_size", "9" * 41),
        ("risk_limits", "max_leverage", "3"),
        ("risk_limits", "max_leverage", True),
        ("position_sizing", "volatility_adjustment", 1),
        ("position_sizing", "volatility_adjustment", "true"),
        ("strategy", "symbols", "BTC-USD"),
        ("strategy", "symbols", [1]),
        ("strategy", "parameters", []),
        ("strategy", "schedule", "always"),
        ("exchange", "credentials", {"key": 5}),
        ("trader", "token_overrides", 5),
    ],
)
def test_nothing_is_converted(kind: str, field: str, value: Json) -> None:
    assert rules_broken(kind, field, value) == {(f"{PATHS[kind]}.{field}".removesuffix(".key"), "type")} or (
        rules_broken(kind, field, value) == {("exchange.hyperliquid.credentials.key", "type")}
    )
