"""Detached signatures, made and checked by GnuPG.

What is signed is the manifest: it names environment and database, and holds the checksum of every file of the backup. So one
small signature binds all of it. Only a backup that has no manifest is signed itself.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, List, Sequence

from ansible.module_utils.rollback.backups import manifest as manifests
from ansible.module_utils.rollback.errors import RollbackError

SUFFIXES = (".asc", ".sig")
_FINGERPRINT = re.compile(r"(?:[0-9A-F]{40}|[0-9A-F]{64})")
_GPG = ("gpg", "--batch", "--no-tty")
_CHOOSE = "Choose another backup."
# What gpg says of a signature that is worth nothing, and what that means; checked in this order.
_WORTHLESS = {
    "BADSIG": ("is bad: {signed} is not what was signed", _CHOOSE),
    "EXPSIG": ("has expired", _CHOOSE),
    "EXPKEYSIG": ("is by a key that has expired", "Extend that key, or choose another backup."),
    "REVKEYSIG": ("is by a key that was revoked", _CHOOSE),
    "NO_PUBKEY": ("is by the key {key}, which is not among rollback_backup_keyring", "Add that key if it is yours, or choose another backup."),
    "ERRSIG": ("cannot be checked", _CHOOSE),
    "NODATA": ("is no signature", _CHOOSE),
}  # fmt: skip


def require(backup: Path, keyring: Sequence[str]) -> str:
    """The fingerprint of the key by which `backup` is signed.

    `keyring` has paths of files with public keys, and fingerprints of keys that gpg knows. Raises RollbackError where the
    signature is missing, bad, expired, or by another key.
    """
    manifest = manifests.path_for(backup)
    signed = manifest if manifest.exists() else backup
    if signed.is_dir():
        raise RollbackError(
            f"The backup {backup.name} is a directory without a manifest, and cannot be signed.", _CHOOSE
        )
    signature = next(filter(Path.is_file, of(signed)), None)
    if signature is None:
        raise RollbackError(
            f"The backup {backup.name} is not signed: there is no {signed.name}.asc or .sig.",
            "Choose one that is; playbooks/backup.yml signs backups where backup_signing_key is set.",
        )
    with _keys(keyring) as home:
        said = _run(
            [f"--homedir={home}", "--trust-model=always", "--status-fd=1", "--verify", str(signature), str(signed)]
        )
    return _judge(signature, signed, said.stdout.decode(errors="replace"), keyring)


def sign(path: Path, key: str) -> Path:
    """Sign `path` with `key`, which gpg or its agent knows on this host. Returns the signature's path."""
    signature = path.with_name(path.name + SUFFIXES[0])
    done = _run(["--yes", "--armor", f"--local-user={key}", f"--output={signature}", "--detach-sign", str(path)])
    if done.returncode != 0:
        raise RollbackError(
            f"{path.name} could not be signed by key {key}: {_first_line(done.stderr)}.", "Check backup_signing_key."
        )
    return signature


def of(path: Path) -> List[Path]:
    """Where signatures of a file may be."""
    return [path.with_name(path.name + suffix) for suffix in SUFFIXES]


@contextmanager
def _keys(keyring: Sequence[str]) -> Iterator[str]:
    """A home for gpg that holds the wanted keys and nothing else, so that no key that somebody else trusts counts."""
    with tempfile.TemporaryDirectory(prefix="rollback-gpg-") as home:
        for entry in keyring:
            keys = _exported(entry) if _is_fingerprint(entry) else _file(entry)
            done = _run([f"--homedir={home}", "--import"], keys)
            if done.returncode != 0:
                raise RollbackError(f"{entry} of rollback_backup_keyring holds no keys that gpg can read: {_first_line(done.stderr)}.",
                                    "Write it with gpg --export.")  # fmt: skip
        yield home


def _file(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise RollbackError(
            f"The keyring {path} cannot be read ({error.strerror or error}).", "Check rollback_backup_keyring."
        ) from error


def _exported(fingerprint: str) -> bytes:
    done = _run(["--export", _plain(fingerprint)])
    if not done.stdout:
        raise RollbackError(
            f"gpg knows no key {fingerprint} on this host.", "Import it, or check rollback_backup_keyring."
        )
    return done.stdout


def _judge(signature: Path, signed: Path, said: str, keyring: Sequence[str]) -> str:
    statuses = [
        line.split()[1:] for line in said.splitlines() if line.startswith("[GNUPG:] ") and len(line.split()) > 1
    ]
    for worthless, (meaning, way_out) in _WORTHLESS.items():
        for status in statuses:
            if status[0] == worthless:
                key = status[1] if len(status) > 1 else ""
                raise RollbackError(
                    f"The signature {signature.name} {meaning.format(signed=signed.name, key=key)}.", way_out
                )
    valid = [status for status in statuses if status[0] == "VALIDSIG"]
    if not valid:
        raise RollbackError(f"The signature {signature.name} cannot be checked.", _CHOOSE)
    fingerprints = {_plain(entry) for entry in keyring if _is_fingerprint(entry)}
    for status in valid:  # the key that signed, and at the end the one that it belongs to
        if len(fingerprints) == len(keyring) and not {status[1], status[-1]} & fingerprints:
            raise RollbackError(
                f"The signature {signature.name} is by the key {status[1]}, which is not among rollback_backup_keyring.",
                _CHOOSE,
            )
    return valid[0][-1]


def _is_fingerprint(entry: str) -> bool:
    return bool(_FINGERPRINT.fullmatch(_plain(entry)))


def _plain(fingerprint: str) -> str:
    return fingerprint.replace(" ", "").upper()


def _run(arguments: List[str], stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    try:
        return subprocess.run([*_GPG, *arguments], input=stdin, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise RollbackError("Signatures are asked for, and gpg is not installed here.", "Install gnupg.") from error


def _first_line(stderr: bytes) -> str:
    lines = stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
    return lines[0].replace("gpg: ", "").rstrip(".")
