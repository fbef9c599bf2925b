"""Snapshots: a copy that stays in the cluster, on every server that is there, and a restore that renames it."""

from __future__ import annotations

import fcntl
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from servers import OWNER, Awkward

from ansible.module_utils.rollback import census as censuses
from ansible.module_utils.rollback.backups import catalog
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.journal import Journal, NoJournal
from ansible.module_utils.rollback.postgres import restore, snapshot, swap
from ansible.module_utils.rollback.postgres.beside import oid_of

ASIDE = "awkward__before_20261122T031500Z"


@pytest.fixture
def live(awkward) -> Iterator[str]:
    with awkward.database() as name:
        yield name


def take(awkward: Awkward, directory: Path, **changes: object):
    wanted = {
        "directory": directory,
        "database": "awkward",
        "label": "pre_v2",
        "environment": "test",
        "application_version": "1",
    }
    return snapshot.take(awkward.server, snapshot.Request(**{**wanted, **changes}))


def bring_back(awkward: Awkward, path: Path) -> swap.Swap:
    """What a run does: set up and compare the snapshot, then swap it in."""
    kept = snapshot.read(path)
    with awkward.server.connect() as connection:
        request = restore.Request(
            "awkward", kept.snapshot, path, version_table="public.alembic_version", application_role=OWNER
        )
        restored = restore.from_snapshot(awkward.server, connection, request, NoJournal())
        assert restored.oid == kept.oid
        wanted = swap.Swap("awkward", kept.snapshot, ASIDE, oid_of(connection, "awkward"), restored.oid)
        swap.perform(connection, wanted)
    return wanted


def is_open(awkward: Awkward, database: str) -> bool:
    with awkward.as_superuser() as connection:
        (found,) = connection.execute("SELECT datallowconn FROM pg_database WHERE datname = %s", [database]).fetchone()
        return found


def snapshots(awkward: Awkward) -> list[str]:
    return [name for name in awkward.place.databases() if "__snapshot_" in name]


def damage(awkward: Awkward) -> None:
    with awkward.as_superuser("awkward") as connection:
        connection.execute("DROP TABLE public.child CASCADE; DELETE FROM public.measured; CREATE TABLE public.more ()")


def test_it_comes_back_whole_and_the_live_one_is_kept(awkward, live, tmp_path):
    content, settings = awkward.content(live), awkward.settings(live)
    manifest = take(awkward, tmp_path, application_role=OWNER)
    path = tmp_path / manifest.backup
    kept = snapshot.read(path).snapshot
    assert not is_open(awkward, kept)
    assert manifest.census.database == live
    damage(awkward)
    damaged = awkward.content(live)
    done = bring_back(awkward, path)
    assert awkward.content(live) == content
    assert awkward.settings(live) == settings
    assert is_open(awkward, live)
    assert awkward.content(ASIDE) == damaged
    with awkward.server.connect() as connection:  # and undone
        swap.perform(
            connection, swap.Swap(live, ASIDE, "awkward__before_20261122T031600Z", done.incoming_oid, done.live_oid)
        )
    assert awkward.content(live) == damaged


def test_its_manifest_tells_what_was_written_since(awkward, live, tmp_path):
    manifest = take(awkward, tmp_path)
    with awkward.as_superuser(live) as connection:
        connection.execute("INSERT INTO public.nothing DEFAULT VALUES")
        connection.execute("SELECT pg_stat_force_next_flush()")
    then, now = manifest.census, awkward.census(live)
    assert (then.database_oid, then.stats_reset) == (now.database_oid, now.stats_reset)
    assert now.tables["public.nothing"].inserted == then.tables["public.nothing"].inserted + 1
    assert now.tables["public.nothing"].oid == then.tables["public.nothing"].oid
    assert censuses.differences(then, now) == ["public.nothing has 3 rows, not 2"]


def test_the_catalogue_lists_it_and_dumps_retention_leaves_it_alone(awkward, live, tmp_path):
    manifest = take(awkward, tmp_path)
    (found,) = catalog.read(tmp_path, live, "test")
    assert (found.name, found.format, found.reason, found.rows) == (
        manifest.backup,
        "snapshot",
        "",
        manifest.census.rows,
    )
    (other,) = catalog.read(tmp_path, "another", "test")
    assert other.reason == "it is of database awkward, not another"
    assert catalog.expired([found], 0, 0, set(), datetime(2030, 1, 1, tzinfo=UTC)) == []


def test_two_of_one_second_do_not_harm_each_other(awkward, live, tmp_path, monkeypatch):
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    monkeypatch.setattr(snapshot.clock, "utc_now", lambda: moment)
    first = take(awkward, tmp_path, label="a")
    with pytest.raises(RollbackError, match="There is a snapshot awkward__snapshot_20260101T000000Z already"):
        take(awkward, tmp_path, label="b")
    with awkward.server.connect() as connection:
        assert snapshot.find(connection, tmp_path / first.backup).snapshot in snapshots(awkward)


def test_somebody_in_the_database_is_a_reason_to_refuse(awkward, live, tmp_path):
    with awkward.as_superuser(live) as connection:
        connection.execute("SET application_name = 'shop'")
        with pytest.raises(
            RollbackError,
            match=r"cannot be copied while somebody is in it: postgres \(shop \d+, on awkward\).*end_sessions=true",
        ):
            take(awkward, tmp_path)
        connection.execute("SELECT 1")
    assert list(tmp_path.iterdir()) == []
    assert snapshots(awkward) == []


def test_sessions_are_ended_where_that_is_asked_for_and_come_back(awkward, live, tmp_path):
    """As an application that goes on all the while: each copy is one moment of it, and it is let in again."""
    facts, over, errors = awkward.place.facts, threading.Event(), []
    with awkward.as_superuser(live) as connection:
        connection.execute(
            "CREATE TABLE public.pairs (a int, b int); GRANT ALL ON public.pairs TO hunter; GRANT CONNECT ON DATABASE awkward TO hunter"
        )

    def write() -> None:
        while not over.is_set():
            try:
                with psycopg.connect(
                    host=facts["host"], port=facts["port"], user=OWNER, password=facts["owner_password"], dbname=live
                ) as connection:
                    while not over.is_set():
                        connection.execute("INSERT INTO public.pairs VALUES (1, 2)")
                        connection.execute("INSERT INTO public.pairs VALUES (2, 1)")
                        connection.commit()
            except psycopg.OperationalError as error:
                errors.append(str(error))

    writers = [threading.Thread(target=write) for _ in range(3)]
    for writer in writers:
        writer.start()
    try:
        time.sleep(0.5)
        manifest = take(awkward, tmp_path, end_sessions=True)
        with awkward.as_superuser(live) as connection:
            (before,) = connection.execute("SELECT count(*) FROM public.pairs").fetchone()
            time.sleep(0.5)
            (after,) = connection.execute("SELECT count(*) FROM public.pairs").fetchone()
    finally:
        over.set()
        for writer in writers:
            writer.join()
    assert after > before >= manifest.census.tables["public.pairs"].rows > 0
    assert manifest.census.tables["public.pairs"].rows % 2 == 0
    assert not [error for error in errors if "not currently accepting connections" in error]  # nobody was sent away
    bring_back(awkward, tmp_path / manifest.backup)
    assert awkward.census(live).tables["public.pairs"].rows == manifest.census.tables["public.pairs"].rows


def test_what_was_changed_in_it_is_found_before_anything_is_swapped(awkward, live, tmp_path):
    path = tmp_path / take(awkward, tmp_path).backup
    kept = snapshot.read(path).snapshot
    with awkward.as_superuser() as connection:
        connection.execute(f'ALTER DATABASE "{kept}" ALLOW_CONNECTIONS true')
    with awkward.as_superuser(kept) as connection:
        connection.execute("DELETE FROM public.child WHERE id = 7")
    with pytest.raises(RollbackError, match=r"not what was backed up: public.child has 299 rows, not 300"):
        bring_back(awkward, path)
    assert kept in snapshots(awkward)
    assert not is_open(awkward, kept)


def test_one_that_was_dropped_or_replaced_or_is_of_another_server_is_not_believed(awkward, live, tmp_path):
    path = tmp_path / take(awkward, tmp_path).backup
    kept = json.loads(path.read_text())
    with awkward.server.connect() as connection:
        snapshot.prove(connection, path)
        with awkward.as_superuser() as other:
            other.execute(f'DROP DATABASE "{kept["snapshot"]}"')
            other.execute(f'CREATE DATABASE "{kept["snapshot"]}"')
        try:
            with pytest.raises(RollbackError, match=f"has no database {kept['snapshot']} with OID {kept['oid']}"):
                snapshot.prove(connection, path)
        finally:
            with awkward.as_superuser() as other:
                other.execute(f'DROP DATABASE "{kept["snapshot"]}"')
        path.write_text(json.dumps({**kept, "oid": 1}))
        with pytest.raises(RollbackError, match="is not the one that its manifest is about"):
            snapshot.prove(connection, path)
        path.write_text("{}")
        with pytest.raises(RollbackError, match="is not the one that its manifest is about"):
            snapshot.prove(connection, path)


def test_a_later_attempt_takes_up_what_was_compared_also_after_the_swap(awkward, live, tmp_path):
    path = tmp_path / take(awkward, tmp_path).backup
    kept, journal = snapshot.read(path), Journal(tmp_path / "runs" / "20261122T031500Z-restore")
    request = restore.Request(live, kept.snapshot, path)
    with awkward.server.connect() as connection:
        first = restore.from_snapshot(awkward.server, connection, request, journal)
        again = restore.from_snapshot(awkward.server, connection, request, journal)
        assert (first.changed, again.changed) == (True, False)
        swap.perform(connection, swap.Swap(live, kept.snapshot, ASIDE, oid_of(connection, live), kept.oid))
        after = restore.from_snapshot(awkward.server, connection, request, journal)
        assert (after.changed, after.oid, oid_of(connection, live)) == (False, kept.oid, kept.oid)
    assert is_open(awkward, live)


def test_a_run_that_gives_up_keeps_it(awkward, live, tmp_path):
    path = tmp_path / take(awkward, tmp_path).backup
    kept = snapshot.read(path).snapshot
    with awkward.server.connect() as connection, snapshot.opened(connection, kept):
        assert restore.drop(connection, live, kept, NoJournal()) is False
    assert kept in snapshots(awkward)
    assert not is_open(awkward, kept)


def test_older_ones_are_dropped_and_those_that_are_gone_forgotten(awkward, live, tmp_path):
    names = []
    for label in ("a", "b", "c"):
        names.append(take(awkward, tmp_path, label=label).backup)
        time.sleep(1)  # their names have the second in them
    kept = [snapshot.read(tmp_path / name).snapshot for name in names]
    with awkward.server.connect() as connection:
        with awkward.as_superuser() as other:
            other.execute(f'DROP DATABASE "{kept[2]}"')
        assert snapshot.let_go(connection, tmp_path, live, "test", 1) == [names[0], names[2]]
    assert snapshots(awkward) == [kept[1]]
    assert [found.name for found in catalog.read(tmp_path, live, "test")] == [names[1]]


def test_what_a_killed_attempt_left_is_dropped_by_the_next(awkward, live, tmp_path):
    left, at_work = "awkward__snapshot_20260101T000000Z", "awkward__snapshot_20260101T000001Z"
    for name in (left, at_work):
        with awkward.as_superuser() as connection:
            connection.execute(f'CREATE DATABASE "{name}" OWNER {OWNER}')
        (tmp_path / f"backup_{name}.snapshot.part").write_text(
            json.dumps({"snapshot": name, "oid": 0, "system_identifier": ""})
        )
    with (tmp_path / f"backup_{at_work}.snapshot.part").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        manifest = take(awkward, tmp_path)
        assert sorted(snapshots(awkward)) == sorted([at_work, snapshot.read(tmp_path / manifest.backup).snapshot])
    assert not (tmp_path / f"backup_{left}.snapshot.part").exists()


def test_a_prepared_transaction_is_named_as_the_reason(awkward, live, tmp_path):
    with awkward.as_superuser(live) as connection:
        connection.execute("BEGIN; CREATE TABLE public.prepared (); PREPARE TRANSACTION 'forgotten'")
    try:
        with pytest.raises(
            RollbackError, match="cannot be copied while somebody is in it: There is 1 prepared transaction"
        ):
            take(awkward, tmp_path)
    finally:
        with awkward.as_superuser(live) as connection:
            connection.execute("ROLLBACK PREPARED 'forgotten'")
    assert list(tmp_path.iterdir()) == []


def test_without_room_nothing_is_begun(awkward, live, tmp_path):
    with pytest.raises(
        RollbackError, match=r"There is no room for a snapshot of awkward: The server has 0 B free in /proc"
    ):
        take(awkward, tmp_path, data_dir="/proc")  # a file system with no room at all
    assert snapshots(awkward) == []
