"""What stands below `compilers:` (lib/spack/spack/schema/compilers.py of v0.21 to v1.1)."""

from __future__ import annotations

from typing import Final

from foundation.spack.sections.shape import Anything, Either, Empty, Keys, ListOf, Shape, Switch, Text

_TEXTS: Final = ListOf(Text())
_TEXT_OR_NOTHING: Final = Either((Text(), Empty()))
_PROGRAMS: Final = ("cc", "cxx", "f77", "fc")
_FLAGS: Final = ("cflags", "cxxflags", "fflags", "cppflags", "ldflags", "ldlibs")
COMPILERS: Final[Shape] = ListOf(
    Keys(
        {
            "compiler": Keys(
                {
                    "paths": Keys(dict.fromkeys(_PROGRAMS, _TEXT_OR_NOTHING), required=_PROGRAMS),
                    "flags": Keys(dict.fromkeys(_FLAGS, _TEXT_OR_NOTHING)),
                    **dict.fromkeys(("spec", "operating_system", "target"), Text()),
                    "alias": _TEXT_OR_NOTHING,
                    "modules": Either((_TEXTS, Empty())),
                    "implicit_rpaths": Either((_TEXTS, Switch())),
                    "environment": Keys(others=Anything()),
                    "extra_rpaths": _TEXTS,
                },
                required=("paths", "spec", "modules", "operating_system"),
            )
        }
    )
)
