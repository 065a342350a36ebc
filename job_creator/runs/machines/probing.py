"""What is looked at on this machine before packages are given to any other: it would fail there a hundred times."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from foundation.doors.processes import ProcessError
from foundation.errors import NotReadyError, RefusedError
from foundation.spack.program import SpackProgram
from foundation.stores.schemes import BUCKET, FOLDER, kind_of, path_of

_CERTIFICATES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO")
_SECONDS: Final = 300.0


def require_ready(spack: SpackProgram, mirror: str, variables: Mapping[str, str]) -> None:
    """Look at what all builds need. `variables` are those that they see.

    Raises `NotReadyError` for certificates that cannot be read and for a Spack that cannot speak to buckets, and
    `RefusedError` for a build cache that may not be written to.
    """
    for name in _CERTIFICATES:
        if variables.get(name) and not os.access(variables[name], os.R_OK):
            raise NotReadyError(f"{name}: {variables[name]} cannot be read; nothing could be fetched with it")
    if kind_of(mirror) is FOLDER:
        folder = Path(path_of(mirror)).absolute()
        there = next(one for one in (folder, *folder.parents) if one.exists())
        if not os.access(there, os.W_OK):
            raise RefusedError(f"{there}: may not be written to, so no package could be pushed to {folder}")
    if kind_of(mirror) is BUCKET:
        try:
            spack.run("python", "-c", "import boto3", seconds=_SECONDS)
        except ProcessError as error:
            how = "install boto3 for it, or name another Python with SPACK_PYTHON"
            raise NotReadyError(f"{spack.program}: cannot read buckets; {how} ({error})") from None
