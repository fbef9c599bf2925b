"""Reaching an SFTP server: OpenSSH's own client where it is installed, paramiko where it is not or a password is needed.

Python's SSH costs more than twice the processor time of OpenSSH's for the same bytes, and a backup has many of them; so the
`ssh` program carries them, and only the file transfer protocol is spoken here. Either way the server's key must be known.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import shutil
import socket
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, Dict, List, Optional, Tuple

from ansible.module_utils.rollback.backups.sources.source import Unreachable

ANSWER_WITHIN_S = 15
# The quickest ciphers on processors with AES instructions; any other that the server wants comes after them.
_CIPHERS = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"
_BUFFER = 2 * 1024 * 1024
_KNOWN_HOSTS = ("~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts")


@dataclass(frozen=True)
class Login:
    """Who comes to which server, and by what. `private_key` is the key itself, as an AWX credential holds it."""

    host: str
    port: int = 22
    user: str = ""
    password: str = field(default="", repr=False)
    private_key: str = field(default="", repr=False)
    passphrase: str = field(default="", repr=False)
    key_file: str = ""
    known_hosts: str = ""

    @property
    def where(self) -> str:
        return f"{self.user + '@' if self.user else ''}{self.host}{'' if self.port == 22 else f':{self.port}'}"

    @property
    def known_hosts_files(self) -> List[str]:
        return [self.known_hosts] if self.known_hosts else [os.path.expanduser(name) for name in _KNOWN_HOSTS]


@dataclass(frozen=True)
class Connection:
    """`wire` is what the protocol is spoken over."""

    wire: Any
    close: Callable[[], None]
    # Why it has ended, in the words of the program that carried it; empty where nobody knows.
    last_words: Callable[[], str]


def connect(login: Login) -> Connection:
    """A session with the server's SFTP. Raises Unreachable, with the fingerprint where its key is the reason."""
    program = shutil.which("ssh")
    if program and not login.password and not login.passphrase:
        return _by_program(program, login)
    return _by_paramiko(login)


def _by_program(program: str, login: Login) -> Connection:
    ours, theirs = socket.socketpair()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)  # so that neither waits for the other at each block
    key, key_file = _in_memory(login.private_key) if login.private_key else (-1, login.key_file)
    process = subprocess.Popen(
        _argv(program, login, key_file),
        stdin=theirs.fileno(),
        stdout=theirs.fileno(),
        stderr=subprocess.PIPE,
        env={**os.environ, "LC_ALL": "C"},
    )
    theirs.close()
    ours.settimeout(None)

    def close() -> None:
        ours.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(2)
        process.kill()
        process.wait()
        if process.stderr:
            process.stderr.close()
        if key >= 0:
            with suppress(OSError):
                os.close(key)

    def last_words() -> str:
        with suppress(subprocess.TimeoutExpired):
            process.wait(2)
        if process.poll() is None or not process.stderr:
            return ""
        return _why(process.stderr.read().decode(errors="replace"), login)

    return Connection(ours, close, last_words)


def _argv(program: str, login: Login, key_file: str) -> List[str]:
    options: Dict[str, Any] = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        "Ciphers": _CIPHERS,
        "Compression": "no",
        "ConnectTimeout": ANSWER_WITHIN_S,
        "ServerAliveInterval": ANSWER_WITHIN_S,
        "ServerAliveCountMax": 2,
        "ControlPath": "none",
        "ClearAllForwardings": "yes",
        "LogLevel": "ERROR",
    }
    if login.known_hosts:
        options["UserKnownHostsFile"], options["GlobalKnownHostsFile"] = login.known_hosts, "/dev/null"
    if key_file:
        options["IdentityFile"], options["IdentitiesOnly"] = key_file, "yes"
    said = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    user = ["-l", login.user] if login.user else []
    return [program, *said, "-p", str(login.port), *user, "-s", "--", login.host, "sftp"]


def _in_memory(private_key: str) -> Tuple[int, str]:
    """A key that `ssh` can read and no disk ever holds: a file in memory, and the name under which others see it."""
    descriptor = os.memfd_create("key")
    os.fchmod(descriptor, 0o600)
    os.write(descriptor, private_key.strip().encode() + b"\n")
    return descriptor, f"/proc/{os.getpid()}/fd/{descriptor}"


def _why(said: str, login: Login) -> str:
    """What `ssh` said when it ended, in a sentence."""
    if "HOST IDENTIFICATION HAS CHANGED" in said or "Host key verification failed" in said:
        raise _not_known(login, _shown_keys(login), changed="HAS CHANGED" in said)
    lines = [line.strip().rstrip(".") for line in said.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _shown_keys(login: Login) -> List[str]:
    """The keys that the server shows, as lines of a known_hosts file."""
    program = shutil.which("ssh-keyscan")
    if not program:
        return []
    done = subprocess.run(
        [program, "-T", str(ANSWER_WITHIN_S), "-p", str(login.port), "--", login.host],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line and not line.startswith("#")]
    return sorted(lines, key=lambda line: "ssh-ed25519" not in line)


def _not_known(login: Login, shown: List[str], changed: bool) -> Unreachable:
    line = shown[0] if shown else ""
    print_ = fingerprint(line.split()[2]) if line else "unknown"
    file = login.known_hosts_files[0]
    if changed:
        return Unreachable(
            f"The host key of {login.where} is not the one that {file} has: its fingerprint is {print_}.",
            "Somebody may be between; where the server was made anew, compare the fingerprint there, and replace its line.",
        )
    return Unreachable(
        f"The host key of {login.where} is not known: its fingerprint is {print_}.",
        f"Compare it on the server, then add this line to {file}: {line or 'what ssh-keyscan prints'}",
    )


def fingerprint(key: str) -> str:
    """As ssh prints it, of a key as a known_hosts file has it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(base64.b64decode(key)).digest()).decode().rstrip("=")


def _by_paramiko(login: Login) -> Connection:
    paramiko = _paramiko()
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(_Refuse(login))
    for name in login.known_hosts_files:
        if Path(name).is_file():
            client.load_system_host_keys(name)
    try:
        client.connect(
            login.host,
            login.port,
            login.user or None,
            login.password or None,
            pkey=_key(paramiko, login) if login.private_key else None,
            key_filename=login.key_file or None,
            passphrase=login.passphrase or None,
            allow_agent=not (login.private_key or login.key_file),
            look_for_keys=not (login.private_key or login.key_file or login.password),
            timeout=ANSWER_WITHIN_S,
            banner_timeout=ANSWER_WITHIN_S,
            auth_timeout=ANSWER_WITHIN_S,
        )
        transport = client.get_transport()
        assert transport  # noqa: S101 - for mypy: it is connected
        transport.set_keepalive(ANSWER_WITHIN_S)
        channel = transport.open_session(window_size=16 * 1024 * 1024, timeout=ANSWER_WITHIN_S)
        channel.invoke_subsystem("sftp")
        channel.settimeout(4 * ANSWER_WITHIN_S)
    except paramiko.BadHostKeyException as error:
        client.close()
        raise _not_known(login, [_line(login, error.key)], changed=True) from error
    except (paramiko.SSHException, OSError, EOFError) as error:
        client.close()
        raise Unreachable(f"{login.where} does not let us in: {_said(error)}.") from error
    except BaseException:
        client.close()
        raise
    return Connection(channel, client.close, lambda: "")


def _paramiko() -> ModuleType:
    """Loaded where it is used: it takes its time, and is seldom needed."""
    try:
        import paramiko
    except ImportError as error:
        raise Unreachable(
            "SFTP with a password, or without the program ssh, needs the Python package paramiko.",
            "Run playbooks/prepare.yml, or install paramiko.",
        ) from error
    return paramiko


def _key(paramiko: Any, login: Login) -> Any:
    """The private key, whatever its kind."""
    text = login.private_key.strip() + "\n"
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key(io.StringIO(text), login.passphrase or None)
        except paramiko.PasswordRequiredException as error:
            raise Unreachable("The private key needs its passphrase.", "Set `passphrase`.") from error
        except (paramiko.SSHException, ValueError):
            continue
    raise Unreachable("The private key cannot be read.", "It must be the whole key, or its passphrase is another one.")


def _line(login: Login, key: Any) -> str:
    host = login.host if login.port == 22 else f"[{login.host}]:{login.port}"
    return f"{host} {key.get_name()} {key.get_base64()}"


def _said(error: Optional[BaseException]) -> str:
    return str(error).strip().rstrip(".") or type(error).__name__


class _Refuse:
    """A server whose key is not known is not talked to."""

    def __init__(self, login: Login) -> None:
        self._login = login

    def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:
        raise _not_known(self._login, [_line(self._login, key)], changed=False)
