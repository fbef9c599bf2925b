"""What is done to a database, its server or its backup around a restore in place, and what must be there afterwards.

docs/in-place.md lists each by its name; a contract test holds the two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

AS_BEFORE = "as before"
RESTORED = "the backup's"
ONLY_DUMPED = "in the safety dump"

CHECKED_BY_FUNCTION = (
    "owner: CREATE TABLE cfg (v int); INSERT INTO cfg VALUES (1);"
    " CREATE FUNCTION allowed(n int) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RETURN EXISTS (SELECT FROM cfg WHERE v = n); END';"
    " CREATE TABLE z (a int CHECK (allowed(a))); INSERT INTO z VALUES (1)"
)
GENERATED_BY_FUNCTION = (
    "owner: CREATE TABLE factors (v int); INSERT INTO factors VALUES (1);"
    " CREATE FUNCTION factor(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN n + (SELECT max(v) FROM factors); END';"
    " CREATE TABLE scaled (a int, b int GENERATED ALWAYS AS (factor(a)) STORED); INSERT INTO scaled VALUES (1)"
)
VIEW_OF_FUNCTION = (
    "owner: CREATE TABLE tops (v int); INSERT INTO tops VALUES (1);"
    " CREATE FUNCTION top() RETURNS int STABLE LANGUAGE plpgsql SET search_path = public AS 'BEGIN RETURN (SELECT max(v) FROM tops); END';"
    " CREATE MATERIALIZED VIEW m AS SELECT top() AS s; ALTER FUNCTION top RESET search_path"
)
ORPHANS = (
    "live: CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child2 (p int REFERENCES parent);"
    " SET session_replication_role = replica; INSERT INTO child2 VALUES (7); RESET session_replication_role;"
    " ALTER TABLE parent OWNER TO hunter; ALTER TABLE child2 OWNER TO hunter"
)
DUPLICATES = (
    "live: CREATE TABLE pairs (a int); CREATE UNIQUE INDEX pairs_a ON pairs (a); INSERT INTO pairs VALUES (1);"
    " UPDATE pg_index SET indisready = false, indislive = false WHERE indexrelid = 'pairs_a'::regclass; INSERT INTO pairs VALUES (1);"
    " UPDATE pg_index SET indisready = true, indislive = true WHERE indexrelid = 'pairs_a'::regclass; ALTER TABLE pairs OWNER TO hunter"
)
PARTITIONED_BY_ENUM = (
    "owner: CREATE TYPE mood AS ENUM ('a', 'b', 'c', 'd'); CREATE TABLE moods (m mood, n int) PARTITION BY HASH (m);"
    " CREATE TABLE moods_0 PARTITION OF moods FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
    " CREATE TABLE moods_1 PARTITION OF moods FOR VALUES WITH (MODULUS 2, REMAINDER 1);"
    " INSERT INTO moods SELECT e, n FROM unnest(enum_range(NULL::mood)) e, generate_series(1, 9) n"
)


@dataclass(frozen=True)
class Fault:
    """Statements begin with who says them: `owner` or `live` (a superuser) in the database, `server` (a superuser) outside.

    `before` the backup, `after` it, and `dropped`: once the live database was dropped. Then the data is `state`, and the
    sentence is like `said`. What is in `clear` takes the cause away, and the same restore succeeds; `undo` is for the server.
    `does` names a function of the test that does what no statement can, `on` the server that has what it needs.
    """

    name: str
    state: str
    said: str = ""
    before: Sequence[str] = ()
    after: Sequence[str] = ()
    dropped: Sequence[str] = ()
    clear: Sequence[str] = ()
    undo: Sequence[str] = ()
    does: str = ""
    on: str = "postgres"

    @property
    def refused(self) -> bool:
        """Whether it is of the live database alone, and stops the restore while that is whole."""
        return self.state == AS_BEFORE and not (self.before or self.dropped or self.does)


FAULTS = [
    # In the live database, since the backup was taken --------------------------------------------------------------
    Fault(
        "a check calls a function that names a table without its schema",
        AS_BEFORE,
        r'The safety dump of awkward would not load: .*relation "cfg" does not exist.*allowed.*Nothing was dropped',
        after=[CHECKED_BY_FUNCTION],
        clear=["live: ALTER FUNCTION public.allowed SET search_path = public"],
    ),
    Fault(
        "a generated column calls such a function",
        AS_BEFORE,
        r'The safety dump of awkward would not load: .*relation "factors" does not exist.*factor',
        after=[GENERATED_BY_FUNCTION],
        clear=["live: ALTER FUNCTION public.factor SET search_path = public"],
    ),
    Fault(
        "a materialized view calls such a function",
        AS_BEFORE,
        r'The safety dump of awkward would not load: .*relation "tops" does not exist',
        after=[VIEW_OF_FUNCTION],
        clear=["live: ALTER FUNCTION public.top SET search_path = public"],
    ),
    Fault(
        "rows without a parent",
        AS_BEFORE,
        r"The safety dump of awkward would not load: .*child2_p_fkey",
        after=[ORPHANS],
        clear=["live: DELETE FROM public.child2"],
    ),
    Fault(
        "duplicates under a unique index",
        AS_BEFORE,
        r"The safety dump of awkward would not load: .*pairs_a",
        after=[DUPLICATES],
        clear=["live: DROP TABLE public.pairs"],
    ),
    Fault(
        "a check that time has made untrue",
        AS_BEFORE,
        r"The safety dump of awkward would not load: .*bills_due_check",
        after=[
            "owner: CREATE TABLE bills (due timestamptz CHECK (due > now())); INSERT INTO bills VALUES (clock_timestamp() + '50 ms')",
            "live: SELECT pg_sleep(0.1)",
        ],
        clear=["live: DELETE FROM public.bills"],
    ),
    Fault(
        "an extension that only a superuser may create, in the live database",
        AS_BEFORE,
        r"The safety dump of awkward would not load: .*pageinspect",
        after=["live: CREATE EXTENSION pageinspect"],
        clear=["live: DROP EXTENSION pageinspect"],
        on="postgres15",
    ),
    Fault(
        "a table that was made a member of an extension",
        AS_BEFORE,
        r"would be all that is left, and it does not hold everything.*public\.own",
        after=[
            "live: CREATE TABLE own (n int); INSERT INTO own VALUES (1); ALTER TABLE own OWNER TO hunter; ALTER EXTENSION plpgsql ADD TABLE own"
        ],
        clear=["live: ALTER EXTENSION plpgsql DROP TABLE own"],
    ),
    Fault(
        "an event trigger",
        AS_BEFORE,
        r"The safety dump of awkward would not load: .*watching",
        after=[
            "live: CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; ALTER FUNCTION watch() OWNER TO hunter;"
            " CREATE EVENT TRIGGER watching ON ddl_command_end EXECUTE FUNCTION watch()"
        ],
        clear=["live: DROP EVENT TRIGGER watching; DROP FUNCTION public.watch()"],
    ),
    Fault(
        "a publication of all tables",
        AS_BEFORE,
        r"The safety dump of awkward would not load: .*everything",
        after=["live: CREATE PUBLICATION everything FOR ALL TABLES"],
        clear=["live: DROP PUBLICATION everything"],
    ),
    Fault(
        "a subscription",
        AS_BEFORE,
        r"Subscriptions belong to the database.*far.*Drop them first",
        after=[
            "live: CREATE SUBSCRIPTION far CONNECTION 'host=127.0.0.1' PUBLICATION p WITH (connect = false, slot_name = NONE)"
        ],
        clear=["live: DROP SUBSCRIPTION far"],
    ),
    Fault(
        "a prepared transaction",
        AS_BEFORE,
        r"Prepared transactions hold the database: .*left.*ROLLBACK PREPARED",
        after=["live: BEGIN; CREATE TABLE half (); PREPARE TRANSACTION 'left'"],
        clear=["live: ROLLBACK PREPARED 'left'"],
    ),
    Fault(
        "a logical slot",
        AS_BEFORE,
        r"Logical replication slots belong to the database.*cdc",
        after=["live: SELECT pg_create_logical_replication_slot('cdc', 'pgoutput')"],
        clear=["live: SELECT pg_drop_replication_slot('cdc')"],
    ),
    Fault(
        "row-level security that is forced",
        AS_BEFORE,
        r"[Rr]ow-level security.*Nothing was dropped",
        after=[
            "owner: CREATE TABLE s (a int); ALTER TABLE s ENABLE ROW LEVEL SECURITY; ALTER TABLE s FORCE ROW LEVEL SECURITY"
        ],
        clear=["live: ALTER TABLE public.s NO FORCE ROW LEVEL SECURITY"],
    ),
    Fault("an invalid index", RESTORED, does="invalid_index"),
    Fault("the schema public was dropped", RESTORED, after=["live: DROP SCHEMA public CASCADE"]),
    # What PostgreSQL keeps outside of the database ---------------------------------------------------------------
    Fault(
        "a setting that only a superuser may carry over",
        AS_BEFORE,
        r"Run as a superuser: GRANT SET ON PARAMETER log_min_duration_statement TO rollback;",
        after=["server: ALTER DATABASE awkward SET log_min_duration_statement = 250"],
        clear=["server: GRANT SET ON PARAMETER log_min_duration_statement TO rollback"],
        undo=["server: REVOKE SET ON PARAMETER log_min_duration_statement FROM rollback"],
    ),
    Fault(
        "a setting of the application's own that a superuser made",
        AS_BEFORE,
        r"Run as a superuser: GRANT SET ON PARAMETER app\.tenant TO rollback;",
        after=["server: ALTER DATABASE awkward SET app.tenant = 'north'"],
        clear=["server: GRANT SET ON PARAMETER app.tenant TO rollback"],
        undo=["server: REVOKE SET ON PARAMETER app.tenant FROM rollback"],
    ),
    Fault(
        "settings of a role in the database that the operator cannot become",
        AS_BEFORE,
        r"The settings of roles in database awkward \(stranger\) cannot be carried over.*GRANT stranger TO rollback;",
        after=["server: CREATE ROLE stranger; ALTER ROLE stranger IN DATABASE awkward SET work_mem = '9MB'"],
        clear=["server: GRANT stranger TO rollback"],
        undo=["server: DROP ROLE stranger"],
    ),
    Fault(
        "the database is a template",
        AS_BEFORE,
        r"cannot drop a template database.*Nothing was dropped",
        after=["server: ALTER DATABASE awkward IS_TEMPLATE true"],
        clear=["server: ALTER DATABASE awkward IS_TEMPLATE false"],
    ),
    Fault(
        "a process that died has left the database closed",
        RESTORED,
        after=["server: ALTER DATABASE awkward ALLOW_CONNECTIONS false"],
    ),
    Fault(
        "the operator may not create databases",
        AS_BEFORE,
        r"may not create databases \(ALTER ROLE … CREATEDB\)",
        after=["server: ALTER ROLE rollback NOCREATEDB"],
        clear=["server: ALTER ROLE rollback CREATEDB"],
        undo=["server: ALTER ROLE rollback CREATEDB"],
    ),
    Fault(
        "no room for the safety dump",
        AS_BEFORE,
        r"free, and the dump may need .* Nothing was dropped\. Make room",
        does="no_room",
    ),
    Fault(
        "a superuser's session that does not leave",
        AS_BEFORE,
        r"cannot be ended.*Nothing was dropped",
        does="superuser_stays",
    ),
    # The backup --------------------------------------------------------------------------------------------------
    Fault(
        "a check that PostgreSQL rewords when it is loaded",
        RESTORED,
        before=["owner: CREATE TABLE t (s varchar(9) CHECK (s IN ('a', 'b'))); INSERT INTO t VALUES ('a')"],
    ),
    Fault("hash partitions of an enum", RESTORED, before=[PARTITIONED_BY_ENUM]),
    Fault("a backup of a database without a schema public", RESTORED, before=["live: DROP SCHEMA public CASCADE"]),
    Fault(
        "a role of the backup that was dropped since",
        AS_BEFORE,
        r'would not load: .*role "leaver" does not exist.*nothing was touched',
        before=["server: CREATE ROLE leaver", 'owner: GRANT USAGE ON SCHEMA "Sales Data" TO leaver'],
        after=['owner: REVOKE USAGE ON SCHEMA "Sales Data" FROM leaver', "server: DROP ROLE leaver"],
        clear=["server: CREATE ROLE leaver"],
        undo=["server: DROP ROLE leaver"],
    ),
    Fault(
        "an extension that only a superuser may create, in the backup",
        AS_BEFORE,
        r"would not load: .*pageinspect.*nothing was touched",
        before=["live: CREATE EXTENSION pageinspect"],
        after=["live: DROP EXTENSION pageinspect"],
        clear=["server: ALTER ROLE rollback SUPERUSER"],
        undo=["server: ALTER ROLE rollback NOSUPERUSER"],
        does="backup_of_superuser",
        on="postgres15",
    ),
    Fault(
        "an extension that this server does not have",
        AS_BEFORE,
        r"would not load: .*nowhere.*nothing was touched",
        does="unknown_extension",
    ),
    Fault("a dump without owners and without a manifest", RESTORED, does="foreign_dump"),
    Fault("a dump that was cut off", AS_BEFORE, r"The data is as before", does="cut_off"),
    Fault(
        "a manifest that says other rows",
        AS_BEFORE,
        r"not what was backed up.*put back from the safety dump",
        does="other_rows",
    ),
    Fault(
        "a manifest that says other definitions",
        AS_BEFORE,
        r"not what was backed up: .*is missing",
        does="other_definitions",
    ),
    # Once the live database was dropped --------------------------------------------------------------------------
    Fault(
        "the load fails",
        AS_BEFORE,
        r"^no load.*put back from the safety dump .*run the same command again",
        does="load_fails",
    ),
    Fault(
        "the journal cannot be written",
        AS_BEFORE,
        r"no room for a line.*put back from the safety dump",
        does="journal_fails",
    ),
    Fault(
        "the server died while it dropped the database",
        AS_BEFORE,
        r"died.*put back from the safety dump",
        does="half_dropped",
    ),
    Fault(
        "the statistics cannot be collected",
        AS_BEFORE,
        r"no statistics.*put back from the safety dump",
        does="analyse_fails",
    ),
    Fault(
        "a right to carry a setting over is taken away",
        AS_BEFORE,
        r"put back from the safety dump .*GRANT SET ON PARAMETER log_min_duration_statement TO rollback;",
        after=[
            "server: ALTER DATABASE awkward SET log_min_duration_statement = 250;"
            " GRANT SET ON PARAMETER log_min_duration_statement TO rollback"
        ],
        dropped=["server: REVOKE SET ON PARAMETER log_min_duration_statement FROM rollback"],
        clear=[
            "server: GRANT SET ON PARAMETER log_min_duration_statement TO rollback;"
            " ALTER DATABASE awkward SET log_min_duration_statement = 250"
        ],
        undo=["server: REVOKE SET ON PARAMETER log_min_duration_statement FROM rollback"],
    ),
    Fault(
        "putting back fails too",
        ONLY_DUMPED,
        r"Putting the data back failed too: no load.*in the safety dump .*the same command again",
        does="load_fails_twice",
    ),
    Fault(
        "a role that both dumps name is dropped",
        ONLY_DUMPED,
        r'Putting the data back failed too: .*role "leaver" does not exist.*in the safety dump .*the same command again',
        before=["server: CREATE ROLE leaver", 'owner: GRANT USAGE ON SCHEMA "Sales Data" TO leaver'],
        dropped=["server: DROP ROLE leaver"],
        clear=["server: CREATE ROLE leaver"],
        undo=["server: DROP ROLE leaver"],
    ),
]
