"""The images that a Dockerfile takes files from or builds on.

Source: Docker's "Dockerfile reference", on FROM, COPY --from and RUN --mount.
"""

from __future__ import annotations

import re
from typing import Final

from foundation.errors import Fault
from job_creator.definitions.epilogue import instructions

_STAGE: Final = re.compile(r"\S+\s+AS\s+(\S+)", re.IGNORECASE)
_TAKEN: Final = re.compile(r"--(?:from=|mount=(?:\S+,)?from=)([^\s,]+)")


def images_of(dockerfile: str) -> tuple[str, ...]:
    """All of them, once each and in their order; stages of its own, numbers and what a variable decides are none."""
    stages, found = {"scratch"}, []
    for instruction in instructions(dockerfile, "Dockerfile"):
        if isinstance(instruction, Fault):
            continue
        words = [word for word in instruction.arguments.split() if not word.startswith("--")]
        taken = _TAKEN.findall(instruction.arguments) if instruction.name in ("COPY", "RUN") else []
        if instruction.name == "FROM":
            taken += words[:1]
        found += [image for image in taken if image not in stages and "$" not in image and not image.isdigit()]
        if instruction.name == "FROM" and (named := _STAGE.fullmatch(" ".join(words))):
            stages.add(named[1])
    return tuple(dict.fromkeys(found))
