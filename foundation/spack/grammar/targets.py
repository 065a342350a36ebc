"""Names of microarchitectures, which Spack calls targets.

Source: the data of archspec that Spack v0.21 to v1.1 come with (`spack arch --known-targets`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

_TABLE: Final = """
a64fx armv8.2a; aarch64; arm; armv8.1a aarch64; armv8.2a armv8.1a; armv8.3a armv8.2a; armv8.4a armv8.3a; armv8.5a
armv8.4a; armv8.6a armv8.5a; armv9.0a armv8.5a; broadwell haswell; bulldozer x86_64_v2; cannonlake skylake;
cascadelake skylake_avx512; core2 nocona; cortex_a72 aarch64; excavator steamroller x86_64_v3; haswell ivybridge
x86_64_v3; i686 x86; icelake cascadelake cannonlake; ivybridge sandybridge; k10 x86_64; m1 armv8.4a; m2 m1 armv8.5a;
m3 m2 armv8.6a; m4 m3 armv8.6a; mic_knl broadwell; nehalem core2 x86_64_v2; neoverse_n1 cortex_a72 armv8.2a;
neoverse_n2 neoverse_n1 armv9.0a; neoverse_v1 neoverse_n1 armv8.4a; neoverse_v2 neoverse_n1 armv9.0a; nocona x86_64;
pentium2 i686; pentium3 pentium2; pentium4 pentium3; piledriver bulldozer; power10 power9; power10le power9le; power7
ppc64; power8 power7; power8le ppc64le; power9 power8; power9le power8le; ppc; ppc64; ppc64le; ppcle; prescott
pentium4; riscv64; sandybridge westmere; sapphirerapids icelake; skylake broadwell; skylake_avx512 skylake x86_64_v4;
sparc; sparc64; steamroller piledriver; thunderx2 armv8.1a; u74mc riscv64; westmere nehalem; x86; x86_64; x86_64_v2
x86_64; x86_64_v3 x86_64_v2; x86_64_v4 x86_64_v3; zen x86_64_v3; zen2 zen; zen3 zen2; zen4 zen3 x86_64_v4; zen5 zen4
"""
_PARENTS: Final[Mapping[str, tuple[str, ...]]] = {
    name: tuple(parents) for name, *parents in (row.split() for row in _TABLE.split(";"))
}
"""What each target has all features of."""
TARGETS: Final = frozenset(_PARENTS)
"""On any of these lines of Spack."""

_FAMILIES: Final = {"amd64": "x86_64", "arm64": "aarch64", "386": "x86", "arm": "arm"}
"""What OCI calls otherwise. A family is a target without features, which has the name of its architecture."""
OF_THIS_MACHINE: Final = frozenset({"default_target", "frontend", "fe", "backend", "be"})
"""What Spack replaces by the target of the machine that it runs on."""
_ANY: Final = frozenset({"", "*", "None"})


def unknown_targets(text: str) -> tuple[str, ...]:
    """The names in `target=…` that no line of Spack knows; lists and ranges are taken apart."""
    names = re.split(r"[,:]", text)
    return tuple(one for one in names if one not in TARGETS and one not in OF_THIS_MACHINE | _ANY)


def meant_target(name: str) -> str:
    """What to write instead of the name of no target."""
    close = difflib.get_close_matches(name, sorted(TARGETS), n=1)
    return f"did you mean {close[0]!r}?" if close else "'spack arch --known-targets' lists them"


@lru_cache(maxsize=1024)
def runs_on(name: str, parents: tuple[str, ...] = ()) -> frozenset[str]:
    """A target and all that it has every feature of.

    `parents` are those of one that is not in the table, as Spack writes them down with it. Raises `LookupError` for one
    of which nobody says that.
    """
    if name not in TARGETS and not parents:
        raise LookupError(name)
    return frozenset({name}).union(*(runs_on(one) for one in _PARENTS.get(name, parents)))


def is_target_among(name: str, text: str, parents: Iterable[str] = ()) -> bool:
    """Whether a target is one of those in `target=…`: a name, a range, or a list of both.

    A range holds what has all features of its first end and none beyond those of its last one. Raises `LookupError` for
    a target of which nothing is known.
    """
    for one in text.split(","):
        low, is_range, high = one.partition(":")
        if not is_range:
            if name == low:
                return True
        elif (not low or runs_on(low) <= runs_on(name, tuple(parents))) and (
            not high or runs_on(name, tuple(parents)) <= runs_on(high)
        ):
            return True
    return False


def runs_on_platform(name: str, platform: str) -> bool:
    """Whether machines of an architecture of OCI (`amd64`) can have a target, as far as the table knows both."""
    family = _FAMILIES.get(platform, platform)
    if name not in TARGETS or family not in TARGETS:
        return True
    return family in runs_on(name)
