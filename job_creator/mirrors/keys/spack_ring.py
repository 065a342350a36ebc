"""The key ring of a Spack, worked on through Spack itself (`spack gpg`), so that `SPACK_GNUPGHOME` means the same.

`create`, `export`, `publish --rebuild-index` and `trust` have had the same options since Spack 0.21
(lib/spack/spack/cmd/gpg.py).
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from foundation.doors.processes import ProcessError
from foundation.errors import CouldNotAskError, DamagedError, FileAccessError, NotThereError, RefusedError, naming
from foundation.openpgp.keys import Key
from foundation.openpgp.ring import extend, key_ring
from foundation.spack.program import SpackProgram

_SECONDS: Final = 900.0
"""A machine with little entropy takes its time for a key; the first command of a Spack may bootstrap."""
_HOME: Final = "import spack.util.gpg as gpg; gpg.init(); print(gpg.GNUPGHOME)"
"""The same in lib/spack/spack/util/gpg.py of Spack v0.21 to v1.1."""
_FINGERPRINT: Final = re.compile(r"^ {6}([0-9A-F]{40,64})$", re.MULTILINE)
_KEY_LISTED: Final = re.compile(r"^(?=(?:pub|sec) )", re.MULTILINE)
_PARTS_OF_MIRRORS: Final = (
    "v3/manifests",
    "blobs/sha256",
    "build_cache",
    "_source-cache",
    ".spacktainers",
    ".spackitor",
)


class SpackKeys:
    """The keys of a Spack."""

    def __init__(self, program: str = "spack", variables: Mapping[str, str] | None = None) -> None:
        self._spack = SpackProgram(program, variables or {})

    def trusted(self) -> frozenset[str]:
        """The fingerprints of the keys whose signatures it accepts."""
        return frozenset(_FINGERPRINT.findall(self._gpg("list", "--trusted")))

    def signing(self) -> tuple[Key, ...]:
        """The keys that it can sign with."""
        with _private_folder() as folder:
            path = folder / "public"
            wanted = set(_FINGERPRINT.findall(_secret_part(self._gpg("list", "--signing"))))
            if not wanted:
                return ()
            self._gpg("export", str(path), *sorted(wanted))
            with key_ring() as ring:
                return tuple(key for key in ring.keys_in(_read(path)) if key.fingerprint in wanted)

    def home(self) -> str:
        """The folder of its key ring. Raises `CouldNotAskError`."""
        try:
            return self._spack.run("python", "-c", _HOME).strip().splitlines()[-1]
        except (ProcessError, IndexError) as error:
            raise CouldNotAskError(f"{self._spack.program}: where its keys are cannot be told: {error}") from None

    def require_usable(self, wanted: str, now: float) -> None:
        """Whether this key, or the only one, can sign at a time in seconds since 1970.

        Raises `NotThereError` if there is none, and `RefusedError` if it has expired, or there are several.
        """
        keys = self.signing()
        chosen = [key for key in keys if _is_named(key, wanted)]
        if not chosen:
            known = "; there are: " + ", ".join(map(str, keys)) if keys else "; 'jc mirror keys create' makes one"
            name = f"no signing key {wanted}" if wanted else "no key to sign binaries with"
            raise NotThereError(f"{self._spack.program}: {name}{known}, and --unsigned does without")
        if len(chosen) > 1:
            names = "\n".join(f"  {key}" for key in chosen)
            raise RefusedError(f"there are {len(chosen)} signing keys; name one with --key:\n{names}")
        if chosen[0].is_over(now):
            raise RefusedError(
                f"{chosen[0]}: has expired; 'jc mirror keys renew --expires 2y --fingerprint {chosen[0].fingerprint}' "
                "makes it valid again, so that what it has signed stays good"
            )

    def trust(self, key: Key, data: bytes) -> None:
        """Let Spack accept the signatures of this key. Raises `CouldNotAskError` if it does not do so afterwards."""
        with _private_folder() as folder:
            path = folder / f"{key.fingerprint}.pub"
            path.write_bytes(data)
            self._gpg("trust", str(path))
        if key.fingerprint not in self.trusted():
            raise CouldNotAskError(f"spack gpg trust: said nothing, and Spack does not know {key} now")

    def create(self, name: str, email: str, backup: Path, *, comment: str, expires: str) -> Key:
        """Make a key, and its backup. Raises `RefusedError` where a backup must not be.

        Raises `CouldNotAskError` if Spack did not make one key, and `DamagedError` if the backup would lack it.
        """
        require_place_of_backup(backup)
        before = {key.fingerprint for key in self.signing()}
        with _private_folder(backup.parent) as folder:
            secret = folder / "secret"
            options = ("--comment", comment, "--expires", expires, "--export-secret", str(secret))
            self._gpg("create", *options, name, email)
            made = [key for key in self.signing() if key.fingerprint not in before]
            if len(made) != 1:
                raise CouldNotAskError(f"spack gpg create: made {len(made)} keys, not one; see 'spack gpg list'")
            _keep(secret, backup, made)
        return made[0]

    def back_up(self, backup: Path, fingerprint: str | None) -> tuple[Key, ...]:
        """Write the private halves of keys into a file, all or the one that is named.

        Raises `RefusedError` and `NotThereError` for the file, and `NotThereError` if there is no such key.
        """
        require_place_of_backup(backup)
        keys = self._chosen(fingerprint)
        with _private_folder(backup.parent) as folder:
            secret = folder / "secret"
            self._gpg("export", "--secret", str(secret), *(key.fingerprint for key in keys))
            _keep(secret, backup, keys)
        return keys

    def renew(self, fingerprint: str | None, expires: str) -> Key:
        """Let a key, expired or not, count until another day (`2y`, `6m`, `2030-01-31`, `0` is for ever).

        Raises `NotThereError` if there is no such key, `RefusedError` if there are several and none is named, and
        `CouldNotAskError` if gpg does not do it.
        """
        key = self._only(fingerprint)
        extend(Path(self.home()), key.fingerprint, expires)
        return next(one for one in self.signing() if one.fingerprint == key.fingerprint)

    def publish(self, url: str, fingerprint: str | None) -> Key:
        """Put the public half of the signing key into a mirror, with the list of keys there.

        Raises `NotThereError` if there is no such key, and `RefusedError` if there are several and none is named.
        """
        key = self._only(fingerprint)
        # Without a name, Spack would publish every key that it trusts, whosesoever it is.
        self._gpg("publish", "--rebuild-index", "--mirror-url", url, key.fingerprint)
        return key

    def _only(self, fingerprint: str | None) -> Key:
        keys = self._chosen(fingerprint)
        if len(keys) > 1:
            names = "\n".join(f"  {key}" for key in keys)
            raise RefusedError(f"there are {len(keys)} signing keys; name one with --fingerprint:\n{names}")
        return keys[0]

    def _chosen(self, fingerprint: str | None) -> tuple[Key, ...]:
        keys = self.signing()
        chosen = tuple(key for key in keys if fingerprint in (None, key.fingerprint))
        if not chosen:
            known = ", ".join(key.fingerprint for key in keys) or "none; 'jc mirror keys create' makes one"
            raise NotThereError(f"{self._spack.program}: no such signing key; there are: {known}")
        return chosen

    def _gpg(self, *arguments: str) -> str:
        try:
            return self._spack.run("gpg", *arguments, seconds=_SECONDS)
        except ProcessError as error:
            text = str(error)
            if "bootstrapping is currently disabled" in text:
                text += "; 'spack gpg' works offline with 'bootstrap: {enable: true, sources:: []}' and gpg on PATH"
            raise CouldNotAskError(text) from None


def _is_named(key: Key, wanted: str) -> bool:
    """By its fingerprint or the end of it, or by a user, as gpg takes names of keys."""
    digits = wanted.upper().removeprefix("0X").replace(" ", "")
    return key.fingerprint.endswith(digits) or any(wanted in user for user in key.users)


def require_place_of_backup(backup: Path) -> None:
    """Raise `RefusedError` where a private key must not be: over another file, and in a mirror.

    Raises `NotThereError` if its folder is missing.
    """
    if os.path.lexists(backup):
        raise RefusedError(f"{backup}: there is something already; a backup replaces nothing")
    folder = backup.resolve().parent
    if not folder.is_dir():
        raise NotThereError(f"{folder}: no such folder")
    for parent in (folder, *folder.parents):
        if found := next((name for name in _PARTS_OF_MIRRORS if (parent / name).is_dir()), None):
            raise RefusedError(
                f"{backup}: {parent} has {found}/ and so is a mirror; a private key must never be in one"
            )


def _keep(secret: Path, backup: Path, keys: tuple[Key, ...] | list[Key]) -> None:
    """Give a backup its name, once it is known to hold what it has to."""
    data = _read(secret)
    with key_ring() as ring:
        found = {key.fingerprint for key in ring.keys_in(data) if key.is_private}
    if missing := [key for key in keys if key.fingerprint not in found]:
        raise DamagedError(
            f"{backup}: not written, because what Spack exported lacks the private half of {missing[0]}; "
            "the key itself is in Spack's key ring: run 'jc mirror keys backup'"
        )
    try:
        secret.chmod(0o600)
        with secret.open("rb") as stream:
            os.fsync(stream.fileno())
        backup.hardlink_to(secret)  # which never replaces anything
    except OSError as error:
        raise FileAccessError(f"{backup}: {error.strerror}; run 'jc mirror keys backup'") from None


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _secret_part(listing: str) -> str:
    """`spack gpg list --signing` lists the public keys first, and the ones it can sign with after them."""
    return "".join(part for part in _KEY_LISTED.split(listing) if part.startswith("sec"))


@contextmanager
def _private_folder(beside: Path | None = None) -> Iterator[Path]:
    """A folder that nobody else can look into, gone afterwards."""
    place = beside or Path(tempfile.gettempdir())
    with naming(place, always=True), tempfile.TemporaryDirectory(prefix=".jc-keys-", dir=place) as folder:
        yield Path(folder)
