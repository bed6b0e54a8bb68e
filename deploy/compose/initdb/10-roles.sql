-- Runs once, by the image of PostgreSQL, as the superuser of a new cluster. Makes what a migration would need a
-- superuser for, and a login for each service with the rights of one group. The passwords are those that
-- deploy/compose/prepare wrote; no statement with one in it is logged.

\set owner_password `cat "${TRIMTAB_SECRETS:-/run/secrets}/owner-password"`
\set writer_password `cat "${TRIMTAB_SECRETS:-/run/secrets}/writer-password"`
\set relay_password `cat "${TRIMTAB_SECRETS:-/run/secrets}/relay-password"`
\set agent_password `cat "${TRIMTAB_SECRETS:-/run/secrets}/agent-password"`

SET log_statement = 'none';
SET log_min_error_statement = 'panic';

CREATE ROLE trimtab_owner NOLOGIN;
CREATE ROLE trimtab_writer NOLOGIN;
CREATE ROLE trimtab_relay NOLOGIN;
CREATE ROLE trimtab_agent NOLOGIN;
CREATE ROLE trimtab_auditor NOLOGIN;
CREATE SCHEMA trimtab AUTHORIZATION trimtab_owner;

CREATE ROLE login_owner LOGIN PASSWORD :'owner_password' IN ROLE trimtab_owner;
CREATE ROLE login_writer LOGIN PASSWORD :'writer_password' IN ROLE trimtab_writer;
CREATE ROLE login_relay LOGIN PASSWORD :'relay_password' IN ROLE trimtab_relay;
CREATE ROLE login_agent LOGIN PASSWORD :'agent_password' CONNECTION LIMIT 50 IN ROLE trimtab_agent;

REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"DBNAME" TO login_owner, login_writer, login_relay, login_agent;
