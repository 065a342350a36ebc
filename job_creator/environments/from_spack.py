"""What Spack says of an environment that it concretized; the job of that writes it beside the lockfile.

It asks by a program of `job_creator/scripts/templates`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from foundation.errors import Fault, InvalidInputError

FILE: Final = "from_spack.json"
QUESTIONS: Final = "inside_spack.py"
"""The program that asks."""


@dataclass(frozen=True, slots=True)
class FromSpack:
    """DAG hashes of the roots in the order in which the environment asks for them, and what cannot be made of it."""

    roots: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


def read_from_spack(content: bytes, path: str) -> FromSpack:
    """Read such a file; `path` only names it. Raises `InvalidInputError`."""
    try:
        value = json.loads(content)
        return FromSpack(tuple(str(root["hash"]) for root in value["roots"]), tuple(map(str, value["faults"])))
    except (ValueError, TypeError, KeyError, RecursionError):
        raise InvalidInputError([Fault(path, 1, 1, "is not what the job of an environment writes")]) from None


def write_from_spack(roots: Iterable[tuple[str, str]]) -> bytes:
    """What the job writes of an environment without faults: spec and DAG hash of each root, in order."""
    return json.dumps({"roots": [{"spec": spec, "hash": hash_} for spec, hash_ in roots], "faults": []}).encode()
