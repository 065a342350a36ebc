"""Logins at registries, from the file in which `docker login`, `skopeo login` and `buildah login` keep them.

Source: "Authentication file", containers-auth.json(5) of containers/image.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foundation.doors.files import read_file
from foundation.errors import Fault, InvalidInputError


def logins(environment: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """User and password by registry host; none where there is no file. Raises `InvalidInputError`.

    `REGISTRY_AUTH_FILE` or `DOCKER_CONFIG` says where it is. What a program keeps for it is not asked for.
    """
    named = environment.get("REGISTRY_AUTH_FILE")
    folder = environment.get("DOCKER_CONFIG") or str(Path(environment.get("HOME") or Path.home()) / ".docker")
    path = Path(named) if named else Path(folder) / "config.json"
    if not path.is_file():
        return {}
    try:
        entries = json.loads(read_file(path)).get("auths") or {}
        return {host: login for host, entry in entries.items() if (login := _login(entry))}
    except (ValueError, AttributeError, TypeError):
        # Not what was wrong: that would show what is in it.
        raise InvalidInputError(
            [Fault(str(path), 1, 1, "holds no logins at registries as 'docker login' does")]
        ) from None


def _login(entry: Mapping[str, Any]) -> tuple[str, str] | None:
    if not entry.get("auth"):
        return None
    user, _, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
    return user, password
