"""The ranks that compile: started, spoken with, and started again when they are gone.

The server is no process of MPI. When a rank dies, mpiexec, `srun -K1` and `flux run -o exit-on-error` end all of them;
what was pending is then done here, and the ranks are started anew. So the worst that ranks can cost is time.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any, Final

from foundation.doors.processes import BackgroundProcess
from job_creator.compile_pool import rank

_TOKEN_BYTES: Final = 32
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 60.0
"""Seconds between two starts of ranks, if the last ones compiled nothing."""
_GOODBYE_SECONDS: Final = 15.0
_START_SECONDS: Final = 120.0
"""That ranks may take until they speak."""
_SECONDS_BETWEEN_LOOKS: Final = 0.2

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PoolTask:
    """A text, and how an object is made of it."""

    compiler: str
    identity: str
    options: tuple[str, ...]
    language: str
    environment: Mapping[str, str]
    text: bytes
    """Packed by zlib."""


@dataclass(frozen=True, slots=True)
class PoolAnswer:
    """What became of a task."""

    code: int | None
    """The compiler's exit code; `None` if it did not come to that, and `why` says the reason."""
    why: str = ""
    rank: int = 0
    seconds: float = 0.0
    output: bytes = b""
    complaints: bytes = b""
    made: bytes = b""
    """The object, if the code is 0."""
    shipped: int = 0
    """Bytes that came back."""


class CompilePool:
    """Ranks, and what they have to do. A context: they run as long as it does."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], log: Path, *, host: str = "127.0.0.1"
    ) -> None:
        """`command` starts the ranks; `environment` is all that they see. They connect back to this machine's `host`.

        What they print goes to the file `log`.
        """
        self._command, self._environment, self._log, self._host = tuple(command), environment, log, host
        self._token = secrets.token_bytes(_TOKEN_BYTES)
        self.name = f"{rank.POOLS}{secrets.token_hex(4)}"
        """What the ranks' temporary folders begin with."""
        self._lock, self._sending = threading.Lock(), threading.Lock()
        self._connection: Connection | None = None
        self._pending: dict[int, Future[PoolAnswer]] = {}
        self._number = 0
        self._ends = threading.Event()
        self._is_up = threading.Condition(self._lock)
        self.ranks = 0
        """That compile, as far as is known; 0 while there are none."""
        self.starts = 0
        """How often ranks were started."""

    def __enter__(self) -> CompilePool:
        """Start the ranks, without waiting for them."""
        bind = "127.0.0.1" if self._host == "127.0.0.1" else "0.0.0.0"  # noqa: S104 - ranks are on other machines
        self._listener = Listener((bind, 0), authkey=self._token)
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()
        self._keeper.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the ranks, and all that they left."""
        self._ends.set()
        self._hang_up()
        self._keeper.join(2 * _GOODBYE_SECONDS)
        self._listener.close()
        rank.tidy(self.name)

    def wait_for_ranks(self, seconds: float) -> bool:
        """Whether there are ranks within so many seconds."""
        with self._is_up:
            return self._is_up.wait_for(lambda: self._connection is not None, seconds)

    def compile(self, task: PoolTask, seconds: float) -> PoolAnswer:
        """Have a text compiled; blocks, at most for so many seconds, after which all ranks are started anew."""
        future: Future[PoolAnswer] = Future()
        with self._lock:
            connection = self._connection
            if connection is None:
                return PoolAnswer(None, "came while there were no ranks")
            self._number += 1
            number = self._number
            self._pending[number] = future
        header = {"id": number, "compiler": task.compiler, "identity": task.identity, "options": task.options}
        header |= {"language": task.language, "environment": dict(task.environment), "seconds": seconds}
        # If the ranks are gone, whoever reads from them notices, and answers.
        with self._sending, suppress(OSError):
            connection.send_bytes(b"\n".join([json.dumps(header).encode(), task.text]))
        try:
            return future.result(seconds)
        except TimeoutError:
            logger.warning("a rank gave no answer within %g seconds; all are started anew", seconds)
            self._hang_up()
            return PoolAnswer(None, f"had no answer within {seconds:g} seconds")

    def _hang_up(self) -> None:
        """Ranks end when nobody speaks with them any more."""
        with self._lock:
            connection = self._connection
        if connection is not None:
            # Not closed, while another thread reads from it.
            with suppress(OSError):
                _shutdown(connection)

    def _keep(self) -> None:
        """Start the ranks as often as they end."""
        pause = _FIRST_PAUSE
        while not self._ends.is_set():
            self.starts += 1
            process = BackgroundProcess(self._command, environment=self._of_ranks(), log=self._log)
            did = self._number
            self._watch(process)
            if self._ends.is_set():
                self._wait_for_end(process)
                return
            self._gone()
            pause = _FIRST_PAUSE if self._number > did else min(2 * pause, _LONGEST_PAUSE)
            logger.warning("the ranks ended with code %s; they are started again", process.exit_code())
            self._ends.wait(pause)

    def _watch(self, process: BackgroundProcess) -> None:
        """Until it ends; one that has had nobody to speak with for long is ended, since its start may hang."""
        spoke = time.monotonic()
        while process.exit_code() is None and not self._ends.is_set():
            BackgroundProcess.wait([process], _SECONDS_BETWEEN_LOOKS)
            now = time.monotonic()
            spoke = now if self._connection is not None else spoke
            if now > spoke + _START_SECONDS:
                process.end(2.0)

    def _wait_for_end(self, process: BackgroundProcess) -> None:
        until = time.monotonic() + (_GOODBYE_SECONDS if self.ranks else 0.0)
        while process.exit_code() is None and time.monotonic() < until:
            BackgroundProcess.wait([process], _SECONDS_BETWEEN_LOOKS)
        if process.exit_code() is None:
            process.end(2.0)

    def _of_ranks(self) -> dict[str, str]:
        address = f"{self._host}:{self._listener.address[1]}"
        return {**self._environment, rank.ADDRESS: address, rank.TOKEN: self._token.hex(), rank.NAME: self.name}

    def _accept(self) -> None:
        while not self._ends.is_set():
            try:
                connection = self._listener.accept()
            except (AuthenticationError, EOFError, ConnectionError):
                continue
            except OSError:
                return
            self._listen(connection)

    def _listen(self, connection: Connection) -> None:
        """Read what ranks answer, until they are gone."""
        try:
            ranks = json.loads(connection.recv_bytes())["ranks"]
            with self._is_up:
                self._connection, self.ranks = connection, ranks
                self._is_up.notify_all()
            while True:
                number, answer = _answer(connection.recv_bytes())
                with self._lock:
                    future = self._pending.pop(number, None)
                if future is not None:
                    future.set_result(answer)
        except (EOFError, OSError):
            pass
        self._gone()
        connection.close()

    def _gone(self) -> None:
        with self._lock:
            self._connection, self.ranks = None, 0
            pending, self._pending = self._pending, {}
        for future in pending.values():
            future.set_result(PoolAnswer(None, "was lost with the ranks"))


def _answer(message: bytes) -> tuple[int, PoolAnswer]:
    line, _, rest = message.partition(b"\n")
    told: dict[str, Any] = json.loads(line)
    blobs = []
    for size in told["sizes"]:
        blobs.append(rest[:size])
        rest = rest[size:]
    output, complaints, packed = blobs or (b"", b"", b"")
    made = zlib.decompress(packed) if packed else b""
    known = {"rank": told.get("rank", 0), "seconds": told.get("seconds", 0.0), "shipped": len(message)}
    return told["id"], PoolAnswer(told["code"], told["why"], **known, output=output, complaints=complaints, made=made)


def _shutdown(connection: Connection) -> None:
    """Let both ends of a connection read its end."""
    import socket

    with socket.socket(fileno=connection.fileno()) as other:
        try:
            other.shutdown(socket.SHUT_RDWR)
        finally:
            other.detach()
