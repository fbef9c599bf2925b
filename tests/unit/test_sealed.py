"""Secrets that are ordinary words: no result of a module is changed by them, and no foreign text shows them."""

import json

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

from ansible.module_utils.rollback import module, sealed
from ansible.module_utils.rollback.errors import RollbackError

# An environment, a database, a table, a role, words of results, parts of ids, and what YAML takes for something else.
WORDS = [
    "stage",
    "shop",
    "orders",
    "rollback",
    "restore",
    "true",
    "1",
    "20261122",
    "beside",
    "ok",
    "VALUE",
    "{}",
    "\\",
    "ü",
]
each_word = pytest.mark.parametrize("word", WORDS)


def url(user, password, place):
    return f"postgresql://{user}:{password}@{place}"


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    monkeypatch.setattr(sealed, "_secrets", set())
    monkeypatch.setattr(sealed, "_open", [])


@each_word
def test_what_was_sealed_comes_back_and_the_seal_holds_no_word_of_it(word):
    seal = sealed.seal(word)
    assert sealed.unseal(seal) == word
    assert seal != sealed.seal(word)  # equal secrets do not show that they are equal
    assert seal not in f"a longer text with {word} in it"


def test_nothing_is_not_sealed_and_what_was_not_sealed_stays():
    assert sealed.seal("") == ""
    assert sealed.seal(None) is None
    for plain in ("hush", "sealed-secret:hush", "sealed-secret:", 5, None, True):
        assert sealed.unseal(plain) == plain


def test_numbers_become_the_text_that_an_option_of_type_str_would_be():
    assert sealed.unseal(sealed.seal(1)) == "1"


def test_only_the_secrets_of_a_structure_are_sealed():
    pools = [{"dsn": "host=p user=x", "password": "shop", "database": "shop"}]
    given = sealed.sealed(pools)
    assert given[0]["database"] == "shop"
    assert given[0]["password"] != "shop"
    assert sealed.unseal(given) == pools
    access = {"host": "https://k", "kubeconfig": {"users": [{"token": "t"}]}, "validate_certs": False}
    assert isinstance(sealed.sealed(access)["kubeconfig"], str)
    assert sealed.unseal(sealed.sealed(access)) == access


def test_of_an_environment_every_value_is_sealed():
    variables = {"APP_ENV": "stage", "DATABASE_URL": url("x", "shop", "h/shop")}
    given = sealed.sealed(variables, every=True)
    assert not set(given.values()) & set(variables.values())
    assert sealed.unseal(given) == variables


@each_word
def test_a_module_is_given_the_secret_and_its_result_is_not_masked(word, capsys):
    """The password `stage` once turned the environment's name into VALUE_SPECIFIED_IN_NO_LOG_PARAMETER."""
    seen = {}

    def work(params, check_mode):
        seen.update(params)
        return {"changed": False, "names": [word, f"{word}__before_1"], word: word}

    spec = {"password": {"type": "str", "no_log": True}}
    with patch_module_args({"password": sealed.seal(word)}), pytest.raises(SystemExit):
        module.run(spec, work)
    answer = json.loads(capsys.readouterr().out)
    assert seen["password"] == word
    assert answer["names"] == [word, f"{word}__before_1"]
    assert answer[word] == word
    assert answer["invocation"]["module_args"]["password"] == "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"


def test_without_the_seal_ansible_masks_names(capsys):
    """Why there are seals: if this fails, Ansible has changed."""
    with patch_module_args({"password": "shop"}), pytest.raises(SystemExit):
        AnsibleModule({"password": {"type": "str", "no_log": True}}).exit_json(name="shop__before")
    assert "VALUE_SPECIFIED" in capsys.readouterr().out or "********" in capsys.readouterr().out


@pytest.mark.parametrize(
    "said",
    [
        f"connection to {url('app', 'hush-hush', 'db/shop')} failed",
        f"no such host: {url('app', 'p@ss:w0rd', 'db/shop')}",
        f"no such host: {url('', 'pa/ss:w0rd', 'db/shop')}",
        "invalid: host=db password=hush-hush user=x",
        "invalid: host=db password='hush hush' user=x",
        "the key is hush-hush, is it not",
    ],
)
def test_an_error_shows_no_secret(said, capsys):
    def work(params, check_mode):
        raise RollbackError(said, f"Try {said}")

    spec = {"password": {"type": "str", "no_log": True}, "environment_variables": {"type": "dict", "no_log": True}}
    given = {"password": "hush-hush", "environment_variables": {"URL": url("app", "p%40ss:w0rd", "db/shop")}}
    with (
        patch_module_args({name: sealed.sealed(value, every=True) for name, value in given.items()}),
        pytest.raises(SystemExit),
    ):
        module.run(spec, work)
    out = capsys.readouterr().out
    for secret in ("hush-hush", "hush hush", "w0rd"):
        assert secret not in out
    assert "***" in out


def test_a_password_that_is_also_a_name_leaves_an_error_readable():
    sealed.opened({"password": sealed.seal("shop_production"), "database": "shop_production"})
    assert sealed.redacted("Database shop_production is gone") == "Database shop_production is gone"
    assert sealed.redacted(url("x", "shop_production", "h/shop_production")) == url("x", "***", "h/shop_production")


def test_variables_that_are_no_secrets_stay_readable():
    sealed.opened({"environment_variables": sealed.sealed({"APP_ENV": "production", "API_TOKEN": "t0ken-x"}, True)})
    assert sealed.redacted("production said t0ken-x") == "production said ***"


REVISION, OLDER = "e0e7107ae2f2", "abc123f00d11"
# Variables of an application, each of which occurs in the SQL of its migrations.
EVERYWHERE = {
    "PYTHONUNBUFFERED": "1",
    "DEBUG": "0",
    "LETTER": "a",
    "FLAG": "true",
    "REVISION": REVISION,
    "PGDATABASE": "shop",
    "PGPASSWORD": "sh",
    "DB_PASSWORD": "customers",
    "SECRET_KEY": "abc123",
    "API_TOKEN": REVISION,
    "SESSION_KEY": "e0e710",
    "AUTHOR": "public",
    "MONKEY": "customers",
    "BASE_URL": "https://shop.example",
}
SQL = f"""BEGIN;
-- Running downgrade {REVISION} -> {OLDER}
ALTER TABLE public.customers DROP COLUMN password1;
UPDATE shop.settings SET password = 'abc123', a = true, url = '{url("x", "y", "z")}' WHERE id = 1;
UPDATE alembic_version SET version_num='{OLDER}' WHERE alembic_version.version_num = '{REVISION}';
COMMIT;
"""


def test_what_is_shown_is_masked_by_whole_words_of_secrets_alone():
    sealed.opened({"environment_variables": sealed.sealed(EVERYWHERE, every=True)})
    assert (
        sealed.redacted(SQL)
        == f"""BEGIN;
-- Running downgrade *** -> {OLDER}
ALTER TABLE public.*** DROP COLUMN password1;
UPDATE shop.settings SET password = ***, a = true, url = '{url("x", "***", "z")}' WHERE id = 1;
UPDATE alembic_version SET version_num='{OLDER}' WHERE alembic_version.version_num = '***';
COMMIT;
"""
    )


@pytest.mark.parametrize(
    ("secret", "said", "shown"),
    [
        ("abc123", "abc123f", "abc123f"),
        ("abc123", "key=abc123;", "key=***;"),
        ("abc123", "'abc123'", "'***'"),
        ("a+b(c)", "x a+b(c) y", "x *** y"),
        ("a-secret-of-some-length", "xa-secret-of-some-lengthy", "x***y"),
    ],
)
def test_a_short_secret_inside_of_a_longer_word_is_there_by_chance(secret, said, shown):
    sealed.opened({"password": sealed.seal(secret)})
    assert sealed.redacted(said) == shown


@pytest.mark.parametrize(
    ("value", "hidden"),
    [
        ("https://shop.example", False),
        ("https://shop.example:8443/", False),
        ("https://hooks.example/services/T000/B000", True),
        ("https://x.example/?sig=abc", True),
        (url("u", "pw", "x.example"), True),
    ],
)
def test_an_address_is_a_secret_where_it_has_one_inside(value, hidden):
    sealed.opened({"environment_variables": sealed.sealed({"WEBHOOK_URL": value}, every=True)})
    assert (value not in sealed.redacted(f"asked {value} twice")) == hidden


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("AUTHORIZATION", True),
        ("BASIC_AUTH", True),
        ("AUTHOR", False),
        ("KEYBOARD", False),
        ("MONKEY", False),
        ("API_KEY", True),
    ],
)
def test_names_tell_whether_a_value_is_a_secret(name, secret):
    sealed.opened({"environment_variables": sealed.sealed({name: "customers"}, every=True)})
    assert (sealed.redacted("customers") == "***") == secret
