-- The role itself stays: it belongs to the cluster, and other databases may use it.

REVOKE EXECUTE ON FUNCTION
    trimtab.trimtab_head_v1, trimtab.trimtab_changes_v1, trimtab.trimtab_snapshot_v1, trimtab.trimtab_snapshot_chunk_v1
FROM trimtab_relay;
REVOKE SELECT (name) ON trimtab.environments FROM trimtab_relay;
REVOKE USAGE ON SCHEMA trimtab FROM trimtab_relay;
