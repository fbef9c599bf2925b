"""A throwaway server with an application's database of a given size, and backups of it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from project import Lab, Manifest, Server, client_tools, create, names

NAME = "hunter"  # made by the laboratory, with owner, settings and grants
OPERATOR, OWNER = "rollback", "hunter"
MARKERS = 1000

# As PostgreSQL comes, where the laboratory trades safety for speed; and room for many clients.
SERVER_SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_level": "replica",
    "max_connections": "400",
    "log_checkpoints": "off",
}

# Bytes that a row takes in its table, and each table's share of all: rows follow from the size that was asked for.
TABLES = {"companies": (160, 0.05), "leads": (236, 0.60), "events": (118, 0.25), "scans": (152, 0.10)}

SCHEMA = """
CREATE TABLE release (version text NOT NULL);
CREATE TABLE plans (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE writes (id uuid PRIMARY KEY, at timestamptz NOT NULL DEFAULT now());
CREATE TABLE companies (id bigint NOT NULL, name text NOT NULL, domain text NOT NULL, about text, at timestamptz NOT NULL);
CREATE TABLE leads (id bigint NOT NULL, company_id bigint NOT NULL, email text NOT NULL, full_name text, note text,
                    score numeric(6, 2), state text NOT NULL, at timestamptz NOT NULL);
CREATE TABLE events (id bigint NOT NULL, lead_id bigint NOT NULL, kind text NOT NULL, detail jsonb, at timestamptz NOT NULL);
CREATE TABLE scans (id bigint NOT NULL, company_id bigint NOT NULL, answer text, ok boolean, at timestamptz NOT NULL);
"""

# Text that reads like an application's: some of it repeats, some does not, some is missing, some is not ASCII.
ROWS = """
INSERT INTO release VALUES ('1.0.0');
INSERT INTO plans SELECT n, 'plan ' || n FROM generate_series(1::bigint, {markers}) n;
INSERT INTO companies SELECT n, 'Müşteri ' || n || ' A.Ş.', 'musteri-' || n || '.example',
  'Sells ' || (ARRAY['books', 'bread', 'boats', 'bricks'])[1 + n % 4] || ' since ' || 1900 + n % 120 || ': ' || md5(n::text), at(n)
  FROM generate_series(1::bigint, {companies}) n;
INSERT INTO leads SELECT n, 1 + (n * 7919) % {companies}, 'user-' || md5(n::text) || '@musteri-' || n % 9973 || '.example',
  'Şebnem Çığır ' || n, CASE WHEN n % 5 > 0 THEN 'Called back on day ' || n % 365 || ', wants an offer; ref ' || md5((n * 3)::text) END,
  (n % 100000) / 100.0, (ARRAY['new', 'open', 'won', 'lost'])[1 + n % 4], at(n)
  FROM generate_series(1::bigint, {leads}) n;
INSERT INTO events SELECT n, 1 + (n * 104729) % {leads}, (ARRAY['seen', 'opened', 'clicked'])[1 + n % 3],
  jsonb_build_object('ip', '10.' || n % 250 || '.' || n % 199 || '.7', 'n', n), at(n) FROM generate_series(1::bigint, {events}) n;
INSERT INTO scans SELECT n, 1 + n % {companies}, 'v=spf1 include:_spf.musteri-' || n % 997 || '.example ~all ' || md5(n::text), n % 9 > 0, at(n)
  FROM generate_series(1::bigint, {scans}) n;
"""

# Eight indexes of the four large tables, and three foreign keys.
KEYS = """
ALTER TABLE companies ADD PRIMARY KEY (id);
ALTER TABLE leads ADD PRIMARY KEY (id);
ALTER TABLE events ADD PRIMARY KEY (id);
ALTER TABLE scans ADD PRIMARY KEY (id);
CREATE UNIQUE INDEX leads_email ON leads (email);
CREATE INDEX leads_company ON leads (company_id);
CREATE INDEX events_lead ON events (lead_id);
CREATE INDEX events_at ON events (at);
ALTER TABLE leads ADD FOREIGN KEY (company_id) REFERENCES companies;
ALTER TABLE events ADD FOREIGN KEY (lead_id) REFERENCES leads;
ALTER TABLE scans ADD FOREIGN KEY (company_id) REFERENCES companies;
"""

AT = "CREATE FUNCTION pg_temp.at(n bigint) RETURNS timestamptz LANGUAGE sql AS $$ SELECT '2026-01-01Z'::timestamptz + n * interval '7 s' $$"


@dataclass(frozen=True)
class Bench:
    """A running server, reached as the operator of a rollback, as the application, and as the superuser.

    It is nothing but the laboratory's facts, so that another process can have it too.
    """

    facts: dict[str, Any]

    @property
    def server(self) -> Server:
        facts = self.facts
        return Server.of(f"host={facts['host']} port={facts['port']} user={OPERATOR}", facts["operator_password"])

    @property
    def tools(self) -> client_tools.ClientTools:
        facts = self.facts
        return client_tools.find(int(facts["postgres_version"].split(".")[0]), facts["postgres_bin"])

    @property
    def application_dsn(self) -> str:
        """As the application connects. It has a password, as applications do."""
        facts = self.facts
        return psycopg.conninfo.make_conninfo(
            host=facts["host"], port=facts["port"], user=OWNER, password=facts["owner_password"], dbname=NAME
        )

    @property
    def backups(self) -> Path:
        return Path(self.facts["backup_dir"])

    def as_superuser(self, database: str = "postgres") -> psycopg.Connection:
        where = {"host": self.facts["socket_dir"], "port": self.facts["port"]}
        return psycopg.connect(dbname=database, user="postgres", autocommit=True, **where)

    def fill(self, size: int) -> None:
        """Tables of about `size` bytes altogether, indexes not counted, in the state that is backed up."""
        rows = {table: max(100, int(size * share / width)) for table, (width, share) in TABLES.items()}
        with self.as_superuser() as connection:
            connection.execute(f"ALTER DATABASE {NAME} CONNECTION LIMIT -1")
        with self.as_superuser(NAME) as connection:
            connection.execute(f"SET ROLE {OWNER}; SET synchronous_commit = off; SET maintenance_work_mem = '256MB'")
            connection.execute(AT)
            connection.execute(SCHEMA)
            for statement in ROWS.replace("at(n)", "pg_temp.at(n)").format(markers=MARKERS, **rows).split(";\n"):
                connection.execute(statement)
            connection.execute(KEYS)
            connection.execute("RESET ROLE")
            connection.execute("VACUUM ANALYZE")

    def release_badly(self) -> None:
        """What a bad release makes of the state that was backed up."""
        with self.as_superuser(NAME) as connection:
            connection.execute(
                f"BEGIN; UPDATE public.release SET version = '1.1.0';"
                f" INSERT INTO public.plans SELECT n, 'plan ' || n FROM generate_series({MARKERS} + 1, {MARKERS} + 10) n; COMMIT"
            )

    def back_up(self, backup_format: str, compression: str = "") -> Manifest:
        """A proven backup in `backup_format`; unless told otherwise only the custom one is compressed, as pg_dump does by itself."""
        compression = compression or (names.NONE if backup_format == names.PLAIN else names.GZIP)
        request = create.Request(
            self.backups,
            NAME,
            f"v1.1.0_{backup_format}",
            "local",
            "1.0.0",
            backup_format,
            compression,
            application_role=OWNER,
        )
        return create.create(self.server, self.tools, request)

    def drop(self, *databases: str) -> None:
        with self.as_superuser() as connection:
            for database in databases:
                connection.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def settle(self) -> None:
        """Nothing of what was done before is paid for by what is measured next, such as autovacuum on what was just restored."""
        with self.as_superuser(NAME) as connection:
            connection.execute("VACUUM ANALYZE")
            connection.execute("CHECKPOINT")

    def bytes(self) -> int:
        with self.as_superuser() as connection:
            (found,) = connection.execute("SELECT pg_database_size(%s)", [NAME]).fetchone() or (0,)
            return int(found)


@contextmanager
def running(postgres_bin: Path | None = None) -> Iterator[Bench]:
    """A server in a directory of its own; both are gone afterwards."""
    lab = Lab(Path(tempfile.mkdtemp(prefix="rollback-bench-")), postgres_bin=postgres_bin)
    try:
        lab.up()
        with lab.connect("postgres") as connection:
            for name, value in SERVER_SETTINGS.items():
                connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        lab.down()
        lab.up()
        yield Bench(lab.facts)
    finally:
        lab.destroy()
