"""The places where backups are, besides the backup directory: as the inventory says them in `rollback_backup_sources`."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Dict, List, Mapping, Sequence

from ansible.module_utils.rollback.backups.sources.source import Pace, Source
from ansible.module_utils.rollback.errors import RollbackError
from ansible.module_utils.rollback.words import listed

# What the backup directory itself is called among them.
HERE = "local"
KINDS = ("local", "sftp", "s3")

_NEEDED = {"local": ("path",), "sftp": ("path", "host"), "s3": ("bucket",)}
_MEANT_FOR = {
    "local": {"path"},
    "sftp": {"path", "host", "port", "user", "password", "private_key", "passphrase", "key_file", "known_hosts"},
    "s3": {
        "bucket", "prefix", "endpoint", "region", "path_style", "profile", "access_key", "secret_key", "session_token", "ca_file",
    },
}  # fmt: skip
_COMMON = {"name", "kind", "bytes_per_s"}

_TEXT = {"type": "str", "default": ""}
_SECRET = {**_TEXT, "no_log": True}
# The option by which modules take them.
ARGUMENTS: Dict[str, Any] = {
    "sources": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "kind": {"type": "str", "required": True, "choices": list(KINDS)},
            "bytes_per_s": {"type": "int", "default": 0},
            "path": _TEXT,
            "host": _TEXT,
            "port": {"type": "int", "default": 22},
            "user": _TEXT,
            "password": _SECRET,
            "private_key": _SECRET,
            "passphrase": _SECRET,
            "key_file": {**_TEXT, "no_log": False},
            "known_hosts": _TEXT,
            "bucket": _TEXT,
            "prefix": _TEXT,
            "endpoint": _TEXT,
            "region": _TEXT,
            "path_style": {"type": "bool", "default": False},
            "profile": _TEXT,
            "access_key": {**_TEXT, "no_log": False},
            "secret_key": _SECRET,
            "session_token": _SECRET,
            "ca_file": _TEXT,
        },
    }
}
_DEFAULTS = {name: option.get("default") for name, option in ARGUMENTS["sources"]["options"].items()}


def opened(said: Sequence[Mapping[str, Any]]) -> List[Source]:
    """The sources that the inventory names, in its order; none is asked anything yet.

    Raises RollbackError where one is not said rightly.
    """
    names = [str(entry.get("name", "")) for entry in said]
    for name in names:
        if name == HERE or not name or "/" in name or ":" in name or names.count(name) > 1:
            raise RollbackError(
                f"rollback_backup_sources has a source {name!r}: names are unique, have neither / nor :, and {HERE} is taken.",
                "Give it another name.",
            )
    return [_opened({**_DEFAULTS, **entry}) for entry in said]


def called(name: str, said: Sequence[Mapping[str, Any]]) -> Source:
    """The source of that name. Raises RollbackError where there is none."""
    places = {place.name: place for place in opened(said)}
    if name not in places:
        raise RollbackError(
            f"There is no source {name!r} in rollback_backup_sources.", f"There are: {listed(places) or 'none'}."
        )
    return places[name]


def _opened(said: Dict[str, Any]) -> Source:
    name, kind = said["name"], said["kind"]
    missing = [option for option in _NEEDED[kind] if not said[option]]
    strange = [
        option
        for option, value in said.items()
        if option not in _MEANT_FOR[kind] | _COMMON and value != _DEFAULTS[option]
    ]
    if missing or strange:
        raise RollbackError(
            f"The source {name} of backups is of kind {kind}, which "
            + (f"needs {' and '.join(missing)}." if missing else f"has no {' and no '.join(sorted(strange))}."),
            "Correct rollback_backup_sources.",
        )
    pace = Pace(said["bytes_per_s"])
    # Each brings its libraries, which take time and memory to load: only what is used is.
    if kind == "sftp":
        from ansible.module_utils.rollback.backups.sources import sftp, ssh

        return sftp.SftpSource(
            name, pace, ssh.Login(**{field.name: said[field.name] for field in fields(ssh.Login)}), said["path"]
        )
    if kind == "s3":
        from ansible.module_utils.rollback.backups.sources import s3

        return s3.S3Source(name, pace, s3.Bucket(**{field.name: said[field.name] for field in fields(s3.Bucket)}))
    from ansible.module_utils.rollback.backups.sources import local

    return local.LocalSource(name, pace, said["path"])
