"""Names of microarchitectures, which Spack calls targets.

Source: the data of archspec that Spack v0.21 to v1.1 come with (`spack arch --known-targets`).
"""

from __future__ import annotations

import difflib
import re
from typing import Final

_NAMES: Final = """
a64fx aarch64 arm armv8.1a armv8.2a armv8.3a armv8.4a armv8.5a armv8.6a armv9.0a broadwell bulldozer cannonlake
cascadelake core2 cortex_a72 excavator haswell i686 icelake ivybridge k10 m1 m2 m3 m4 mic_knl nehalem neoverse_n1
neoverse_n2 neoverse_v1 neoverse_v2 nocona pentium2 pentium3 pentium4 piledriver power10 power10le power7 power8
power8le power9 power9le ppc ppc64 ppc64le ppcle prescott riscv64 sandybridge sapphirerapids skylake skylake_avx512
sparc sparc64 steamroller thunderx2 u74mc westmere x86 x86_64 x86_64_v2 x86_64_v3 x86_64_v4 zen zen2 zen3 zen4 zen5
"""
TARGETS: Final = frozenset(_NAMES.split())
"""On any of these lines of Spack."""

_OF_THIS_MACHINE: Final = frozenset({"default_target", "frontend", "fe", "backend", "be"})
_ANY: Final = frozenset({"", "*", "None"})


def unknown_targets(text: str) -> tuple[str, ...]:
    """The names in `target=…` that no line of Spack knows; lists and ranges are taken apart."""
    names = re.split(r"[,:]", text)
    return tuple(one for one in names if one not in TARGETS and one not in _OF_THIS_MACHINE | _ANY)


def meant_target(name: str) -> str:
    """What to write instead of the name of no target."""
    close = difflib.get_close_matches(name, sorted(TARGETS), n=1)
    return f"did you mean {close[0]!r}?" if close else "'spack arch --known-targets' lists them"
