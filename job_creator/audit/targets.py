"""What the targets of Spack let compilers use, as far as instructions are told apart here. Pure.

Source: archspec's `microarchitectures.json`, and the x86-64 psABI, "Micro-Architecture Levels". Of targets that are no
level of that, lockfiles hold the features themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_V3: Final = frozenset(("avx", "avx2", "fma", "f16c"))
_V4: Final = _V3 | frozenset(("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"))
LEVELS: Final[Mapping[str, frozenset[str]]] = {
    "x86_64": frozenset(),
    "x86_64_v2": frozenset(),
    "x86_64_v3": _V3,
    "x86_64_v4": _V4,
}


def features_of(node: Mapping[str, Any]) -> tuple[str, frozenset[str] | None]:
    """The target of a concrete spec, and its features in lower case without underscores; `None` if they are unknown."""
    target = (node.get("arch") or {}).get("target") or ""
    if isinstance(target, Mapping):
        name = str(target.get("name", ""))
        found = frozenset(str(one).lower().replace("_", "") for one in target.get("features", ()))
        return name, found or None
    return str(target), LEVELS.get(str(target))
