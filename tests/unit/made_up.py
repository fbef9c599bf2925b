"""Made-up releases, censuses, backups and plans, whole and consistent; a test changes the one thing it is about."""

import json
from dataclasses import replace
from pathlib import Path

from ansible.module_utils.rollback import plan
from ansible.module_utils.rollback.backups import files
from ansible.module_utils.rollback.backups import manifest as manifests
from ansible.module_utils.rollback.backups.manifest import Manifest
from ansible.module_utils.rollback.journal import Journal
from ansible.module_utils.rollback.ledger import ReleasePoint
from ansible.module_utils.rollback.postgres.census import Census, Table

RUN = "20261122T031500Z-restore"
BACKUP = "backup_pre_v1.1.0_20261122_030100.sql"
DUMP = b"""--
-- PostgreSQL database dump
--

-- Dumped from database version 18.4
-- Dumped by pg_dump version 18.4

CREATE TABLE public.leads (id integer, name text);

COPY public.leads (id, name) FROM stdin;
1\tAda
2\tBob
\\.


--
-- PostgreSQL database dump complete
--

"""


def table(rows=2, **changes):
    return replace(Table(rows=rows, oid=16400, inserted=rows, updated=0, deleted=0, readable=True), **changes)


def census(**changes):
    known = Census(
        database="hunter",
        database_oid=16384,
        server_version="18.4",
        system_identifier="7",
        bytes=40_000_000,
        stats_reset="2026-11-01",
        alembic_heads=["aaa"],
        tables={"public.leads": table()},
        sequences={"public.leads_id_seq": 2},
        objects={"relation public.leads": "0123456789ab"},
    )
    return replace(known, **changes)


def manifest(name=BACKUP, created_at="2026-11-22T03:01:00.000Z", **changes):
    known = Manifest(
        backup=name,
        format="plain",
        compression="none",
        environment="production",
        created_at=created_at,
        seconds=1.5,
        client_version="18.4",
        application_version="1.0.0",
        files={name: {"sha256": "0" * 64, "bytes": len(DUMP)}},
        census=census(),
    )
    return replace(known, **changes)


def backup(directory: Path, name=BACKUP, content=DUMP, **changes) -> Path:
    """A plain backup on disk, with a manifest that fits it but for `changes`."""
    path = directory / name
    path.write_bytes(content)
    manifests.write(path, manifest(name, **{"files": files.checksums(path), **changes}))
    return path


def point(version="1.0.0", **changes):
    known = ReleasePoint(
        id=f"{version}-20261122T030000Z",
        version=version,
        recorded_at="2026-11-22T03:00:00.000Z",
        recorded_by="ci",
        environment="production",
        database="hunter",
        alembic_heads=["aaa"],
        backup=BACKUP,
        system_identifier="7",
        verified=True,
    )
    return replace(known, **changes)


def request(**changes):
    known = plan.Request(
        run=RUN,
        method="restore",
        environment="production",
        reason="leads are gone",
        requested_by="ada",
        protected=False,
        confirm="",
        target_s=900.0,
        command="ansible-playbook rollback.yml -e method=restore",
        inventory="-i inventories/production",
    )
    return replace(known, **changes)


def application(**changes):
    known = plan.Application(
        name="Hunter",
        versions={"app1": "1.1.0", "app2": "1.1.0"},
        evidence=["/healthz answered 500 (3 of 3, asked on app1)"],
    )
    return replace(known, **changes)


def live(**changes):
    known = {"alembic_heads": ["bbb"], "tables": {"public.leads": table(5, inserted=6, deleted=1)}}
    return census(**{**known, **changes})


def restore_plan(
    the_request=None,
    the_point=None,
    then=None,
    now=None,
    app=None,
    obstacles=(),
    notes=(),
    measured=None,
    marker="production",
    lacks=(),
    unseen=(),
    free=10**12,
    snapshot=None,
    judged=False,
    missing=(),
    elsewhere=None,
    limit=0,
    unreachable=None,
):
    backup_format = "snapshot" if snapshot else "plain"
    return plan.for_restore(
        the_request or request(),
        {
            "release_point": (the_point or point()).as_dict(),
            "backup": {"name": BACKUP, "path": f"/backups/{BACKUP}", "bytes": 6_606_028, "format": backup_format}
            | (elsewhere or {}),
            "unasked": unreachable or {},
        },
        {
            "manifest": manifest(census=then or census()).as_dict(),
            "judged": judged,
            "lacks": list(missing),
            "problems": list(lacks),
            "notes": list(unseen),
            "free_bytes": free,
            "snapshot": snapshot or {},
            "bytes_per_s": limit,
        },
        {
            "census": (now or live()).as_dict(),
            "where": "db1:5432",
            "obstacles": list(obstacles),
            "notes": list(notes),
            "marker": marker,
        },
        app or application(),
        measured or {},
    )


def finished_run(environment: Path, run=RUN, outcome="succeeded", **opened) -> Journal:
    """A run on record: opened with `opened`, every step of a swap done, closed."""
    journal = Journal(environment / "runs" / run)
    journal.append("opened", **opened)
    for step in ("stop", "swap", "start", "verify"):
        with journal.step(step):
            pass
    journal.append("closed", outcome=outcome)
    return journal


def as_json(value):
    return json.loads(json.dumps(value))
