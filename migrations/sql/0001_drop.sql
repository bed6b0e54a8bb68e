-- Roles, schema and Alembic's table stay: the roles belong to the cluster, and other databases may use them.

DROP FUNCTION
    trimtab.trimtab_report_v1, trimtab.trimtab_snapshot_chunk_v1, trimtab.trimtab_snapshot_v1,
    trimtab.trimtab_changes_v1, trimtab.trimtab_head_v1, trimtab.trimtab_schema_v1, trimtab.trimtab_items_at_v1,
    trimtab.trimtab_near_v1, trimtab.trimtab_commit_at_once_v1,
    trimtab.trimtab_around_v1, trimtab.trimtab_prune_snapshots_v1, trimtab.trimtab_commit_v1,
    trimtab.trimtab_audit_v1, trimtab.enter_version, trimtab.enter_links, trimtab.append_audit, trimtab.restructure, trimtab.genesis, trimtab.trimtab_begin_v1, trimtab.trimtab_touched_v1,
    trimtab.trimtab_lock_epoch_v1, trimtab.trimtab_lock_v1, trimtab.take_the_lock, trimtab.bound_the_lock, trimtab.prepare_to_lock, trimtab.trimtab_stage_v1;
DROP VIEW trimtab.turn, trimtab.active_versions, trimtab.line_heads;
DROP TABLE
    trimtab.agent_reports, trimtab.snapshot_chunks, trimtab.snapshots, trimtab.configuration_audit, trimtab.links,
    trimtab.configuration_current, trimtab.item_revisions, trimtab.configuration_versions,
    trimtab.configuration_items, trimtab.changes, trimtab.environment_revisions, trimtab.environments,
    trimtab.epochs, trimtab.store_head;
REVOKE ALL ON trimtab.alembic_version FROM trimtab_writer;
REVOKE ALL ON SCHEMA trimtab FROM trimtab_writer, trimtab_agent, trimtab_auditor;
ALTER DEFAULT PRIVILEGES FOR ROLE trimtab_owner GRANT EXECUTE ON FUNCTIONS TO PUBLIC;
