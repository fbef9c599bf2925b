"""What tests of `-e method=migration` share: Hunter 1.2.0 and its revisions, and the command."""

from __future__ import annotations

from contextlib import contextmanager

from place import REASON

GOOD, BAD = "1.0.0", "1.2.0"
GOOD_HEAD, MIDDLE, PHONES, BAD_HEAD = "d6a0985c3e1f", "b83f5e02d6ca", "7e4d21c9a058", "19b7f60c3d42"
QUICK = {
    "assess_rounds": 1,
    "verify_successes": 1,
    "verify_interval_s": 0.1,
    "alembic_downgrade_lock_timeout_s": 0.5,
    "alembic_downgrade_attempts": 2,
    "alembic_downgrade_pause_s": 1,
}


def roll_back(place, *options, **variables):
    return place.run("rollback.yml", *options, method="migration", reason=REASON, **QUICK, **variables)


@contextmanager
def in_the_way(place):
    """A view of somebody's, which keeps the oldest of the three from dropping its column."""
    with place.lab.connect(user="hunter") as connection:
        connection.execute("CREATE VIEW somebodys AS SELECT source FROM leads")
        try:
            yield
        finally:
            connection.execute("DROP VIEW somebodys")
