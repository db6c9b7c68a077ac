#!/usr/bin/env bash
# Run once by the image of PostgreSQL, on an empty data directory: the role and database of the nodes, and the role of
# a standby. Neither is a superuser.
set -euo pipefail

# The standby that a commit may have to wait for is not there yet.
PGOPTIONS="-c synchronous_commit=local" psql --no-psqlrc --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname=postgres \
  --set=database_password="$(cat /run/secrets/database_password)" \
  --set=replication_password="$(cat /run/secrets/replication_password)" <<'SQL'
CREATE ROLE hotslot LOGIN PASSWORD :'database_password';
-- A node that was stopped in the middle of a transaction gives its locks back before its lease of six seconds ends.
ALTER ROLE hotslot SET idle_in_transaction_session_timeout = '4s';
ALTER ROLE hotslot SET tcp_user_timeout = '4s';
-- The owner of a database may make extensions that PostgreSQL trusts in it, such as btree_gist.
CREATE DATABASE hotslot OWNER hotslot ENCODING 'UTF8';
CREATE ROLE replication LOGIN REPLICATION PASSWORD :'replication_password';
SQL

echo "host replication replication samenet scram-sha-256" >>"$PGDATA/pg_hba.conf"
