-- What an agent may call. SECURITY DEFINER: its role reads and writes no table. A few index look-ups each, and PL/pgSQL,
-- which keeps its plans over the calls of a pooled connection: a thousand agents ask once a second while Redis is down.

CREATE FUNCTION trimtab.trimtab_schema_v1() RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY DEFINER SET search_path = trimtab, pg_temp AS $$
    SELECT 1
$$;
COMMENT ON FUNCTION trimtab.trimtab_schema_v1 IS 'The number of the newest migration that changed what an agent meets';

CREATE FUNCTION trimtab.trimtab_head_v1(of_environment text)
RETURNS TABLE (
    epoch bigint, revision bigint, hash bytea, store_revision bigint, is_replica boolean, poll_after_ms integer
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = trimtab, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    -- STABLE: all of it from the snapshot of the calling statement, so head and store revision belong together.
    RETURN QUERY
    SELECT l.epoch, l.revision, l.hash, s.revision, pg_is_in_recovery(), s.poll_after_ms
      FROM (SELECT l.epoch, l.revision, l.hash FROM links AS l
             WHERE l.environment = of_environment
             ORDER BY l.epoch DESC, l.revision DESC LIMIT 1) AS l
     CROSS JOIN store_head AS s;
END
$$;
COMMENT ON FUNCTION trimtab.trimtab_head_v1 IS 'The newest link of an environment, and how far the store is; no row for an unknown environment';

CREATE FUNCTION trimtab.trimtab_changes_v1(of_environment text, after_epoch bigint, after_revision bigint, max_bytes integer)
RETURNS TABLE (epoch bigint, revision bigint, message bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = trimtab, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    newest bigint;
    start bigint := after_revision;
    last bigint;
    budget bigint := least(greatest(max_bytes, 1), 64 << 20);
    next_link record;
BEGIN
    SELECT l.epoch INTO newest FROM links AS l
     WHERE l.environment = of_environment ORDER BY l.epoch DESC, l.revision DESC LIMIT 1;
    IF newest IS NULL OR newest < after_epoch THEN
        RETURN;
    ELSIF newest > after_epoch THEN
        start := 0;
    END IF;
    -- Sizes first: they cost no byte of a large change that will not be sent.
    FOR next_link IN
        SELECT l.revision, octet_length(l.header) + 1 + octet_length(c.change) AS size
          FROM links AS l
          JOIN configuration_versions AS v ON v.revision = l.revision
          JOIN changes AS c ON c.version_id = v.version_id
         WHERE l.environment = of_environment AND l.epoch = newest AND l.revision > start
         ORDER BY l.revision
         LIMIT 1000
    LOOP
        budget := budget - next_link.size;
        EXIT WHEN budget < 0 AND last IS NOT NULL;
        last := next_link.revision;
    END LOOP;
    IF last IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT l.epoch, l.revision, l.header || '\x0a'::bytea || c.change
      FROM links AS l
      JOIN configuration_versions AS v ON v.revision = l.revision
      JOIN changes AS c ON c.version_id = v.version_id
     WHERE l.environment = of_environment AND l.epoch = newest AND l.revision > start AND l.revision <= last
     ORDER BY l.revision
     LIMIT 1000;
END
$$;
COMMENT ON FUNCTION trimtab.trimtab_changes_v1 IS
    'Messages strictly after a position, in order: of its own epoch, or from the first link of the newest epoch where that '
    'is a later one. At least one where there is any, else at most max_bytes (capped at 64 MiB) and 1,000';

CREATE FUNCTION trimtab.trimtab_snapshot_v1(of_environment text) RETURNS TABLE (statement text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = trimtab, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT s.statement FROM snapshots AS s
     WHERE s.environment = of_environment ORDER BY s.epoch DESC, s.revision DESC LIMIT 1;
END
$$;
COMMENT ON FUNCTION trimtab.trimtab_snapshot_v1 IS 'The statement of the newest signed snapshot; no row where there is none';

CREATE FUNCTION trimtab.trimtab_snapshot_chunk_v1(of_environment text, of_epoch bigint, of_revision bigint, number integer)
RETURNS bytea
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = trimtab, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    RETURN (SELECT c.chunk FROM snapshot_chunks AS c
             WHERE c.environment = of_environment AND c.epoch = of_epoch AND c.revision = of_revision AND c.n = number);
END
$$;
COMMENT ON FUNCTION trimtab.trimtab_snapshot_chunk_v1 IS 'One MiB of a snapshot, counted from 0; NULL where there is none (or no longer)';

CREATE FUNCTION trimtab.trimtab_report_v1(of_environment text, of_agent text, what jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = trimtab, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    IF coalesce(jsonb_typeof(what) <> 'object' OR octet_length(what::text) > 65536, true) THEN
        RAISE EXCEPTION 'a report is a JSON object of at most 64 KiB' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO agent_reports AS r (environment, agent, at, report)
    VALUES (of_environment, of_agent, clock_timestamp(), what)
    ON CONFLICT (environment, agent) DO UPDATE SET at = excluded.at, report = excluded.report;
    -- SKIP LOCKED: two agents that report at once never wait for each other, so never in a circle.
    DELETE FROM agent_reports AS r
     WHERE (r.environment, r.agent) IN (
               SELECT o.environment, o.agent FROM agent_reports AS o
                WHERE o.at < clock_timestamp() - interval '1 day'
                ORDER BY o.at LIMIT 100 FOR UPDATE SKIP LOCKED);
END
$$;
COMMENT ON FUNCTION trimtab.trimtab_report_v1 IS
    'Keeps the report of one agent, with the time of this server; drops reports older than a day';
