"""What is really in the databases, asked without any code of the tool that is tested.

As a program (prepare.yml): keeps the bad state in bad_state.json. As a module (the tests): asks again.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples" / "hunter"))

from lab import Lab  # noqa: E402
from psycopg import sql  # noqa: E402

LAB = Lab(os.environ["HUNTER_HOME"])
EPHEMERAL = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
BAD_STATE = EPHEMERAL / "bad_state.json"
# The worker writes until it has done what users ordered; a minute is long even on a busy machine.
PATIENCE_S = 60.0


def rows(database: str) -> dict[str, int]:
    """Exact number of rows per table, all from one moment."""
    with closing(LAB.connect(database)) as connection, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        tables = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        return {
            f"{schema}.{table}": connection.execute(
                sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, table))
            ).fetchone()[0]
            for schema, table in sorted(tables)
        }


def revision(database: str) -> list[str]:
    with closing(LAB.connect(database)) as connection:
        return [name for (name,) in connection.execute("SELECT version_num FROM alembic_version ORDER BY 1")]


def oid(database: str) -> int | None:
    with closing(LAB.connect("postgres")) as connection:
        row = connection.execute("SELECT oid::bigint FROM pg_database WHERE datname = %s", [database]).fetchone()
        return row[0] if row else None


def outside(database: str) -> dict[str, Any]:
    """What PostgreSQL keeps of a database outside of it, and a dump of it does not hold."""
    with closing(LAB.connect("postgres")) as connection:
        owner, limit, open_, encoding, collate, ctype, grants, comment, settings = connection.execute(
            """
            SELECT datdba::regrole::text, datconnlimit, datallowconn, pg_encoding_to_char(encoding), datcollate, datctype,
                   ARRAY(SELECT unnest(datacl)::text ORDER BY 1),
                   shobj_description(d.oid, 'pg_database'),
                   ARRAY(SELECT s.setrole::regrole::text || ': ' || unnest(s.setconfig)
                         FROM pg_db_role_setting s WHERE s.setdatabase = d.oid ORDER BY 1)
            FROM pg_database d WHERE datname = %s
            """,
            [database],
        ).fetchone()
    return {
        "owner": owner,
        "connection limit": limit,
        "takes connections": open_,
        "encoding": [encoding, collate, ctype],
        "grants": grants,
        "comment": comment,
        "settings": settings,
    }


def wait_for_worker(database: str) -> None:
    """Until no job is queued: a job's end and what it writes are one transaction, so nothing is written afterwards."""
    end = time.monotonic() + PATIENCE_S
    with closing(LAB.connect(database)) as connection:
        while connection.execute("SELECT count(*) FROM scan_jobs WHERE state = 'queued'").fetchone()[0]:
            if time.monotonic() > end:
                sys.exit("The worker does not come to an end.")
            time.sleep(0.2)


def main() -> None:
    live = LAB.facts["database"]
    wait_for_worker(live)
    state = {"oid": oid(live), "rows": rows(live), "revision": revision(live), "outside": outside(live)}
    BAD_STATE.write_text(json.dumps(state, indent=1))


if __name__ == "__main__":
    main()
