"""Projects with Alembic as others have them: drivers, ways of connecting, and what env.py does before it migrates."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent

INI = """\
[alembic]
script_location = %(here)s/migrations
prepend_sys_path = .
path_separator = os
sqlalchemy.url = driver://none
"""

# Alembic's own templates, with the URL from the environment; {before} stands between connecting and configuring.
SYNC = """\
import os
from alembic import context
from sqlalchemy import create_engine, pool, text

URL = os.environ["DATABASE_URL"]

def migrate(connection):
{body}

if context.is_offline_mode():
    context.configure(url=URL, literal_binds=True, dialect_opts={{"paramstyle": "named"}})
    with context.begin_transaction():
        context.run_migrations()
else:
    engine = create_engine(URL, poolclass=pool.NullPool, connect_args={connect_args!r})
    with engine.connect() as connection:
        migrate(connection)
"""
ASYNC = """\
import asyncio, os
from alembic import context
from sqlalchemy import pool, text
from sqlalchemy.ext.asyncio import create_async_engine

URL = os.environ["DATABASE_URL"]

def migrate(connection):
{body}

async def online():
    engine = create_async_engine(URL, poolclass=pool.NullPool, connect_args={connect_args!r})
    async with engine.connect() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()

if context.is_offline_mode():
    context.configure(url=URL, literal_binds=True, dialect_opts={{"paramstyle": "named"}})
    with context.begin_transaction():
        context.run_migrations()
else:
    asyncio.run(online())
"""
PLAIN = """\
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
TENANTS = """\
    for tenant in {tenants}:
        connection.execute(text(f'SET search_path TO "{{tenant}}"'))
        connection.commit()
        connection.dialect.default_schema_name = tenant
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
"""
REVISION = '''\
"""{title}"""
from alembic import op
import sqlalchemy as sa

revision = "{revision}"
down_revision = {down!r}
branch_labels = None
depends_on = None


{body}
'''


@dataclass(frozen=True)
class Project:
    """A directory with alembic.ini, and the URL by which its Alembic reaches its database."""

    directory: Path
    url: str

    @property
    def environment(self) -> dict[str, str]:
        return {"DATABASE_URL": self.url}

    def revision(self, revision: str, down: str | None, body: str, title: str = "") -> None:
        text = REVISION.format(title=title or f"revision {revision}", revision=revision, down=down, body=body)
        (self.directory / "migrations" / "versions" / f"{revision}_.py").write_text(text)

    def alembic(self, *arguments: str) -> str:
        done = subprocess.run(
            [BIN / "alembic", *arguments],
            cwd=self.directory,
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def make(directory: Path, url: str, body: str = PLAIN, connect_args: dict[str, Any] | None = None) -> Project:
    """A project without revisions; `body` is what its env.py does with a `connection`, made with `connect_args` of the driver."""
    versions = directory / "migrations" / "versions"
    versions.mkdir(parents=True)
    (directory / "alembic.ini").write_text(INI)
    template = ASYNC if "+asyncpg:" in url else SYNC
    (directory / "migrations" / "env.py").write_text(template.format(body=body, connect_args=connect_args or {}))
    return Project(directory, url)
