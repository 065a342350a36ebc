"""What kind of failure an error of Spack is. Pure.

Source: the classes of errors in lib/spack/spack (error.py, repo.py, spec.py, solver/asp.py, variant.py) of Spack v0.21
to v1.1, and what the solver says (`error_messages.lp`).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

CLASSES: Final = ("unsatisfiable", "unknown", "time-out", "crash")
"""Why something could not be concretized: no choice fits; there is no such package or variant; it took too long;
anything else."""

_UNKNOWN: Final = frozenset(
    [
        *("UnknownEntityError", "UnknownPackageError", "UnknownNamespaceError", "FailedConstructorError"),
        *("InvalidVariantNameError", "UnknownVariantError", "NoSuchVariantError", "NoSuchSpecFileError"),
    ]
)
_UNSATISFIABLE: Final = frozenset(
    [
        *("UnsatisfiableSpecError", "UnsatisfiableProviderSpecError", "ConflictsInSpecError", "SolverError"),
        *("InvalidVariantValueError", "InvalidVariantForSpecError", "InvalidDependencyError", "NoProviderError"),
        *("NoValidVersionError", "InvalidExternalError", "DeprecatedVersionError"),
    ]
)
_NO_SUCH: Final = re.compile(
    r"since '[^']*'(, '[^']*')* do(es)? not exist|[Nn]o such variant|Package '[^']*' not found"
)
"""How the solver words that something is not there, where it only says that it found no solution."""


def class_of(kinds: Collection[str], message: str) -> str:
    """One of `CLASSES`, by the names of an error's classes and what it says."""
    if _UNKNOWN & set(kinds) or (_UNSATISFIABLE & set(kinds) and _NO_SUCH.search(message)):
        return "unknown"
    return "unsatisfiable" if _UNSATISFIABLE & set(kinds) else "crash"
