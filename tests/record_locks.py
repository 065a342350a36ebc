"""Makes the recording that the stand-in for Spack replays, from lockfiles of a real Spack.

    python -m tests.record_locks out/spack.lock.json.gz ENVIRONMENT/spack.lock ...

Earlier lockfiles win where two know a package. Only what the stand-in reads is kept.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

_KEPT = ("name", "version", "arch", "namespace", "package_hash", "dependencies", "hash")


def record(lockfiles: list[Path]) -> bytes:
    """The recording: roots by the text that the environments asked for, and nodes by DAG hash."""
    roots: dict[str, str] = {}
    nodes: dict[str, Any] = {}
    for path in lockfiles:
        lock = json.loads(path.read_bytes())
        for root in lock["roots"]:
            roots.setdefault(root["spec"], root["hash"])
        for hash_, node in lock["concrete_specs"].items():
            kept = {key: node[key] for key in _KEPT if key in node}
            if "external" in node:
                kept["external"] = {"path": "/usr", "module": None, "extra_attributes": {}}
            nodes.setdefault(hash_, kept)
    text = json.dumps({"roots": roots, "concrete_specs": nodes}, separators=(",", ":"), sort_keys=True)
    return gzip.compress(text.encode(), mtime=0)


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(record([Path(name) for name in sys.argv[2:]]))
