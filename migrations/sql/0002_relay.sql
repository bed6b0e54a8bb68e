-- What a relay needs: which environments there are, and of each the head, the changes and the newest snapshot, by the
-- functions that agents call too. It writes to Redis only: not even a report here.

GRANT USAGE ON SCHEMA trimtab TO trimtab_relay;
GRANT SELECT (name) ON trimtab.environments TO trimtab_relay;
GRANT EXECUTE ON FUNCTION
    trimtab.trimtab_head_v1, trimtab.trimtab_changes_v1, trimtab.trimtab_snapshot_v1, trimtab.trimtab_snapshot_chunk_v1
TO trimtab_relay;
