"""Asks a Spack which sections its schema takes, and writes its verdicts down anew.

    SPACK_PYTHON tests/record_schemas.py SPACK_ROOT tests/data/spack_schemas/spack-1.1.json

Runs in Spack's interpreter and imports nothing of ours. The sections are those of the file: the schemas' own keys,
changed at random places: another kind of value, a letter more or less, something missing.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def accepted(texts: list[str]) -> list[bool]:
    """Whether Spack takes each environment, as it does when it reads one (`_read_yaml` of spack.environment)."""
    from spack.config import ConfigFormatError, validate  # type: ignore[import-not-found]
    from spack.schema.env import schema  # type: ignore[import-not-found]
    from spack.util.spack_yaml import load_config  # type: ignore[import-not-found]

    verdicts = []
    for text in texts:
        try:
            validate(load_config(text), schema, None)
        except ConfigFormatError:
            verdicts.append(False)
        else:
            verdicts.append(True)
    return verdicts


if __name__ == "__main__":
    root, file = sys.argv[1:]
    sys.path[:0] = [f"{root}/lib/spack/{folder}" for folder in ("", "external", "external/_vendoring", "spack/vendor")]
    recorded: dict[str, Any] = json.loads(Path(file).read_text())
    texts = [one["text"] for one in recorded["sections"]]
    recorded["sections"] = [
        {"text": text, "accepted": verdict} for text, verdict in zip(texts, accepted(texts), strict=True)
    ]
    Path(file).write_text(json.dumps(recorded, indent=0))
