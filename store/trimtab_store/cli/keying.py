"""`trimtab keys`: make a signing key, and see whom agents trust."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from trimtab.model.canonical import Json
from trimtab_store import keys as signing
from trimtab_store.cli import options
from trimtab_store.cli.command import command
from trimtab_store.cli.output import print_json, print_lines, print_table
from trimtab_store.embedded import directory as data_directory

keys = typer.Typer(help="Signing keys: create one that agents trust, list those that they trust.", no_args_is_help=True)


@command(keys, "create")
def create(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The new signing key; must not exist.")],
    trust: Annotated[
        Path | None,
        typer.Option(
            "--trust",
            help="The trust file; one that exists gets one more key [default: trust.json beside FILE].",
            metavar="FILE",
        ),
    ] = None,
    *,
    as_json: options.AsJson = False,
) -> None:
    """Make a signing key, for its owner alone (mode 0600), and have a trust file name its public half.

    To rotate keys, name the trust file that agents have: it then names both. Give it to every agent and start them
    again, before anybody signs with the new key (TRIMTAB_SIGNING_KEY). An old key has to stay in it while an agent may
    still meet what it signed.

    Example: trimtab keys create signing-key.json
    Example: trimtab keys create signing-key-2.json --trust trust.json
    """
    place = trust or file.parent / "trust.json"
    key, trusted = signing.create(file, place)
    if as_json:
        names: list[Json] = [*sorted(trusted.keys)]
        print_json({"id": key.key_id, "key_file": str(file), "trust_file": str(place), "trusted": names})
        return
    others = len(trusted.keys) - 1
    named = f"{place} names it" + (f", beside {others} other{'s' if others > 1 else ''}" if others else "")
    before = ", and start them again, before anybody signs with it" if others else ""
    print_lines(
        [
            f"Made the signing key {key.key_id} in {file}. Keep a copy where nobody else can read it.",
            f"{named}. Give that file to every agent{before}.",
        ]
    )


@command(keys, "list")
def list_keys(
    given: options.Common,
    trust: Annotated[
        Path | None,
        typer.Option(
            "--trust",
            envvar=signing.TRUST,
            help="The trust file [default: that of the data directory].",
            metavar="FILE",
        ),
    ] = None,
) -> None:
    """List the keys that a trust file names, and which of them signs what is committed from here.

    Example: trimtab keys list --trust trust.json
    """
    place = data_directory.DataDirectory(data_directory.chosen(given.directory))
    trusted = signing.read_trust(trust or place.trust)
    own = signing.read_key(None if trust or os.environ.get(signing.SIGNING_KEY) else place.signing_key)
    signer = None if own is None else next(iter(own.trust().keys.values())).public_bytes_raw()
    rows = [(name, key.public_bytes_raw()) for name, key in sorted(trusted.keys.items())]
    signs = [own.key_id for name, public in rows if own is not None and (name, public) == (own.key_id, signer)]
    if given.as_json:
        listed: list[Json] = [{"id": name, "public": public.hex(), "signs": name in signs} for name, public in rows]
        print_json({"keys": listed, "signing": None if own is None else own.key_id})
        return
    print_table(
        ["key", "public", "signs here"], [(name, public.hex(), "yes" if name in signs else "") for name, public in rows]
    )
    if own is not None and not signs:
        print_lines(["", f"The signing key {own.key_id} is none of these: agents with this file refuse what it signs."])
