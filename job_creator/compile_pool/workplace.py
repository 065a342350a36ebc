"""The folder of a pool: its socket, and the program `ccache` that passes compiles on.

Spack's compiler wrapper puts the `ccache` that it finds before every compiler of C and C++ (`config:ccache`), which
changes neither a recipe nor a hash. Source: `build_environment.py` (`SPACK_CCACHE_BINARY`) and the wrapper `cc.sh` of
Spack v0.21 to v1.1.
"""

from __future__ import annotations

import py_compile
import shlex
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from foundation.errors import naming

CLIENT: Final = Path(__file__).with_name("client.py")
_LONGEST: Final = 90
"""Characters of the path of a socket; 107 is the most that systems allow."""


@contextmanager
def pool_folder() -> Iterator[Path]:
    """A folder that only this user enters, and that is gone afterwards."""
    parent = tempfile.gettempdir()
    if len(parent) > _LONGEST - len("/jc-pool-12345678/socket"):
        parent = "/tmp"  # noqa: S108 - the folder in it is new, and ours alone
    with tempfile.TemporaryDirectory(prefix="jc-pool-", dir=parent) as name:
        yield Path(name)


def socket_of(folder: Path) -> Path:
    """Where the pool's server listens."""
    return folder / "socket"


def write_front(folder: Path, words: Sequence[str]) -> Path:
    """Write a program `ccache` that runs these words and then its arguments; returns the folder that it is in."""
    place = folder / "bin"
    with naming(place):
        place.mkdir()
        front = place / "ccache"
        front.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', encoding="utf-8")
        front.chmod(0o700)
    return place


def client_words(folder: Path) -> list[str]:
    """The program that asks the pool. Python would compile it anew each time, where it is no module."""
    compiled = folder / "client.pyc"
    with naming(compiled):
        py_compile.compile(str(CLIENT), str(compiled), doraise=True)
    return [sys.executable, "-SE", str(compiled), str(socket_of(folder))]


def surroundings(bin_: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a command whose compiles go to the pool: `ccache` is ours, and CMake puts it first."""
    path = environment.get("PATH", "")
    launchers = {f"CMAKE_{language}_COMPILER_LAUNCHER": str(bin_ / "ccache") for language in ("C", "CXX")}
    return {**environment, **launchers, "PATH": f"{bin_}:{path}" if path else str(bin_)}


def with_ccache(command: Sequence[str]) -> list[str]:
    """A command of Spack with the setting that puts `ccache` before compilers; others as they are."""
    if Path(command[0]).name == "spack" and not any("config:ccache" in word for word in command):
        return [command[0], "-c", "config:ccache:true", *command[1:]]
    return list(command)
