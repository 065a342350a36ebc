"""What stands before each compiler: `python -SE client.py SOCKET COMPILER ARGUMENTS…`.

It asks the pool's server where the command is to be done. If elsewhere, it makes the preprocessed text here, with the
environment and the files of the build, and writes what comes back. In every other case, also when nobody answers, it
becomes the command that it was given. It is started for each compile, so it imports next to nothing: `socket` alone
would take half of its time.

A message is a block: eight bytes with a length, then so many bytes. Fields in a block are separated by NUL, which no
argument can hold.

    to the server    the folder, what of the environment matters as NAME=VALUE lines, compiler, arguments…
    from it          `here`, or `there`, seconds to wait for an answer, output, file of dependencies or nothing,
                     compiler and arguments of the preprocessor…
    to the server    the text
    from it          `here`, or `done`; then blocks: standard output, standard error, object
"""

from __future__ import annotations

import _socket
import os
import stat
import sys

TYPE_CHECKING = False  # that of `typing` takes longer to import than all else
if TYPE_CHECKING:
    from typing import NoReturn

DEPENDENCIES = "{dependencies}"
"""Stands for the file of dependencies among the arguments of the preprocessor."""
MATTERS = ("LANG", "LC_ALL", "LC_CTYPE", "LC_MESSAGES")
"""Variables that change what a compiler says, and are set elsewhere as here."""
CHANGES = (
    *("CCC_OVERRIDE_OPTIONS", "COMPILER_PATH", "DEPENDENCIES_OUTPUT"),
    *("GCC_COMPARE_DEBUG", "GCC_EXEC_PREFIX", "SUNPRO_DEPENDENCIES"),
)
"""Variables that change what a compiler does."""
LENGTH = 8
_BLOCK = 1 << 16


class HereError(Exception):
    """The command is done here."""


def main(path: str, argv: list[str]) -> None:
    """Have a command done; its exit code is this program's."""
    try:
        if not argv[0].startswith("/"):
            argv = [found(argv[0]), *argv[1:]]
        elsewhere(path, argv)
    except (HereError, OSError, ValueError):
        here(argv)


def found(program: str) -> str:
    """The path of a program, as a shell looks for it."""
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        place = os.path.join(folder, program)  # noqa: PTH118 - pathlib takes longer to import than all that this does
        if "/" not in program and os.access(place, os.X_OK):
            return place
    raise HereError


def here(argv: list[str]) -> NoReturn:
    """Become the command."""
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - the command that we were given
    except OSError as error:
        os.write(2, f"{argv[0]}: {error.strerror}\n".encode())
        os._exit(127)


def elsewhere(path: str, argv: list[str]) -> None:
    """Have an object made elsewhere, and leave as if it had been made here. Raises `HereError`, `OSError`."""
    variables = [f"{name}={os.environ[name]}" for name in (*MATTERS, *CHANGES) if name in os.environ]
    server = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    server.settimeout(10)
    server.connect(path)
    send(server, b"\0".join(map(os.fsencode, [os.getcwd(), "\n".join(variables), *argv])))  # noqa: PTH109
    answer = receive(server).split(b"\0")
    if answer[0] != b"there":
        raise HereError
    seconds, output, dependencies, *preprocess = map(os.fsdecode, answer[1:])
    require_plain(output)
    written = f"{dependencies}.{os.getpid()}.pool" if dependencies else ""
    try:
        text, said = preprocessed([written if word == DEPENDENCIES else word for word in preprocess])
        server.settimeout(float(seconds))
        send(server, text)
        if receive(server) != b"done":
            raise HereError
        told, complained, made = receive(server), receive(server), receive(server)
        if written:
            os.rename(written, dependencies)  # noqa: PTH104
            written = ""
        write(output, made)
    finally:
        if written:
            remove(written)
    write_all(1, told)
    write_all(2, said + complained)
    os._exit(0)


def require_plain(path: str) -> None:
    """Raise `HereError` for what a compiler writes through, or not at all."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise HereError


def preprocessed(argv: list[str]) -> tuple[bytes, bytes]:
    """What the preprocessor writes, and what it says. Raises `HereError` if it fails: the compiler will say why."""
    reading, writing = os.pipe()
    complaints = os.memfd_create("complaints")
    to = [(os.POSIX_SPAWN_DUP2, writing, 1), (os.POSIX_SPAWN_DUP2, complaints, 2)]
    process = os.posix_spawn(argv[0], argv, os.environ, file_actions=to)
    os.close(writing)
    pieces = []
    while piece := os.read(reading, _BLOCK):
        pieces.append(piece)
    os.close(reading)
    if os.waitpid(process, 0)[1] != 0:
        raise HereError
    return b"".join(pieces), os.pread(complaints, os.fstat(complaints).st_size, 0)


def write(path: str, content: bytes) -> None:
    """Write a file that is there whole or not at all. Raises `OSError`."""
    new = f"{path}.{os.getpid()}.pool"
    try:
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        write_all(handle, content)
        os.close(handle)
        os.rename(new, path)  # noqa: PTH104
    except OSError:
        remove(new)
        raise


def remove(path: str) -> None:
    """Remove a file, if it is there."""
    try:  # noqa: SIM105 - importing contextlib takes longer than all that this does
        os.unlink(path)  # noqa: PTH108
    except OSError:
        pass


def write_all(handle: int, content: bytes) -> None:
    """Write to a descriptor, which may take less at once."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(handle, rest) :]


def send(server: _socket.socket, content: bytes) -> None:
    """Send a block. Raises `OSError`."""
    server.sendall(len(content).to_bytes(LENGTH, "big") + content)


def receive(server: _socket.socket) -> bytes:
    """A block. Raises `OSError`, and `HereError` where it breaks off."""
    return _exactly(server, int.from_bytes(_exactly(server, LENGTH), "big"))


def _exactly(server: _socket.socket, count: int) -> bytes:
    pieces = []
    while count:
        piece = server.recv(min(count, 1 << 20))
        if not piece:
            raise HereError
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
