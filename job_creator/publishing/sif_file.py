"""SIF files as files: whether something is one, and the signature that Apptainer and SingularityCE put into it.

Source: the SIF specification (header: 32 bytes for a shell, then the magic number), and `apptainer help sign`, whose
key rings are the files `pgp-secret` and `pgp-public` of the folder that `APPTAINER_KEYSDIR` names.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from foundation.doors.processes import ProcessError, run
from foundation.errors import CouldNotAskError, DamagedError, NotReadyError, naming
from foundation.openpgp.frame import dearmored

LAUNCHER: Final = 32
MAGIC: Final = b"SIF_MAGIC\0"
HEAD: Final = LAUNCHER + len(MAGIC)
"""Bytes by which a file is known to be a SIF file."""
_PROGRAMS: Final = ("apptainer", "singularity")
_SECONDS: Final = 3600.0
_SHOWN: Final = 20

logger = logging.getLogger(__name__)


def require_sif(place: object, head: bytes) -> None:
    """Raises `DamagedError` unless something that begins like this is a SIF file."""
    if head[LAUNCHER:HEAD] != MAGIC:
        raise DamagedError(f"{place}: is no SIF file; it begins with {head[:_SHOWN]!r}")


def require_sif_file(path: Path) -> None:
    """The same of a file. Raises `DamagedError` and `FileAccessError`."""
    with naming(path), path.open("rb") as stream:
        require_sif(path, stream.read(HEAD))


def sign_sif(path: Path, private: bytes, public: bytes) -> None:
    """Put the signature of a key into a SIF file, and verify it.

    The key is in a folder that nobody else reads, for as long as this takes; no argument holds any of it. Raises
    `NotReadyError` if there is no program that signs, and `CouldNotAskError`.
    """
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if program is None:
        raise NotReadyError("apptainer: is not installed, and signs SIF files; install it, or say --no-sif-signature")
    with _key_rings({"pgp-secret": private, "pgp-public": public}) as environment:
        # Its questions would be about a passphrase.
        _run([program, "sign", str(path)], environment, "a key with a passphrase cannot sign here")
        _run([program, "verify", "--local", str(path)], environment, "are both keys halves of the same?")
    logger.info("%s: signed as a SIF file", path.name)


def _run(argv: Iterable[str], environment: dict[str, str], hint: str) -> None:
    try:
        run(list(argv), seconds=_SECONDS, environment=environment)
    except ProcessError as error:
        raise CouldNotAskError(f"{error}; {hint}") from None


@contextmanager
def _key_rings(rings: dict[str, bytes]) -> Iterator[dict[str, str]]:
    """The variables with which Apptainer and SingularityCE know these keys and no others."""
    with tempfile.TemporaryDirectory(prefix="jc-sif-keys-") as folder:
        for name, armored in rings.items():
            ring = Path(folder) / name
            ring.touch(mode=0o600)
            ring.write_bytes(dearmored(armored))
        yield {f"{tool}_KEYSDIR": folder for tool in ("APPTAINER", "SINGULARITY")}
