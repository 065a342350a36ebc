"""Asks a Spack what its package repository has."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from foundation.doors.files import read_file
from foundation.doors.git import checked_out
from foundation.doors.processes import ProcessError
from foundation.errors import CouldNotAskError, NotReadyError, RefusedError
from foundation.spack.package_index import write_package_index
from foundation.spack.program import SpackProgram

SCRIPT: Final = Path(__file__).parent / "inside_spack.py"
_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class IndexBuilt:
    """An index, and what it is of."""

    content: bytes
    commit: str
    """Empty where only a ref is known."""
    refs: tuple[str, ...]
    packages: int
    virtuals: int


def build(spack: SpackProgram, ref: str = "", more_refs: tuple[str, ...] = ()) -> IndexBuilt:
    """The index of the recipes that a Spack uses; `ref` says of which they are where they are in no git checkout.

    `more_refs` name the same commit, though the checkout does not know them.

    Raises `CouldNotAskError` if Spack does not answer, `RefusedError` if the recipes are not those of their commit, and
    `NotReadyError` if nobody knows of which commit they are.
    """
    asked = _ask(spack)
    root = Path(asked["root"])
    found = checked_out(root)
    if found and found.is_changed:
        raise RefusedError(f"{root}: the recipes are not those of commit {found.commit}; commit or undo the changes")
    if not found and not ref:
        raise NotReadyError(f"{root}: is in no git checkout; say with --ref of which tag or commit its recipes are")
    commit = found.commit if found else ""
    refs = tuple(sorted({*(found.refs if found else (ref,)), *more_refs}))
    if found and ref and ref not in (*found.refs, commit):
        raise RefusedError(f"{root}: is at commit {commit}, which is not known as {ref}")
    return IndexBuilt(
        write_package_index(asked, commit, list(refs)), commit, refs, len(asked["packages"]), len(asked["virtuals"])
    )


def _ask(spack: SpackProgram) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="jc-index-") as name:
        output = Path(name) / "answer"
        try:
            spack.python(SCRIPT, str(output), seconds=_SECONDS)
            answer: dict[str, Any] = json.loads(read_file(output))
        except (ProcessError, ValueError) as error:
            raise CouldNotAskError(f"Spack could not say which packages there are: {error}") from None
    return answer
