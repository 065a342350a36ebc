"""Programs of this project that start in a moment: forks of a process that has imported everything already.

Python's start and the imports take longer than what most commands do, and the examples of the documentation are nothing
but commands. A fork has its own arguments, folder, environment and files like any process that a shell starts.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NoReturn

import boto3
import botocore.session
import pytest

from tests.integration.s3_server import session_with_loaded_data
from tests.samples import REPOSITORY

PROGRAMS: Final = {"jc": "job_creator", "ga": "get_artifacts", "spackitor": "spackitor"}
"""The packages that commands stand for."""
_LARGEST: Final = 1 << 20
_SECONDS: Final = 60
_CLIENT: Final = """\
import json, os, socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
    server.connect(sys.argv[1])
    request = json.dumps([sys.argv[2:], os.getcwd(), dict(os.environ)])
    socket.send_fds(server, [request.encode()], [0, 1, 2])
    sys.exit(int(server.recv(8) or 1))
"""


@pytest.fixture(scope="session", name="quick_programs")
def quick_programs_fixture() -> Iterator[Path]:
    """A folder with what `pip` installed, but for our programs, which a fork server starts."""
    with quick_programs() as folder:
        yield folder


@contextmanager
def quick_programs() -> Iterator[Path]:
    """The same for whoever is no test. The server ends with the block, or with this process."""
    # The path of a socket may have 107 characters.
    with tempfile.TemporaryDirectory(prefix="jc", dir="/tmp") as name:
        address = Path(name, "socket")
        for path in Path(sys.executable).parent.iterdir():
            if path.name not in PROGRAMS:
                Path(name, path.name).symlink_to(path)
        for program in PROGRAMS:
            command = shlex.join([sys.executable, "-I", "-S", "-c", _CLIENT, str(address), program])
            Path(name, program).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
            Path(name, program).chmod(0o755)
        argv = [sys.executable, "-c", f"from {__name__} import main; main({str(address)!r})"]
        process = subprocess.Popen(argv, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            assert process.stdout is not None
            assert process.stdout.readline()
            yield Path(name)
        finally:
            process.communicate(timeout=_SECONDS)


def main(address: str) -> None:
    """Serve until standard input ends."""
    _import_everything()
    # Nobody waits for the forks.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.bind(address)
        server.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while sys.stdin not in select.select([server, sys.stdin], [], [])[0]:
            connection, _ = server.accept()
            if os.fork() == 0:
                server.close()
                _answer(connection)
            connection.close()


def _import_everything() -> None:
    """Importing our modules does nothing else; what commands import by themselves comes with them."""
    for package in PROGRAMS.values():
        root = importlib.import_module(package)
        for module in pkgutil.walk_packages(root.__path__, f"{package}."):
            importlib.import_module(module.name)
    botocore.session.get_session = session_with_loaded_data
    boto3.Session("key", "secret").client("s3", "us-east-1")


def _answer(connection: socket.socket) -> NoReturn:
    """Be the program that somebody started."""
    request, files, *_ = socket.recv_fds(connection, _LARGEST, 3)
    arguments, folder, environment = json.loads(request)
    for number, file in enumerate(files):
        os.dup2(file, number)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = arguments
    code = 1
    try:
        importlib.import_module(f"{PROGRAMS[arguments[0]]}.__main__").main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - which Python would print
        traceback.print_exc()
    with suppress(OSError):
        sys.stdout.flush()
    connection.send(str(code).encode())
    os._exit(code)
