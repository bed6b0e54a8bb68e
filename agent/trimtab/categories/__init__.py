"""The built-in categories: a frozen pydantic model for each, with its bounds, units, defaults and spellings.

    from trimtab.categories import RiskLimits
    limits = agent.bind("risk.global", RiskLimits)

For whoever checks documents: `MODELS` by type, `check`, `json_schema`, `respell`, `unit_of`, `is_secret`.
"""

from trimtab.categories.abouts import (
    FleetBot,
    Guard,
    Metadata,
    Override,
    RuleDocument,
    SchemaDocument,
)
from trimtab.categories.base import Category, Free, Part, Several, Table
from trimtab.categories.bots import Bot, BotStrategy, Broker, Logic, RiskManagement
from trimtab.categories.checking import check, clash_problems
from trimtab.categories.data import DataFailover, DataRules, DataSource, DataSymbols, ProviderRule, RateLimit
from trimtab.categories.models import MODELS
from trimtab.categories.operations import Logging, Monitoring, Notifications, Security
from trimtab.categories.places import is_secret, respell, respell_document, respell_leaves, unit_of
from trimtab.categories.protection import CircuitBreaker, Mev
from trimtab.categories.risk import (
    ExchangeLimits,
    PositionSizing,
    RiskCircuitBreakers,
    RiskLimit,
    RiskLimits,
    RiskParameters,
)
from trimtab.categories.schemas import json_schema
from trimtab.categories.spelling import Clash
from trimtab.categories.strategies import Optimizer, Schedule, Strategy, StrategyParameters
from trimtab.categories.systems import Exchange, System
from trimtab.categories.templates import TemplateDocument, TemplateParameter
from trimtab.categories.tokens import Token, TradedToken
from trimtab.categories.trader import TokenOverride, Trader, Trading

__all__ = [
    "MODELS",
    "Bot",
    "BotStrategy",
    "Broker",
    "Category",
    "CircuitBreaker",
    "Clash",
    "DataFailover",
    "DataRules",
    "DataSource",
    "DataSymbols",
    "Exchange",
    "ExchangeLimits",
    "FleetBot",
    "Free",
    "Guard",
    "Logging",
    "Logic",
    "Metadata",
    "Mev",
    "Monitoring",
    "Notifications",
    "Optimizer",
    "Override",
    "Part",
    "PositionSizing",
    "ProviderRule",
    "RateLimit",
    "RiskCircuitBreakers",
    "RiskLimit",
    "RiskLimits",
    "RiskManagement",
    "RiskParameters",
    "RuleDocument",
    "Schedule",
    "SchemaDocument",
    "Security",
    "Several",
    "Strategy",
    "StrategyParameters",
    "System",
    "Table",
    "TemplateDocument",
    "TemplateParameter",
    "Token",
    "TokenOverride",
    "TradedToken",
    "Trader",
    "Trading",
    "check",
    "clash_problems",
    "is_secret",
    "json_schema",
    "respell",
    "respell_document",
    "respell_leaves",
    "unit_of",
]
