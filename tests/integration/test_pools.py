"""The swap behind a real PgBouncer: clients wait and are served, whatever becomes of pool, process or transaction."""

from __future__ import annotations

import os
import shlex
import subprocess
import threading
import time
from contextlib import closing
from dataclasses import asdict

import database_swap
import pool_reconnect
import psycopg
import pytest
from clients import WHO, Clients
from pooler import LOOKER, Pooler, in_front_of
from servers import OWNER, Awkward
from test_swap import ASIDE, INCOMING, doors, planned

from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.journal import Journal, steps_of
from ansible.module_utils.rollback.postgres import pools, swap

pytestmark = [pytest.mark.pgbouncer, pytest.mark.parametrize("awkward", ["postgres"], indirect=True)]

SERVED_WITHIN_S = 2
BACKEND = "SELECT pg_backend_pid()"


def perform(awkward: Awkward, wanted: swap.Swap, *poolers: Pooler) -> swap.Swapped:
    with awkward.server.connect() as connection:
        return swap.perform(connection, wanted, [pooler.pool() for pooler in poolers])


def met(pooler: Pooler, within: float = SERVED_WITHIN_S) -> int:
    """The database that answers a new client of the pool."""
    deadline = time.monotonic() + within
    while True:
        try:
            with pooler.connect(connect_timeout=2) as connection:
                return connection.execute(WHO).fetchone()[0]
        except psycopg.Error:
            if time.monotonic() > deadline:
                raise


def is_paused(pooler: Pooler) -> bool:
    return next(row for row in pooler.say("SHOW DATABASES") if row[0] == pooler.alias)[-2] in (1, "1")


@pytest.mark.parametrize("mode", ["session", "transaction", "statement"])
def test_clients_that_come_back_are_served_by_the_restored_database(awkward, mode):
    with awkward.database(), in_front_of(awkward.place, "awkward", mode) as pooler:
        wanted = planned(awkward)
        with Clients(pooler.connect, 10) as clients:
            done = perform(awkward, wanted, pooler)
            assert clients.all_meet(wanted.incoming_oid, SERVED_WITHIN_S)
        assert done.changed
        assert done.pools[0] == f"the pool at 127.0.0.1:{pooler.port} was paused"
        assert done.pools[1].startswith(f"the pool at 127.0.0.1:{pooler.port} serves again")
        assert done.stuck_pools == []
        assert not is_paused(pooler)


@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_clients_that_stay_notice_nothing_but_a_pause(awkward, mode):
    with awkward.database(), in_front_of(awkward.place, "awkward", mode) as pooler:
        wanted = planned(awkward)
        with Clients(pooler.connect, 4, stay=True) as clients:
            time.sleep(0.5)  # until the pool has all the sessions that it needs: a login under way would be broken off
            perform(awkward, wanted, pooler)
            assert clients.all_meet(wanted.incoming_oid, SERVED_WITHIN_S)
        assert clients.failures == []


def test_logins_that_the_pause_broke_off_are_forgotten(awkward):
    """PgBouncer counts them as failed and would serve nobody for 15 seconds."""
    with awkward.database(), in_front_of(awkward.place, "awkward") as pooler:
        wanted = planned(awkward)

        def log_in_anew() -> None:
            while not is_paused(pooler):
                pooler.say("RECONNECT awkward")

        storm = threading.Thread(target=log_in_anew)
        with Clients(pooler.connect, 10) as clients:
            storm.start()
            time.sleep(0.2)
            done = perform(awkward, wanted, pooler)
            storm.join()
            assert clients.all_meet(wanted.incoming_oid, SERVED_WITHIN_S)
        assert done.changed


def run_into_the_door(awkward: Awkward, pooler: Pooler) -> None:
    """An earlier attempt closed the door and died, and the pool's login has failed since."""
    with awkward.as_superuser() as connection:
        connection.execute("ALTER DATABASE awkward ALLOW_CONNECTIONS false")
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'awkward'")
    with closing(pooler.connect()) as client:
        client.pgconn.send_query(b"SELECT 1")
        time.sleep(0.3)


def test_a_login_that_failed_before_is_forgotten(awkward):
    with awkward.database(), in_front_of(awkward.place, "awkward") as pooler:
        wanted = planned(awkward)
        assert met(pooler) == wanted.live_oid
        run_into_the_door(awkward, pooler)
        perform(awkward, wanted, pooler)
        assert met(pooler) == wanted.incoming_oid


def test_a_login_that_failed_before_is_forgotten_though_clients_wait(awkward):
    with awkward.database(), in_front_of(awkward.place, "awkward") as pooler:
        wanted = planned(awkward)
        with Clients(pooler.connect, 5) as clients:
            run_into_the_door(awkward, pooler)
            perform(awkward, wanted, pooler)
            assert clients.all_meet(wanted.incoming_oid, SERVED_WITHIN_S)


def test_a_transaction_that_ends_in_time_is_kept(awkward):
    with awkward.database(), in_front_of(awkward.place, "awkward") as pooler:
        wanted = planned(awkward)
        with pooler.connect() as client:
            client.execute("BEGIN")
            client.execute("INSERT INTO public.nothing DEFAULT VALUES")
            swapping = threading.Thread(target=perform, args=(awkward, wanted, pooler))
            swapping.start()
            while not is_paused(pooler):
                time.sleep(0.01)
            client.execute("INSERT INTO public.nothing DEFAULT VALUES")
            client.execute("COMMIT")
            swapping.join()
            assert client.execute(WHO).fetchone()[0] == wanted.incoming_oid
        with awkward.as_superuser(ASIDE) as connection:
            assert connection.execute("SELECT count(*) FROM public.nothing").fetchone() == (4,)


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_a_client_that_holds_on_to_its_session_does_not_stop_the_swap(awkward, mode, monkeypatch):
    monkeypatch.setattr(pools, "PAUSE_WITHIN_S", 0.3)
    with awkward.database(), in_front_of(awkward.place, "awkward", mode) as pooler:
        wanted = planned(awkward)
        with pooler.connect() as client:
            client.execute("BEGIN")
            client.execute("INSERT INTO public.nothing DEFAULT VALUES")
            done = perform(awkward, wanted, pooler)
            with pytest.raises(psycopg.Error):
                client.execute("COMMIT")
        assert done.pools[0] == (
            f"the pool at 127.0.0.1:{pooler.port} did not come to rest within 0.3 s,"
            " because a client holds on to its session; that was ended"
        )
        assert met(pooler) == wanted.incoming_oid
        with awkward.as_superuser(ASIDE) as connection:
            assert connection.execute("SELECT count(*) FROM public.nothing").fetchone() == (2,)


@pytest.mark.parametrize("swapped", [False, True], ids=["before the swap", "after the swap"])
def test_a_pool_that_a_dead_process_left_paused_is_resumed(awkward, swapped):
    with awkward.database(), in_front_of(awkward.place, "awkward") as pooler:
        wanted = planned(awkward)
        assert met(pooler) == wanted.live_oid
        if swapped:
            perform(awkward, wanted)
        pooler.say("PAUSE awkward")
        assert perform(awkward, wanted, pooler).changed is not swapped
        assert met(pooler) == wanted.incoming_oid
        again = perform(awkward, wanted, pooler)
        assert (again.changed, again.stuck_pools, is_paused(pooler)) == (False, [], False)


def test_a_swap_that_fails_leaves_the_pool_serving_what_was_live(awkward, monkeypatch):
    with awkward.database(), in_front_of(awkward.place, "awkward") as pooler:
        wanted = planned(awkward)
        rename = swap._rename
        monkeypatch.setattr(swap, "_rename", lambda name, to: rename(name, "postgres" if name == INCOMING else to))
        with Clients(pooler.connect, 4) as clients:
            with pytest.raises(RollbackError, match="could not be renamed, and are as they were"):
                perform(awkward, wanted, pooler)
            clients.met[:] = [0] * 4
            assert clients.all_meet(wanted.live_oid, SERVED_WITHIN_S)
        assert not is_paused(pooler)


def test_a_pool_that_is_gone_does_not_stop_the_swap(awkward):
    with (
        awkward.database(),
        in_front_of(awkward.place, "awkward") as gone,
        in_front_of(awkward.place, "awkward") as pool,
    ):
        wanted = planned(awkward)
        gone.die()
        done = perform(awkward, wanted, gone, pool)
        assert done.changed
        assert done.stuck_pools == []
        assert done.pools[0].startswith(f"the pool at 127.0.0.1:{gone.port} could not be paused (connection ")
        assert done.pools[0].endswith("; its sessions were ended")
        assert met(pool) == wanted.incoming_oid


@pytest.mark.parametrize("fails", [False, True], ids=["the swap succeeds", "the swap fails"])
def test_a_pool_that_hangs_after_it_was_paused_is_named_with_the_command_that_helps(awkward, monkeypatch, fails):
    monkeypatch.setattr(pools, "_ANSWER_WITHIN_S", 2.0)
    with awkward.database(), in_front_of(awkward.place, "awkward", alias="Hunter-1.0") as pooler:
        wanted = planned(awkward)
        assert met(pooler) == wanted.live_oid
        exchange = swap._exchange

        def hang(*arguments: object) -> None:
            pooler.hang()
            if fails:
                raise RollbackError("The disk is full.", "Make room.")
            exchange(*arguments)

        monkeypatch.setattr(swap, "_exchange", hang)
        if fails:
            with pytest.raises(RollbackError, match=r"^The disk is full\. Make room\. The pool at ") as error:
                perform(awkward, wanted, pooler)
            told = str(error.value)
        else:
            done = perform(awkward, wanted, pooler)
            (told,) = done.stuck_pools
            assert done.changed
        assert doors(awkward) == {"awkward": True, INCOMING if fails else ASIDE: True}
        assert "may still hold back the clients of Hunter-1.0" in told
        assert "hush" not in told

        pooler.go_on()
        assert is_paused(pooler)
        command = shlex.split(told.partition("Type: ")[2])
        subprocess.run(
            [f"{awkward.place.facts['postgres_bin']}/{command[0]}", *command[1:]],
            env={**os.environ, "PGPASSWORD": pooler.pool().server.password},
            check=True,
            capture_output=True,
        )
        assert met(pooler) == (wanted.live_oid if fails else wanted.incoming_oid)


def test_a_swap_whose_pool_hangs_is_done_in_the_journal_and_fails_with_the_command_that_helps(
    awkward, monkeypatch, tmp_path
):
    monkeypatch.setattr(pools, "_ANSWER_WITHIN_S", 1.0)
    with awkward.database(), in_front_of(awkward.place, "awkward") as pooler:
        wanted = planned(awkward)
        exchange = swap._exchange
        monkeypatch.setattr(swap, "_exchange", lambda *arguments: (pooler.hang(), exchange(*arguments)))
        pool = pooler.pool()
        given = {
            **asdict(wanted),
            "dsn": awkward.server.dsn,
            "password": awkward.server.password,
            "pools": [{"dsn": pool.server.dsn, "password": pool.server.password, "database": ""}],
            "run_dir": str(tmp_path),
            "look": False,
        }
        with pytest.raises(RollbackError, match=r"^The databases were swapped, but not every pool .*RESUME awkward;"):
            database_swap.exchange(given, check_mode=False)
        pooler.go_on()
        (step,) = steps_of(Journal(tmp_path).entries())
        assert (step.name, step.status) == ("swap", "done")
        assert "hush" not in (tmp_path / "journal.jsonl").read_text()

        again = database_swap.exchange(given, check_mode=False)  # the same command again
        assert (again["changed"], again["swapped"]) == (False, True)
        assert met(pooler) == wanted.incoming_oid


def test_a_pool_is_looked_at_before_anything_is_touched(awkward):
    with (
        awkward.database(),
        in_front_of(awkward.place, "awkward") as pooler,
        in_front_of(awkward.place, "awkward") as gone,
    ):
        gone.die()
        assert pools.look([pooler.pool()]) == ([], [])
        pooler.say("PAUSE awkward")
        assert pools.look([pooler.pool()]) == (
            [],
            [f"The pool at 127.0.0.1:{pooler.port} has database awkward paused; it will be resumed after the swap."],
        )
        assert is_paused(pooler)  # looking changed nothing
        obstacles, notes = pools.look(
            [pooler.pool(LOOKER), pooler.pool(("pgbouncer", "hush")), gone.pool(), pooler.pool(database="hunter")]
        )
        assert obstacles[0] == (
            f"The user for the console of the pool at 127.0.0.1:{pooler.port} may look but not pause."
            " Add it to PgBouncer's admin_users."
        )
        assert "SASL authentication failed" in obstacles[1]
        assert obstacles[2].startswith(f"No connection to the console of the pool at 127.0.0.1:{gone.port}: ")
        assert obstacles[2].endswith(" Start it, or take it out of rollback_pools.")
        assert len(obstacles) == 3
        assert "hush" not in " ".join(obstacles)
        assert notes[-1] == (
            f"The pool at 127.0.0.1:{pooler.port} does not list database hunter (it lists awkward),"
            " so it may not be paused for the swap."
        )


def test_a_pool_that_reconnects_forgets_the_plans_of_before(awkward):
    """A session of the pool with a prepared statement fails once its table has changed; a new one does not."""
    ask = "EXECUTE everything"
    with awkward.database(), in_front_of(awkward.place, "awkward", "transaction") as pooler:
        with awkward.as_superuser("awkward") as connection:
            connection.execute(f"SET ROLE {OWNER}; CREATE TABLE changing (a int, b int)")
        with pooler.connect() as client:
            client.execute("PREPARE everything AS SELECT * FROM changing")
            assert client.execute(ask).fetchall() == []
            with awkward.as_superuser("awkward") as connection:
                connection.execute("ALTER TABLE changing DROP COLUMN b")
            with pytest.raises(psycopg.errors.FeatureNotSupported, match="cached plan must not change result type"):
                client.execute(ask)
            before = client.execute(BACKEND).fetchone()
            console = pooler.pool().server
            done = pool_reconnect.reconnect(
                {"pools": [{"dsn": console.dsn, "password": console.password, "database": ""}], "database": "awkward"},
                check_mode=False,
            )
            assert done == {"changed": True, "actions": [f"the pool at 127.0.0.1:{pooler.port} serves again"]}
            assert client.execute(BACKEND).fetchone() != before
