"""The swap against everything that holds a database: sessions that come back, transactions, slots, rights, crashes."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

import database_swap
import psycopg
import pytest
import throwaway_postgres
from clients import Clients
from servers import OPERATOR, OWNER, Awkward

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.postgres import beside, obstacles, sessions, swap

INCOMING, ASIDE = "awkward__restore_20261122T031500Z", "awkward__before_20261122T031500Z"


def planned(awkward: Awkward) -> swap.Swap:
    with awkward.server.connect() as connection:
        live = beside.oid_of(connection, "awkward")
        incoming = beside.create(connection, "awkward", INCOMING)
    return swap.Swap("awkward", INCOMING, ASIDE, live, incoming)


def perform(awkward: Awkward, wanted: swap.Swap) -> swap.Swapped:
    with awkward.server.connect() as connection:
        return swap.perform(connection, wanted)


def doors(awkward: Awkward) -> dict[str, bool]:
    with awkward.as_superuser() as connection:
        rows = connection.execute("SELECT datname, datallowconn FROM pg_database WHERE datname LIKE 'awkward%'")
        return dict(rows.fetchall())


def test_both_names_change_at_once_and_a_second_call_changes_nothing(awkward):
    with awkward.database():
        wanted = planned(awkward)
        assert perform(awkward, wanted).changed is True
        assert perform(awkward, wanted) == swap.Swapped(False, 0, 0.0)
        found = awkward.place.databases()
        assert (found["awkward"], found[ASIDE]) == (wanted.incoming_oid, wanted.live_oid)
        assert doors(awkward) == {"awkward": True, ASIDE: True}


def application_of(awkward: Awkward) -> Callable[..., psycopg.Connection]:
    facts = awkward.place.facts
    dsn = f"host={facts['host']} port={facts['port']} user={facts['owner']} password={facts['owner_password']} dbname=awkward"
    return lambda **options: psycopg.connect(dsn, connect_timeout=5, **options)


@pytest.mark.parametrize("who", ["application", "superuser"])
def test_fifty_sessions_that_come_back_at_once_do_not_win(awkward, who):
    """Fifty clients that reconnect without a pause, and one that idles; all are served again, by the new database."""
    with awkward.database():
        with awkward.as_superuser() as connection:
            connection.execute("ALTER DATABASE awkward CONNECTION LIMIT -1")
        wanted = planned(awkward)
        application = application_of(awkward)
        back = application if who == "application" else lambda: awkward.as_superuser("awkward")
        with Clients(back, 50) as clients:
            with application() as idle:
                done = perform(awkward, wanted)
                with pytest.raises(psycopg.OperationalError):
                    idle.execute("SELECT 1")
            assert clients.all_meet(wanted.incoming_oid, within=2)
        assert done.changed
        assert done.sessions_ended > 0
        assert done.closed_s < 5  # less than PostgreSQL itself waits for sessions that a rename meets


def test_a_session_that_has_just_passed_the_door_is_waited_for_and_ended(awkward):
    """It is listed nowhere yet; PostgreSQL's rename would meet it, wait five seconds, and fail."""
    with awkward.database():
        wanted = planned(awkward)
        opened: list[psycopg.Connection] = []
        opening = threading.Thread(
            target=lambda: opened.append(application_of(awkward)(options="-c post_auth_delay=1"))
        )
        opening.start()
        time.sleep(0.5)
        with awkward.as_superuser() as connection:
            assert not connection.execute("SELECT FROM pg_stat_activity WHERE datname = 'awkward'").fetchall()
        done = perform(awkward, wanted)
        opening.join()
        assert (done.changed, done.sessions_ended) == (True, 1)
        with opened[0] as late, pytest.raises(psycopg.OperationalError):
            late.execute("SELECT 1")


def test_a_superusers_session_is_named_before_anything_is_touched(awkward):
    with awkward.database(), awkward.as_superuser("awkward"), awkward.server.connect("awkward") as connection:
        found = obstacles.find(connection, "awkward")
    assert found == [
        "The operator's role may not end the sessions of postgres. Grant it pg_signal_backend; superusers must leave by themselves."
    ]


def test_a_session_that_cannot_be_ended_leaves_names_and_doors_as_they_were(awkward, monkeypatch):
    """A superuser came after planning."""
    monkeypatch.setattr(sessions, "LEAVE_S", 0.3)
    with awkward.database():
        wanted = planned(awkward)
        before = awkward.place.databases()
        with awkward.as_superuser("awkward") as stays:
            with pytest.raises(
                RollbackError, match=r"^The session of postgres \(process \d+, on awkward\) cannot be ended"
            ):
                perform(awkward, wanted)
            assert stays.execute("SELECT 1").fetchone() == (1,)
        assert awkward.place.databases() == before
        assert doors(awkward) == {"awkward": True, INCOMING: True}


@pytest.mark.parametrize("awkward", ["postgres"], indirect=True)  # one version tells
def test_a_superusers_session_that_leaves_by_itself_is_waited_for(awkward):
    with awkward.database():
        wanted = planned(awkward)
        with awkward.as_superuser("awkward") as leaves:
            threading.Timer(0.3, leaves.close).start()
            assert perform(awkward, wanted).changed is True


def test_a_name_that_is_taken_undoes_the_first_rename_too(awkward, monkeypatch):
    with awkward.database():
        wanted = planned(awkward)
        before = awkward.place.databases()
        rename = swap._rename
        monkeypatch.setattr(swap, "_rename", lambda name, to: rename(name, "postgres" if name == INCOMING else to))
        with pytest.raises(RollbackError, match="could not be renamed, and are as they were"):
            perform(awkward, wanted)
        assert awkward.place.databases() == before
        assert doors(awkward) == {"awkward": True, INCOMING: True}


def test_databases_that_somebody_exchanged_meanwhile_are_not_touched(awkward):
    with awkward.database():
        wanted = planned(awkward)
        with awkward.as_superuser() as connection:
            connection.execute(f'DROP DATABASE "{INCOMING}"')
            connection.execute(f'CREATE DATABASE "{INCOMING}"')
        with pytest.raises(RollbackError, match="The databases are not those of this run"):
            perform(awkward, wanted)


def test_a_run_that_died_with_the_door_closed_is_finished(awkward):
    """Killed between closing the live database and renaming it: the next call goes on from there."""
    with awkward.database():
        wanted = planned(awkward)
        with awkward.as_superuser() as connection:
            connection.execute("ALTER DATABASE awkward ALLOW_CONNECTIONS false")
        assert perform(awkward, wanted).changed is True
        assert doors(awkward) == {"awkward": True, ASIDE: True}


@pytest.mark.parametrize("awkward", ["postgres"], indirect=True)  # one version tells
def test_looking_swaps_nothing_and_opens_the_door_that_a_dead_process_closed(awkward):
    with awkward.database():
        wanted = planned(awkward)
        given = {
            **asdict(wanted),
            "dsn": awkward.server.dsn,
            "password": awkward.server.password,
            "pools": [],
            "run_dir": "",
        }
        before = awkward.place.databases()
        with awkward.as_superuser() as connection:
            connection.execute("ALTER DATABASE awkward ALLOW_CONNECTIONS false")
        seen = database_swap.exchange({**given, "look": True}, check_mode=True)
        assert (seen["changed"], seen["swapped"], doors(awkward)["awkward"]) == (False, False, False)
        found = database_swap.exchange({**given, "look": True}, check_mode=False)
        assert (found["changed"], found["swapped"], found["actions"]) == (True, False, ["let sessions in again"])
        assert (awkward.place.databases(), doors(awkward)["awkward"]) == (before, True)
        assert database_swap.exchange({**given, "look": True}, check_mode=False)["changed"] is False
        assert database_swap.exchange({**given, "look": False}, check_mode=True)["changed"] is True
        assert awkward.place.databases() == before
        assert database_swap.exchange({**given, "look": False}, check_mode=False)["swapped"] is True
        found = database_swap.exchange({**given, "look": True}, check_mode=False)
        assert (found["changed"], found["swapped"]) == (False, True)


HOLDERS = {
    "prepared transaction": (
        ["BEGIN", "INSERT INTO nothing DEFAULT VALUES", "PREPARE TRANSACTION 'half done'"],
        ["ROLLBACK PREPARED 'half done'"],
        "Prepared transactions hold the database: half done.",
    ),
    "logical slot": (
        ["SELECT pg_create_logical_replication_slot('cdc', 'pgoutput')"],
        ["SELECT pg_drop_replication_slot('cdc')"],
        "Logical replication slots belong to the database and would follow it aside: cdc.",
    ),
    "subscription": (
        ["CREATE SUBSCRIPTION feed CONNECTION 'host=nowhere' PUBLICATION p WITH (connect = false, slot_name = NONE)"],
        ["DROP SUBSCRIPTION feed"],
        "Subscriptions belong to the database and would follow it aside: feed.",
    ),
}


@contextmanager
def held(awkward: Awkward, what: str) -> Iterator[str]:
    """The database with something in it that ending sessions does not end; yields the sentence about it."""
    leave, remove, sentence = HOLDERS[what]
    with awkward.as_superuser("awkward") as connection:
        for statement in leave:
            connection.execute(statement)
    try:
        yield sentence
    finally:
        with awkward.as_superuser("awkward") as connection:
            for statement in remove:
                connection.execute(statement)


@pytest.mark.parametrize("what", HOLDERS)
def test_what_would_stay_behind_is_named_before_anything_is_touched(awkward, what):
    with awkward.database(), held(awkward, what) as sentence:
        with awkward.server.connect("awkward") as connection:
            (found,) = obstacles.find(connection, "awkward")
        assert found.startswith(sentence)


@pytest.mark.parametrize("what", HOLDERS)
def test_what_came_after_planning_stops_the_swap_and_nobody_is_sent_away_for_it(awkward, what):
    with awkward.database():
        wanted = planned(awkward)
        before = awkward.place.databases()
        with held(awkward, what) as sentence, application_of(awkward)() as client:
            with pytest.raises(
                RollbackError, match=f"^The databases were not renamed, and are as they were. {sentence}"
            ):
                perform(awkward, wanted)
            assert client.execute("SELECT 1").fetchone() == (1,)
            assert awkward.place.databases() == before
            assert doors(awkward) == {"awkward": True, INCOMING: True}
        assert perform(awkward, wanted).changed is True


@pytest.mark.parametrize("awkward", ["postgres"], indirect=True)  # one version tells
def test_what_came_while_the_door_was_being_closed_stops_the_swap_too(awkward, monkeypatch):
    """A session prepares its transaction just before it is ended."""
    with awkward.database():
        wanted = planned(awkward)
        before = awkward.place.databases()
        ending = ExitStack()

        def end(*arguments: object) -> int:
            with awkward.as_superuser() as connection:
                connection.execute("ALTER DATABASE awkward ALLOW_CONNECTIONS true")
                ending.enter_context(held(awkward, "prepared transaction"))
                connection.execute("ALTER DATABASE awkward ALLOW_CONNECTIONS false")
            return sessions.end_sessions(*arguments)

        monkeypatch.setattr(swap, "end_sessions", end)
        with ending:
            with pytest.raises(RollbackError, match="Prepared transactions hold the database: half done"):
                perform(awkward, wanted)
            assert awkward.place.databases() == before
            assert doors(awkward) == {"awkward": True, INCOMING: True}


def wait_for_slot(awkward: Awkward, active: bool) -> None:
    with awkward.as_superuser() as connection:
        for _ in range(500):
            (found,) = connection.execute("SELECT active FROM pg_replication_slots").fetchone()
            if found is active:
                return
            time.sleep(0.02)
    raise AssertionError(f"the slot's active never became {active}")


@pytest.mark.parametrize("awkward", ["postgres"], indirect=True)  # one version tells
def test_a_reader_of_changes_is_named_and_goes_on_reading(awkward):
    """An active logical slot: its reader is a session that comes back by itself."""
    with awkward.database():
        wanted = planned(awkward)
        facts = awkward.place.facts
        with awkward.as_superuser() as connection:
            connection.execute(f"ALTER ROLE {OPERATOR} REPLICATION")
        command = [
            f"{facts['postgres_bin']}/pg_recvlogical",
            f"--dbname=host={facts['host']} port={facts['port']} user={OPERATOR} dbname=awkward",
            "--slot=cdc",
            "--file=-",
            "--option=proto_version=1",
            "--option=publication_names=p",
        ]
        environment = {**os.environ, "PGPASSWORD": facts["operator_password"]}
        with held(awkward, "logical slot") as sentence:
            reader = subprocess.Popen([*command, "--start"], env=environment, stdout=subprocess.DEVNULL)
            try:
                wait_for_slot(awkward, active=True)
                with pytest.raises(RollbackError, match=sentence):
                    perform(awkward, wanted)
                assert reader.poll() is None
            finally:
                reader.kill()
                reader.wait()
                with awkward.as_superuser() as connection:
                    connection.execute(f"ALTER ROLE {OPERATOR} NOREPLICATION")
                wait_for_slot(awkward, active=False)


@pytest.mark.parametrize("awkward", ["postgres"], indirect=True)  # one version tells
def test_a_physical_slot_is_no_obstacle(awkward):
    with awkward.database():
        wanted = planned(awkward)
        with awkward.as_superuser() as connection:
            connection.execute("SELECT pg_create_physical_replication_slot('standby')")
        try:
            with awkward.server.connect("awkward") as connection:
                assert (obstacles.find(connection, "awkward"), obstacles.notes(connection)) == ([], [])
            assert perform(awkward, wanted).changed is True
        finally:
            with awkward.as_superuser() as connection:
                connection.execute("SELECT pg_drop_replication_slot('standby')")


@contextmanager
def standby(awkward: Awkward) -> Iterator[Callable[..., psycopg.Connection]]:
    """A real standby called `reader`; yields how to connect to it."""
    facts = awkward.place.facts
    home = Path(tempfile.mkdtemp(prefix="rollback-standby-"))
    throwaway_postgres.own(home)
    primary = f"host={facts['socket_dir']} port={facts['port']} user=postgres application_name=reader"
    hba = awkward.place.home / "postgres" / "pg_hba.conf"
    before = hba.read_text()
    hba.write_text("local replication postgres trust\n" + before)
    try:
        with awkward.as_superuser() as connection:
            connection.execute("SELECT pg_reload_conf()")
        run, bin_dir, data = throwaway_postgres.run_unprivileged, Path(facts["postgres_bin"]), home / "data"
        run(
            [
                bin_dir / "pg_basebackup",
                f"--dbname={primary}",
                f"--pgdata={data}",
                "--checkpoint=fast",
                "--no-sync",
                "--write-recovery-conf",
            ]
        )
        options = (
            f"-c port={facts['port']} -c listen_addresses= -c unix_socket_directories={home} -c shared_buffers=16MB"
        )
        run([bin_dir / "pg_ctl", "start", "-w", "-D", data, "-l", home / "log", "-o", options])
        try:
            yield lambda database: psycopg.connect(
                host=str(home), port=facts["port"], user="postgres", dbname=database, autocommit=True
            )
        finally:
            run([bin_dir / "pg_ctl", "stop", "-w", "-m", "immediate", "-D", data])
    finally:
        hba.write_text(before)
        shutil.rmtree(home)


@pytest.mark.parametrize("awkward", ["postgres"], indirect=True)  # one version tells
def test_a_standby_is_noted_follows_the_swap_and_is_not_swapped_itself(awkward):
    with awkward.database(), standby(awkward) as reader:
        wanted = planned(awkward)
        with awkward.server.connect("awkward") as connection:
            assert obstacles.find(connection, "awkward") == []
            (note,) = obstacles.notes(connection)
        assert note.startswith("Standbys replay the restore (reader): ")
        while not has(reader, INCOMING):
            time.sleep(0.02)
        with reader("awkward") as stays:
            assert obstacles.find(stays, "awkward")[0].startswith("This is a read replica (the server).")
            assert perform(awkward, wanted).changed is True
            while not has(reader, ASIDE):
                time.sleep(0.02)
            # What the note says: who is connected there reads on in what was live.
            assert stays.execute(WHO_I_AM).fetchone() == (ASIDE, wanted.live_oid)
        with reader("awkward") as comes:
            assert comes.execute(WHO_I_AM).fetchone() == ("awkward", wanted.incoming_oid)


WHO_I_AM = "SELECT datname, oid::int8 FROM pg_database WHERE datname = current_database()"


def has(connect: Callable[..., psycopg.Connection], database: str) -> bool:
    with connect("postgres") as connection:
        return connection.execute("SELECT FROM pg_database WHERE datname = %s", [database]).fetchone() is not None


@pytest.mark.parametrize(
    ("take", "give", "sentence"),
    [
        (
            "ALTER ROLE {} NOCREATEDB",
            "ALTER ROLE {} CREATEDB",
            "The operator's role rollback may not create databases.",
        ),
        (
            f"REVOKE {OWNER} FROM {{}}",
            f"GRANT {OWNER} TO {{}}",
            "The operator's role is not a member of hunter, which owns",
        ),
        (
            f"REVOKE {OWNER}, pg_signal_backend FROM {{}}",
            f"GRANT {OWNER}, pg_signal_backend TO {{}}",
            "The operator's role may not end the sessions of hunter.",
        ),
    ],
    ids=["create", "rename", "end sessions"],
)
def test_missing_rights_are_named(awkward, take, give, sentence):
    with awkward.database(), application_of(awkward)(), awkward.server.connect() as connection:
        assert obstacles.find(connection, "awkward") == []
        with awkward.as_superuser() as superuser:
            superuser.execute(take.format(OPERATOR))
            try:
                found = obstacles.find(connection, "awkward")
            finally:
                superuser.execute(give.format(OPERATOR))
        assert [text for text in found if text.startswith(sentence)] != []
