-- The tables. Names, layers and paths compare byte by byte (COLLATE "C"), so that a prefix is a range of an index.
--
-- One version takes four steps: its bulky rows (changes, configuration_items) are written before the lock, under a
-- version_id that nothing refers to; then, under the lock, configuration_versions gives it its revision,
-- item_revisions enters its paths into the history, links extends the lines. All of these are append-only.
-- configuration_current and store_head are the only rows of the core that are ever updated.
--
-- Checks stand for what a client says, not for what the functions compute: the executor reads each check anew for each
-- statement, and one for everything made a commit a sixth slower. For the same reason nothing that a commit enters has
-- a foreign key (a query of its own each, 20 µs): rows of it only come from functions that have just seen or made the
-- row referred to: trimtab_stage_v1 enters a version's items with its change; trimtab_commit_v1 reads the change of the
-- version that it enters, and enter_links checks environment and revision. A restored backup is proven instead.

-- One row: the position, and the lock of every commit.
-- moved_at: when the revision was taken, by the clock of the database; never goes back.
-- audit_hash: the hash of the newest audit row, so that a cut-off tail shows.
CREATE TABLE trimtab.store_head (
    only_row           boolean     NOT NULL DEFAULT true,
    epoch              bigint      NOT NULL,
    revision           bigint      NOT NULL,
    structure_revision bigint      NOT NULL,
    moved_at           timestamptz NOT NULL,
    audit_id           bigint      NOT NULL,
    audit_hash         bytea       NOT NULL,
    poll_after_ms      integer     NOT NULL DEFAULT 500,
    CONSTRAINT store_head_pkey PRIMARY KEY (only_row),
    CONSTRAINT store_head_one_row CHECK (only_row),
    CONSTRAINT store_head_limits CHECK (
        epoch > 0 AND structure_revision >= 0 AND revision >= structure_revision AND poll_after_ms BETWEEN 100 AND 60000
    )
);

-- Each unbroken history: the cut where the one before ended, and what was lost there.
CREATE TABLE trimtab.epochs (
    epoch          bigint      NOT NULL,
    from_epoch     bigint,
    from_revision  bigint,
    first_revision bigint      NOT NULL,
    declared_at    timestamptz NOT NULL,
    reason         text        NOT NULL,
    lost           text        NOT NULL,
    CONSTRAINT epochs_pkey PRIMARY KEY (epoch),
    CONSTRAINT epochs_position CHECK (epoch > 0 AND first_revision > 0),
    CONSTRAINT epochs_origin CHECK (
        CASE WHEN from_epoch IS NULL THEN from_revision IS NULL AND epoch = 1
             ELSE from_epoch < epoch AND from_revision >= 0 AND from_revision < first_revision END
    )
);

-- dimensions: of the whole tree, least specific first; at its root only.
CREATE TABLE trimtab.environments (
    name             text   COLLATE "C" NOT NULL,
    parent           text   COLLATE "C",
    dimensions       jsonb,
    created_revision bigint NOT NULL,
    changed_revision bigint NOT NULL,
    CONSTRAINT environments_pkey PRIMARY KEY (name),
    CONSTRAINT environments_parent_fkey FOREIGN KEY (parent) REFERENCES trimtab.environments (name),
    CONSTRAINT environments_name CHECK (name ~ '^[a-z][a-z0-9_-]{0,62}$'),
    CONSTRAINT environments_not_its_own_parent CHECK (parent <> name),
    CONSTRAINT environments_dimensions CHECK (
        CASE WHEN parent IS NULL THEN coalesce(jsonb_typeof(dimensions) = 'array', false) ELSE dimensions IS NULL END
    ),
    CONSTRAINT environments_revisions CHECK (created_revision > 0 AND changed_revision >= created_revision)
);

-- What environments has said from each revision on.
CREATE TABLE trimtab.environment_revisions (
    environment text   COLLATE "C" NOT NULL,
    revision    bigint NOT NULL,
    parent      text   COLLATE "C",
    dimensions  jsonb,
    CONSTRAINT environment_revisions_pkey PRIMARY KEY (environment, revision),
    CONSTRAINT environment_revisions_revision CHECK (revision > 0)
);

-- The exact bytes that are hashed and sent.
CREATE TABLE trimtab.changes (
    version_id uuid  NOT NULL,
    change     bytea NOT NULL,
    CONSTRAINT changes_pkey PRIMARY KEY (version_id),
    CONSTRAINT changes_size CHECK (octet_length(change) BETWEEN 2 AND 16777216)
);

-- What a version did, leaf by leaf, and what stood there before.
CREATE TABLE trimtab.configuration_items (
    version_id         uuid NOT NULL,
    layer              text COLLATE "C" NOT NULL,
    path               text COLLATE "C" NOT NULL,
    operation          text COLLATE "C" NOT NULL,
    content            bytea,
    previous_operation text COLLATE "C",
    previous           bytea,
    CONSTRAINT configuration_items_pkey PRIMARY KEY (version_id, path, layer),
    CONSTRAINT configuration_items_limits CHECK (
        octet_length(layer) <= 1024 AND octet_length(path) BETWEEN 1 AND 1024 AND octet_length(content) <= 65536
    )
);

-- The durable record of each revision; a revision is never used twice, in no epoch.
-- committed_at: taken under the lock and never going back, so that a time names one revision.
CREATE TABLE trimtab.configuration_versions (
    revision        bigint      NOT NULL,
    epoch           bigint      NOT NULL,
    version_id      uuid        NOT NULL,
    environment     text        COLLATE "C",
    kind            text        COLLATE "C" NOT NULL,
    author          text        NOT NULL,
    reason          text        NOT NULL,
    urgent          boolean     NOT NULL,
    committed_at    timestamptz NOT NULL,
    idempotency_key text        COLLATE "C",
    request_hash    bytea,
    CONSTRAINT configuration_versions_pkey PRIMARY KEY (revision),
    CONSTRAINT configuration_versions_version_id_key UNIQUE (version_id),
    CONSTRAINT configuration_versions_idempotency_key_key UNIQUE (idempotency_key),
    CONSTRAINT configuration_versions_kind CHECK (
        kind IN ('edit', 'rollback', 'import', 'structure', 'epoch') AND (environment IS NOT NULL OR kind = 'epoch')
    ),
    CONSTRAINT configuration_versions_limits CHECK (
        octet_length(author) BETWEEN 1 AND 1024 AND octet_length(reason) <= 16384
        AND octet_length(idempotency_key) BETWEEN 1 AND 512
    ),
    CONSTRAINT configuration_versions_idempotency CHECK (
        octet_length(request_hash) = 32 AND (idempotency_key IS NULL) = (request_hash IS NULL)
    )
);
CREATE INDEX configuration_versions_committed_at ON trimtab.configuration_versions (committed_at);
-- Each snapshot names the newest urgent revision of its line; they are rare, and so is an entry here.
CREATE INDEX configuration_versions_urgent ON trimtab.configuration_versions (epoch, revision) WHERE urgent;

-- Which revisions touched an item. No foreign keys: only trimtab_commit_v1 writes it, under the lock, from
-- rows that it just saw.
CREATE TABLE trimtab.item_revisions (
    environment text   COLLATE "C" NOT NULL,
    path        text   COLLATE "C" NOT NULL,
    layer       text   COLLATE "C" NOT NULL,
    revision    bigint NOT NULL,
    version_id  uuid   NOT NULL,
    CONSTRAINT item_revisions_pkey PRIMARY KEY (environment, path, layer, revision)
);

-- Every item of the newest revision, in the environment that set it. No foreign keys, for the reason given at
-- item_revisions.
-- content: canonical bytes, the truth; NULL is a tombstone.
-- value: for queries only: jsonb does not keep the bytes.
CREATE TABLE trimtab.configuration_current (
    environment text   COLLATE "C" NOT NULL,
    path        text   COLLATE "C" NOT NULL,
    layer       text   COLLATE "C" NOT NULL,
    content     bytea,
    revision    bigint NOT NULL,
    value       jsonb,
    CONSTRAINT configuration_current_pkey PRIMARY KEY (environment, path, layer)
);

-- header: the link as it travels: the exact line of JSON that stands before the change.
CREATE TABLE trimtab.links (
    environment       text   COLLATE "C" NOT NULL,
    epoch             bigint NOT NULL,
    revision          bigint NOT NULL,
    previous_revision bigint NOT NULL,
    previous_hash     bytea  NOT NULL,
    hash              bytea  NOT NULL,
    checksum          bytea  NOT NULL,
    key_id            text   COLLATE "C" NOT NULL,
    signature         bytea  NOT NULL,
    header            bytea  NOT NULL,
    CONSTRAINT links_pkey PRIMARY KEY (environment, epoch, revision),
    CONSTRAINT links_limits CHECK (
        octet_length(checksum) = 32 AND octet_length(signature) = 64 AND octet_length(key_id) BETWEEN 1 AND 255
        AND octet_length(header) <= 4096 AND position('\x0a'::bytea IN header) = 0
    )
);

-- One row for each revision, and for what was refused; each row hashes the one before.
-- record: canonical JSON, the truth; the other columns are read from it.
CREATE TABLE trimtab.configuration_audit (
    id            bigint      NOT NULL,
    at            timestamptz NOT NULL,
    actor         text        NOT NULL,
    action        text        COLLATE "C" NOT NULL,
    environment   text        COLLATE "C",
    epoch         bigint      NOT NULL,
    revision      bigint,
    detail        jsonb,
    record        bytea       NOT NULL,
    previous_hash bytea       NOT NULL,
    hash          bytea       NOT NULL,
    CONSTRAINT configuration_audit_pkey PRIMARY KEY (id),
    CONSTRAINT configuration_audit_revision_key UNIQUE (revision),
    CONSTRAINT configuration_audit_limits CHECK (octet_length(record) <= 1048576)
);

-- Signed snapshots, written whole in one transaction; the newest two of each environment are kept.
-- statement: the signed statement, exact JSON.
CREATE TABLE trimtab.snapshots (
    environment text        COLLATE "C" NOT NULL,
    epoch       bigint      NOT NULL,
    revision    bigint      NOT NULL,
    length      bigint      NOT NULL,
    chunks      integer     NOT NULL,
    statement   text        NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT snapshots_pkey PRIMARY KEY (environment, epoch, revision),
    CONSTRAINT snapshots_environment_epoch_revision_fkey FOREIGN KEY (environment, epoch, revision)
        REFERENCES trimtab.links (environment, epoch, revision),
    CONSTRAINT snapshots_length CHECK (
        length BETWEEN 1 AND 1073741824 AND chunks = (length + 1048575) / 1048576
    ),
    CONSTRAINT snapshots_statement CHECK (octet_length(statement) BETWEEN 2 AND 4096)
);

CREATE TABLE trimtab.snapshot_chunks (
    environment text    COLLATE "C" NOT NULL,
    epoch       bigint  NOT NULL,
    revision    bigint  NOT NULL,
    n           integer NOT NULL,
    chunk       bytea   NOT NULL,
    CONSTRAINT snapshot_chunks_pkey PRIMARY KEY (environment, epoch, revision, n),
    CONSTRAINT snapshot_chunks_environment_epoch_revision_fkey FOREIGN KEY (environment, epoch, revision)
        REFERENCES trimtab.snapshots (environment, epoch, revision) ON DELETE CASCADE,
    CONSTRAINT snapshot_chunks_size CHECK (n BETWEEN 0 AND 1023 AND octet_length(chunk) BETWEEN 1 AND 1048576)
);

CREATE TABLE trimtab.agent_reports (
    environment text        COLLATE "C" NOT NULL,
    agent       text        COLLATE "C" NOT NULL,
    at          timestamptz NOT NULL,
    report      jsonb       NOT NULL,
    CONSTRAINT agent_reports_pkey PRIMARY KEY (environment, agent),
    CONSTRAINT agent_reports_environment_fkey FOREIGN KEY (environment) REFERENCES trimtab.environments (name),
    CONSTRAINT agent_reports_agent CHECK (octet_length(agent) BETWEEN 1 AND 255)
);
CREATE INDEX agent_reports_at ON trimtab.agent_reports (at);

INSERT INTO trimtab.store_head (epoch, revision, structure_revision, moved_at, audit_id, audit_hash)
VALUES (1, 0, 0, clock_timestamp(), 0, sha256('trimtab audit'));
INSERT INTO trimtab.epochs (epoch, first_revision, declared_at, reason, lost)
VALUES (1, 1, clock_timestamp(), 'the first history of this store', '');

-- The newest link of every line, read from the end of the index of links: not a second truth.
CREATE VIEW trimtab.line_heads AS
SELECT e.name AS environment, head.*
  FROM trimtab.environments AS e
 CROSS JOIN LATERAL (
        SELECT l.epoch, l.revision, l.previous_revision, l.previous_hash, l.hash, l.checksum
          FROM trimtab.links AS l
         WHERE l.environment = e.name
         ORDER BY l.epoch DESC, l.revision DESC
         LIMIT 1
       ) AS head;
COMMENT ON VIEW trimtab.line_heads IS 'The newest link of each environment';

CREATE VIEW trimtab.active_versions AS
SELECT h.environment, h.epoch, h.revision, h.hash, v.version_id, v.environment AS edited, v.kind, v.author, v.reason,
       v.urgent, v.committed_at
  FROM trimtab.line_heads AS h
  JOIN trimtab.configuration_versions AS v USING (revision);
COMMENT ON VIEW trimtab.active_versions IS 'The one active version of each environment';

-- Writers who contend lock this name before they lock store_head (decision 0010). A view: there is nothing to vacuum, and
-- unlike an advisory lock nobody without rights on it can take it.
CREATE VIEW trimtab.turn AS SELECT 'the lock of the store' AS comes_before;
COMMENT ON VIEW trimtab.turn IS 'Only a name to lock: whose turn it is to take the lock of the store';
