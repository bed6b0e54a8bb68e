"""Secrets of other programs' files: none is ever imported, and what is none stays as it is."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.foreign_files import BOT, FREQTRADE, HUMMINGBOT, imported, rendered, view_of
from trimtab_store import foreign
from trimtab_store.foreign import secrets
from trimtab_store.foreign.secrets import SecretsRefused

IN_FREQTRADE = [
    "k-4d3c2b1a", "s-0f0e0d0c", "Basic abc", "another-one", "CG-123456", "987654321:AAbb", "-100200300",
    "hooks.example", "discord.com/api/webhooks", "j-99887766", "operator", "p-5544", "w-1", "w-2", "w-3", "hunter2",
]  # fmt: skip
IN_HUMMINGBOT = ["mq: secret", "db-secret", "CG-7654321", "7b2263"]


def whole(made: foreign.Import) -> str:
    """Everything that would be committed, as text."""
    return "\n".join(f"{path} {value!r}" for _, path, _, value in made.edits())


def test_no_secret_of_a_freqtrade_file_is_imported() -> None:
    made = imported("freqtrade", FREQTRADE["full"])
    assert [one for one in IN_FREQTRADE if one not in FREQTRADE["full"]] == []
    assert [one for one in IN_FREQTRADE if one in whole(made)] == []
    assert {"exchange.key", "exchange.secret", "db_url", "webhook.url", "api_server.ws_token.1"} <= made.secrets.keys()
    assert "exchange.password" not in made.secrets  # it is empty
    assert made.content["exchange"]["key"] == f"SECURE:{BOT}.file.exchange.key"  # type: ignore[index, call-overload]


@pytest.mark.parametrize("shape", HUMMINGBOT)
def test_no_secret_of_a_hummingbot_file_is_imported(shape: str) -> None:
    assert [one for one in IN_HUMMINGBOT if one in whole(imported("hummingbot", HUMMINGBOT[shape]))] == []


def test_keys_of_an_exchange_stand_beside_what_else_is_known_of_it_in_the_overlay_of_the_bot() -> None:
    edits = {path: (layer, value) for _, path, layer, value in imported("freqtrade", FREQTRADE["full"]).edits()}
    reference = f"SECURE:{BOT}.file.exchange.key"
    assert edits["exchange.kraken.credentials.key"] == (f"bot={BOT}", reference)
    made = imported("hummingbot", HUMMINGBOT["connector"])
    edits = {path: (layer, value) for _, path, layer, value in made.edits()}
    place = "exchange.kucoin.credentials.kucoin_passphrase"
    assert edits[place] == (f"bot={BOT}", f"SECURE:{BOT}.file.kucoin_passphrase")


@pytest.mark.parametrize(
    ("program", "text"),
    [
        ("hummingbot", "strategy: liquidity_mining\ntoken: HBOT\nmarkets: A-B\n"),
        ("hummingbot", "template_version: 3\nbinance_percent_fee_token: BNB\nstrategy: amm_arb\ngas_token: ETH\n"),
        (
            "hummingbot",
            "instance_id: 7f3a9c0d1e2b4a5968778695a4b3c2d1e0f1a2b3\nglobal_token: {global_token_name: USDT}\n",
        ),
        ("freqtrade", '{"db_url": "sqlite:///trades.sqlite", "freqai": {"identifier": "uid", "random_state": 1}}'),
        ("freqtrade", '{"exchange": {"key": "", "secret": null, "password": false}, "pairlists": [{"seed": 3}]}'),
        ("freqtrade", '{"exchange": {"key": "SECURE:of.our.own"}}'),
    ],
)
def test_what_is_no_secret_stays(program: str, text: str) -> None:
    assert imported(program, text).secrets == {}


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (("bot_token",), "x"), (("apiKey",), "x"), (("privateKey",), "x"), (("jwt_secret_key",), "x"),
        (("password",), "x"), (("db_password",), "x"), (("SomePassphrase",), "x"), (("webhook_url",), "x"),
        (("signing_key",), "x"), (("telegram_token_2",), "x"),
        (("any",), "postgresql://a:b@host/x"), (("any",), "http://user:pass@proxy:3128"), (("chatId",), -100),
        (("any",), "https://lists.example/pairs?n=9&apikey=x"), (("any",), "wss://x.example/v1?token=0123456789abcdef"),
        (("any",), "https://x.example/?my_api_key=x&b=1"), (("any",), "-----BEGIN RSA PRIVATE KEY-----\nMII"),
        (("any",), "123456789:AAabcdefghijklmnopqrstuvwxyz012345"),
    ],
)  # fmt: skip
def test_names_and_looks_give_secrets_away(at: tuple[str, ...], value: Any) -> None:
    found, left_out = secrets.kept_out({"deep": [{at[-1]: value}]}, ("b", "f"), lambda _: False)
    assert found == {"deep": [{at[-1]: f"SECURE:b.f.deep.0.{at[-1]}"}]}
    assert left_out == {f"deep.0.{at[-1]}": f"b.f.deep.0.{at[-1]}"}


@pytest.mark.parametrize("name", ["token", "key", "monkey", "tokens", "secretary", "keyboard", "password_required_not"])
def test_names_that_only_look_like_it_do_not(name: str) -> None:
    assert not secrets.looks_secret((name,), "value")


@pytest.mark.parametrize(
    "value",
    ["https://x.example/price?token=SOL&key=5", "https://x.example/api_key=1", "token=0123456789abcdef0123", "a?b=c"],
)
def test_an_address_without_a_key_is_no_secret(value: str) -> None:
    assert not secrets.looks_secret(("pairlist_url",), value)


def test_everything_inside_a_secret_object_is_secret_and_two_references_are_never_the_same() -> None:
    content: Any = {"credentials": {"a b": "1", "a_b": "2", "on": True, "list": ["3", ""]}}
    found, left_out = secrets.kept_out(content, ("b", "f"), lambda _: False)
    assert found == {
        "credentials": {
            "a b": "SECURE:b.f.credentials.a_b",
            "a_b": "SECURE:b.f.credentials.a_b~2",
            "on": True,
            "list": ["SECURE:b.f.credentials.list.0", ""],
        }
    }
    assert len(set(left_out.values())) == len(left_out) == 3


def test_a_file_with_secrets_can_be_refused_and_the_refusal_tells_places_only() -> None:
    with pytest.raises(SecretsRefused) as refused:
        foreign.plan(
            foreign.project("freqtrade"),
            FREQTRADE["only the keys"].encode(),
            "a file",
            bot=BOT,
            file="f",
            keep="refuse",
        )
    assert "exchange.key" in str(refused.value)
    assert "MIIEvQ" not in str(refused.value)


def test_a_rendered_file_holds_references_where_secrets_were() -> None:
    made = imported("freqtrade", FREQTRADE["only the keys"])
    assert rendered("freqtrade", view_of(made)).decode().count("SECURE:") == len(made.secrets) == 5
