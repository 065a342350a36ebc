"""What `jc packages lock` asks of Spack. Run by `spack python`, in v0.21 to v1.2:

    inside_spack.py describe FOLDER OUTPUT
    inside_spack.py solve

`describe` writes JSON: `version` of Spack; `bootstrap`, the folder of its own solver; `specs`, what the environment in
FOLDER names, with its lists and matrices resolved.

`solve` answers each line on stdin, the folder of an environment, with a line of JSON. With a lockfile written it is
`{}`, otherwise `kinds`, the names of the classes of the error, and `message`. An empty line only makes Spack read what
every solve needs. It ends when stdin does, also within a solve, so that nothing stays when its caller is killed.

Nothing of this project is imported here, and nothing of Spack before it is needed.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LONGEST_MESSAGE = 8000


def main(arguments: list[str]) -> None:
    """Do as the arguments say."""
    # What recipes and Spack print goes where errors go, so that stdout has only the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    if arguments[0] == "describe":
        Path(arguments[2]).write_text(json.dumps(described(arguments[1])), encoding="utf-8")
        return
    # Ctrl-C is for the one who asks, and ends this by the end of stdin.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for folder in lines():
        answers.write(json.dumps(solved(folder) if folder else warmed()) + "\n")
        answers.flush()


def lines() -> Iterator[str]:
    """The lines of stdin; its end ends this process at once, whatever it does then, and all that it started."""
    source = os.dup(0)
    # Where Spack forks, the child closes `sys.stdin`, and would wait for ever for a thread that reads from it.
    sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115 - for as long as this process runs
    waiting: queue.Queue[str] = queue.Queue()

    def read() -> None:
        rest = b""
        while block := os.read(source, 1 << 16):
            *whole, rest = (rest + block).split(b"\n")
            for line in whole:
                waiting.put(line.decode())
        if os.getpgrp() == os.getpid():
            os.killpg(os.getpid(), signal.SIGKILL)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield waiting.get()


def described(folder: str) -> dict[str, Any]:
    """What the caller has to know before it starts solving."""
    environment = importlib.import_module("spack.environment").Environment(folder)
    with environment:
        specs = [str(spec) for spec in asked_for(environment)]
    return {
        "version": str(importlib.import_module("spack").spack_version),
        "bootstrap": importlib.import_module("spack.bootstrap.config").root_path(),
        "specs": specs,
    }


def asked_for(environment: Any) -> Iterator[Any]:
    """The specs of all groups; before Spack 1.2 there are none."""
    if not hasattr(environment, "user_specs_by"):
        yield from environment.user_specs
        return
    for group in environment.manifest.groups():
        yield from environment.user_specs_by(group=group)


def warmed() -> dict[str, Any]:
    """Read the indexes of recipes, which Spack keeps in its user's cache."""
    path = importlib.import_module("spack.repo").PATH
    path.all_package_names()
    _ = path.provider_index, path.tag_index
    return {}


def solved(folder: str) -> dict[str, Any]:
    """Concretize an environment and write its lockfile."""
    try:
        with importlib.import_module("spack.environment").Environment(folder) as environment:
            environment.concretize()
            environment.write(regenerate=False)
    except SystemExit as error:
        return {"kinds": ["SystemExit"], "message": str(error)}
    except Exception as error:  # noqa: BLE001 - whatever went wrong concerns these specs only
        text, more = str(error), str(getattr(error, "long_message", None) or "")
        text = (text if more in text else f"{text}\n{more}").strip() or type(error).__name__
        return {"kinds": [one.__name__ for one in type(error).__mro__], "message": text[:LONGEST_MESSAGE]}
    return {}


if __name__ == "__main__":
    main(sys.argv[1:])
