"""The layouts of build caches: which object is what, and how an index is written. Pure; what they need is read before.

Sources: lib/spack/spack/binary_distribution.py of Spack v0.23.1 (v2), lib/spack/spack/url_buildcache.py of v1.1.0 (v3).
"""

from __future__ import annotations

from dataclasses import dataclass

from foundation.stores.store import ANYTHING


@dataclass(frozen=True, slots=True)
class Write:
    """An object to be written; `replaces` and `no_cache` as in `Store.write`."""

    key: str
    data: bytes
    replaces: str | None = ANYTHING
    no_cache: bool = False
