"""Monitoring, logging, security and notifications."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field, StringConstraints

from trimtab.categories.base import Category, Part
from trimtab.categories.units import Count, Flag, Milliseconds, Ratio, Said, Seconds, Secret, Text

LogLevel: TypeAlias = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
FileSize: TypeAlias = Annotated[
    str,
    StringConstraints(strict=True, pattern=r"^[0-9]{1,12}(\.[0-9]{1,3})? ?(B|KB|MB|GB)$"),
    Said("a size such as 100MB"),
]


class AlertThresholds(Part):
    """When a person is told."""

    error_rate: Ratio = 0.05
    response_time: Annotated[Milliseconds, Field(ge=1)] = 1_000
    memory_usage: Ratio = 0.8


class Monitoring(Category):
    """`monitoring.config`."""

    alert_thresholds: AlertThresholds = AlertThresholds()
    health_check_interval: Annotated[Seconds, Field(gt=0)] = 30
    log_level: LogLevel = "INFO"
    metrics_collection: Flag = True
    grafana_enabled: Flag = False
    prometheus_enabled: Flag = False
    alert_webhook_url: Secret | None = None


class Logging(Category):
    """`logging`."""

    level: LogLevel = "INFO"
    console_output: Flag = True
    file_output: Flag = True
    log_rotation: Flag = True
    max_file_size: FileSize = "100MB"
    backup_count: Annotated[Count, Field(ge=0)] = 10


class Security(Category):
    """`security`."""

    api_key_rotation: Flag = False
    audit_logging: Flag = True
    session_timeout: Annotated[Seconds, Field(gt=0)] = 3_600
    max_login_attempts: Annotated[Count, Field(ge=1)] = 5


class BotNotifications(Part):
    """What a bot tells, and where."""

    other_spellings: ClassVar[Mapping[str, tuple[str, ...]]] = {"telegram_chat": ("telegram_chat_id",)}

    telegram_enabled: Flag = False
    email_enabled: Flag = False
    trade_notifications: Flag = True
    error_notifications: Flag = True
    performance_reports: Literal["never", "hourly", "daily", "weekly", "monthly"] = "never"
    telegram_token: Secret | None = None
    telegram_chat_id: Secret | None = None
    smtp_user: Secret | None = None
    smtp_password: Secret | None = None


class Notifications(BotNotifications, Category):
    """`notifications`."""


class BotLogging(Part):
    """What one bot writes."""

    level: LogLevel = "INFO"
    save_trades: Flag = True
    save_equity_curve: Flag = False
    log_file: Text | None = None
