"""What stands below `container:` (lib/spack/spack/schema/container.py).

Which of its keys images are made after is told elsewhere.
"""

from __future__ import annotations

from typing import Final

from foundation.spack.sections.shape import Anything, Keys, ListOf, Shape, Switch, Text

_TEXTS: Final = ListOf(Text())
CONTAINER: Final[Shape] = Keys(
    {
        "format": Text(("docker", "singularity")),
        "labels": Keys(others=Anything()),
        "os_packages": Keys({"command": Anything(), "update": Switch(), "build": _TEXTS, "final": _TEXTS}),
        "singularity": Keys(others=Anything()),
    },
    others=Anything(),
)
