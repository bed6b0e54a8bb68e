"""The rules that hold in every store, across fields and documents; what one document must be is said by its model."""

from __future__ import annotations

from typing import Final

from trimtab_store.templates.rule import TemplateRule
from trimtab_store.validation.builtin_dependencies import Dependencies
from trimtab_store.validation.builtin_live import BotMode, LiveBroker, LiveCredentials, LiveLimits
from trimtab_store.validation.builtin_strategies import StrategyExchange, StrategyRisk
from trimtab_store.validation.rules import Rule

BUILT_IN_RULES: Final[tuple[Rule, ...]] = (
    StrategyExchange(),
    StrategyRisk(),
    BotMode(),
    LiveBroker(),
    LiveLimits(),
    LiveCredentials(),
    Dependencies(),
    TemplateRule(),
)
