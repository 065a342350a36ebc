"""Signatures of bundles, by gpg.

Nobody has to trust a key before a bundle is imported: it brings the public key along, and what counts is the
fingerprint that was told by other means. So each verification has a key ring of its own, with that key alone.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from foundation.doors.processes import ProcessError, run
from foundation.errors import CouldNotAskError, DamagedError, FileAccessError, NotThereError, RefusedError
from foundation.openpgp.keys import read_listing

_SECONDS = 300.0
"""Long enough for somebody to type a passphrase."""


@dataclass(frozen=True, slots=True)
class Signer:
    """A key in a folder of gpg's, or in gpg's own."""

    fingerprint: str
    home: str = ""

    def require_key(self) -> None:
        """Raise `NotThereError` if the private key is missing, before hours are spent, or `CouldNotAskError`."""
        try:
            self._gpg("--list-secret-keys", self.fingerprint)
        except ProcessError as error:
            if error.exit_code is None:
                raise CouldNotAskError(f"signing: {error}") from None
            place = self.home or "gpg's own folder"
            raise NotThereError(
                f"{place}: has no private key {self.fingerprint}; name its folder with --gpg-home"
            ) from None

    def write_key(self, path: Path) -> None:
        """Write the public key. Raises `FileAccessError`."""
        self._write("--armor", "--output", str(path), "--export", self.fingerprint)

    def sign(self, path: Path, signature: Path) -> None:
        """Write the detached signature of a file. Raises `FileAccessError`."""
        arguments = ("--armor", "--local-user", self.fingerprint, "--output", str(signature), "--detach-sign")
        self._write(*arguments, str(path))

    def _write(self, *arguments: str) -> None:
        try:
            self._gpg("--yes", *arguments)
        except ProcessError as error:
            raise FileAccessError(f"signing: {error}") from None

    def _gpg(self, *arguments: str) -> str:
        home = ("--homedir", self.home) if self.home else ()
        return run(("gpg", "--batch", *home, *arguments), seconds=_SECONDS)


def require_signature(content: Path, signature: Path, key: Path, fingerprint: str) -> None:
    """Whether a file was signed by the key with this fingerprint.

    Raises `RefusedError` if it is unsigned, or was signed by another key, and `DamagedError` if the signature does not
    fit the file.
    """
    for path in (signature, key):
        if not path.is_file():
            raise RefusedError(
                f"{path}: missing, so the bundle is not signed; import it with --unsigned, or not at all"
            )
    with tempfile.TemporaryDirectory(prefix="jc-") as home:
        offered = read_listing(_ask(home, key, "--show-keys", "--with-colons", str(key)))
        if fingerprint not in (one.fingerprint for one in offered):
            found = ", ".join(map(str, offered)) or "no key at all"
            raise RefusedError(f"{key}: is {found}, not {fingerprint}; nothing was imported")
        _ask(home, key, "--import", str(key))
        status = _ask(home, signature, "--status-fd", "1", "--verify", str(signature), str(content))
    words = [line.split()[1:] for line in status.splitlines() if line.startswith("[GNUPG:] ")]
    valid = {one for found in words if found[0] == "VALIDSIG" for one in (found[1], found[-1])}
    if fingerprint not in valid or not any(found[0] == "GOODSIG" for found in words):
        raise RefusedError(f"{signature}: not by {fingerprint}, or that key has expired; nothing was imported")


def _ask(home: str, what: Path, *arguments: str) -> str:
    try:
        return run(("gpg", "--batch", "--no-autostart", "--homedir", home, *arguments), seconds=_SECONDS)
    except ProcessError as error:
        if error.exit_code is None:
            raise CouldNotAskError(f"{what}: {error}") from None
        raise DamagedError(f"{what}: {error}") from None
