-- What must stand before Alembic's own table can: the roles and the schema. Runs at each migration, changes nothing
-- that is already there, and so needs no right to create roles where an administrator made them before.

DO $$
DECLARE
    wanted text;
BEGIN
    IF current_setting('server_version_num')::integer < 160000 THEN
        RAISE EXCEPTION 'PostgreSQL 16 or newer is needed, this is %', current_setting('server_version')
            USING ERRCODE = 'feature_not_supported';
    END IF;
    IF current_setting('server_encoding') <> 'UTF8' THEN
        RAISE EXCEPTION 'a database in UTF8 is needed, this one is in %', current_setting('server_encoding')
            USING ERRCODE = 'feature_not_supported';
    END IF;

    FOREACH wanted IN ARRAY
        ARRAY['trimtab_owner', 'trimtab_writer', 'trimtab_relay', 'trimtab_agent', 'trimtab_auditor']
    LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;  -- roles belong to the cluster: another of its databases is being migrated at this moment
            END;
        END IF;
    END LOOP;

    -- Who may create roles is a member with the admin option of those that it made, but may not yet act as them.
    IF NOT pg_has_role('trimtab_owner', 'SET') THEN
        EXECUTE format('GRANT trimtab_owner TO %I', current_user);
    END IF;

    -- CREATE SCHEMA IF NOT EXISTS would ask for the right to create even where it does nothing.
    IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'trimtab') THEN
        CREATE SCHEMA trimtab AUTHORIZATION trimtab_owner;
    ELSIF NOT EXISTS (
        SELECT FROM pg_namespace WHERE nspname = 'trimtab' AND nspowner = 'trimtab_owner'::regrole
    ) THEN
        RAISE EXCEPTION 'the schema trimtab belongs to somebody else than trimtab_owner'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
END
$$;
