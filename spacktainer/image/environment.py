"""Turns `spack env activate` into a script for POSIX shells that needs no Spack: `environment.py FOLDER > SCRIPT`.

The script may be read any number of times and in any environment: entries of lists are added where they are missing,
variables that are set already keep their value. How Spack changes a variable is learnt by activating the environment
twice: as it is, and with a marker in every variable that changed.

Runs with the builder image's Python, hence without dependencies.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from shlex import quote

_MARKER = "/spacktainers-marker"
_OF_THE_SHELL = {"_", "PWD", "OLDPWD", "SHLVL", "PS1"}


def script(folder: str, spack: str = "spack") -> str:
    """The script for the environment in `folder`. Raises `subprocess.CalledProcessError` when Spack fails."""
    before = {name: os.environ[name] for name in ("PATH", "HOME", *_spack_settings()) if name in os.environ}
    plain = _activated(spack, folder, before)
    changed = sorted(name for name in plain if plain[name] != before.get(name) and _is_kept(name))
    markers = {name: before.get(name, _MARKER) for name in changed}
    marked = _activated(spack, folder, {**before, **markers})
    lines = [line for name in changed for line in _lines(name, marked.get(name, ""), markers[name], plain[name])]
    return "\n".join(["# The environment of this container, for POSIX shells.", *lines, ""])


def _spack_settings() -> list[str]:
    return [name for name in os.environ if name.startswith("SPACK_") and name not in ("SPACK_ENV", "SPACK_ENV_VIEW")]


def _is_kept(name: str) -> bool:
    return name not in _OF_THE_SHELL and not name.startswith("SPACK_")


def _activated(spack: str, folder: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables after Spack's commands ran in a shell that had those of `environment`."""
    commands = _output([spack, "env", "activate", "--sh", folder], environment)
    printed = _output(["/bin/sh", "-c", 'eval "$1"; exec /usr/bin/env -0', "sh", commands], environment)
    return dict(entry.split("=", 1) for entry in printed.split("\0") if entry)


def _output(command: list[str], environment: Mapping[str, str]) -> str:
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)  # noqa: S603
    return os.fsdecode(done.stdout)


def _lines(name: str, marked: str, marker: str, plain: str) -> Iterator[str]:
    """What the script says about one variable, given its values after an activation with and without a marker."""
    first, found, last = marked.partition(marker)
    if not found:
        yield f'[ -n "${{{name}+set}}" ] || export {name}={quote(plain)}'
        return
    # What stands next to the marker is the separator.
    for entry in reversed(first[:-1].split(first[-1]) if first else []):
        yield from _added(name, entry, first[-1], "first")
    for entry in last[1:].split(last[0]) if last else []:
        yield from _added(name, entry, last[0], "last")


def _added(name: str, entry: str, separator: str, place: str) -> Iterator[str]:
    """Lines that add an entry to a list which lacks it."""
    if place == "first":
        value = quote(entry) + f'"${{{name}:+{separator}${name}}}"'
    else:
        value = f'"${{{name}:+${name}{separator}}}"' + quote(entry)
    yield f'case {quote(separator)}"${{{name}-}}"{quote(separator)} in'
    yield f"  *{quote(separator + entry + separator)}*) ;;"
    yield f"  *) export {name}={value} ;;"
    yield "esac"


if __name__ == "__main__":
    sys.stdout.buffer.write(os.fsencode(script(sys.argv[1])))
