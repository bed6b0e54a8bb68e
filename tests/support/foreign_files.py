"""Files of other bot programs: one of every shape that freqtrade and hummingbot read; and ways through the renderer."""

from __future__ import annotations

import atexit
import shutil
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from trimtab.model import items, views
from trimtab.model.items import LeafEdit
from trimtab.model.links import Position
from trimtab.model.states import State
from trimtab.model.structure import Lineage
from trimtab.model.views import View
from trimtab_sidecar.rendering.templates import Template
from trimtab_store import foreign
from trimtab_store.foreign import Import

BOT: Final = "ft-1"

FREQTRADE_FULL: Final = r"""{
    "$schema": "https://schema.freqtrade.io/schema.json",
    /* what it trades
       with // inside */
    "max_open_trades": -1, // as many as there is money for
    "stake_currency": "USDT",
    "stake_amount": 42.5,
    "tradable_balance_ratio": 0.97,
    "available_capital": 2500,
    "amend_last_stake_amount": true,
    "last_stake_amount_min_ratio": 0.25,
    "fiat_display_currency": "CHF",
    "amount_reserve_percent": 0.03,
    "dry_run": true,
    "dry_run_wallet": 5000,
    "cancel_open_orders_on_exit": true,
    "timeframe": "15m",
    "trading_mode": "futures",
    "margin_mode": "isolated",
    "liquidation_buffer": 0.06,
    "minimal_roi": {"0": 0.031, "17": 0.02, "45.5": 1e-2, "90": 0},
    "stoploss": -0.085,
    "trailing_stop": true,
    "trailing_stop_positive": 0.011,
    "trailing_stop_positive_offset": 0.02,
    "trailing_only_offset_is_reached": true,
    "use_exit_signal": true, "exit_profit_only": false, "exit_profit_offset": 0.0,
    "ignore_roi_if_entry_signal": false, "ignore_buying_expired_candle_after": 120,
    "process_only_new_candles": true,
    "position_adjustment_enable": true, "max_entry_position_adjustment": 3,
    "custom_price_max_distance_ratio": 0.015,
    "unfilledtimeout": {"entry": 6, "exit": 12, "exit_timeout_count": 2, "unit": "minutes"},
    "entry_pricing": {
        "price_side": "other", "use_order_book": true, "order_book_top": 2, "price_last_balance": 0.0,
        "check_depth_of_market": {"enabled": true, "bids_to_ask_delta": 1.25},
    },
    "exit_pricing": {"price_side": "other", "use_order_book": true, "order_book_top": 1,},
    "order_types": {
        "entry": "limit", "exit": "limit", "emergency_exit": "market", "force_exit": "market",
        "force_entry": "market", "stoploss": "limit", "stoploss_on_exchange": true, "stoploss_price_type": "mark",
        "stoploss_on_exchange_interval": 90, "stoploss_on_exchange_limit_ratio": 0.985
    },
    "order_time_in_force": {"entry": "GTC", "exit": "IOC"},
    "pairlists": [
        {"method": "VolumePairList", "number_assets": 12, "sort_key": "quoteVolume", "refresh_period": 900},
        {"method": "PriceFilter", "low_price_ratio": 0.02, "min_price": 0.00000020, "max_value": null},
        {"method": "RemotePairList", "pairlist_url": "https://pairs.example.org/mine", "mode": "whitelist"},
        {"method": "ShuffleFilter", "seed": 7},
    ],
    "exchange": {
        "name": "kraken",
        "key": "k-4d3c2b1a", "secret": "s-0f0e0d0c", "password": "",
        "ccxt_config": {"enableRateLimit": true, "headers": {"Authorization": "Basic abc"}, "options": {}},
        "ccxt_async_config": {},
        "ccxt_sync_config": {"rateLimit": 250, "apiKey": "another-one"},
        "pair_whitelist": ["ETH/USDT:USDT", "SOL/USDT:USDT", "(ADA|DOT)/USDT:USDT"],
        "pair_blacklist": [],
        "log_responses": false, "unknown_fee_rate": 1, "outdated_offset": 4, "markets_refresh_interval": 45,
        "skip_pair_validation": false,
    },
    "coingecko": {"is_demo": true, "api_key": "CG-123456"},
    "telegram": {
        "enabled": true, "token": "987654321:AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQr", "chat_id": "-100200300",
        "topic_id": "7", "authorized_users": ["11", "12"], "allow_custom_messages": true, "reload": true,
        "balance_dust_level": 0.02, "keyboard": [["/daily", "/stats"], ["/help"]],
        "notification_settings": {"status": "silent", "entry": "on", "exit": {"roi": "silent", "stop_loss": "on"}}
    },
    "webhook": {
        "enabled": false, "url": "https://hooks.example.org/T0/B0/xyz", "format": "json", "retries": 2,
        "retry_delay": 0.2, "entry": {"text": "in {pair} \"now\" 'here' \\ é € 😀"}, "status": {}
    },
    "discord": {"enabled": false, "webhook_url": "https://discord.com/api/webhooks/1/abc", "exit_fill": [
        {"Trade": "{trade_id}"}, {"Pair": "{pair}"}]},
    "api_server": {
        "enabled": true, "listen_ip_address": "127.0.0.1", "listen_port": 8181, "verbosity": "error",
        "enable_openapi": false, "jwt_secret_key": "j-99887766-and-so-on-for-32-letters", "CORS_origins": ["https://ui.example.org"],
        "username": "operator", "password": "p-5544", "ws_token": ["w-1", "w-2"]
    },
    "external_message_consumer": {
        "enabled": false, "wait_timeout": 250, "ping_timeout": 8, "sleep_time": 9, "remove_entry_exit_signals": false,
        "message_size_limit": 6, "initial_candle_limit": 400,
        "producers": [{"name": "one", "host": "10.0.0.9", "port": 8282, "secure": false, "ws_token": "w-3"}]
    },
    "orderflow": {"cache_size": 700, "max_candles": 800, "scale": 0.5, "stacked_imbalance_range": 3,
        "imbalance_volume": 1, "imbalance_ratio": 3},
    "freqai": {
        "enabled": false, "train_period_days": 21, "backtest_period_days": 3.5, "identifier": "first",
        "live_retrain_hours": 0.5, "purge_old_models": 2, "save_backtest_models": true,
        "feature_parameters": {"include_timeframes": ["15m", "1h"], "include_corr_pairlist": ["BTC/USDT:USDT"],
            "label_period_candles": 12, "include_shifted_candles": 1, "DI_threshold": 0.8,
            "indicator_periods_candles": [8, 21], "plot_feature_importances": 0},
        "data_split_parameters": {"test_size": 0.2, "shuffle": false, "random_state": 3},
        "model_training_parameters": {"n_estimators": 500, "learning_rate": 1e-05},
        "rl_config": {"model_type": "PPO", "net_arch": [64, 64], "model_reward_parameters": {"rr": 1, "win": {}}}
    },
    "log_config": {"version": 1, "formatters": {"short": {"format": "%(asctime)s %(name)s: %(message)s"}},
        "handlers": {"file": {"class": "freqtrade.loggers.ft_rich_handler.FtRichHandler", "formatter": "short"}},
        "loggers": {"freqtrade.exchange": {"level": "WARNING"}, "null": {}}, "root": {"handlers": ["file"]}},
    "bot_name": "first of ours", "db_url": "postgresql+psycopg2://ft:hunter2@db.example.org/ft",
    "initial_state": "running", "force_entry_enable": false,
    "internals": {"process_throttle_secs": 6, "heartbeat_interval": 45, "sd_notify": true},
    "disable_dataframe_checks": false, "strategy": "Breakout_2", "strategy_path": "user_data/strategies/",
    "recursive_strategy_search": false, "add_config_files": ["private.json"], "reduce_df_footprint": false,
    "dataformat_ohlcv": "feather", "dataformat_trades": "feather", "export": "none",
    "tricky": ["//", "/* ", " */", ",]", ",}", "a\"//b", "\\", "\u00e4\ud83d\ude00"], // the end,
}
"""

FREQTRADE: Final = {
    "full": FREQTRADE_FULL,
    "spot, unlimited stake, live": """{"dry_run": false, "max_open_trades": 4, "stake_currency": "EUR",
        "stake_amount": "unlimited", "tradable_balance_ratio": 1, "timeframe": "1h", "trading_mode": "spot",
        "margin_mode": "", "pairlists": [{"method": "StaticPairList"}], "entry_pricing": {"price_side": "same"},
        "exit_pricing": {"price_side": "same"}, "bot_name": "", "exchange": {"name": "binance", "key": "",
        "secret": "", "ccxt_config": {}, "pair_whitelist": ["BTC/EUR"], "pair_blacklist": ["BNB/.*"]},
        "telegram": {"enabled": false, "token": "", "chat_id": ""}}""",
    "names of years ago": """{"dry_run": true, "bid_strategy": {"use_order_book": false, "ask_last_balance": 0.0},
        "ask_strategy": {"order_book_min": 1}, "pairlist": {"method": "VolumePairList", "config": {}},
        "unfilledtimeout": {"buy": 9, "sell": 20}, "order_types": {"buy": "limit", "sell": "limit"},
        "forcebuy_enable": false, "exchange": {"name": "binance", "sandbox": false}, "edge": {"enabled": false,
        "stoploss_range_min": -0.01, "minimum_winrate": 0.60}}""",
    "only the keys": """{"exchange": {"key": "k-1", "secret": "-----BEGIN PRIVATE KEY-----\\nMIIEvQ\\n-----END",
        "uid": "memo"}, "telegram": {"token": "1", "chat_id": "2"}}""",
    "what stands where nothing of ours fits": """{"dry_run": "yes", "strategy": null, "telegram": {"enabled": "on"},
        "exchange": {"name": 7, "pair_whitelist": [1, null, "", {"a": {}}]}, "stake_amount": [], "order_types": {},
        "pairlists": {}, "a": {"b": {"c": {}}}, "": null}""".replace(', "": null', ""),
    "nothing": "{}",
    "one of each": '{"a": 1, "A": 1.0, "b": true, "c": false, "d": null, "e": "", "f": [], "g": {}, "h": "1"}',
}
"""What each is → a freqtrade file."""

_CLIENT: Final = """
############################
###   client_config config   ###
############################

instance_id: 7f3a9c0d1e2b4a5968778695a4b3c2d1e0f1a2b3

# what is fetched
fetch_pairs_from_all_exchanges: false
log_level: INFO
debug_console: false
strategy_report_interval: 900.0
logger_override_whitelist:
- hummingbot.strategy.arbitrage
- conf
log_file_path: /opt/bot/logs
kill_switch_mode:
  kill_switch_rate: 12.5
autofill_import: disabled
mqtt_bridge:
  mqtt_host: broker.example.org
  mqtt_port: 1884
  mqtt_username: bots
  mqtt_password: 'mq: secret'
  mqtt_namespace: hbot
  mqtt_ssl: false
  mqtt_autostart: yes
send_error_logs: true
db_mode:
  db_engine: postgresql
  db_host: 127.0.0.1
  db_port: 5433
  db_username: hb
  db_password: db-secret
  db_name: trades
balance_asset_limit:
  binance:
    USDT: 1000.0
    BTC: 0.05
  kraken: {}
manual_gas_price: 50.0
gateway:
  gateway_api_host: localhost
  gateway_api_port: '15889'
  gateway_use_ssl: false
anonymized_metrics_mode: {}
rate_oracle_source:
  name: coin_gecko
  extra_tokens: []
  api_key: CG-7654321
  api_tier: DEMO
global_token:
  global_token_name: USDT
  global_token_symbol: €
rate_limits_share_pct: 87.5
commands_timeout:
  create_command_timeout: 9.0
  other_commands_timeout: 28.0
tables_format: psql
paper_trade:
  paper_trade_exchanges:
  - binance
  paper_trade_account_balance:
    BTC: 2.0
    USDT: 50000.0
color:
  top_pane: '#000010'
  terminal_primary: '#5FFFD8'
tick_size: 1.0
market_data_collection:
  market_data_collection_enabled: false
  market_data_collection_interval: 45
"""

HUMMINGBOT: Final = {
    "client": _CLIENT,
    "client of years ago": """
instance_id: 0a1b2c3d4e5f60718293a4b5c6d7e8f901234567
log_level: NETWORK
kill_switch_mode: {}
previous_strategy: conf_pure_mm_1.yml
telegram_mode:
  telegram_token: '123456789:AAabcdefghijklmnopqrstuvwxyz012345'
  telegram_chat_id: '-5001'
certs_path: /opt/bot/certs
command_shortcuts:
- command: spreads
  help: Set bid and ask spread
  arguments:
  - Bid Spread
  output:
  - config bid_spread $1
""",
    "strategy with a template": """
########################################################
###       a strategy of the first generation         ###
########################################################
template_version: 24
strategy: pure_market_making

exchange: binance_paper_trade
market: ETH-USDT
bid_spread: 0.35
ask_spread: .4
minimum_spread: -100
order_refresh_time: 25.0
max_order_age: 1700.0
order_refresh_tolerance_pct: 0
order_amount: 0.05
price_ceiling: -1
moving_price_band_enabled: False
ping_pong_enabled: yes
inventory_price: 1.0
order_levels: 2
filled_order_delay: 45
price_source: current_market
price_type: mid_price
price_source_exchange: null
price_source_custom_api:
take_if_crossed: ~
# {order_1: [buy, 0.5, 100]}
order_override: {order_1: [buy, 0.5, 100], order_2: [sell, 0.6, 1e2]}
bid_order_level_spreads: "1,2"
should_wait_order_cancel_confirmation: True
""",
    "strategy with modes": """
strategy: avellaneda_market_making
exchange: kucoin
market: ATOM-USDT
execution_timeframe_mode:
  start_datetime: 2026-03-01 09:30:00
  end_datetime: 2026-03-02T16:00:00
order_amount: 12.0
order_optimization_enabled: true
risk_factor: 0.75
min_spread: 1.0e-05
order_levels_mode: {}
order_override: null
order_refresh_time: 35.0
hanging_orders_mode:
  hanging_orders_cancel_pct: 8.5
should_wait_order_cancel_confirmation: true
""",
    "strategy on two exchanges": """
strategy: cross_exchange_market_making
maker_market: kucoin
taker_market: binance
maker_market_trading_pair: SOL-USDT
taker_market_trading_pair: SOL-USDT
min_profitability: 0.35
order_amount: 1.5
adjust_order_enabled: yes
order_refresh_mode: {cancel_order_threshold: 0.05, limit_order_min_expiration: 120.0}
conversion_rate_mode: {}
slippage_buffer: 4.5
""",
    "hedge": """
strategy: hedge
value_mode: true
hedge_connector: bybit_perpetual_testnet
hedge_markets:
- SOL-USDT
hedge_offsets:
- 0.0
connector_0:
  connector: binance
  markets:
  - SOL-USDT
  offsets:
  - 0.01
connector_1:
  connector: null
  markets: null
  offsets: null
""",
    "script": """
script_file_name: v2_with_controllers.py
controllers_config:
- conf_market_making.pmm_simple_1.yml
- conf_directional.bollinger_1.yml
max_global_drawdown_quote: null
max_controller_drawdown_quote: 35.5
""",
    "market making controller": """
id: pmm_1
controller_name: pmm_simple
controller_type: market_making
total_amount_quote: 750
manual_kill_switch: false
connector_name: binance_perpetual
trading_pair: SOL-USDT
buy_spreads:
- 0.012
- 2.5e-05
sell_spreads: [0.011, 0.022]
buy_amounts_pct: null
executor_refresh_time: 240
cooldown_time: 1_5
leverage: 3
position_mode: HEDGE
stop_loss: 0.025
take_profit: '0.018'
time_limit: 2400
take_profit_order_type: 2
trailing_stop:
  activation_price: 0.014
  trailing_delta: 0.004
initial_positions:
- connector_name: binance_perpetual
  trading_pair: SOL-USDT
  amount: 1.5
  side: 1
  level_id: null
""",
    "controller with a table": """
id: grid
controller_name: quantum_grid_allocator
controller_type: generic
portfolio_allocation: {SOL: 0.5, "1INCH": 0.25, 'NO': 0.2}
connector_name: binance
interval: 1s
grid_range: 1.5e-03
max_open_orders: 1_0
""",
    "what YAML makes hard": """
controller_name: our_own
candles_config: []
markets: {binance: [], "1.5": {}}
note: 1e3
started: 2026-01-05
clock: '16:00:00'
answer: 'yes'
escapes: "tab\\there \\"quoted\\" 'so' \\\\ \\u00e9 \\U0001F600 \\x7f \\u2028 end"
fast: on
hexadecimal: 0x1F
""",
    "connector": """
connector: kucoin
kucoin_api_key: 7b2263727970746f223a20227361
kucoin_secret_key: 7b2263727970746f223a20227362
kucoin_passphrase: 7b2263727970746f223a20227363
""",
    "connector without keys": "connector: xrpl\nwss_node_urls:\n- wss://one.example.org\nmax_request_per_minute: 12\n",
    "fees": """
# fees of our own
template_version: 14
binance_percent_fee_token:  # BNB
binance_maker_percent_fee: 0.075
binance_taker_fixed_fees:
kraken_buy_percent_fee_deducted_from_returns: True
""",
    "logs": """
---
version: 1
template_version: 12
formatters:
    simple:
        format: "%(asctime)s - %(name)s"
handlers:
    console: {class: hummingbot.logger.cli_handler.CLIHandler, level: DEBUG, stream: ext://sys.stdout}
    file_handler:
        filename: $PROJECT_DIR/logs/logs_$STRATEGY_FILE_PATH.log
        when: "D"
        backupCount: 7
    "null":
        class: logging.NullHandler
loggers:
    hummingbot.core.utils:
        handlers: [console, file_handler]
        propagate: false
        mqtt: true
    conf:
        handlers: ["null"]
root:
    level: INFO
""",
    "nothing": "{}",
    "something else": "exchange: binance\nmarket: A-B\ndeep: {a: {b: [{c: []}, []]}}\n",
}
"""What each is → a hummingbot file."""

SHAPES: Final = [
    *[("freqtrade", shape, text) for shape, text in FREQTRADE.items()],
    *[("hummingbot", shape, text) for shape, text in HUMMINGBOT.items()],
]


def imported(program: str, text: str, **words: str) -> Import:
    """How a file is imported for `BOT` under the name `file`, into an environment without anything."""
    given = {"bot": BOT, "file": "file", **words}
    return foreign.plan(
        foreign.project(program), text.encode(), "a file", bot=given["bot"], file=given["file"],
        strategy=given.get("strategy", ""),
    )  # fmt: skip


def view_of(*made: Import, also: dict[tuple[str, str], object] | None = None) -> View:
    """What the bot sees of an environment that holds imports, and values that were set since: (layer, path) → value."""
    values: dict[tuple[str, str], object] = {}
    for one in made:
        values.update({(layer, path): value for what, path, layer, value in one.edits() if what != "unset"})
    values.update(also or {})
    state = State(Lineage(("production",)))
    for (layer, path), value in values.items():
        edits = [LeafEdit(layer, leaf, "put", content) for leaf, content in items.leaves(path, value)]
        state = state.apply("production", tuple(edits))
    return views.build(state, {"bot": made[0].bot})


def rendered(program: str, view: View, file: str = "file") -> bytes:
    """What a sidecar writes for the bot."""
    return _template(program, file).render("production", Position(1, 1), view)


@lru_cache
def _template(program: str, file: str) -> Template:
    folder = mkdtemp(prefix="trimtab-template-")
    atexit.register(shutil.rmtree, folder)
    path = Path(folder) / "bot.j2"
    path.write_text(foreign.template(foreign.project(program), file))
    return Template(path)
