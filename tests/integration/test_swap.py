"""The swap against everything that holds a database: sessions that come back, transactions, slots, rights, crashes."""

from __future__ import annotations

import threading
import time

import psycopg
import pytest
from servers import OPERATOR, Awkward

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.postgres import beside, obstacles, swap

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


def test_sessions_that_come_back_at_once_do_not_win(awkward):
    """Ten clients that reconnect without a pause, and one that idles; all are served again, by the new database."""
    with awkward.database():
        wanted = planned(awkward)
        facts = awkward.place.facts
        dsn = f"host={facts['host']} port={facts['port']} user={facts['owner']} password={facts['owner_password']} dbname=awkward"
        stop, served = threading.Event(), [0] * 10

        def client(number: int) -> None:
            while not stop.is_set():
                try:
                    with psycopg.connect(dsn, connect_timeout=5) as connection:
                        (oid,) = connection.execute(
                            "SELECT oid::int8 FROM pg_database WHERE datname = current_database()"
                        ).fetchone()
                        served[number] = oid
                        time.sleep(0.01)
                except psycopg.Error:
                    continue

        threads = [threading.Thread(target=client, args=(number,)) for number in range(10)]
        for thread in threads:
            thread.start()
        try:
            while not all(served):
                time.sleep(0.01)
            with psycopg.connect(dsn) as idle:
                done = perform(awkward, wanted)
                with pytest.raises(psycopg.OperationalError):
                    idle.execute("SELECT 1")
            deadline = time.monotonic() + 5
            while set(served) != {wanted.incoming_oid} and time.monotonic() < deadline:
                time.sleep(0.01)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert done.changed
        assert done.sessions_ended > 0
        assert set(served) == {wanted.incoming_oid}


def test_a_superusers_session_is_named_before_anything_is_touched(awkward):
    with awkward.database(), awkward.as_superuser("awkward"), awkward.server.connect("awkward") as connection:
        found = obstacles.find(connection, "awkward")
    assert found == [
        "The operator's role may not end the sessions of postgres. Grant it pg_signal_backend; superusers must leave by themselves."
    ]


def test_a_session_that_cannot_be_ended_leaves_names_and_doors_as_they_were(awkward):
    with awkward.database():
        wanted = planned(awkward)
        before = awkward.place.databases()
        with awkward.as_superuser("awkward"), pytest.raises(RollbackError, match="cannot be ended"):
            perform(awkward, wanted)
        assert awkward.place.databases() == before
        assert doors(awkward) == {"awkward": True, INCOMING: True}


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


@pytest.mark.parametrize(
    ("leave", "remove", "sentence"),
    [
        (
            ["BEGIN", "INSERT INTO nothing DEFAULT VALUES", "PREPARE TRANSACTION 'half done'"],
            ["ROLLBACK PREPARED 'half done'"],
            "Prepared transactions hold the database: half done.",
        ),
        (
            ["SELECT pg_create_logical_replication_slot('cdc', 'pgoutput')"],
            ["SELECT pg_drop_replication_slot('cdc')"],
            "Logical replication slots belong to the database and would follow it aside: cdc.",
        ),
        (
            [
                "CREATE SUBSCRIPTION feed CONNECTION 'host=nowhere' PUBLICATION p WITH (connect = false, slot_name = NONE)"
            ],
            ["DROP SUBSCRIPTION feed"],
            "Subscriptions belong to the database and would follow it aside: feed.",
        ),
    ],
    ids=["prepared transaction", "logical slot", "subscription"],
)
def test_what_would_stay_behind_is_named_before_anything_is_touched(awkward, leave, remove, sentence):
    with awkward.database():
        with awkward.as_superuser("awkward") as connection:
            for statement in leave:
                connection.execute(statement)
        try:
            with awkward.server.connect("awkward") as connection:
                (found,) = obstacles.find(connection, "awkward")
        finally:
            with awkward.as_superuser("awkward") as connection:
                for statement in remove:
                    connection.execute(statement)
    assert found.startswith(sentence)


def test_missing_rights_are_named(awkward):
    with awkward.database():
        with awkward.as_superuser() as connection:
            connection.execute(f"ALTER ROLE {OPERATOR} NOCREATEDB")
        try:
            with awkward.server.connect("awkward") as connection:
                found = obstacles.find(connection, "awkward")
        finally:
            with awkward.as_superuser() as connection:
                connection.execute(f"ALTER ROLE {OPERATOR} CREATEDB")
    assert found == ["The operator's role rollback may not create databases. Run ALTER ROLE … CREATEDB as a superuser."]
