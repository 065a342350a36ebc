"""Key rings that are thrown away: what keys are, and which signatures are theirs, without anybody trusting them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from foundation.doors.processes import ProcessError, run
from foundation.errors import CouldNotAskError, RefusedError
from foundation.openpgp.frame import armor_fault
from foundation.openpgp.keys import Key, Signature, State, read_listing, read_one_status, read_status
from foundation.stores.store import in_groups

_SECONDS: Final = 600.0
_FILES_PER_PROCESS: Final = 200
_ARGUMENTS: Final = ("--batch", "--no-tty", "--no-autostart", "--no-options", "--trust-model", "always")


class KeyRing:
    """A key ring in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._home = folder / "home"
        self._home.mkdir(mode=0o700)

    def keys_in(self, data: bytes) -> tuple[Key, ...]:
        """The keys in a file that somebody published; none if it cannot be read. The ring stays as it is."""
        # Of a key that has expired, gpg looks for its trust database, which it only makes for the usual model.
        options = ("--trust-model", "pgp", "--with-colons", "--show-keys")
        try:
            return read_listing(self._gpg(*options, self._file("shown", data)))
        except ProcessError:
            return ()

    def add(self, data: bytes) -> None:
        """Take the keys of a file in. What is no key is left out."""
        with suppress(ProcessError):
            self._gpg("--import", self._file("added", data))

    def export(self, fingerprint: str) -> bytes:
        """The public half of one key, and nothing else."""
        return self._gpg("--armor", "--export-options", "export-minimal", "--export", fingerprint).encode()

    def verify(self, messages: Mapping[str, bytes], workers: int = 2) -> dict[str, Signature]:
        """Whose signatures texts have, by the names that these are given with."""
        with ThreadPoolExecutor(workers) as pool:
            groups = in_groups(messages.items(), _FILES_PER_PROCESS)
            return {name: one for found in pool.map(self._verify, groups) for name, one in found}

    def verify_detached(self, data: bytes, signature: bytes) -> Signature:
        """Whose signature beside a file is: one in armor, by one key; anything else is unreadable."""
        if armor_fault(signature, "SIGNATURE"):
            return Signature(State.UNREADABLE)
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            paths = [Path(folder) / name for name in ("signature", "data", "status")]
            paths[0].write_bytes(signature)
            paths[1].write_bytes(data)
            with suppress(ProcessError):
                self._gpg("--status-file", str(paths[2]), "--verify", str(paths[0]), str(paths[1]))
            told = paths[2].read_text(encoding="utf-8", errors="replace") if paths[2].exists() else ""
        return read_one_status(told) or Signature(State.UNREADABLE)

    def _verify(self, messages: tuple[tuple[str, bytes], ...]) -> list[tuple[str, Signature]]:
        found: list[tuple[str, Signature]] = []
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            paths = [f"{folder}/{number:05}" for number in range(len(messages))]
            for path, (_, data) in zip(paths, messages, strict=True):
                Path(path).write_bytes(data)
            while len(found) < len(messages):
                # gpg goes no further than the first signature that is bad, so that one is told of and the rest asked.
                told = self._told(paths[len(found) :], Path(folder) / "status") or [None]
                names = (key for key, _ in messages[len(found) :])
                found += [(key, one or Signature(State.UNREADABLE)) for key, one in zip(names, told, strict=False)]
        return found

    def _told(self, paths: list[str], status: Path) -> list[Signature | None]:
        with suppress(ProcessError):
            self._gpg("--status-file", str(status), "--verify-files", *paths)
        return list(read_status(status.read_text(encoding="utf-8", errors="replace"))) if status.exists() else []

    def _file(self, name: str, data: bytes) -> str:
        path = self._folder / name
        path.write_bytes(data)
        return str(path)

    def _gpg(self, *arguments: str) -> str:
        environment = {"GNUPGHOME": str(self._home), "LC_ALL": "C"}
        try:
            return run(("gpg", *_ARGUMENTS, *arguments), seconds=_SECONDS, environment=environment)
        except ProcessError as error:
            if error.exit_code is None:
                raise CouldNotAskError(f"keys and signatures cannot be looked at: {error}") from None
            raise


@contextmanager
def ring_folder(folder: Path) -> Iterator[None]:
    """A new folder for a key ring that others use; the agent which they leave running for it ends with it."""
    folder.mkdir(mode=0o700)
    try:
        yield
    finally:
        with suppress(ProcessError):
            run(("gpgconf", "--homedir", str(folder), "--kill", "all"), seconds=_SECONDS)


def sign_detached(data: bytes, private_key: bytes) -> bytes:
    """The detached signature of data, in armor, by the one private key in a file.

    The key is in a folder that nobody else reads and that goes with its agent; no argument holds any of it. Raises
    `RefusedError` if there is not one key that signs, and `CouldNotAskError`.
    """
    with tempfile.TemporaryDirectory(prefix="jc-sign-") as folder, ring_folder(Path(folder) / "home"):
        names = ("key", "data", "signature")
        key, content, signature = (Path(folder) / name for name in names)
        key.write_bytes(private_key)
        content.write_bytes(data)
        options = ("gpg", "--batch", "--no-tty", "--no-options", "--pinentry-mode", "error")
        environment = {"GNUPGHOME": f"{folder}/home", "LC_ALL": "C"}
        try:
            shown = run((*options, "--with-colons", "--show-keys", str(key)), seconds=_SECONDS, environment=environment)
            found = [one for one in read_listing(shown) if one.is_private]
        except ProcessError as error:
            if error.exit_code is None:
                raise CouldNotAskError(f"signing: {error}") from None
            found = []
        if len(found) != 1:
            raise RefusedError(f"signing takes one private key, and its file holds {len(found) or 'none'}")
        if found[0].is_over(time.time()) or found[0].is_revoked:
            state = "was revoked" if found[0].is_revoked else "has expired"
            raise RefusedError(f"signing: the key {found[0]} {state}")
        try:
            run((*options, "--import", str(key)), seconds=_SECONDS, environment=environment)
            wanted = ("--armor", "--local-user", found[0].fingerprint, "--output", str(signature), "--detach-sign")
            run((*options, *wanted, str(content)), seconds=_SECONDS, environment=environment)
        except ProcessError as error:
            hint = "; a key with a passphrase cannot sign here"
            raise CouldNotAskError(f"signing with {found[0]}: {error}{hint}") from None
        return signature.read_bytes()


def extend(home: Path, fingerprint: str, expires: str) -> None:
    """Let a key in the ring of others, and its subkeys, count until another day. Raises `CouldNotAskError`."""
    for subkeys in ((), ("*",)):
        argv = ("gpg", "--batch", "--no-tty", "--quick-set-expire", fingerprint, expires, *subkeys)
        try:
            run(argv, seconds=_SECONDS, environment={"GNUPGHOME": str(home), "LC_ALL": "C"})
        except ProcessError as error:
            raise CouldNotAskError(f"{fingerprint}: cannot be renewed: {error}") from None


@contextmanager
def key_ring(keys: Iterable[bytes] = ()) -> Iterator[KeyRing]:
    """A key ring with these keys, for a while."""
    with tempfile.TemporaryDirectory(prefix="jc-gpg-") as folder:
        ring = KeyRing(Path(folder))
        for data in keys:
            ring.add(data)
        yield ring
