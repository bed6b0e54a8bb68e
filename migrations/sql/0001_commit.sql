-- The writer's functions. The writer's role may write nothing but through these, so a version, a link or an audit row
-- cannot be changed or removed, only added, and only so that it follows the one before.
--
-- One commit, two round trips in one READ COMMITTED transaction:
--     1. BEGIN; trimtab_begin_v1(…), which is stage, lock and touched                 in one pipeline
--        the client compares heads and structure with what it read, computes and signs the links
--     2. trimtab_commit_v1(…); COMMIT                                              in one pipeline
-- or, where nobody else is writing, one statement that is its own transaction: trimtab_commit_at_once_v1.
--
-- Errors of their own: TT001 the store is not where the caller says; TT002 a link does not follow its line;
-- TT003 a structure that cannot be. PL/pgSQL throughout: it keeps its plans, where each statement from a client that
-- may not rely on session state is planned anew, under the lock.
--
-- A plan may be made while the tables are empty and then be kept by a session that fills them. So every access is
-- through the whole key: LATERAL with LIMIT or OFFSET 0 keeps the planner from joining first and looking later, and the
-- settings behind search_path from reading whole tables that were small once.

CREATE FUNCTION trimtab.trimtab_stage_v1(
    version uuid, edited text, change bytea, layers text[], paths text[], contents bytea[]
) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = trimtab, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    WITH said AS (INSERT INTO changes (version_id, change) VALUES (version, change))
    INSERT INTO configuration_items (version_id, layer, path, operation, content, previous_operation, previous)
    SELECT version, i.layer, i.path,
           CASE WHEN i.content IS NULL THEN 'remove' WHEN i.content = '' THEN 'hide' ELSE 'put' END, nullif(i.content, ''),
           CASE WHEN c.path IS NULL THEN NULL WHEN c.content IS NULL THEN 'hide' ELSE 'put' END, c.content
      FROM unnest(layers, paths, contents) AS i (layer, path, content)
      LEFT JOIN LATERAL (
            SELECT c.path, c.content FROM configuration_current AS c
             WHERE c.environment = edited AND c.path = i.path AND c.layer = i.layer LIMIT 1
           ) AS c ON true;
END
$$;
COMMENT ON FUNCTION trimtab.trimtab_stage_v1 IS
    'Writes the bulky rows of a version before the lock; once for each version_id, so nothing can be added to it later. '
    'A content of no bytes hides, NULL removes. What stood there is read here: if that moves before the lock is given, '
    'trimtab_touched_v1 shows it and the client starts again';

CREATE FUNCTION trimtab.prepare_to_lock(wait_ms integer, hold_ms integer) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = trimtab, pg_temp AS $$
BEGIN
    IF NOT coalesce(wait_ms BETWEEN 1 AND 60000 AND hold_ms BETWEEN 1 AND 60000, false) THEN
        RAISE EXCEPTION 'times to wait and to hold are 1 to 60000 ms' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- A repeatable read would see the heads as they were before the lock.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'a commit needs READ COMMITTED' USING ERRCODE = 'invalid_transaction_state';
    END IF;
    PERFORM set_config('lock_timeout', wait_ms::text, true);
END
$$;

CREATE FUNCTION trimtab.bound_the_lock(hold_ms integer) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = trimtab, pg_temp AS $$
BEGIN
    PERFORM set_config('statement_timeout', hold_ms::text, true),
            set_config('idle_in_transaction_session_timeout', hold_ms::text, true);
    IF current_setting('server_version_num')::integer >= 170000 THEN
        PERFORM set_config('transaction_timeout', hold_ms::text, true);
    END IF;
END
$$;
COMMENT ON FUNCTION trimtab.bound_the_lock IS
    'From here on, whoever freezes loses the session, and with it the lock, after hold_ms';

CREATE FUNCTION trimtab.take_the_lock(wait_ms integer, hold_ms integer) RETURNS trimtab.store_head
LANGUAGE plpgsql VOLATILE SET search_path = trimtab, pg_temp AS $$
DECLARE
    began timestamptz := clock_timestamp();
    h store_head;
BEGIN
    PERFORM prepare_to_lock(wait_ms, hold_ms);
    LOCK TABLE turn IN SHARE UPDATE EXCLUSIVE MODE;
    -- waiting for both takes no longer than was asked
    PERFORM set_config(
        'lock_timeout', greatest(1, wait_ms - 1000 * extract(epoch FROM clock_timestamp() - began))::integer::text, true
    );
    UPDATE store_head AS s
       SET revision = s.revision + 1, moved_at = greatest(s.moved_at, clock_timestamp())
    RETURNING s.* INTO STRICT h;
    PERFORM bound_the_lock(hold_ms);
    RETURN h;
END
$$;
COMMENT ON FUNCTION trimtab.take_the_lock IS
    'Waits for the turn, then takes the lock of the store and the next revision. The lock is the row of store_head: whoever '
    'comes without a turn waits for that. A row that each holder updates wakes all who wait for it; the turn wakes the next';

CREATE FUNCTION trimtab.trimtab_lock_v1(of_environments text[], wait_ms integer, hold_ms integer)
RETURNS TABLE (
    epoch bigint, revision bigint, structure_revision bigint, moved_at timestamptz,
    environment text, head_epoch bigint, head_revision bigint, head_hash bytea, head_checksum bytea
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = trimtab, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    h store_head;
BEGIN
    h := take_the_lock(wait_ms, hold_ms);
    RETURN QUERY
    SELECT h.epoch, h.revision, h.structure_revision, h.moved_at, e.name, l.epoch, l.revision, l.hash, l.checksum
      FROM (SELECT) AS always
      LEFT JOIN unnest(of_environments) AS e (name) ON true
      LEFT JOIN line_heads AS l ON l.environment = e.name;
END
$$;
COMMENT ON FUNCTION trimtab.trimtab_lock_v1 IS
    'Takes the lock of the store and its next revision, until the transaction ends. One row for each environment (at least '
    'one), head_… NULL where it has no link yet. The heads are read after the lock was given, so they hold';

CREATE FUNCTION trimtab.trimtab_lock_epoch_v1(
    from_revision bigint, floor_epoch bigint, floor_revision bigint, wait_ms integer, hold_ms integer
) RETURNS TABLE (
    epoch bigint, revision bigint, structure_revision bigint, moved_at timestamptz,
    environment text, head_epoch bigint, head_revision bigint, head_hash bytea, head_checksum bytea
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = trimtab, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    h store_head;
BEGIN
    PERFORM prepare_to_lock(wait_ms, hold_ms);
    UPDATE store_head AS s
       SET epoch = greatest(s.epoch, floor_epoch) + 1,
           revision = greatest(s.revision, floor_revision) + 1,
           moved_at = greatest(s.moved_at, clock_timestamp())
     WHERE s.revision = from_revision
    RETURNING s.* INTO h;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'revision % is not the head of this database', from_revision USING ERRCODE = 'TT001';
    END IF;
    PERFORM bound_the_lock(hold_ms);
    RETURN QUERY
    SELECT h.epoch, h.revision, h.structure_revision, h.moved_at, e.name, l.epoch, l.revision, l.hash, l.checksum
      FROM (SELECT) AS always
      LEFT JOIN environments AS e ON true
      LEFT JOIN line_heads AS l ON l.environment = e.name;
END
$$;
COMMENT ON FUNCTION trimtab.trimtab_lock_epoch_v1 IS
    'The same for the first change of a new epoch, above every epoch and revision that anybody has seen (floor_…); all environments';

CREATE FUNCTION trimtab.trimtab_touched_v1(of_environments text[], since bigint, at_most integer)
RETURNS TABLE (revision bigint, kind text, environment text, layer text, path text)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = trimtab, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT v.revision, v.kind, v.environment, i.layer, i.path
      FROM configuration_versions AS v
      LEFT JOIN LATERAL (
            SELECT i.layer, i.path FROM configuration_items AS i WHERE i.version_id = v.version_id OFFSET 0
           ) AS i ON true
     WHERE v.revision > since AND (v.environment = ANY (of_environments) OR v.environment IS NULL)
     ORDER BY v.revision
     LIMIT at_most;
END
$$;
COMMENT ON FUNCTION trimtab.trimtab_touched_v1 IS
    'What commits after a revision edited in these environments, oldest first; layer and path NULL for one without items. '
    'VOLATILE, so that after the lock it sees what was committed before it';

CREATE FUNCTION trimtab.trimtab_begin_v1(
    version uuid, edited text, change bytea, layers text[], paths text[], contents bytea[],
    of_environments text[], near text[], since bigint, at_most integer, wait_ms integer, hold_ms integer
) RETURNS TABLE (
    epoch bigint, revision bigint, structure_revision bigint, moved_at timestamptz,
    environment text, head_epoch bigint, head_revision bigint, head_hash bytea, head_checksum bytea,
    touched_environment text, touched_path text
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = trimtab, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    h store_head;
BEGIN
    PERFORM trimtab_stage_v1(version, edited, change, layers, paths, contents);
    h := take_the_lock(wait_ms, hold_ms);
    RETURN QUERY
    SELECT h.epoch, h.revision, h.structure_revision, h.moved_at, e.name, l.epoch, l.revision, l.hash, l.checksum,
           NULL::text, NULL::text
      FROM unnest(of_environments) AS e (name)
      LEFT JOIN line_heads AS l ON l.environment = e.name;
    IF h.revision > since + 1 THEN
        RETURN QUERY
        SELECT NULL::bigint, NULL::bigint, NULL::bigint, NULL::timestamptz,
               NULL::text, NULL::bigint, NULL::bigint, NULL::bytea, NULL::bytea, v.environment, i.path
          FROM configuration_versions AS v
          LEFT JOIN LATERAL (
                SELECT i.path FROM configuration_items AS i WHERE i.version_id = v.version_id OFFSET 0
               ) AS i ON true
         WHERE v.revision > since AND (v.environment = ANY (near) OR v.environment IS NULL)
         ORDER BY v.revision
         LIMIT at_most;
    END IF;
END
$$;
COMMENT ON FUNCTION trimtab.trimtab_begin_v1 IS
    'Stage, lock and touched in one call: first the rows of the lock, then, with a NULL epoch, those of what was touched near '
    'the change since it was planned';

CREATE FUNCTION trimtab.genesis(of_environment text, of_epoch bigint) RETURNS bytea
LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = trimtab, pg_temp AS $$
    SELECT sha256('trimtab line'::bytea || '\x00' || convert_to(of_environment, 'UTF8') || '\x00' || convert_to(of_epoch::text, 'UTF8'))
$$;
COMMENT ON FUNCTION trimtab.genesis IS 'What stands before the first link of a line';

CREATE FUNCTION trimtab.restructure(of_version uuid, h trimtab.store_head) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = trimtab, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    said jsonb := (SELECT convert_from(c.change, 'UTF8')::jsonb FROM changes AS c WHERE c.version_id = of_version);
    structure jsonb := nullif(said -> 'structure', 'null');
    declared jsonb := nullif(said -> 'epoch', 'null');
    changed environments;
    above text;
BEGIN
    IF declared IS NOT NULL THEN
        IF (declared ->> 'epoch')::bigint IS DISTINCT FROM h.epoch THEN
            RAISE EXCEPTION 'the change declares another epoch than the lock gave' USING ERRCODE = 'TT001';
        END IF;
        INSERT INTO epochs (epoch, from_epoch, from_revision, first_revision, declared_at, reason, lost)
        VALUES (
            h.epoch, (declared ->> 'from_epoch')::bigint, (declared ->> 'from_revision')::bigint, h.revision, h.moved_at,
            declared ->> 'reason', declared ->> 'lost'
        );
    END IF;
    IF structure IS NULL THEN
        RETURN;
    END IF;

    INSERT INTO environments AS e (name, parent, dimensions, created_revision, changed_revision)
    VALUES (
        structure ->> 'environment', structure ->> 'parent',
        CASE WHEN structure ->> 'parent' IS NULL THEN structure -> 'dimensions' END, h.revision, h.revision
    )
    ON CONFLICT (name) DO UPDATE
       SET parent = excluded.parent, dimensions = excluded.dimensions, changed_revision = h.revision
    RETURNING e.* INTO changed;
    above := changed.parent;
    WHILE above IS NOT NULL LOOP
        IF above = changed.name THEN
            RAISE EXCEPTION 'the environment % would inherit from itself', changed.name USING ERRCODE = 'TT003';
        END IF;
        SELECT e.parent INTO above FROM environments AS e WHERE e.name = above;
    END LOOP;
    INSERT INTO environment_revisions (environment, revision, parent, dimensions)
    VALUES (changed.name, h.revision, changed.parent, changed.dimensions);
    UPDATE store_head SET structure_revision = h.revision;
END
$$;
COMMENT ON FUNCTION trimtab.restructure IS 'Enters what the change itself says about an environment or a new epoch';

CREATE FUNCTION trimtab.append_audit(record bytea, of_revision bigint, h trimtab.store_head) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = trimtab, pg_temp AS $$
DECLARE
    said jsonb := convert_from(record, 'UTF8')::jsonb;
    number bigint := h.audit_id + 1;
    digest bytea := sha256(h.audit_hash || record);
BEGIN
    IF (said ->> 'revision')::bigint IS DISTINCT FROM of_revision THEN
        RAISE EXCEPTION 'the audit record names another revision' USING ERRCODE = 'TT001';
    END IF;
    WITH entered AS (
        INSERT INTO configuration_audit (
            id, at, actor, action, environment, epoch, revision, detail, record, previous_hash, hash
        ) VALUES (
            number, (said ->> 'at')::timestamptz, said ->> 'actor', said ->> 'action', said ->> 'environment', h.epoch,
            of_revision, said -> 'detail', record, h.audit_hash, digest
        )
    )
    UPDATE store_head
       SET revision = h.revision, moved_at = h.moved_at, audit_id = number, audit_hash = digest;
    RETURN number;
END
$$;
COMMENT ON FUNCTION trimtab.append_audit IS 'Enters one record behind the newest that store_head knows, and moves it on; h is that row, locked, with the revision that it takes';

CREATE FUNCTION trimtab.trimtab_audit_v1(record bytea) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = trimtab, pg_temp AS $$
DECLARE
    h store_head;
BEGIN
    SELECT s.* INTO STRICT h FROM store_head AS s FOR UPDATE;
    RETURN append_audit(record, NULL, h);
END
$$;
COMMENT ON FUNCTION trimtab.trimtab_audit_v1 IS 'Enters what was done or refused without a commit: canonical JSON {action, actor, at, detail, environment}; answers the number of the row';

CREATE FUNCTION trimtab.enter_links(headers bytea[], of_version uuid, h trimtab.store_head) RETURNS text[]
LANGUAGE plpgsql VOLATILE SET search_path = trimtab, pg_temp AS $$
DECLARE
    body bytea;
    names text[];
BEGIN
    SELECT c.change INTO STRICT body FROM changes AS c WHERE c.version_id = of_version;
    WITH entered AS (
        INSERT INTO links (
            environment, epoch, revision, previous_revision, previous_hash, hash, checksum, key_id, signature, header
        )
        SELECT j.environment, j.epoch, j.revision, j.previous_revision, decode(j.previous_hash, 'hex'), decode(j.hash, 'hex'),
               decode(j.checksum, 'hex'), j.key_id, decode(j.signature, 'hex'), u.header
          FROM unnest(headers) AS u (header)
         CROSS JOIN LATERAL json_to_record(convert_from(u.header, 'UTF8')::json) AS j (
                   environment text, epoch bigint, revision bigint, previous_revision bigint, previous_hash text,
                   hash text, checksum text, key_id text, signature text)
          LEFT JOIN LATERAL (
                SELECT k.revision, k.hash FROM links AS k
                 WHERE k.environment = j.environment AND k.epoch = h.epoch
                 ORDER BY k.revision DESC LIMIT 1
               ) AS l ON true
         WHERE j.epoch = h.epoch AND j.revision = h.revision
           AND j.previous_revision = coalesce(l.revision, 0)
           AND decode(j.previous_hash, 'hex') = coalesce(l.hash, genesis(j.environment, h.epoch))
           AND decode(j.hash, 'hex') = sha256(decode(j.previous_hash, 'hex') || body)
           -- a line begins with its environment; the later links follow one that was checked
           AND (l.revision IS NOT NULL OR EXISTS (SELECT FROM environments AS e WHERE e.name = j.environment))
        RETURNING links.environment
    )
    SELECT coalesce(array_agg(e.environment), '{}') INTO names FROM entered AS e;
    IF cardinality(names) IS DISTINCT FROM cardinality(headers) THEN
        RAISE EXCEPTION 'a link does not follow its line: % of % do', cardinality(names), cardinality(headers)
            USING ERRCODE = 'TT002';
    END IF;
    RETURN names;
END
$$;
COMMENT ON FUNCTION trimtab.enter_links IS
    'Enters links as their signed headers say, after checking that each follows its line and hashes the change';

CREATE FUNCTION trimtab.enter_version(
    h trimtab.store_head, version uuid, edited text, kind text, author text, reason text, urgent boolean,
    idempotency_key text, request_hash bytea, headers bytea[], audit_record bytea
) RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SET search_path = trimtab, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    entered text[];
    removes boolean;
    gone record;
BEGIN
    IF kind IN ('structure', 'import', 'epoch') THEN
        PERFORM restructure(version, h);
    END IF;
    entered := enter_links(headers, version, h);
    IF edited IS NOT NULL AND edited <> ALL (entered) THEN
        RAISE EXCEPTION 'the edited environment has no link' USING ERRCODE = 'TT002';
    END IF;

    WITH numbered AS (
        -- The primary key refuses a commit without a lock of its own: that revision is taken.
        INSERT INTO configuration_versions (
            revision, epoch, version_id, environment, kind, author, reason, urgent, committed_at, idempotency_key,
            request_hash
        ) VALUES (
            h.revision, h.epoch, version, edited, kind, author, reason, urgent, h.moved_at, idempotency_key, request_hash
        )
    ), staged AS MATERIALIZED (
        SELECT i.path, i.layer, i.operation, i.content FROM configuration_items AS i WHERE i.version_id = version
    ), remembered AS (
        INSERT INTO item_revisions (environment, path, layer, revision, version_id)
        SELECT edited, i.path, i.layer, h.revision, version FROM staged AS i
    ), stands AS (
        INSERT INTO configuration_current AS c (environment, path, layer, content, revision, value)
        SELECT edited, i.path, i.layer, i.content, h.revision, convert_from(i.content, 'UTF8')::jsonb
          FROM staged AS i WHERE i.operation <> 'remove'
        ON CONFLICT ON CONSTRAINT configuration_current_pkey DO UPDATE
           SET content = excluded.content, revision = excluded.revision, value = excluded.value
    )
    SELECT EXISTS (SELECT FROM staged AS i WHERE i.operation = 'remove') INTO removes;
    IF removes THEN
        FOR gone IN
            SELECT i.path, i.layer FROM configuration_items AS i WHERE i.version_id = version AND i.operation = 'remove'
        LOOP
            DELETE FROM configuration_current AS c
             WHERE c.environment = edited AND c.path = gone.path AND c.layer = gone.layer;
        END LOOP;
    END IF;

    PERFORM append_audit(audit_record, h.revision, h);
    RETURN h.moved_at;
END
$$;
COMMENT ON FUNCTION trimtab.enter_version IS
    'Version, structure, links, history, head state, audit, under the lock; h is store_head with the revision that it takes. '
    'The planner''s settings are those of whoever calls';

CREATE FUNCTION trimtab.trimtab_commit_v1(
    version uuid, new_revision bigint, edited text, kind text, author text, reason text, urgent boolean,
    idempotency_key text, request_hash bytea, headers bytea[], audit_record bytea
) RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = trimtab, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_variable
DECLARE
    h store_head;
BEGIN
    SELECT s.* INTO STRICT h FROM store_head AS s;
    IF h.revision IS DISTINCT FROM new_revision THEN
        RAISE EXCEPTION 'the lock gave revision %, not %', h.revision, new_revision USING ERRCODE = 'TT001';
    END IF;
    RETURN enter_version(
        h, version, edited, kind, author, reason, urgent, idempotency_key, request_hash, headers, audit_record
    );
END
$$;
COMMENT ON FUNCTION trimtab.trimtab_commit_v1 IS 'The locked part: everything of a staged version. Answers when it was committed';

CREATE FUNCTION trimtab.trimtab_commit_at_once_v1(
    version uuid, change bytea, layers text[], paths text[], contents bytea[],
    at_epoch bigint, after_revision bigint, planned_at timestamptz, hold_ms integer,
    edited text, kind text, author text, reason text, urgent boolean, headers bytea[],
    record_before_time bytea, record_after_time bytea
) RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = trimtab, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_variable
DECLARE
    h store_head;
BEGIN
    PERFORM prepare_to_lock(hold_ms, hold_ms), bound_the_lock(hold_ms);
    -- Whoever holds the lock is about to move the head, so waiting for it would only end in the same answer.
    SELECT s.* INTO h FROM store_head AS s FOR UPDATE SKIP LOCKED;
    IF NOT FOUND OR (h.epoch, h.revision) IS DISTINCT FROM (at_epoch, after_revision)
       OR (planned_at + make_interval(secs => hold_ms / 1000.0) >= clock_timestamp()) IS NOT TRUE THEN
        RETURN NULL;
    END IF;
    h.revision := h.revision + 1;
    h.moved_at := greatest(h.moved_at, clock_timestamp());
    PERFORM trimtab_stage_v1(version, edited, change, layers, paths, contents);
    RETURN enter_version(
        h, version, edited, kind, author, reason, urgent, NULL, NULL, headers,
        record_before_time
        || convert_to(to_char(h.moved_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), 'UTF8')
        || record_after_time
    );
END
$$;
COMMENT ON FUNCTION trimtab.trimtab_commit_at_once_v1 IS
    'A whole commit for a writer that met nobody: its links are signed for the revision after after_revision, and if that is '
    'no longer the head, or somebody holds the lock, the answer is NULL and nothing was done. Where the statement was lost on '
    'its way, it can do nothing later than hold_ms after planned_at. The audit record comes in two parts, for the time '
    'between them is that of the lock. Without an idempotency key: whoever settles one relies on the lock of a transaction';

CREATE FUNCTION trimtab.trimtab_prune_snapshots_v1(of_environment text, keep integer) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = trimtab, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    IF keep < 1 THEN
        RAISE EXCEPTION 'at least one snapshot is kept' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    DELETE FROM snapshots AS s
     WHERE s.environment = of_environment
       AND (s.epoch, s.revision) < (
               SELECT k.epoch, k.revision FROM snapshots AS k
                WHERE k.environment = of_environment
                ORDER BY k.epoch DESC, k.revision DESC OFFSET keep - 1 LIMIT 1);
END
$$;
COMMENT ON FUNCTION trimtab.trimtab_prune_snapshots_v1 IS 'Deletes all but the newest snapshots of an environment, chunks included';

CREATE FUNCTION trimtab.trimtab_around_v1(of_environments text[], paths text[], ancestors text[])
RETURNS TABLE (environment text, path text, layer text, content bytea, revision bigint)
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = trimtab, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT c.environment, c.path, c.layer, c.content, c.revision
      FROM unnest(of_environments) AS e (name)
     CROSS JOIN unnest(paths || ancestors) AS p (path)
     CROSS JOIN LATERAL (
            SELECT k.* FROM configuration_current AS k WHERE k.environment = e.name AND k.path = p.path OFFSET 0
           ) AS c
    UNION ALL
    SELECT c.environment, c.path, c.layer, c.content, c.revision
      FROM unnest(of_environments) AS e (name)
     CROSS JOIN unnest(paths) AS p (path)
     CROSS JOIN LATERAL (
            -- below a path is what starts with it and a dot; '/' is the character after the dot
            SELECT k.* FROM configuration_current AS k
             WHERE k.environment = e.name AND k.path > p.path || '.' AND k.path < p.path || '/' OFFSET 0
           ) AS c;
END
$$;
COMMENT ON FUNCTION trimtab.trimtab_around_v1 IS 'The newest items at and below paths, and at their ancestors, in each of the environments; no path lies below another';

CREATE FUNCTION trimtab.trimtab_near_v1(near text[], paths text[], ancestors text[], reached text[])
RETURNS TABLE (
    epoch bigint, revision bigint, structure_revision bigint, read_at timestamptz,
    environment text, hash bytea, checksum bytea, layer text, path text, content bytea
)
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = trimtab, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT s.epoch, s.revision, s.structure_revision, clock_timestamp(), NULL::text, NULL::bytea, NULL::bytea,
           NULL::text, NULL::text, NULL::bytea
      FROM store_head AS s;
    RETURN QUERY
    SELECT l.epoch, l.revision, NULL::bigint, NULL::timestamptz, l.environment, l.hash, l.checksum,
           NULL::text, NULL::text, NULL::bytea
      FROM unnest(reached) AS e (name)
      JOIN line_heads AS l ON l.environment = e.name
    UNION ALL
    SELECT NULL::bigint, NULL::bigint, NULL::bigint, NULL::timestamptz, c.environment, NULL::bytea, NULL::bytea,
           c.layer, c.path, c.content
      FROM unnest(near) AS e (name)
     CROSS JOIN unnest(paths || ancestors) AS p (path)
     CROSS JOIN LATERAL (
            SELECT k.* FROM configuration_current AS k WHERE k.environment = e.name AND k.path = p.path OFFSET 0
           ) AS c
    UNION ALL
    SELECT NULL::bigint, NULL::bigint, NULL::bigint, NULL::timestamptz, c.environment, NULL::bytea, NULL::bytea,
           c.layer, c.path, c.content
      FROM unnest(near) AS e (name)
     CROSS JOIN unnest(paths) AS p (path)
     CROSS JOIN LATERAL (
            -- as in trimtab_around_v1
            SELECT k.* FROM configuration_current AS k
             WHERE k.environment = e.name AND k.path > p.path || '.' AND k.path < p.path || '/' OFFSET 0
           ) AS c;
END
$$;
COMMENT ON FUNCTION trimtab.trimtab_near_v1 IS
    'What a plan reads, of one state: first the head of the store, then those of the lines reached, then the items around the '
    'paths (those rows have a path)';

CREATE FUNCTION trimtab.trimtab_items_at_v1(of_environment text, at_revision bigint)
RETURNS TABLE (path text, layer text, content bytea, revision bigint)
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = trimtab, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH RECURSIVE places AS (
        -- from one place to the next through the index: the cost is in the places, not in their histories
        (SELECT r.path, r.layer FROM item_revisions AS r WHERE r.environment = of_environment
          ORDER BY r.path, r.layer LIMIT 1)
        UNION ALL
        SELECT n.path, n.layer
          FROM places AS p
         CROSS JOIN LATERAL (
                SELECT r.path, r.layer FROM item_revisions AS r
                 WHERE r.environment = of_environment AND (r.path, r.layer) > (p.path, p.layer)
                 ORDER BY r.path, r.layer LIMIT 1) AS n
    )
    SELECT p.path, p.layer, i.content, n.revision
      FROM places AS p
     CROSS JOIN LATERAL (
            SELECT r.revision, r.version_id FROM item_revisions AS r
             WHERE r.environment = of_environment AND r.path = p.path AND r.layer = p.layer AND r.revision <= at_revision
             ORDER BY r.revision DESC LIMIT 1) AS n
     CROSS JOIN LATERAL (
            SELECT i.operation, i.content FROM configuration_items AS i
             WHERE i.version_id = n.version_id AND i.path = p.path AND i.layer = p.layer LIMIT 1) AS i
     WHERE i.operation <> 'remove';
END
$$;
COMMENT ON FUNCTION trimtab.trimtab_items_at_v1 IS 'The own items of one environment as they were at a revision';
