"""The one door to other programs: an argument list, no shell, a time limit, and what went wrong in the error.

No other module imports `subprocess`; `tests/unit/test_structure.py` holds that.
"""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Timer, current_thread, main_thread
from typing import Any, Final

from foundation.errors import NotReadyError, naming

_CREDENTIALS: Final = re.compile(r"(?<=://)[^/@\s]+@")
_LAST_LINES: Final = 4
_SECONDS_BETWEEN_LOOKS: Final = 0.05
_SECONDS_TO_END: Final = 5.0
"""For a program whose stdin has ended."""


class ProcessError(Exception):
    """A program failed or ran out of time. The message never shows what a URL held before `@`; `said` is its stderr."""

    def __init__(self, argv: Sequence[str], reason: str, exit_code: int | None = None, said: str = "") -> None:
        self.exit_code, self.said = exit_code, said
        super().__init__(without_credentials(f"'{' '.join(argv)}' {reason}"))


class OutOfTimeError(ProcessError):
    """A program was not done within its time limit, and was ended."""


def run(
    argv: Sequence[str], *, seconds: float, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> str:
    """What a program prints on stdout; `environment` is added to this process's own.

    Raises `ProcessError` when it fails, `OutOfTimeError` when it takes longer than `seconds`, and `NotReadyError` if
    it cannot be started.
    """
    try:
        done = subprocess.run(  # noqa: S603 - an argument list of our own making
            list(argv),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=seconds,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            check=False,
        )
    except OSError as error:
        raise _not_started(argv[0], error) from None
    except subprocess.TimeoutExpired:
        raise OutOfTimeError(argv, f"gave no answer within {seconds:g} seconds") from None
    if done.returncode != 0:
        raise ProcessError(argv, f"failed: {done.stderr.strip() or 'no message'}", done.returncode, done.stderr)
    return done.stdout


def follow(
    argv: Sequence[str],
    tell: Callable[[str], None],
    *,
    folder: Path,
    environment: Mapping[str, str],
    seconds: float | None = None,
) -> int:
    """Run a program in a folder, hand on each line that it prints, stderr included, at once; returns its exit code.

    `environment` is all of its environment. Raises `NotReadyError` if it cannot be started, and `OutOfTimeError`
    after `seconds`. With a limit the program has a process group of its own, which is killed as a whole then, so that
    what it has started itself does not stay behind.
    """
    options: dict[str, Any] = {"cwd": folder, "env": dict(environment), "start_new_session": seconds is not None}
    kill = os.kill if seconds is None else os.killpg
    with _started(argv, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, **options) as process:
        watch = Timer(seconds, kill, (process.pid, signal.SIGKILL)) if seconds is not None else None
        try:
            if watch:
                watch.start()
            for line in process.stdout or ():
                tell(line.rstrip("\n"))
        except BaseException:
            kill(process.pid, signal.SIGKILL)
            raise
        finally:
            if watch:
                watch.cancel()
    if watch and process.returncode == -signal.SIGKILL:
        raise OutOfTimeError(argv, f"was not done within {seconds:g} seconds")
    return process.returncode


def foreground(argv: Sequence[str], *, environment: Mapping[str, str]) -> int:
    """Run a program on this process's own terminal or pipes; returns its exit code, as a shell would.

    `environment` is all of its environment. Ctrl-C goes to it as well, SIGTERM is handed on, and its end is waited for,
    so that whoever called can still tidy up. Raises `NotReadyError` if it cannot be started.
    """
    with _started(argv, env=dict(environment), stdout=None) as process, _handing_on(process):
        while True:
            try:
                code = process.wait()
            except KeyboardInterrupt:
                continue
            return code if code >= 0 else 128 - code


@contextmanager
def _handing_on(process: subprocess.Popen[str]) -> Iterator[None]:
    """SIGTERM goes to a process instead of this one. Outside of the main thread, which hears it, nothing changes."""
    if current_thread() is not main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, _: process.send_signal(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def serving(argv: Sequence[str], *, environment: Mapping[str, str], log: Path) -> Iterator[Callable[[], bool]]:
    """A server that runs until the block ends; hands out a function that tells whether it still does.

    `environment` is all of its environment; what it prints goes to the file `log`. Raises `NotReadyError` if it
    cannot be started.
    """
    with (
        log.open("wb") as output,
        _started(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=dict(environment)
        ) as process,
    ):
        try:
            yield lambda: process.poll() is None
        finally:
            process.terminate()


@contextmanager
def conversation(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    log: Path,
    holds: tuple[int, ...] = (),
    seconds: float | None = None,
) -> Iterator[Callable[[str], str]]:
    """A program that answers each line on its stdin with one on its stdout.

    The function that is handed out sends a line and returns the answer. The program is to end when its stdin does, so
    also when this process is killed. `environment` is added to this process's own. What the program says on stderr
    goes to the end of the file `log`. It keeps the file descriptors in `holds` open. Raises `NotReadyError` if
    it cannot be started; the function raises `ProcessError` when the program ends too early, and `OutOfTimeError` where
    an answer takes longer than `seconds`. With that limit the program has a session of its own, of which nothing stays.
    """
    options: dict[str, Any] = {"env": {**os.environ, **environment}, "pass_fds": holds}
    options["start_new_session"] = seconds is not None
    with log.open("ab") as errors, _started(argv, stdin=subprocess.PIPE, stderr=errors, **options) as process:

        def kill() -> None:
            if seconds is not None and process.stdin:
                # It may run on another machine, of which what runs here is only one end.
                with suppress(OSError, ValueError, subprocess.TimeoutExpired):
                    process.stdin.close()
                    process.wait(_SECONDS_TO_END)
            with suppress(ProcessLookupError):
                (os.kill if seconds is None else os.killpg)(process.pid, signal.SIGKILL)

        try:
            yield lambda line: _answer(argv, process, line, log, kill, seconds)
        except BaseException:
            kill()
            raise
        if seconds is not None and process.stdin:
            process.stdin.close()
            process.wait()
            kill()


class BackgroundProcess:
    """A program that runs beside this one, in a session of its own; what it prints goes to a file.

    `environment` is all of its environment. It keeps the file descriptors in `holds` open. Raises `NotReadyError` if it
    cannot be started.
    """

    def __init__(
        self, argv: Sequence[str], *, environment: Mapping[str, str], log: Path, holds: tuple[int, ...] = ()
    ) -> None:
        with naming(log), log.open("ab") as output:
            try:
                self._process = subprocess.Popen(  # noqa: S603 - an argument list of our own making
                    list(argv),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=dict(environment),
                    start_new_session=True,
                    pass_fds=holds,
                )
            except OSError as error:
                raise _not_started(argv[0], error) from None
        self._end = os.pidfd_open(self._process.pid) if hasattr(os, "pidfd_open") else None

    @property
    def number(self) -> int:
        """Its process id."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """Its exit code, negative for a signal; `None` as long as it runs."""
        code = self._process.poll()
        if code is not None and self._end is not None:
            os.close(self._end)
            self._end = None
        return code

    def end(self, seconds: float) -> int:
        """End it by SIGTERM; then, or after so many seconds, what is left of its session by SIGKILL.

        Returns its exit code.
        """
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        return self.exit_code() or 0

    def __repr__(self) -> str:
        """With its process id."""
        return f"BackgroundProcess({self.number})"

    @staticmethod
    def wait(processes: Collection[BackgroundProcess], seconds: float) -> None:
        """Wait until one of them has ended, up to so many seconds."""
        ends = [one._end for one in processes if one._end is not None]
        if len(ends) < len(processes):  # no Linux: there is nothing to wait for all of them with
            time.sleep(min(seconds, _SECONDS_BETWEEN_LOOKS))
        else:
            select.select(ends, [], [], seconds)


def missing(program: str) -> NotReadyError:
    """The error for a program that is not there, whatever it was needed for."""
    return NotReadyError(f"{program}: is not installed; install it, or put it on PATH")


def _not_started(program: str, error: OSError) -> NotReadyError:
    """The error for a program that the operating system does not start: a folder, a text, or no file at all."""
    if isinstance(error, FileNotFoundError) and error.filename == program:
        return missing(program)
    place = "" if error.filename in (None, program) else f"{error.filename}: "
    return NotReadyError(f"{program}: cannot be started: {place}{error.strerror}; name a program that can")


def without_credentials(text: str) -> str:
    """The text with users and passwords taken out of its URLs."""
    return _CREDENTIALS.sub("", text)


@contextmanager
def _started(argv: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A running program, which has ended when the block has."""
    options = {"stdout": subprocess.PIPE, "encoding": "utf-8", "errors": "replace", **options}
    try:
        process = subprocess.Popen(list(argv), **options)  # noqa: S603 - an argument list of our own making
    except OSError as error:
        raise _not_started(argv[0], error) from None
    with process:
        yield process


def _answer(
    argv: Sequence[str],
    process: subprocess.Popen[str],
    line: str,
    log: Path,
    kill: Callable[[], None],
    seconds: float | None,
) -> str:
    is_over = Event()

    def end() -> None:
        is_over.set()
        kill()

    watch = Timer(seconds, end) if seconds is not None else None
    if process.stdin and process.stdout:
        try:
            if watch:
                watch.start()
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
            if answered := process.stdout.readline():
                return answered.rstrip("\n")
        except BrokenPipeError:
            pass
        finally:
            if watch:
                watch.cancel()
    if is_over.is_set():
        raise OutOfTimeError(argv, f"gave no answer within {seconds:g} seconds")
    raise ProcessError(argv, f"ended too early; {_end(log)}")


def _end(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return f"{log} ends with: {' | '.join(lines[-_LAST_LINES:])}" if lines else f"{log} is empty"
