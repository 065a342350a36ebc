"""A cluster of Ray for one run: of this machine, or of machines that join a head on this one.

Whoever has the token may run anything as this user, so it is in a file that only the user reads, made for the run.
Machines that join find it in the folder of the run, and the address of the head beside it.
"""

from __future__ import annotations

import importlib.util
import os
import re
import secrets
import socket
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from foundation.doors.files import read_file
from foundation.doors.machine import seen_by_others
from foundation.errors import DamagedError, NotReadyError, naming

ADDRESS: Final = "ray-address"
"""The file in the folder of a run that has the head's address: once it is there, so is the token."""
TOKEN: Final = "ray-token"
_ADDRESS: Final = re.compile(r"[0-9A-Za-z.:\[\]-]+:[0-9]+")
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
        # A machine counts as lost after half a minute without a word: compilers leave little time to others.
        "RAY_health_check_period_ms": "3000",
        "RAY_health_check_failure_threshold": "10",
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
    # Any free port, since several nodes may be on one machine.
    ports = ["--min-worker-port=0", "--max-worker-port=0"]
    where = of_head if is_head else [f"--address={address}"]
    program = (sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats")
    return (*program, *where, *ports, *counted)


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
    told: Path | None = None
    """The file that gets its address when there is a head, for machines that join."""


def new_cluster(environment: Mapping[str, str], folder: Path, *, is_joined: bool) -> RayCluster:
    """A cluster of one run with a new token in the run's folder.

    Where it `is_joined`, this machine only has the head, and machines that call `joining` do the work. `environment` is
    what its processes see, besides what Ray has to know. Raises `NotReadyError` where Ray is not installed.
    """
    require_ray()
    parent = tempfile.gettempdir()
    short = parent if len(parent) <= _LONGEST_FOLDER else "/tmp"  # noqa: S108 - the folder in it is new, and ours alone
    own = Path(tempfile.mkdtemp(prefix="jc-ray-", dir=short))
    token = folder / TOKEN
    new_token(token)
    host = seen_by_others() if is_joined else _HERE
    with socket.create_server((host, 0)) as free:
        address = f"{host}:{free.getsockname()[1]}"
    head = (*start_command(address, 0 if is_joined else None, is_head=True), f"--temp-dir={own}")
    parts = ((head, str(folder / "ray-head.log")),)
    told = folder / ADDRESS if is_joined else None
    return RayCluster(address, parts, {**environment, **variables_of(token)}, own, told)


def joining(folder: Path, cores: int) -> tuple[tuple[str, ...], dict[str, str]] | None:
    """The program of a node that joins the cluster of a run, and what it has to know; `None` before there is one.

    Raises `NotReadyError` where Ray is not installed, `DamagedError`, `FileAccessError`.
    """
    require_ray()
    path = folder / ADDRESS
    if not path.is_file():
        return None
    address = read_file(path).decode("ascii", "replace").strip()
    if not _ADDRESS.fullmatch(address):
        raise DamagedError(f"{path}: holds no address")
    return start_command(address, cores, is_head=False), variables_of(folder / TOKEN)
