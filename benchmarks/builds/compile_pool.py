"""What a compile costs with a pool: `python -m benchmarks.builds.compile_pool`.

Prints the figures of docs/performance.md. In turns, so that a busy machine slows all alike: plain gcc, the pool with
one rank that compiles, and distcc with its daemon on this machine, if that is installed. Then, with what was measured,
how long a package takes on 2 to 512 ranks.
"""

from __future__ import annotations

import heapq
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROUNDS = 25
SOURCES: Mapping[str, str] = {
    "C, small": '#include <stdio.h>\nint f(int x) { printf("%d\\n", x); return x; }\n',
    "C++, with the standard library": "#include <map>\n#include <string>\n#include <vector>\n"
    "std::map<std::string, std::vector<int>> f(int x) { return {{std::to_string(x), {x}}}; }\n",
}


@contextmanager
def distccd() -> Iterator[dict[str, str] | None]:
    """distcc's daemon, and the environment of its clients; nothing where it is not installed."""
    if not shutil.which("distccd"):
        yield None
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = ["distccd", "--no-detach", "--listen", "127.0.0.1", "--allow", "127.0.0.1", "--port", str(port), "-j", "2"]
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "DISTCC_HOSTS": f"127.0.0.1:{port}", "DISTCC_FALLBACK": "0", "HOME": home}
        with (Path(home) / "log").open("wb") as log:
            daemon = subprocess.Popen([*words, "--log-stderr", "--enable-tcp-insecure"], stderr=log)
        time.sleep(1.0)
        yield environment
        daemon.terminate()
        daemon.wait()


def seconds_of(words: Sequence[str], environment: Mapping[str, str], folder: Path) -> float:
    """One compile, by the clock."""
    start = time.perf_counter()
    subprocess.run(words, cwd=folder, env=environment, check=True)
    return time.perf_counter() - start


def inside() -> None:
    """Run within the pool, where `ccache` is its client: all turns, for each source; results as JSON on stdout."""
    folder = Path.cwd()
    found = {}
    with distccd() as distcc:
        for name, text in SOURCES.items():
            source = "a.cc" if "C++" in name else "a.c"
            (folder / source).write_text(text)
            compiler = "/usr/bin/g++" if "C++" in name else "/usr/bin/gcc"
            plain = [compiler, "-O2", "-c", source, "-o", "a.o"]
            ways: dict[str, tuple[list[str], Mapping[str, str]]] = {
                "plain": (plain, os.environ),
                "pool": (["ccache", *plain], os.environ),
            }
            ways["preprocessing alone"] = ([compiler, "-O2", "-E", source, "-o", "a.i"], os.environ)
            if distcc is not None:
                ways["distcc"] = (["distcc", *plain], distcc)
            times: dict[str, list[float]] = {way: [] for way in ways}
            for turn in range(ROUNDS + 1):
                for way, (words, environment) in ways.items():
                    taken = seconds_of(words, environment, folder)
                    if turn:  # the first one asks the rank for its compiler
                        times[way].append(taken)
            found[name] = {way: statistics.median(one) for way, one in times.items()}
    print(json.dumps(found))


def simulated(ranks: int, cores: int, here: float, elsewhere: Sequence[float]) -> float:
    """Seconds until all compiles are done: each takes a core here for `here` seconds, then a rank for its own time."""
    here_free = [0.0] * cores
    ranks_free = [0.0] * ranks
    end = 0.0
    for taken in elsewhere:
        ready = heapq.heappop(here_free) + here
        heapq.heappush(here_free, ready)
        start = max(ready, heapq.heappop(ranks_free))
        heapq.heappush(ranks_free, start + taken)
        end = max(end, start + taken)
    return end


def main() -> None:
    """All measurements."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "log"
        words = [sys.executable, "-m", "job_creator", "compile-pool", "mpi", "-n", "2", "--launcher", "mpiexec"]
        command = [*words, "--log", str(log), "--", sys.executable, "-m", "benchmarks.builds.compile_pool", "inside"]
        environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
        done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        lines = [json.loads(line) for line in log.read_text().splitlines()]
    for name, times in found.items():
        told = ", ".join(f"{way} {seconds * 1000:.1f} ms" for way, seconds in times.items())
        print(f"{name}: {told}")
        print(f"  overhead of the pool {1000 * (times['pool'] - times['plain']):.1f} ms", end="")
        if "distcc" in times:
            print(f", of distcc {1000 * (times['distcc'] - times['plain']):.1f} ms", end="")
            print(f"; pool / distcc {times['pool'] / times['distcc']:.2f}", end="")
        print()
    for source in ("a.c", "a.cc"):
        some = [one for one in lines if one["file"] == source and one["rank"] is not None]
        if some:
            sizes = [statistics.median(one[key] for one in some) / 1024 for key in ("text", "shipped", "came")]
            print(f"{source}: text {sizes[0]:.0f} KiB, sent {sizes[1]:.0f} KiB, came back {sizes[2]:.1f} KiB")
    times = found["C++, with the standard library"]
    own = times["pool"] - times["plain"] + times["preprocessing alone"]
    print("2,000 compiles of 6 seconds each, the overhead that was measured, 32 cores for it on the first node:")
    alone = 2000 * 6.0 / 32
    for ranks in (2, 8, 32, 64, 128, 256, 512):
        taken = simulated(ranks, 32, own, [6.0] * 2000)
        print(f"  {ranks} ranks: {taken:.0f} s, {alone / taken:.2f} times as fast as 32 cores alone")


if __name__ == "__main__":
    inside() if "inside" in sys.argv else main()
