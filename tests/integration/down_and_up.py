"""A downgrade and its undo on a database of its own, a step at a time, with nothing but the parts that keep and bring back."""

from __future__ import annotations

from servers import OWNER

from ansible.module_utils.rollback.postgres import salvage, since

SCHEMA = "rollback_salvage_20261122t031500z"
NAME = 'odd "name" Şİ'


class Database:
    """A downgrade and its undo, a step at a time: `down`, what users write, `up`."""

    def __init__(self, awkward):
        self.awkward = awkward

    def owner(self, *statements):
        with self.awkward.as_superuser(NAME) as connection:
            connection.execute(f"SET ROLE {OWNER}")
            for statement in statements:
                connection.execute(statement)

    def operator(self):
        return self.awkward.server.connect(NAME)

    def rows(self, query):
        with self.operator() as connection:
            return connection.execute(query).fetchall()

    def save(self, losses):
        with self.operator() as connection:
            return salvage.save(connection, SCHEMA, losses)

    def bring_back(self):
        with self.operator() as connection:
            return salvage.bring_back(connection, SCHEMA).copies

    def forget(self):
        with self.operator() as connection:
            assert salvage.drop(connection, SCHEMA)

    def down(self, losses, *statements):
        self.save(losses)
        self.owner(*statements)
        with self.operator() as connection:
            since.note_left(connection, SCHEMA)

    def compare(self):
        with self.operator() as connection:
            return since.compare(connection, SCHEMA)

    def up(self, *statements):
        with self.operator() as connection:
            since.note_now(connection, SCHEMA)
        self.owner(*statements)
        with self.operator() as connection:
            salvage.bring_back(connection, SCHEMA)
            found = since.conflicts(connection, SCHEMA)
            live = sum(1 for one in found if one["live"])
            assert since.count(connection, SCHEMA) == (live, len(found) - live)
            assert since.conflicts(connection, SCHEMA, limit=1) == found[:1]
        return found

    def notes_of_up(self, *statements):
        """Go up, and return what the undo says could not be made again."""
        with self.operator() as connection:
            since.note_now(connection, SCHEMA)
        self.owner(*statements)
        with self.operator() as connection:
            return salvage.bring_back(connection, SCHEMA).notes

    def everything(self):
        """What awkward.content() says of the database."""
        return self.awkward.content(NAME)

    def content(self):
        """All rows, without the salvage schema."""
        tables = self.everything()["tables"]
        return {name: rows for name, rows in tables.items() if not name.startswith("rollback_salvage_")}
