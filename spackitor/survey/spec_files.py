"""The files that describe one spec each, compressed or not."""

from __future__ import annotations

import gzip
import zlib
from typing import Final

from foundation.errors import DamagedError
from foundation.spack.specs import SpecFile, read_spec_file, spec_of
from foundation.stores.store import Content

_GZIP: Final = b"\x1f\x8b"


def spec_file_of(content: Content | None, hash_: str, place: str) -> SpecFile:
    """The spec file of this spec (of any, without a hash), compressed or not. Raises `DamagedError`."""
    if content is None:
        raise DamagedError(f"{place}: is not there")
    try:
        data = gzip.decompress(content.data) if content.data.startswith(_GZIP) else content.data
        file = read_spec_file(data, place)
        for node in file.nodes:
            spec_of(node)
        said = file.nodes[0]["hash"]
    except (OSError, EOFError, zlib.error, KeyError, TypeError, AttributeError):
        raise DamagedError(f"{place}: not a spec file of Spack") from None
    if hash_ and said != hash_:
        raise DamagedError(f"{place}: describes /{said}, not /{hash_}")
    return file
