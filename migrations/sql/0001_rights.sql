-- Who may what. Nothing to PUBLIC: not to what is here, not to what this owner will make.

ALTER DEFAULT PRIVILEGES FOR ROLE trimtab_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
REVOKE ALL ON SCHEMA trimtab FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA trimtab FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA trimtab FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA trimtab FROM PUBLIC;

GRANT USAGE ON SCHEMA trimtab TO trimtab_writer, trimtab_agent, trimtab_auditor;

GRANT SELECT ON trimtab.configuration_audit TO trimtab_auditor;

-- The writer reads all but the audit, and writes through functions. Snapshots are signed and can be made again.
GRANT SELECT ON
    trimtab.alembic_version, trimtab.store_head, trimtab.epochs, trimtab.environments, trimtab.environment_revisions,
    trimtab.changes, trimtab.configuration_items, trimtab.configuration_versions, trimtab.item_revisions,
    trimtab.configuration_current, trimtab.links, trimtab.snapshots, trimtab.snapshot_chunks, trimtab.agent_reports,
    trimtab.line_heads, trimtab.active_versions
TO trimtab_writer;
GRANT INSERT ON trimtab.snapshots, trimtab.snapshot_chunks TO trimtab_writer;
GRANT EXECUTE ON FUNCTION
    trimtab.trimtab_begin_v1, trimtab.trimtab_stage_v1, trimtab.trimtab_lock_v1, trimtab.trimtab_lock_epoch_v1, trimtab.trimtab_touched_v1,
    trimtab.trimtab_commit_v1, trimtab.trimtab_commit_at_once_v1, trimtab.trimtab_audit_v1, trimtab.trimtab_prune_snapshots_v1,
    trimtab.trimtab_near_v1, trimtab.trimtab_around_v1, trimtab.trimtab_items_at_v1
TO trimtab_writer;

GRANT EXECUTE ON FUNCTION
    trimtab.trimtab_schema_v1, trimtab.trimtab_head_v1, trimtab.trimtab_changes_v1, trimtab.trimtab_snapshot_v1,
    trimtab.trimtab_snapshot_chunk_v1, trimtab.trimtab_report_v1
TO trimtab_agent, trimtab_writer;
