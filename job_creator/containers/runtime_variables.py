"""The ENV of a runtime image, as the script reads it that makes that of a container on it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

RUNTIME_VARIABLES: Final = "runtime_variables.json"


def runtime_variables_file(variables: Mapping[str, str]) -> bytes:
    """The content of that file. It follows from the digest of the image, and so is no part of what a container is."""
    return json.dumps(dict(variables), indent=1).encode()
