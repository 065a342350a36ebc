"""The server of a pool: says for each compile where it is done, and passes it on.

Its socket is in a folder that only this user enters. A client that gets no answer does the work itself.
"""

from __future__ import annotations

import os
import socketserver
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from foundation.doors.files import append_line
from job_creator.compile_pool.client import CHANGES, HereError, receive, send
from job_creator.compile_pool.commands import HereOnly, PooledCompile, classify, stays_here
from job_creator.compile_pool.pool import PoolAnswer, PoolTask
from job_creator.compile_pool.rank import PACKING, identity
from job_creator.compile_pool.records import CompileRecord

if TYPE_CHECKING:
    import _socket

_ELF: Final = b"\x7fELF"
_MORE_SECONDS: Final = 30.0
"""That a client waits longer than the server does."""


class Compiles(Protocol):
    """Who makes objects; `pool.CompilePool` is one."""

    def compile(self, task: PoolTask, seconds: float) -> PoolAnswer:
        """Make one."""


@dataclass(frozen=True, slots=True)
class AskedCompile:
    """What a client asks."""

    folder: str
    variables: Mapping[str, str]
    argv: tuple[str, ...]

    @classmethod
    def read(cls, block: bytes) -> AskedCompile:
        """Of the first block that a client sends."""
        folder, variables, *argv = map(os.fsdecode, block.split(b"\0"))
        pairs = (line.partition("=") for line in variables.splitlines() if "=" in line)
        return cls(folder, {name: value for name, _, value in pairs}, tuple(argv))

    def where(self) -> PooledCompile | HereOnly:
        """Where it is done, as far as its words and the compiler say."""
        decision = classify(self.argv, self.folder)
        if isinstance(decision, PooledCompile):
            if changing := sorted(self.variables.keys() & set(CHANGES)):
                return HereOnly(f"is run with {', '.join(changing)}")
            if not Path(self.argv[0]).is_file():
                return HereOnly("has no compiler")
            if not _is_program(self.argv[0]):
                return HereOnly("has a script for its compiler, which may look at more than its arguments")
        return decision


class PoolServer:
    """A server on a socket, and a file that gets a line for each command. A context."""

    def __init__(self, path: Path, pool: Compiles | None, log: Path, seconds: float) -> None:
        """Without a pool everything is done here, and only written down. `seconds` is for one compile."""
        self._pool, self._log, self._seconds = pool, log, seconds
        self.counts: Counter[str] = Counter()
        """How many commands were done by which rank, or here for which reason."""
        self._lock = threading.Lock()
        self._server = _Server(path, self._talk)

    def __enter__(self) -> PoolServer:
        """Listen."""
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()

    def _talk(self, client: _socket.socket) -> None:
        try:
            asked = AskedCompile.read(receive(client))
            self._note(self._serve(client, asked))
        except (OSError, HereError, ValueError):
            # The client ended, or is none.
            return

    def _serve(self, client: _socket.socket, asked: AskedCompile) -> CompileRecord:
        decision = asked.where()
        record = CompileRecord(asked.folder, asked.argv)
        if self._pool is None or isinstance(decision, HereOnly):
            send(client, b"here")
            if isinstance(decision, HereOnly):
                return replace(record, why=decision.reason, is_compile=decision.is_compile)
            return record
        wait = self._seconds + _MORE_SECONDS
        words = (str(wait), decision.output, decision.dependencies, *decision.preprocess)
        send(client, b"\0".join([b"there", *map(os.fsencode, words)]))
        record = replace(record, source=decision.source)
        try:
            text = receive(client)
        except HereError:
            return replace(record, why="could not be preprocessed, or its output is no plain file")
        record = replace(record, text=len(text))
        if stays_here(text):
            send(client, b"here")
            return replace(record, why="reads more files when it is compiled")
        return self._pass_on(client, self._pool, asked, decision, text, record)

    def _pass_on(
        self,
        client: _socket.socket,
        pool: Compiles,
        asked: AskedCompile,
        decision: PooledCompile,
        text: bytes,
        record: CompileRecord,
    ) -> CompileRecord:
        packed = zlib.compress(text, PACKING)
        known = identity(decision.compiler)
        environment = {name: value for name, value in asked.variables.items() if name not in CHANGES}
        task = PoolTask(decision.compiler, known, decision.options, decision.language, environment, packed)
        answer = pool.compile(task, self._seconds) if known else PoolAnswer(None, "has an unknown compiler")
        record = replace(record, shipped=len(packed), came=answer.shipped, seconds=answer.seconds)
        if answer.code != 0:
            send(client, b"here")
            # What is wrong with the source is told by the compiler that sees it.
            return replace(record, why=answer.why or f"ended with {answer.code} on rank {answer.rank}")
        for block in (b"done", answer.output, answer.complaints, answer.made):
            send(client, block)
        return replace(record, rank=answer.rank)

    def _note(self, record: CompileRecord) -> None:
        with self._lock:
            self.counts[record.place] += 1
            append_line(self._log, record.line())


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, path: Path, talk: Callable[[_socket.socket], None]) -> None:
        super().__init__(str(path), socketserver.BaseRequestHandler)
        self._talk = talk

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own."""
        self._talk(request)


def _is_program(path: str) -> bool:
    try:
        with Path(path).open("rb") as stream:
            return stream.read(len(_ELF)) == _ELF
    except OSError:
        return False
