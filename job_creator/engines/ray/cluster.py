"""A cluster of Ray on this machine, for one run.

Whoever has the token may run anything as this user, so it is in a file that only the user reads, made for the run.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import socket
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from foundation.errors import NotReadyError, naming

_HERE: Final = "127.0.0.1"
_LONGEST_FOLDER: Final = 40
"""Characters of the path in which Ray has its folder: those of sockets have at most 107."""


def require_ray() -> None:
    """Raise `NotReadyError` if Ray is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise NotReadyError("ray: is not installed; install the extra of that name: pip install 'spacktainers[ray]'")


def variables_of(token: Path) -> dict[str, str]:
    """What processes of Ray have to know, with the file of a token. Nothing is reported to anybody."""
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token.absolute()),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_health_check_period_ms": "1000",
        "RAY_health_check_failure_threshold": "5",
    }


def new_token(path: Path) -> None:
    """Make a token that only this user reads."""
    with naming(path):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(handle, secrets.token_hex(32).encode())
        os.close(handle)


def start_command(address: str, cores: int | None, *, is_head: bool) -> tuple[str, ...]:
    """The program of a node of Ray, which runs until it is ended. Without `cores`, it takes all of its machine's."""
    host, _, port = address.rpartition(":")
    of_head = ["--head", f"--port={port}", f"--node-ip-address={host}", "--include-dashboard=false"]
    counted = [] if cores is None else [f"--num-cpus={cores}"]
    where = of_head if is_head else [f"--address={address}"]
    program = (sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats")
    return (*program, *where, *counted)


@dataclass(frozen=True)
class RayCluster:
    """A cluster that is to be started."""

    address: str
    parts: tuple[tuple[tuple[str, ...], str], ...]
    """Programs that run as long as it does, each with the file that gets what it prints; the head is the first one."""
    variables: Mapping[str, str]
    """All of their environment."""
    folder: Path
    """Where Ray has its sockets and logs."""


def new_cluster(environment: Mapping[str, str], cores: int | None, folder: Path) -> RayCluster:
    """A cluster of one run on this machine, with a new token in the run's folder.

    `environment` is what its processes see, besides what Ray has to know. Raises `NotReadyError` where Ray is not
    installed.
    """
    require_ray()
    parent = tempfile.gettempdir()
    short = parent if len(parent) <= _LONGEST_FOLDER else "/tmp"  # noqa: S108 - the folder in it is new, and ours alone
    own = Path(tempfile.mkdtemp(prefix="jc-ray-", dir=short))
    token = folder / "ray-token"
    new_token(token)
    with socket.create_server((_HERE, 0)) as free:
        address = f"{_HERE}:{free.getsockname()[1]}"
    head = (*start_command(address, cores, is_head=True), f"--temp-dir={own}")
    return RayCluster(address, ((head, str(folder / "ray-head.log")),), {**environment, **variables_of(token)}, own)
