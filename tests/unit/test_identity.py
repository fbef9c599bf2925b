import pytest

from ansible.module_utils.rollback import identity


@pytest.mark.parametrize(
    ("comment", "environment"),
    [
        (None, ""),
        ("", ""),
        ("Hunter: leads and companies", ""),
        ("[rollback environment: production]", "production"),
        ("Hunter [its own brackets] [rollback environment: eu-1.prod_2]\n", "eu-1.prod_2"),
        ("[rollback environment: production] was here once", ""),
        ("[rollback environment: a] [rollback environment: b]", "b"),
        ("[rollback environment: ]", ""),
    ],
)
def test_a_marker_is_the_end_of_a_comment(comment, environment):
    assert identity.environment_of(comment) == environment


def test_what_is_written_can_be_read():
    assert identity.environment_of("words " + identity.marker("staging")) == "staging"


def test_both_environments_are_named_and_the_marker_to_remove():
    message, hint = identity.foreign("hunter", "production", "staging")
    assert message == "Database hunter carries the marker of environment production, and this run is for staging."
    assert "[rollback environment: production]" in hint
