"""The keys of a data directory outlive every start of `up`."""

from __future__ import annotations

from pathlib import Path

from trimtab_store import keys
from trimtab_store.embedded.directory import DataDirectory
from trimtab_store.up.cluster import keep_keys


def test_a_key_that_was_added_is_still_trusted_after_the_next_start(tmp_path: Path) -> None:
    with DataDirectory(tmp_path / "data") as directory:
        keep_keys(directory)
        first = directory.signing_key.read_bytes()
        made, trusted = keys.create(tmp_path / "next.json", directory.trust)
        keep_keys(directory)
        assert directory.signing_key.read_bytes() == first
        assert set(keys.read_trust(directory.trust).keys) == set(trusted.keys)
        assert made.key_id in trusted.keys
        assert len(trusted.keys) == 2
