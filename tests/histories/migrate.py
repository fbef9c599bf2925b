"""Runs in the application's own environment: what Alembic itself says of a history, and its migrations, one at a time.

    python migrate.py VERSIONS-DIRECTORY SOURCE-DIRECTORY [HOLLOW-PACKAGE ...]

Reads one request per line from standard input and answers each with one line, both JSON:

    {"do": "graph"}                                        heads, bases, and `path`: every revision, as they are taken back
    {"do": "create_all", "url": URL, "models": "module:Base"}
                                                           the tables of these models
    {"do": "stamp", "url": URL, "revisions": [...]}        the database is noted to be at these
    {"do": "upgrade", "url": URL, "revisions": [...]}      these, in this order
    {"do": "downgrade", "url": URL, "revisions": [...]}    these are taken back, in this order

The last two take `naming`, "module:name" of the application's naming convention for constraints, which its env.py would set.

An answer with the key "failed" holds the error, and the revision at which it happened.

The `__init__` of a hollow package is not run, so that its modules can be imported without the application around them. Where
there is one, stand-ins replace what the application imports and nobody installed, and those of its own modules that fail
while they are imported. A stand-in can be named, decorate and be built upon; a migration that asks it for something while it
runs fails with an error that says so.
"""

import asyncio
import importlib
import json
import os
import sys
import traceback
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, MigrationStep
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, create_engine, pool
from sqlalchemy.ext.asyncio import create_async_engine

# Methods of a logger, which change nothing.
LOGGED = {"debug", "info", "warning", "error", "exception", "critical", "log"}


class StandIn:
    """Something that was imported and is not there."""

    in_use = False

    def __init__(self, name):
        self._name = name

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return StandIn(f"{self._name}.{name}")

    def __call__(self, *arguments, **named):
        if self._name.rpartition(".")[2] in LOGGED:
            return None
        if StandIn.in_use:
            raise NotImplementedError(f"{self._name} is not installed")
        decorated = len(arguments) == 1 and not named and callable(arguments[0])
        return arguments[0] if decorated else StandIn(f"{self._name}()")

    def __mro_entries__(self, bases):
        return ()

    def __or__(self, other):
        return self

    __ror__ = __getitem__ = __or__

    def __iter__(self):
        raise NotImplementedError(f"{self._name} is not installed")

    __bool__ = __len__ = __enter__ = __iter__


class Application(MetaPathFinder, Loader):
    """The application's own modules: hollow packages, and stand-ins for those that fail while they are imported."""

    def __init__(self, source, hollow):
        self._source = os.path.join(os.path.realpath(source), "")
        self._hollow = hollow
        self._real = {}

    def find_spec(self, name, path=None, target=None):
        found = PathFinder.find_spec(name, path)
        if found is None or not found.has_location or not os.path.realpath(found.origin).startswith(self._source):
            return None
        self._real[name] = found.loader
        found.loader = self
        return found

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        name = module.__name__
        if name not in self._hollow:
            try:
                self._real[name].exec_module(module)
            except Exception:  # noqa: BLE001 - whatever an application wants on import and does not find
                traceback.print_exc()
            else:
                return
        module.__getattr__ = lambda attribute: _standing_in(name, attribute)


class Absent(MetaPathFinder, Loader):
    """The last to be asked: stand-ins for what files of the application import and nobody installed."""

    def __init__(self, source):
        self._source = os.path.join(os.path.realpath(source), "")

    def find_spec(self, name, path=None, target=None):
        parent = sys.modules.get(name.rpartition(".")[0])
        if not (isinstance(getattr(parent, "__loader__", None), Absent) or self._asked_by_application()):
            return None
        return ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        module.__getattr__ = lambda attribute: _standing_in(module.__name__, attribute)

    def _asked_by_application(self):
        frame = sys._getframe(2)
        while frame and ("importlib" in frame.f_code.co_filename or frame.f_code.co_filename == __file__):
            frame = frame.f_back
        return bool(frame) and os.path.realpath(frame.f_code.co_filename).startswith(self._source)


def _standing_in(module, name):
    if name.startswith("__"):
        raise AttributeError(name)
    return StandIn(f"{module}.{name}")


def graph(script):
    for revision in script.walk_revisions():
        # Alembic wants one even to say in which order it would go.
        vars(revision.module).setdefault("downgrade", None)
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


def found(name):
    """The object written as `module:name`."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def migrate(config, script, do, url, revisions, naming=""):
    make = {"upgrade": MigrationStep.upgrade_from_script, "downgrade": MigrationStep.downgrade_from_script}[do]
    steps = [make(script.revision_map, script.get_revision(revision)) for revision in revisions]
    at = [None]
    # So do constraints get the names by which later migrations drop them.
    metadata = MetaData(naming_convention=found(naming)) if naming else None

    def in_turn(_current, _context):
        for step in steps:
            at[0] = step.revision.revision
            yield step

    def run(connection):
        StandIn.in_use = True
        # No env.py of the application: that one wants its settings and its own idea of where the database is.
        with EnvironmentContext(config, script, fn=in_turn) as environment:
            environment.configure(
                connection=connection, target_metadata=metadata, transaction_per_migration=True, render_as_batch=True
            )
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
    base = found(models)

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
    versions, source, *hollow = sys.argv[1:]
    if hollow:
        sys.meta_path[:] = [Application(source, hollow), *sys.meta_path, Absent(source)]
    config = Config()
    config.set_main_option("script_location", os.path.dirname(versions))
    config.set_main_option("version_locations", versions)
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
