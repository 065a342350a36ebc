"""Turns `spack env activate` into a script for POSIX shells that needs no Spack: `environment.py FOLDER OWN > SCRIPT`.

In an environment that it was not read in yet, the script makes of lists what Spack makes of them. It may be read any
number of times: a list that has all of the container's entries is left as it is. Variables that are set already keep
their value, but for those that a recipe or `env_vars` unsets, for PATH, which is always set, and for values that the
runtime image has by itself. OWN has these as a JSON object; where there is no such file, they are not known.

Runs with the builder image's Python, hence without dependencies. Spack is asked by `modifications.py`, beside this.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

HEADER = """\
# The environment of this container, for POSIX shells.
# shellcheck disable=SC2329
# Engines say that / is the home of a user whom they do not know.
if [ "${HOME:-/}" = / ] && [ ! -w / ]; then
  if [ -w /home/user ]; then export HOME=/home/user; else export HOME="${TMPDIR:-/tmp}"; fi
fi
"""
"""Not every container has use for all functions. The runtime image has a home for everybody (`runtime/make.sh`)."""

HERE = "/opt/spack-environment/environment.sh"
"""Where the script is in a container; Bash is told so by BASH_ENV."""

READ = "SPACKTAINERS_ENVIRONMENT_READ"
"""Says that the script was read."""

FUNCTIONS = """\
# Lists are changed as Spack changes them (lib/spack/spack/util/environment.py). _st_v is the value, _st_s what stands
# between its entries, _st_e an entry, _st_o the entries that stay, and _st_i says whether there are any.
_st_prepend() { _st_v=$1${_st_v:+$_st_s$_st_v}; }
_st_append() { _st_v=${_st_v:+$_st_v$_st_s}$1; }
_st_has() { case $_st_s$_st_v$_st_s in *"$_st_s$1$_st_s"*) return 0 ;; esac; return 1; }
_st_each() {
  _st_l=$_st_v$_st_s _st_o='' _st_i=''
  while [ -n "$_st_l" ]; do
    _st_e=${_st_l%%"$_st_s"*} _st_l=${_st_l#*"$_st_s"}
    "$@"
  done
  _st_v=$_st_o
}
_st_put() {
  if [ -n "$_st_i" ]; then _st_o=$_st_o$_st_s$_st_e; else _st_o=$_st_e; fi
  _st_i=yes
}
# An entry without what is too much in a path, as os.path.normpath of Python has it.
_st_norm() {
  case $_st_e in ///*) _st_r=/ ;; //*) _st_r=// ;; /*) _st_r=/ ;; *) _st_r='' ;; esac
  case /${_st_e#"$_st_r"}/ in *//* | */./* | */../*) ;; *) return 0 ;; esac
  _st_t=$_st_e/ _st_n=''
  while [ -n "$_st_t" ]; do
    _st_p=${_st_t%%/*} _st_t=${_st_t#*/}
    case $_st_p in
      '' | .) ;;
      ..)
        case $_st_n in
          '' | .. | */..) if [ -z "$_st_r" ]; then _st_n=${_st_n:+$_st_n/}..; fi ;;
          */*) _st_n=${_st_n%/*} ;;
          *) _st_n='' ;;
        esac
        ;;
      *) _st_n=${_st_n:+$_st_n/}$_st_p ;;
    esac
  done
  _st_e=$_st_r$_st_n
  if [ -z "$_st_e" ]; then _st_e=.; fi
}
_st_unique() {
  _st_norm
  case $_st_i$_st_s$_st_o$_st_s in yes*"$_st_s$_st_e$_st_s"*) ;; *) _st_put ;; esac
}
_st_not() { if [ "$_st_e" != "$1" ]; then _st_put; fi; }
_st_not_path() { if [ "$_st_e" != "$1" ]; then _st_norm && _st_put; fi; }
_st_not_first() {
  _st_norm
  if [ -z "$_st_f" ] && [ "$_st_e" = "$1" ]; then _st_f=found; else _st_put; fi
}
_st_turned() {
  if [ -n "$_st_i" ]; then _st_o=$_st_e$_st_s$_st_o; else _st_o=$_st_e; fi
  _st_i=yes
}
_st_of_system() {
  _st_norm
  case $_st_e in
    / | /bin | /bin64 | /include | /lib | /lib64) _st_k=system ;;
    /usr | /usr/bin | /usr/bin64 | /usr/include | /usr/lib | /usr/lib64) _st_k=system ;;
    /usr/local | /usr/local/bin | /usr/local/bin64 | /usr/local/include | /usr/local/lib | /usr/local/lib64)
      _st_k=system ;;
    *) _st_k=own ;;
  esac
  if [ "$_st_k" = "$1" ]; then _st_put; fi
}
"""
LEFT_OVER = """\
unset -v _st_v _st_s _st_e _st_o _st_i _st_l _st_r _st_t _st_n _st_p _st_f _st_k _st_w
unset -f _st_prepend _st_append _st_has _st_each _st_put _st_norm _st_unique _st_not _st_not_path _st_not_first
unset -f _st_turned _st_of_system
"""
# Where a list is empty, Spack removes from one empty entry, but prunes nothing.
COMMANDS = {
    "AppendFlagsEnv": "_st_append {}",
    "AppendPath": "_st_append {}",
    "PrependPath": "_st_prepend {}",
    "RemoveFlagsEnv": 'if [ -n "$_st_v" ]; then _st_each _st_not {}; fi',
    "RemovePath": "_st_each _st_not_path {}",
    "RemoveFirstPath": "_st_f=''; _st_each _st_not_first {}",
    "RemoveLastPath": "_st_each _st_turned; _st_f=''; _st_each _st_not_first {}; _st_each _st_turned",
    "PruneDuplicatePaths": 'if [ -n "$_st_v" ]; then _st_each _st_unique; fi',
    "DeprioritizeSystemPaths": (
        'if [ -n "$_st_v" ]; then _st_w=$_st_v; _st_each _st_of_system own; _st_f=$_st_v; _st_v=$_st_w;'
        " _st_each _st_of_system system; _st_w=$_st_v; _st_v=$_st_f;"
        ' if [ -n "$_st_w" ]; then _st_append "$_st_w"; fi; fi'
    ),
}
ADDING = ("AppendFlagsEnv", "AppendPath", "PrependPath")
REMOVING = ("RemoveFlagsEnv", "RemovePath", "RemoveFirstPath", "RemoveLastPath")

Step = tuple[str, str, str]


def script(records: Sequence[dict[str, Any]], own: Mapping[str, str]) -> str:
    """The script for what `modifications.py` says. Raises `ValueError` for names that shells do not know."""
    for record in records:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", record["name"]):
            raise ValueError(f"{record['name']!r} is no name of a variable")
    lists = [record for record in records if "steps" in record]
    lines = [line for record in records if "steps" not in record for line in _replaced(**record)]
    changed = [line for record in lists for line in _changed(**record)]
    parts = [FUNCTIONS, *(f"{line}\n" for line in changed), LEFT_OVER] if changed else []
    return "".join([HEADER, *_forgotten(records, own), *(f"{line}\n" for line in lines), *parts])


def _forgotten(records: Sequence[dict[str, Any]], own: Mapping[str, str]) -> Iterator[str]:
    """Lines that unset what Spack sets and the runtime image has by itself, the first time that the script is read.

    Later the same value is one that somebody chose in the container.
    """
    names = [record["name"] for record in records if record.get("kind") in ("SetEnv", "SetPath")]
    if found := [name for name in names if name in own]:
        yield f'if [ -z "${{{READ}+set}}" ]; then\n'
        yield from (f'  [ "${{{name}-}}" != {quote(own[name])} ] || unset {name}\n' for name in found)
        yield f"  export {READ}=yes\nfi\n"


def _replaced(name: str, value: str | None, kind: str) -> Iterator[str]:
    """Lines for a variable whose old value does not matter."""
    if value is None:
        # Apptainer, whose variable that is, gives back what the host has of variables that are not set, but not of
        # empty ones (restore_env in its action script).
        yield f"""if [ -n "${{__exported_env__+set}}" ]; then export {name}=''; else unset {name}; fi"""
        return
    value = _with_system_manuals(name, value)
    if kind == "UnsetEnv" or name == "PATH":
        yield f"export {name}={quote(value)}"
    elif name == "BASH_ENV":
        yield f'case "${{BASH_ENV-}}" in "" | {HERE}) export BASH_ENV={quote(value)} ;; esac'
    else:
        yield f'[ -n "${{{name}+set}}" ] || export {name}={quote(value)}'


def _changed(name: str, steps: Sequence[Sequence[str]], alone: str) -> Iterator[str]:
    """Lines for a variable whose old value is changed."""
    steps = [(kind, argument, separator) for kind, argument, separator in steps]
    yield f"_st_v=${{{name}-}}"
    is_done = list(_is_done(steps, alone))
    if name == "MANPATH":
        if is_done:
            is_done.append('[ "${_st_v%:}" != "$_st_v" ]')
        else:
            yield "_st_v=${_st_v%:}"
    if is_done:
        as_if_alone = f'[ "$_st_v" = {quote(_with_system_manuals(name, alone))} ]'
        yield f"if {as_if_alone} || {{ {' && '.join(is_done)}; }}; then :; else"
    separator = None
    for kind, argument, wanted in steps:
        if wanted != separator:
            yield f"_st_s={quote(wanted)}"
            separator = wanted
        yield COMMANDS[kind].format(quote(argument))
    if name == "MANPATH":
        yield "case $_st_v in *:) ;; *) _st_v=$_st_v: ;; esac"
    yield f'export {name}="$_st_v"'
    if is_done:
        yield "fi"


def _is_done(steps: Sequence[Step], alone: str) -> Iterator[str]:
    """Conditions under which a list has been changed: it has all that is added, and nothing that is removed.

    None where nothing is added: to remove something again does no harm.
    """

    def is_there(step: Step) -> bool:
        return f"{step[2]}{step[1]}{step[2]}" in f"{step[2]}{alone}{step[2]}"

    added = [step for step in steps if step[0] in ADDING]
    # What Spack prunes is a path afterwards.
    added += [(kind, os.path.normpath(argument), separator) for kind, argument, separator in added]
    kept = dict.fromkeys((argument, separator) for kind, argument, separator in filter(is_there, added))
    gone = dict.fromkeys(step[1:] for step in steps if step[0] in REMOVING and not is_there(step))
    if kept:
        yield from (f"{{ _st_s={quote(separator)}; _st_has {quote(argument)}; }}" for argument, separator in kept)
        yield from (f"{{ _st_s={quote(separator)}; ! _st_has {quote(argument)}; }}" for argument, separator in gone)


def _with_system_manuals(name: str, value: str) -> str:
    """An empty entry at the end of MANPATH, which Spack adds, stands for the system's own manual pages."""
    return f"{value}:" if name == "MANPATH" and not value.endswith(":") else value


def _asked(folder: str, spack: str = "spack") -> list[dict[str, Any]]:
    """What Spack says. Raises `subprocess.CalledProcessError` when it fails."""
    # Of another environment that is active here Spack would take the leave.
    variables = {name: value for name, value in os.environ.items() if name not in ("SPACK_ENV", "SPACK_ENV_VIEW")}
    command = [spack, "python", str(Path(__file__).with_name("modifications.py")), folder]
    done = subprocess.run(command, env=variables, check=True, stdout=subprocess.PIPE)  # noqa: S603
    answer: list[dict[str, Any]] = json.loads(done.stdout)
    return answer


if __name__ == "__main__":
    of_runtime = Path(sys.argv[2])
    known = json.loads(of_runtime.read_text(encoding="utf-8")) if of_runtime.is_file() else {}
    sys.stdout.buffer.write(os.fsencode(script(_asked(sys.argv[1]), known)))
