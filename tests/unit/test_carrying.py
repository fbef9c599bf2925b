"""The sentences for settings that cannot be carried over, on versions of which there is no server here."""

import pytest

from ansible.module_utils.rollback.postgres import carrying
from ansible.module_utils.rollback.postgres.carrying import Step


def step(parameter, role=""):
    return Step((), "", "owner", role, parameter, "x")


@pytest.mark.parametrize(
    ("version", "steps", "way"),
    [
        (150000, [step("pgaudit.log")], "GRANT SET ON PARAMETER pgaudit.log TO rollback;"),
        (180000, [step("app.Tenant"), step("a")], 'GRANT SET ON PARAMETER a, app."Tenant" TO rollback;'),
        (
            140000,
            [step("log_lock_waits"), step("log_lock_waits", "Web")],
            'ALTER DATABASE "Shop" RESET log_lock_waits; ALTER ROLE "Web" IN DATABASE "Shop" RESET log_lock_waits; and set',
        ),
    ],
)
def test_the_statement_is_one_that_the_servers_version_knows(version, steps, way):
    said = carrying._of_right(steps, "Shop", "rollback", version)
    assert f"Run as a superuser: {way}" in said
