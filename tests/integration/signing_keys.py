"""Key pairs that tests sign with, made by gpg and held in memory."""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from foundation.openpgp.ring import ring_folder
from tests.integration.components import require


@dataclass(frozen=True)
class KeyPair:
    """Both halves of a key, in armor."""

    private: bytes
    public: bytes


def key_pair(name: str = "Site", *, expires: str = "never", passphrase: str = "", made: str = "") -> KeyPair:
    """A new key pair; `made` is the time at which gpg believes that it makes it, `20200101T000000`."""
    with tempfile.TemporaryDirectory(prefix="gpg") as folder, ring_folder(Path(folder) / "ring"):
        past = ["--faked-system-time", f"{made}!"] if made else []
        gpg = [require("gpg"), "--batch", "--passphrase", passphrase, "--pinentry-mode", "loopback"]
        environment = {**os.environ, "GNUPGHOME": f"{folder}/ring"}

        def run(*arguments: str) -> bytes:
            return subprocess.run([*gpg, *arguments], env=environment, capture_output=True, check=True).stdout

        run(*past, "--quick-gen-key", f"{name} <ci@example.org>", "ed25519", "sign", expires)
        return KeyPair(run("--armor", "--export-secret-keys"), run("--armor", "--export"))


def expired(pair: KeyPair) -> bytes:
    """The public half of a key that was made in 2020, after its owner let it expire in that year."""
    with tempfile.TemporaryDirectory(prefix="gpg") as folder, ring_folder(Path(folder) / "ring"):
        environment = {**os.environ, "GNUPGHOME": f"{folder}/ring"}
        gpg = [require("gpg"), "--batch", "--yes", "--passphrase", "", "--pinentry-mode", "loopback"]

        def run(*arguments: str, text: bytes = b"") -> bytes:
            done = subprocess.run([*gpg, *arguments], env=environment, input=text, capture_output=True, check=True)
            return done.stdout

        run("--import", text=pair.private)
        listing = run("--with-colons", "--list-keys").decode()
        fingerprint = next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr"))
        run("--faked-system-time", "20200201T000000!", "--quick-set-expire", fingerprint, "20200301T000000")
        return run("--armor", "--export")


def revoked(pair: KeyPair) -> bytes:
    """The public half of a key, revoked by its owner."""
    with tempfile.TemporaryDirectory(prefix="gpg") as folder, ring_folder(Path(folder) / "ring"):
        environment = {**os.environ, "GNUPGHOME": f"{folder}/ring"}
        gpg = [require("gpg"), "--batch", "--yes"]

        def run(*arguments: str, text: bytes = b"") -> bytes:
            done = subprocess.run([*gpg, *arguments], env=environment, input=text, capture_output=True, check=True)
            return done.stdout

        run("--import", text=pair.private)
        listing = run("--with-colons", "--list-keys").decode()
        fingerprint = next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr"))
        answers = "y\n0\n\ny\n"
        asked = [g for g in gpg if g != "--batch"]
        certificate = subprocess.run(
            [*asked, "--no-tty", "--command-fd", "0", "--gen-revoke", fingerprint],
            env=environment,
            input=answers.encode(),
            capture_output=True,
            check=True,
        ).stdout
        run("--import", text=certificate)
        return run("--armor", "--export")
