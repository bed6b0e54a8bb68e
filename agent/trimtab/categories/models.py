"""Which model stands for which type of document (`trimtab.model.documents.BUILT_IN`, and metadata)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from trimtab.categories import (
    abouts,
    bots,
    data,
    operations,
    protection,
    risk,
    strategies,
    systems,
    templates,
    tokens,
    trader,
)
from trimtab.categories.base import Category

MODELS: Final[Mapping[str, type[Category]]] = MappingProxyType(
    {
        "trader": trader.Trader,
        "trading": trader.Trading,
        "risk_parameters": risk.RiskParameters,
        "risk_limits": risk.RiskLimits,
        "risk_limit": risk.RiskLimit,
        "position_sizing": risk.PositionSizing,
        "risk_circuit_breakers": risk.RiskCircuitBreakers,
        "exchange_limits": risk.ExchangeLimits,
        "mev": protection.Mev,
        "token": tokens.Token,
        "circuit_breaker": protection.CircuitBreaker,
        "monitoring": operations.Monitoring,
        "logging": operations.Logging,
        "security": operations.Security,
        "notifications": operations.Notifications,
        "strategy": strategies.Strategy,
        "bot": bots.Bot,
        "optimizer": strategies.Optimizer,
        "system": systems.System,
        "exchange": systems.Exchange,
        "data_source": data.DataSource,
        "data_failover": data.DataFailover,
        "data_symbols": data.DataSymbols,
        "data_rules": data.DataRules,
        "fleet_bot": abouts.FleetBot,
        "schema": abouts.SchemaDocument,
        "rule": abouts.RuleDocument,
        "template": templates.TemplateDocument,
        "guard": abouts.Guard,
        "override": abouts.Override,
        "meta": abouts.Metadata,
    }
)
"""Type of a document → its model."""
