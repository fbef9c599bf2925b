"""The settings with which pg_dump opens a dump, and those of them that a server may do without."""

from __future__ import annotations

import re

# What every supported server knows.
_TIMEOUTS = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
SETTINGS = frozenset(
    (
        *_TIMEOUTS,
        "client_encoding",
        "standard_conforming_strings",
        "check_function_bodies",
        "xmloption",
        "client_min_messages",
        "row_security",
        "default_tablespace",
        "default_table_access_method",
        "default_with_oids",
        "search_path",
        "escape_string_warning",
        "default_toast_compression",
    )
)
# Newer versions of pg_dump switch off timeouts that older servers do not know, such as transaction_timeout (17). Those say
# nothing of the database: loaders leave them out of the dump, and switch off for themselves what the server has.
_NEWER = rf"(?!(?:{'|'.join(_TIMEOUTS)})\b)[a-z_]+_timeout"
NEWER_TIMEOUT = re.compile(_NEWER)
LEFT_OUT = re.compile(rf"SET {_NEWER} = 0;\s*".encode())
NO_TIMEOUTS = (
    b"SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings"
    b" WHERE name IN ('idle_session_timeout', 'transaction_timeout');\n"
)


def is_left_out(name: str, value: str) -> bool:
    """Whether loaders leave `SET name = value` out."""
    return value == "0" and bool(NEWER_TIMEOUT.fullmatch(name))
