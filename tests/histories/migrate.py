"""Runs in the application's own environment: what Alembic itself says of a history, and its migrations, one at a time.

    python migrate.py VERSIONS-DIRECTORY

Reads one request per line from standard input and answers each with one line, both JSON:

    {"do": "graph"}                                        heads, bases, and `path`: every revision, as they are taken back
    {"do": "create_all", "url": URL, "models": "module:Base"}
                                                           the tables of these models
    {"do": "stamp", "url": URL, "revisions": [...]}        the database is noted to be at these
    {"do": "upgrade", "url": URL, "revisions": [...]}      these, in this order
    {"do": "downgrade", "url": URL, "revisions": [...]}    these are taken back, in this order

An answer with the key "failed" holds the error, and the revision at which it happened.
"""

import asyncio
import importlib
import json
import os
import sys
import traceback

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, MigrationStep
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, pool
from sqlalchemy.ext.asyncio import create_async_engine


def graph(script):
    return {
        "heads": sorted(script.get_heads()),
        "bases": sorted(script.get_bases()),
        "path": [
            {
                "revision": step.revision.revision,
                "down_revisions": sorted(step.revision._versioned_down_revisions),
                "path": step.revision.path,
            }
            for step in script._downgrade_revs("base", tuple(script.get_heads()))
        ],
    }


def connected(url, run):
    """Call `run` with a connection by the driver of `url`, the one that the application uses."""

    async def by_asyncpg():
        async with create_async_engine(url, poolclass=pool.NullPool).connect() as connection:
            await connection.run_sync(run)

    if "+asyncpg:" in url:
        asyncio.run(by_asyncpg())
    else:
        with create_engine(url, poolclass=pool.NullPool).connect() as connection:
            run(connection)


def migrate(config, script, do, url, revisions):
    make = {"upgrade": MigrationStep.upgrade_from_script, "downgrade": MigrationStep.downgrade_from_script}[do]
    steps = [make(script.revision_map, script.get_revision(revision)) for revision in revisions]
    at = [None]

    def in_turn(_current, _context):
        for step in steps:
            at[0] = step.revision.revision
            yield step

    def run(connection):
        # No env.py of the application: that one wants its settings and its own idea of where the database is.
        with EnvironmentContext(config, script, fn=in_turn) as environment:
            environment.configure(connection=connection, transaction_per_migration=True, render_as_batch=True)
            with environment.begin_transaction():
                environment.run_migrations()
            # What SQLAlchemy begins by itself is rolled back on closing.
            connection.commit()

    try:
        connected(url, run)
    except Exception as error:  # noqa: BLE001 - whatever a migration raises is what we want to know
        traceback.print_exc()
        return {"failed": f"{type(error).__name__}: {error}".split("\n[SQL")[0].strip(), "revision": at[0]}
    return {}


def create_all(url, models):
    module, _, name = models.partition(":")
    base = getattr(importlib.import_module(module), name)

    def run(connection):
        base.metadata.create_all(connection)
        connection.commit()

    connected(url, run)
    return {}


def stamp(script, url, revisions):
    def run(connection):
        MigrationContext.configure(connection).stamp(script, tuple(revisions))
        connection.commit()

    connected(url, run)
    return {}


def main():
    # Applications print; the answers must arrive alone.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    config = Config()
    config.set_main_option("script_location", os.path.dirname(sys.argv[1]))
    config.set_main_option("version_locations", sys.argv[1])
    config.set_main_option("path_separator", "newline")
    script = ScriptDirectory.from_config(config)
    for line in sys.stdin:
        request = json.loads(line)
        do = request.pop("do")
        if do == "graph":
            answer = graph(script)
        elif do == "create_all":
            answer = create_all(**request)
        elif do == "stamp":
            answer = stamp(script, **request)
        else:
            answer = migrate(config, script, do, **request)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
