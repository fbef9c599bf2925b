"""Secrets on their way into a module, sealed, so that Ansible masks nothing but the seal.

Ansible replaces whatever equals a `no_log` value in a module's result, also within longer strings: a password that is the
database's name would change that name, and the playbooks go on with the result. A seal equals no name and occurs in no text.
Modules unseal what they are given. What foreign programs say is redacted by us, since Ansible no longer knows the secret.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from typing import Any, Dict, List, Mapping, Set
from urllib.parse import unquote

_SEAL = "sealed-secret:"
_SALT_LENGTH = 12
# Options of modules that hold secrets, at any depth. A contract test compares them with the argument specs.
SECRETS = ("api_key", "kubeconfig", "passphrase", "password", "private_key", "secret_key", "session_token")
# Shorter ones are too likely to be ordinary words. Up to the second length a secret is masked as a word of its own only: inside of
# a longer word, such as a revision, it is there by chance.
_REDACTED_LENGTH, _WORD_LENGTH = 6, 16
_MASK = "***"
# Under such names values are secrets; the other variables of an environment are not.
_TELLING = re.compile(r"pass|pwd|secret|token|(?<!mon)key(?!board)|ur[il]|dsn|auth(?!or(?!iz))|cred", re.IGNORECASE)
# An address that names a host and no more holds no secret; a path may be one, as that of a webhook.
_ADDRESS = re.compile(r"\w[\w+.-]*://[\w.-]+(:\d+)?/?")
# The last @ before the path ends the password, so that one with an @ inside is gone as a whole; and one may have a / inside.
_IN_URL = re.compile(r"(://[^:/@\s]*:)(?:[^/\s'\"]*|[^@\s]*)@")
_IN_CONNINFO = re.compile(r"(\b(?:ssl)?password\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s'\"]+)", re.IGNORECASE)

# What this module was given as secrets, and what openly.
_secrets: Set[str] = set()
_open: List[str] = []


def seal(value: Any) -> Any:
    """A string that only `unseal` reads; nothing stays nothing. Dictionaries and lists come back as such, all else as text."""
    if value is None or value == "":
        return value
    said = value if isinstance(value, (dict, list)) else str(value)
    salt = secrets.token_hex(_SALT_LENGTH // 2)
    return _SEAL + base64.urlsafe_b64encode((salt + json.dumps(said)).encode()).decode()


def sealed(value: Any, every: bool = False) -> Any:
    """`value` with each secret in it sealed: the options called as in SECRETS, or `every` value. A single value is a secret."""
    if isinstance(value, Mapping):
        return {
            str(name): seal(entry) if every or name in SECRETS else _inside(entry, every)
            for name, entry in value.items()
        }
    if isinstance(value, list):
        return [_inside(entry, every) for entry in value]
    return seal(value)


def _inside(value: Any, every: bool) -> Any:
    return sealed(value, every) if every or isinstance(value, (Mapping, list)) else value


def unseal(value: Any) -> Any:
    """`value` with all that is sealed in it as it was; what was never sealed stays as it is."""
    if isinstance(value, Mapping):
        return {name: unseal(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [unseal(entry) for entry in value]
    if not isinstance(value, str) or not value.startswith(_SEAL):
        return value
    try:
        said = base64.urlsafe_b64decode(value[len(_SEAL) :].encode()).decode()
        return json.loads(said[_SALT_LENGTH:])
    except ValueError:
        return value


def opened(params: Mapping[str, Any]) -> Dict[str, Any]:
    """A module's parameters, unsealed. Remembers the secrets among them, so that `redacted` finds them."""
    _note("", params, hidden=False)
    plain: Dict[str, Any] = unseal(params)
    return plain


def redacted(text: str) -> str:
    """Return what a foreign program said as it may be shown: no passwords of URLs and connection strings, no secrets of this module.

    It is for people alone: a name that is read from the result may be a masked one. A secret that was also given openly, such as
    a password that is the database's name, is left: the text would be of no use.
    """
    text = _IN_CONNINFO.sub(rf"\1{_MASK}", _IN_URL.sub(rf"\1{_MASK}@", text))
    shown = "\n".join(_open)
    for secret in sorted(_secrets, key=len, reverse=True):
        if secret in shown:
            continue
        pattern = re.escape(secret)
        text = re.sub(rf"(?<!\w){pattern}(?!\w)" if len(secret) < _WORD_LENGTH else pattern, _MASK, text)
    return text


def _note(name: str, value: Any, hidden: bool) -> None:
    if isinstance(value, str) and value.startswith(_SEAL):
        value, hidden = unseal(value), True
    hidden = hidden or name in SECRETS
    if isinstance(value, Mapping):
        for key, entry in value.items():
            _note(str(key), entry, hidden)
    elif isinstance(value, (list, tuple)):
        for entry in value:
            _note(name, entry, hidden)
    elif hidden and _TELLING.search(name) and not _ADDRESS.fullmatch(str(value)):
        in_url = [unquote(word) for word in re.findall(r"://[^:/@\s]*:([^/\s]*)@", str(value))]
        # One of several lines, such as a key, is shown by parts if at all.
        _secrets.update(word for word in [*str(value).splitlines(), *in_url] if len(word) >= _REDACTED_LENGTH)
    elif isinstance(value, str) and not hidden:
        _open.append(value)
