"""Ends a command between any two of its effects, as `kill -9` would.

Python reports requests, renames and the like to audit hooks before they happen (PEP 578), so the code under test needs
no seams: the hook raises before the chosen effect, and before each one after it, so that no cleaning up helps.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_CHANGES = {"os.rename", "os.remove", "os.symlink", "os.mkdir", "os.link", "os.truncate", "os.rmdir"}
_REQUESTS = (b"PUT ", b"POST ", b"DELETE ")
_READS = (b"GET ", b"HEAD ")


class Killed(BaseException):
    """The process is dead. Not an `Exception`, so that nothing takes it for a failure to deal with."""


class Effects:
    """Counts the effects of this process on files below a folder and on servers, and may end it before one of them."""

    def __init__(self, folder: Path, kill_before: int | None, *, reads: bool) -> None:
        self.seen: list[str] = []
        self._folder, self._kill_before = str(folder), kill_before
        self._requests = _REQUESTS + (_READS if reads else ())
        self._lock = threading.Lock()

    def notice(self, event: str, arguments: tuple[Any, ...]) -> None:
        """One audit event."""
        what = self._effect(event, arguments)
        if not what:
            return
        with self._lock:
            if self._kill_before is not None and len(self.seen) >= self._kill_before:
                raise Killed(what)
            self.seen.append(what)

    def _effect(self, event: str, arguments: tuple[Any, ...]) -> str:
        if event == "http.client.send":
            data = bytes(arguments[1][:200]) if isinstance(arguments[1], bytes) else b""
            return data.split(b"\r\n")[0].decode() if data.startswith(self._requests) else ""
        if event == "open":
            path, _, flags = arguments
            written = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
            return f"write {path}" if written and self._is_inside(path) else ""
        return f"{event} {arguments[0]}" if event in _CHANGES and any(map(self._is_inside, arguments)) else ""

    def _is_inside(self, path: Any) -> bool:
        return isinstance(path, str | os.PathLike) and str(os.fspath(path)).startswith(self._folder)


_watching: Effects | None = None
_installed = False


@contextmanager
def effects(folder: Path, kill_before: int | None = None, *, reads: bool = False) -> Iterator[Effects]:
    """Watch what happens; `kill_before` is the number of effects that still take place. `reads` counts GET and HEAD."""
    global _watching, _installed
    if not _installed:
        sys.addaudithook(_hook)  # there is no way to take a hook away again
        _installed = True
    _watching = Effects(folder, kill_before, reads=reads)
    try:
        yield _watching
    finally:
        _watching = None


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching:
        _watching.notice(event, arguments)
