"""A rank of the pool: `python rank.py`, started by mpiexec, srun or flux on every core that is to compile.

Rank 0 connects back to the server, which is no process of MPI: when a rank dies, MPI ends all of them, and the server
starts them again. The others compile what rank 0 is sent. Where the server listens, and the token that it asks for, are
in the environment (`ADDRESS`, `TOKEN`). Nothing of this project is imported here.

Messages are those of `multiprocessing.connection`, bytes alone: a line of JSON, then what it says the lengths of.
Source: mpi4py's documentation, "mpi4py.futures", "MPICommExecutor".
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any

ADDRESS = "JC_POOL_ADDRESS"
TOKEN = "JC_POOL_TOKEN"
NAME = "JC_POOL_NAME"
"""Of the pool: what it leaves in folders for temporary files begins with it."""
PACKING = 1
"""zlib's fastest level: faster than a network, and nearly as small as others make it."""
POOLS = "jc-pool-"
"""So begin the names of all pools."""
OLD = 24 * 3600.0
"""Seconds after which nobody works in a folder of a compile any more."""
GOODBYE_SECONDS = 10.0
_known: dict[str, str] = {}


def identity(compiler: str) -> str:
    """What a compiler and its assembler are, so that two machines can be compared; nothing if it cannot be started."""
    if compiler not in _known:
        try:
            told = subprocess.run([compiler, "-v"], capture_output=True, check=True, timeout=60).stderr  # noqa: S603
            asked = [compiler, "-print-prog-name=as"]
            assembler = subprocess.run(asked, capture_output=True, check=True, timeout=60).stdout.strip()  # noqa: S603
            told += subprocess.run([assembler, b"--version"], capture_output=True, check=True, timeout=60).stdout  # noqa: S603
            _known[compiler] = hashlib.sha256(told).hexdigest()
        except (OSError, subprocess.SubprocessError):
            return ""
    return _known[compiler]


def compiled(task: dict[str, Any], packed: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """Make an object of a text, on this rank.

    `task` has `compiler`, its `identity` where the text was made, `options`, `language`, `environment` and `seconds`.
    Returns `code`, `rank`, `seconds` and `why`, and standard output, standard error and the packed object.
    """
    start = time.monotonic()
    answer: dict[str, Any] = {"rank": _rank(), "code": None, "why": ""}
    made = [b"", b"", b""]
    if identity(task["compiler"]) != task["identity"]:
        answer["why"] = f"is of another compiler than {task['compiler']} on rank {_rank()}"
    else:
        with tempfile.TemporaryDirectory(prefix=f"{os.environ[NAME]}-") as name:
            folder = Path(name)
            (folder / "text").write_bytes(zlib.decompress(packed))
            argv = [task["compiler"], *task["options"], "-x", task["language"], "-c", "text", "-o", "object"]
            environment = {"PATH": os.environ.get("PATH", os.defpath), "TMPDIR": name, **task["environment"]}
            limits: dict[str, Any] = {"timeout": task["seconds"], "stdin": subprocess.DEVNULL, "check": False}
            try:
                done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, **limits)  # noqa: S603
            except subprocess.TimeoutExpired:
                answer["why"] = f"took longer than {task['seconds']:g} seconds on rank {_rank()}"
            else:
                answer["code"] = done.returncode
                content = (folder / "object").read_bytes() if done.returncode == 0 else b""
                made = [done.stdout, done.stderr, zlib.compress(content, PACKING)]
    return {**answer, "seconds": round(time.monotonic() - start, 4)}, made


def serve(server: Connection, executor: Any) -> None:
    """Hand on what the server sends, until it sends no more."""
    lock = threading.Lock()

    def answer(number: int, future: Any) -> None:
        try:
            told, made = future.result()
        except Exception as error:  # noqa: BLE001 - whatever it was, the compile is done elsewhere
            told, made = {"code": None, "why": f"was lost: {error}"}, []
        header = {"id": number, **told, "sizes": [len(one) for one in made]}
        with lock, contextlib.suppress(OSError):
            server.send_bytes(b"\n".join([json.dumps(header).encode(), b"".join(made)]))

    while True:
        try:
            message = server.recv_bytes()
        except (EOFError, OSError):
            return
        line, _, packed = message.partition(b"\n")
        task = json.loads(line)
        future = executor.submit(compiled, task, packed)
        future.add_done_callback(lambda done, number=task["id"]: answer(number, done))


def _rank() -> int:
    return sys.modules["mpi4py.MPI"].COMM_WORLD.Get_rank() if "mpi4py.MPI" in sys.modules else 0


def tidy(name: str) -> None:
    """Remove what ranks of a pool left on this machine when they were killed."""
    for path in Path(tempfile.gettempdir()).glob(f"{name}-*"):
        shutil.rmtree(path, ignore_errors=True)


def tidy_after_others() -> None:
    """Remove what ranks of this user's pools left on this machine a day ago or earlier.

    Where a server is killed while its ranks are frozen, nobody else comes to their machines any more. No compile takes
    so long: a folder is there for one.
    """
    for path in Path(tempfile.gettempdir()).glob(f"{POOLS}*-*"):
        with contextlib.suppress(OSError):
            found = path.lstat()
            if found.st_uid == os.getuid() and stat.S_ISDIR(found.st_mode) and found.st_mtime < time.time() - OLD:
                shutil.rmtree(path, ignore_errors=True)


def _let_go_of_shared_memory(world: Any) -> None:
    """Remove the names of MPICH's files in memory, which it would leave behind when ranks are killed.

    All ranks of this machine have them open by now, and nobody opens them again.
    """
    world.Barrier()
    maps = Path("/proc/self/maps")
    text = maps.read_text(encoding="utf-8", errors="replace") if maps.exists() else ""
    for name in set(re.findall(r"/dev/shm/mpich_shm_\S+", text)):  # noqa: S108 - where POSIX has it
        Path(name).unlink(missing_ok=True)


def main() -> None:
    """Be a rank until the server is gone."""
    from mpi4py import MPI
    from mpi4py.futures import MPICommExecutor

    _let_go_of_shared_memory(MPI.COMM_WORLD)
    tidy_after_others()
    executor: Any  # what it gives to rank 0 is no MPICommExecutor, as its types say
    with MPICommExecutor(MPI.COMM_WORLD, root=0) as executor:
        if executor is not None:
            host, _, port = os.environ[ADDRESS].rpartition(":")
            with Client((host, int(port)), authkey=bytes.fromhex(os.environ[TOKEN])) as server:
                server.send_bytes(json.dumps({"ranks": MPI.COMM_WORLD.Get_size() - 1}).encode())
                serve(server, executor)
            # A rank that hangs would keep the others for ever.
            watch = threading.Timer(GOODBYE_SECONDS, MPI.COMM_WORLD.Abort)
            watch.daemon = True
            watch.start()
            executor.shutdown(wait=True, cancel_futures=True)
            watch.cancel()
    tidy(os.environ[NAME])


if __name__ == "__main__":
    main()
