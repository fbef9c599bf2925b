"""Signatures by a real gpg: only a good one, by a key that was named, of what is really there, lets a backup pass."""

import os
import subprocess

import pytest
from made_up import BACKUP, DUMP, backup

from ansible.module_utils.rollback.backups import catalog, create, proof, signature
from ansible.module_utils.rollback.backups import manifest as manifests
from ansible.module_utils.rollback.backups.proof import Terms
from ansible.module_utils.rollback.errors import RollbackError

pytestmark = pytest.mark.gpg


class Keys:
    """A home of gpg with keys of `ada` and `eve`, and `old`, which has expired."""

    def __init__(self, home):
        self.home = home
        home.mkdir(mode=0o700)
        for name in ("ada", "eve"):
            self.gpg("--quick-generate-key", name, "ed25519", "sign", "never")
        # The clock is set back: a key that was good for a day, and what it signed on that day.
        self.gpg("--faked-system-time=20250101T000000!", "--quick-generate-key", "old", "ed25519", "sign", "1d")
        self.gpg("--faked-system-time=20250101T000000!", "--quick-generate-key", "lasting", "ed25519", "sign", "never")

    def gpg(self, *arguments, check=True):
        argv = [
            "gpg",
            "--batch",
            "--no-tty",
            "--passphrase=",
            "--pinentry-mode=loopback",
            f"--homedir={self.home}",
            *arguments,
        ]
        return subprocess.run(argv, check=check, capture_output=True).stdout

    def fingerprint(self, name):
        lines = self.gpg("--with-colons", "--list-keys", name).decode().splitlines()
        return next(line.split(":")[9] for line in lines if line.startswith("fpr"))

    def sign(self, path, name, *options, suffix=".asc"):
        to = path.with_name(path.name + suffix)
        self.gpg(
            "--yes", *options, f"--local-user={self.fingerprint(name)}", f"--output={to}", "--detach-sign", str(path)
        )
        return to

    def exported(self, name, armor=True):
        path = self.home / f"{name}.{'asc' if armor else 'gpg'}"
        path.write_bytes(self.gpg(*(["--armor"] if armor else []), "--export", name))
        return str(path)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    made = Keys(tmp_path_factory.mktemp("gpg") / "h")
    yield made
    subprocess.run(["gpgconf", f"--homedir={made.home}", "--kill", "all"], check=False)


@pytest.fixture
def signed(tmp_path, keys, monkeypatch):
    """A backup whose manifest is signed by ada; gpg's own home on this host is that of the keys."""
    monkeypatch.setenv("GNUPGHOME", str(keys.home))
    path = backup(tmp_path)
    keys.sign(manifests.path_for(path), "ada", "--armor")
    return path


@pytest.mark.parametrize("armor", [True, False])
def test_a_good_signature_by_a_key_of_a_keyring_is_enough(signed, keys, armor):
    assert signature.require(signed, [keys.exported("ada", armor)]) == keys.fingerprint("ada")
    assert proof.prove(signed, "public.alembic_version", None, Terms(keyring=[keys.exported("ada", armor)])).manifest


def test_a_key_may_be_named_by_its_fingerprint_which_gpg_knows_here(signed, keys):
    fingerprint = keys.fingerprint("ada")
    assert signature.require(signed, [fingerprint]) == fingerprint
    spaced = " ".join(fingerprint[at : at + 4] for at in range(0, 40, 4)).lower()
    assert signature.require(signed, [keys.fingerprint("eve"), spaced]) == fingerprint


def test_a_binary_signature_counts_too(signed, keys):
    signature.of(manifests.path_for(signed))[0].unlink()
    keys.sign(manifests.path_for(signed), "ada", suffix=".sig")
    assert signature.require(signed, [keys.exported("ada")])


def spoil_manifest(signed, keys):
    path = manifests.path_for(signed)
    path.write_bytes(path.read_bytes().replace(b"1.0.0", b"6.6.6"))


def exchange_manifest(signed, keys):
    """Somebody with the store in his hands, and without the key."""
    signed.write_bytes(DUMP.replace(b"Ada", b"Eve"))
    backup(signed.parent, content=DUMP.replace(b"Ada", b"Eve"))


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (spoil_manifest, r"manifest\.json\.asc is bad: .*manifest\.json is not what was signed"),
        (exchange_manifest, r"is not what was signed"),
        (lambda signed, keys: signature.of(manifests.path_for(signed))[0].unlink(), r"is not signed: there is no .*manifest\.json\.asc or \.sig"),
        (lambda signed, keys: keys.sign(manifests.path_for(signed), "eve"), r"is by the key [0-9A-F]{16}, which is not among rollback_backup_keyring"),
        (lambda signed, keys: signature.of(manifests.path_for(signed))[0].write_bytes(b"x"), r"is no signature"),
        # A signature of the dump says nothing of the manifest, and that is believed.
        (lambda signed, keys: (keys.sign(signed, "ada"), signature.of(manifests.path_for(signed))[0].unlink()), "is not signed"),
    ],
)  # fmt: skip
def test_whatever_is_not_signed_by_the_right_key_is_refused(signed, keys, spoil, why):
    spoil(signed, keys)
    with pytest.raises(RollbackError, match=why):
        proof.prove(signed, "public.alembic_version", None, Terms(keyring=[keys.exported("ada")]))


def test_a_key_that_gpg_knows_and_nobody_named_is_another_key(signed, keys):
    with pytest.raises(RollbackError, match="which is not among rollback_backup_keyring"):
        signature.require(signed, [keys.fingerprint("eve")])


def test_a_key_or_signature_that_has_expired_is_worth_nothing(signed, keys):
    manifest = manifests.path_for(signed)
    keys.sign(manifest, "old", "--faked-system-time=20250101T010000!")
    with pytest.raises(RollbackError, match=r"is by a key that has expired.*Extend that key"):
        signature.require(signed, [keys.exported("old")])
    keys.sign(manifest, "lasting", "--faked-system-time=20250101T010000!", "--default-sig-expire=1d")
    with pytest.raises(RollbackError, match=r"manifest\.json\.asc has expired"):
        signature.require(signed, [keys.exported("lasting")])


def test_the_dump_is_bound_by_the_checksum_in_the_signed_manifest(signed, keys):
    signed.write_bytes(DUMP.replace(b"Ada", b"Eve"))
    with pytest.raises(RollbackError, match="the checksum of"):
        proof.prove(signed, "public.alembic_version", None, Terms(keyring=[keys.exported("ada")]))


def test_a_backup_without_a_manifest_is_signed_itself(signed, keys):
    signature.of(manifests.path_for(signed))[0].unlink()
    manifests.path_for(signed).unlink()
    terms = Terms(keyring=[keys.exported("ada")], judge=True)
    with pytest.raises(RollbackError, match=rf"is not signed: there is no {BACKUP}\.asc"):
        proof.prove(signed, "public.alembic_version", None, terms)
    keys.sign(signed, "ada")
    assert proof.prove(signed, "public.alembic_version", None, terms).judged
    signed.write_bytes(DUMP.replace(b"Ada", b"Eve"))
    with pytest.raises(RollbackError, match="is not what was signed"):
        proof.prove(signed, "public.alembic_version", None, terms)


@pytest.mark.parametrize(
    ("keyring", "why"),
    [
        ("/nowhere/keys.gpg", r"The keyring /nowhere/keys\.gpg cannot be read \(No such file or directory\)"),
        (os.devnull, r"holds no keys that gpg can read.*gpg --export"),
        ("A" * 40, "gpg knows no key A{40} on this host"),
    ],
)
def test_a_keyring_that_is_none_is_said_so(signed, keyring, why):
    with pytest.raises(RollbackError, match=why):
        signature.require(signed, [keyring])


def test_without_gpg_it_says_what_to_install(signed, keys, monkeypatch):
    ring = keys.exported("ada")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(RollbackError, match="gpg is not installed here"):
        signature.require(signed, [ring])


def test_what_we_sign_we_accept_and_let_go_together(signed, keys):
    manifest = manifests.path_for(signed)
    signature.of(manifest)[0].unlink()
    made = signature.sign(manifest, keys.fingerprint("ada"))
    assert made.read_bytes().startswith(b"-----BEGIN PGP SIGNATURE")
    assert signature.require(signed, [keys.exported("ada")])
    assert [candidate.name for candidate in catalog.read(signed.parent, "hunter", "production")] == [BACKUP]
    create.remove(signed)
    assert list(signed.parent.iterdir()) == []


def test_a_key_that_cannot_sign_is_an_error(signed, keys):
    with pytest.raises(RollbackError, match=r"could not be signed by key nobody: .*Check backup_signing_key"):
        signature.sign(manifests.path_for(signed), "nobody")
