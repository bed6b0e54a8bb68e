"""Freqtrade: one JSON file with comments, or several that it merges; everything at or near the top."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from trimtab.model import paths
from trimtab_store.foreign import json_comments
from trimtab_store.foreign.homes import Home, at, has, is_id

if TYPE_CHECKING:
    from trimtab.model.canonical import Json

Segments: TypeAlias = "tuple[str, ...]"

_PARAMETERS: Final = frozenset({
    # what a strategy's own code may say too, and its file overrides
    "timeframe", "minimal_roi", "stoploss", "trailing_stop", "trailing_stop_positive", "trailing_stop_positive_offset",
    "trailing_only_offset_is_reached", "use_exit_signal", "exit_profit_only", "exit_profit_offset",
    "ignore_roi_if_entry_signal", "ignore_buying_expired_candle_after", "process_only_new_candles",
    "position_adjustment_enable", "max_entry_position_adjustment", "order_types", "order_time_in_force",
    "unfilledtimeout", "protections", "use_sell_signal", "sell_profit_only", "sell_profit_offset",
    # what it trades, how much of it, and how
    "max_open_trades", "stake_currency", "stake_amount", "tradable_balance_ratio", "available_capital",
    "amend_last_stake_amount", "last_stake_amount_min_ratio", "amount_reserve_percent", "trading_mode", "margin_mode",
    "liquidation_buffer", "entry_pricing", "exit_pricing", "bid_strategy", "ask_strategy",
    "custom_price_max_distance_ratio", "pairlists", "pairlist", "edge", "freqai", "orderflow", "startup_candle",
    "proxy_coin", "futures_funding_rate",
})  # fmt: skip

_EXCHANGE: Final = ("exchange", "name")
_SECRET: Final = frozenset({
    ("exchange", "key"), ("exchange", "secret"), ("exchange", "password"), ("exchange", "uid"),
    ("exchange", "account_id"), ("exchange", "accountId"), ("exchange", "wallet_address"),
    ("exchange", "walletAddress"), ("telegram", "token"), ("telegram", "chat_id"), ("webhook", "url"),
    ("api_server", "username"), ("api_server", "jwt_secret_key"), ("api_server", "ws_token"),
})  # fmt: skip
_CCXT: Final = frozenset({"ccxt_config", "ccxt_sync_config", "ccxt_async_config"})
_CCXT_SECRET: Final = frozenset({"uid", "login", "walletaddress", "twofa", "token", "accountid"})
_CREDENTIALS: Final = (
    *(place for place in sorted(_SECRET) if place[0] == "exchange"),
    ("exchange", "api_key"), ("exchange", "apiKey"), ("exchange", "private_key"), ("exchange", "privateKey"),
)  # fmt: skip


def read(text: bytes, name: str) -> Json:
    """The value of a file; raises `FileRefused`."""
    return json_comments.load(text, name=name)


def is_secret(content: dict[str, Json], place: Segments) -> bool:
    """Whether freqtrade keeps a secret there, beside what names give away."""
    del content
    if place in _SECRET:
        return True
    return place[0] == "exchange" and not _CCXT.isdisjoint(place) and _last(place).lower() in _CCXT_SECRET


def homes(content: dict[str, Json], bot: str, strategy: str) -> list[Home]:
    """What goes where; nothing is proposed that the file does not hold."""
    found = _strategy(content, paths.join(("strategy", strategy or bot)))
    overlay = f"bot={bot}"
    exchange = at(content, _EXCHANGE) if has(content, _EXCHANGE) else None
    if is_id(exchange):
        place = paths.join(("exchange", exchange, "credentials"))
        found += [
            Home(at=one, path=paths.child(place, _last(one)), layer=overlay)
            for one in _CREDENTIALS
            if _is_text(content, one)
        ]
    for one, path in (
        (("telegram", "enabled"), "notifications.telegram_enabled"),
        (("telegram", "token"), "notifications.telegram_token"),
        (("telegram", "chat_id"), "notifications.telegram_chat_id"),
    ):
        if has(content, one) and at(content, one) != "":
            found.append(Home(at=one, path=path, layer=overlay))
    if isinstance(content.get("dry_run"), bool):
        mode = paths.join(("fleet", "bots", bot, "labels", "mode"))
        found.append(Home(at=("dry_run",), path=mode, when={"paper": True, "live": False}))
    return found


def _strategy(content: dict[str, Json], place: str) -> list[Home]:
    parameters = tuple(sorted(_PARAMETERS & content.keys()))
    found: list[Home] = []
    if parameters:
        found.append(Home(at=(), path=f"{place}.parameters", keys=parameters))
    if _is_text(content, ("strategy",)):
        found.append(Home(at=("strategy",), path=f"{place}.name"))
    if has(content, _EXCHANGE) and is_id(at(content, _EXCHANGE)):
        found.append(Home(at=_EXCHANGE, path=f"{place}.exchange"))
    if has(content, ("exchange", "pair_whitelist")):
        found.append(Home(at=("exchange", "pair_whitelist"), path=f"{place}.symbols"))
    return found


def _is_text(content: dict[str, Json], place: Segments) -> bool:
    return has(content, place) and isinstance(at(content, place), str) and at(content, place) != ""


def _last(place: Segments) -> str:
    return place[-1] if place else ""
