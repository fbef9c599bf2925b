from __future__ import annotations

from logging.config import fileConfig

from alembic import context
from hunter.config import load
from hunter.models import Base
from sqlalchemy import NullPool, create_engine

if context.config.config_file_name is not None:
    fileConfig(context.config.config_file_name, disable_existing_loggers=False)


def run_offline() -> None:
    context.configure(
        dialect_name="postgresql",
        target_metadata=Base.metadata,
        literal_binds=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    engine = create_engine(
        load().database_url, poolclass=NullPool, connect_args={"application_name": "hunter migrations"}
    )
    with engine.connect() as connection:
        # One transaction each: CREATE INDEX CONCURRENTLY needs to leave it, and a failure keeps those before it.
        context.configure(connection=connection, target_metadata=Base.metadata, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
