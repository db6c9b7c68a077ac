#!/usr/bin/env bash
# A standby of compose.yaml's PostgreSQL: copies the primary on its first start, then follows it. Its name is what the
# primary's synchronous_standby_names waits for.
set -euo pipefail

data=/var/lib/postgresql/data
export PGPASSFILE=/tmp/pgpass
(umask 077 && echo "postgres:5432:*:replication:$(cat /run/secrets/replication_password)" >"$PGPASSFILE")

if [ ! -d "$data/standby" ]; then
  # Renamed when it is whole, so that a copy that was interrupted is begun again.
  rm -rf "$data/copying"
  pg_basebackup --pgdata="$data/copying" --write-recovery-conf --wal-method=stream --checkpoint=fast \
    --dbname="host=postgres port=5432 user=replication application_name=standby"
  mv "$data/copying" "$data/standby"
fi
exec postgres -D "$data/standby"
