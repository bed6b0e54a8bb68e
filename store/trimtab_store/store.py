"""The direct writer: one object over Postgres, with what publishes and what knows the fleet plugged in.

Everything is wired in `Store.connect`; the parts are in the modules that it imports.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from trimtab.model.errors import SettingError
from trimtab.model.resolution import Candidate
from trimtab.model.statements import SigningKey, Trust
from trimtab.model.structure import Forest
from trimtab_store import backup, checking, environments, portable, recovery, registry_reading
from trimtab_store import rollback as rolling
from trimtab_store.aftercare import Aftercare
from trimtab_store.backup import Manifest
from trimtab_store.checking import Checked
from trimtab_store.commit import Committer
from trimtab_store.database import POOL_SIZE, Connection, Database
from trimtab_store.editing import EditBlock, Request
from trimtab_store.epochs import Witness
from trimtab_store.evolution import planning as upgrading
from trimtab_store.evolution.planning import Planned
from trimtab_store.files.tree import FleetTree
from trimtab_store.history import History
from trimtab_store.hooks import Hook
from trimtab_store.impact import Impact
from trimtab_store.impact_reading import impact_of
from trimtab_store.keys import SIGNING_KEY, read_key
from trimtab_store.loading import load_tree
from trimtab_store.planning import Plan, Planner
from trimtab_store.portable import Format
from trimtab_store.queries import AsOf, Found, Queries
from trimtab_store.recovery import Words
from trimtab_store.registry import Entry, Registry
from trimtab_store.registry_reading import Asked, Shown
from trimtab_store.snapshots import Snapshots
from trimtab_store.sources.planning import TreePlan, Wanted, plan_tree
from trimtab_store.validation import defaults, spelling
from trimtab_store.validation.inspection import Inspector
from trimtab_store.validation.rules import Rule
from trimtab_store.writer import Committed, Publisher, Receipts, RolledBack, Validated

__all__ = ["SIGNING_KEY", "Store", "read_key"]


class Store:
    """A connected store. Safe for use by many threads; a context manager, or close it.

    Reading needs no signing key; every call that writes raises `SettingError` without one.
    """

    def __init__(
        self,
        database: Database,
        *,
        key: SigningKey | None = None,
        trust: Trust | None = None,
        rules: Sequence[Rule] | None = None,
        hooks: Sequence[Hook] = (),
        publisher: Publisher | None = None,
        receipts: Receipts | None = None,
    ) -> None:
        self.database = database
        self.queries = Queries(database)
        self.history = History(database)
        self.trust = trust or (key.trust() if key else None)
        self.witness: Witness | None = None
        self._inspector = Inspector(defaults.in_force(rules), tuple(hooks))
        self._planner = Planner(self._inspector)
        self._aftercare = Aftercare(Snapshots(database, key) if key else None, publisher, receipts)
        self._closing = contextlib.ExitStack()
        self._closing.callback(database.close)
        self._committer = Committer(database, key) if key else None

    @classmethod
    def connect(  # noqa: PLR0913 - one argument for each thing that is plugged in
        cls,
        database_url: str,
        redis_url: str | None = None,
        *,
        signing_key: Path | str | SigningKey | None = None,
        trust: Trust | None = None,
        pool_size: int = POOL_SIZE,
        rules: Sequence[Rule] | None = None,
        hooks: Sequence[Hook] = (),
        publisher: Publisher | None = None,
        receipts: Receipts | None = None,
    ) -> Store:
        """Connect and check the schema; nothing else is asked of the servers yet.

        `signing_key` is a key or the file that holds it (default: the file that TRIMTAB_SIGNING_KEY names). With a
        `redis_url`, commits are published and agents' receipts are read there. `rules` stand instead of the built-in
        ones; with `()` nothing but hooks looks at the content: no category, schema or rule. Raises `UnavailableError`,
        `DeniedError` or `NotMigrated`; no message holds a password.
        """
        database = Database(database_url, pool_size=pool_size)
        try:
            key = read_key(signing_key)
            database.check_schema()
            store = cls(
                database, key=key, trust=trust, rules=rules, hooks=hooks, publisher=publisher, receipts=receipts
            )
            store._wire(database_url, redis_url)
        except BaseException:
            database.close()
            raise
        return store

    def _wire(self, database_url: str, redis_url: str | None) -> None:
        """Plug in what publishes and what knows the fleet, unless the caller brought its own."""
        if self._aftercare.receipts is None:
            from trimtab_store.receipts import FleetReceipts  # noqa: PLC0415 - redis only where it is used

            self._aftercare.receipts = FleetReceipts(database_url, redis_url)
        if redis_url is None:
            return
        from trimtab_store.publish import Publisher as RedisPublisher  # noqa: PLC0415 - redis only where it is used
        from trimtab_store.witness import RedisWitness  # noqa: PLC0415 - the same

        self.witness = RedisWitness(redis_url)
        if self._aftercare.publisher is None:
            publisher = RedisPublisher.connect(database_url, redis_url)
            self._closing.callback(publisher.close)
            self._aftercare.publisher = publisher

    def close(self) -> None:
        """Give back every connection."""
        self._closing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Writing

    def edit(
        self,
        environment: str,
        *,
        author: str,
        reason: str = "",
        expect: int | None = None,
        idempotency_key: str | None = None,
        urgent: bool = False,
        force: str | None = None,
    ) -> EditBlock[Committed]:
        """Edits that become one revision at the end of the block; nothing happens if the block raises.

        An edit that changes nothing makes no revision: `committed` then names the head, with `created` False.
        """
        start = Request(
            environment=environment,
            author=author,
            reason=reason,
            expect=expect,
            idempotency_key=idempotency_key,
            urgent=urgent,
            force=force,
        )
        return EditBlock(start, self.submit)

    def validate(
        self, environment: str, *, author: str = "validate", expect: int | None = None, force: str | None = None
    ) -> EditBlock[Validated]:
        """The same block, but at its end everything is checked and nothing is committed; see `result`."""
        start = Request(environment=environment, author=author, reason="", expect=expect, force=force)
        return EditBlock(start, self.check)

    def check(self, request: Request) -> Validated:
        """Do everything of a commit that needs no lock; raises what would refuse it."""
        plan = self.database.read(lambda connection: self._planner.plan(connection, request))
        return Validated(request.environment, plan.paths, plan.lines if plan.edits else (), plan.warnings)

    def impact(self, request: Request) -> Impact:
        """Who would see what differently if a request were committed, whether or not it could be."""
        if self._inspector.rules is not None:
            request = dataclasses.replace(request, operations=spelling.respelled(request.operations))
        return self.database.snapshot(lambda inside: impact_of(inside, request))

    def plan_upgrade(self, schema: str) -> Planned:
        """What it takes to bring every document of a schema to its newest version, environment by environment."""
        return self.database.snapshot(lambda inside: upgrading.plan(inside, schema))

    def upgrade(self, planned: Planned, *, author: str, reason: str = "", force: str | None = None) -> list[Committed]:
        """Carry out such a plan: one revision for each environment, those that inherit first."""
        words = Request(environment="", author=author, reason=reason, force=force).check()
        return [
            self.submit(dataclasses.replace(words, environment=one.environment, operations=one.operations))
            for one in planned.upgrades
        ]

    def check_import(self, text: bytes, form: Format = "json", *, environment: str | None = None) -> Validated:
        """Check a file as `import_environment` would; nothing is committed."""
        return self.check(portable.request(portable.read(text, form), environment, author="validate"))

    def check_stored(self, environment: str) -> int:
        """Check everything that an environment holds and inherits against the rules of today; the number of items."""
        return self.checked(environment).items

    def checked(self, environment: str) -> Checked:
        """The same, with what there is to warn of. Raises `DocumentsRefused` with everything that is wrong."""
        return self.database.snapshot(lambda inside: checking.check_stored(inside, environment, self._inspector))

    def submit(self, request: Request) -> Committed:
        """Commit a request, publish it, and renew the snapshots that are due."""
        return self._aftercare.of(self._writer().commit(request, lambda inside: self._planner.plan(inside, request)))

    def rollback(  # noqa: PLR0913 - the words of an edit, and what to go back to
        self,
        environment: str,
        to_revision: int,
        *,
        author: str,
        reason: str = "",
        pin: bool = False,
        expect: int | None = None,
        idempotency_key: str | None = None,
        urgent: bool = False,
        force: str | None = None,
    ) -> RolledBack:
        """Bring an environment's own items back to what they were at a revision, as a new revision.

        It touches every document, so `expect` refuses it if a reader of the environment sees anything new since.
        """
        words = Request(
            environment=environment,
            author=author,
            reason=reason,
            kind="rollback",
            expect=expect,
            idempotency_key=idempotency_key,
            urgent=urgent,
            force=force,
        ).check()
        operation = self.database.snapshot(lambda inside: rolling.operation(inside, environment, to_revision, pin=pin))
        committed = self.submit(dataclasses.replace(words, operations=(operation,)))
        if committed.replayed:
            return self.database.snapshot(lambda inside: rolling.replayed(inside, operation, committed))
        return RolledBack(committed, operation.inherited, operation.pinned)

    def create_environment(
        self,
        name: str,
        *,
        parent: str | None = None,
        dimensions: Sequence[str] | None = None,
        author: str,
        reason: str = "",
    ) -> Committed:
        """Create an environment: a root that declares dimensions, or one that inherits from `parent`."""
        request = environments.create(name, parent, dimensions, author=author, reason=reason)
        return self._structure(request, creates=True)

    def reparent_environment(
        self, name: str, parent: str | None, *, author: str, reason: str = "", force: str | None = None
    ) -> Committed:
        """Make an environment inherit from another, or from none."""
        return self._structure(
            environments.reparent(name, parent, author=author, reason=reason, force=force), creates=False
        )

    def declare_dimensions(self, root: str, dimensions: Sequence[str], *, author: str, reason: str = "") -> Committed:
        """Declare the dimensions of a tree at its root, least specific first."""
        return self._structure(environments.declare(root, dimensions, author=author, reason=reason), creates=False)

    def import_environment(  # noqa: PLR0913 - the words of an edit, and a file
        self,
        text: bytes,
        form: Format = "json",
        *,
        environment: str | None = None,
        author: str,
        reason: str = "",
        expect: int | None = None,
        idempotency_key: str | None = None,
        urgent: bool = False,
        force: str | None = None,
    ) -> Committed:
        """Make an environment's own items exactly what a file says: the one it names, unless another is given.

        It touches every document, so `expect` refuses it if a reader of the environment sees anything new since.
        """
        request = portable.request(portable.read(text, form), environment, author=author, reason=reason)
        words = dataclasses.replace(request, expect=expect, idempotency_key=idempotency_key, urgent=urgent, force=force)
        return self.submit(words.check())

    def load_tree(self, tree: FleetTree, *, author: str, reason: str = "", update: bool = True) -> list[Committed]:
        """Bring the store to a tree of files; with `update` False only environments that are missing are made."""
        return load_tree(self, tree, author=author, reason=reason, only_new=lambda _: not update)

    def plan_files(self, tree: FleetTree, wanted: Wanted) -> TreePlan:
        """What a tree of files would change, validated as one; nothing is committed."""
        return self.database.snapshot(lambda inside: plan_tree(inside, self._planner, tree, wanted))

    def declare_epoch(
        self, from_revision: int, *, reason: str, author: str, lost: str = "", above: int | None = None
    ) -> Committed:
        """Declare that history goes on from `from_revision`, which must be the head of this database.

        The new epoch's revisions start above everything that the database, Redis and agents' reports know; where Redis
        cannot be asked, name the highest known revision with `above`.
        """
        words = Words(author=author, reason=reason, lost=lost, above=above)
        return self._aftercare.of(recovery.declare(self._writer(), self.witness, words, from_revision))

    def backup(self, directory: Path) -> Manifest:
        """Write one state of the whole store into a new directory; needs a login that may read every table."""
        return self.database.snapshot(lambda connection: backup.save(connection, directory), seconds=None)

    def restore(
        self,
        directory: Path,
        *,
        reason: str,
        author: str,
        lost: str = "",
        above: int | None = None,
        replace: bool = False,
    ) -> Committed:
        """Put a backup in place and declare a new epoch above everything known, in one transaction.

        Every file is checked against the manifest, and every chain, checksum and audit row is proven, before anything
        counts. Needs a login that owns the tables. `replace` says that what the store holds now may go.
        """
        words = Words(author=author, reason=reason, lost=lost, above=above)
        return self._aftercare.of(recovery.restore(self._writer(), self.witness, words, directory, replace=replace))

    # Reading; more in `queries` and `history`

    def forest(self) -> Forest:
        """The environments and what they inherit from."""
        return self.queries.forest()

    def registry(self, environment: str) -> Registry:
        """The documents of an environment, with their metadata and dependencies."""
        return self.database.snapshot(lambda inside: registry_reading.registry(inside, environment))

    def find(self, environment: str, asked: Asked) -> tuple[Entry, ...]:
        """The documents that fit what is asked: by any of their metadata, by when they changed, by what is wrong."""
        return self.database.snapshot(lambda inside: registry_reading.find(inside, environment, asked, self._inspector))

    def registered(self, environment: str, path: str) -> Shown:
        """Everything about the document that a path belongs to: when it came and changed, and what is wrong now."""
        return self.database.snapshot(lambda inside: registry_reading.show(inside, environment, path))

    def get(self, path: str, environment: str, labels: Mapping[str, str] | None = None, as_of: AsOf = None) -> Found:
        """The value at a path for a reader with these labels."""
        return self.queries.get(path, environment, labels, as_of)

    def explain(
        self, path: str, environment: str, labels: Mapping[str, str] | None = None, as_of: AsOf = None
    ) -> tuple[Candidate, ...]:
        """Every layer that has a say about a path, the winner first."""
        return self.queries.explain(path, environment, labels, as_of)

    def export_environment(self, environment: str, form: Format = "json", as_of: AsOf = None) -> bytes:
        """An environment's own items as a file."""
        state, at = self.queries.state(environment, as_of)
        return portable.export(self.queries.forest(as_of), environment, at.revision, state.items(environment), form)

    def _structure(self, request: Request, *, creates: bool) -> Committed:
        def make(inside: Connection) -> Plan:
            return environments.plan(inside, request, self._inspector, creates=creates)

        return self._aftercare.of(self._writer().commit(request, make))

    def _writer(self) -> Committer:
        if self._committer is None:
            raise SettingError(
                "This store cannot be written", "there is no signing key", f"Set {SIGNING_KEY} to the file of one"
            )
        return self._committer
