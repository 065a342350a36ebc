"""Builds one package on a worker of `jc build`: in a folder of its own, with the program that package jobs run.

    python run_step.py RUN ENVIRONMENT HASH OUTPUT --engine NAME [--cores N] [--attempt N] [--seconds S] [--fresh]
        [--ranks N]

RUN is the folder of the run, from which nothing but these is read: `order.json`, `program/` (this file,
`build_packages.py` and what it needs), `environments/ENVIRONMENT/` (spack.yaml, spack.lock) and, where there is one,
`warm/`, a user cache of Spack that is copied. OUTPUT gets `record.json`, what became of the package, and what package
jobs leave behind.

The worker's folder is a slot below `scratch` of the order: install tree, stage and user cache. A slot belongs to one
process at a time, by a lock that ends with it. Its install tree serves one step after the other, since what a package
needs is often there from the step before. A slot whose last step was killed is emptied first: Spack may have left half
a package in it. With --fresh the slot is removed at the end. With --ranks this runs under `jc compile-pool`: Spack puts
`ccache`, which is the pool's, before compilers, and has as many of them at work as there are cores and ranks.

The build sees no variables but those that the order lists. The program ends with 0 if the build cache has the package,
1 if it has not, and 75 where this machine cannot do the work.

Nothing of this project is imported here, and nothing of Spack.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

MACHINE_FAILED = 75
"""EX_TEMPFAIL of sysexits.h: somewhere else, or later, it may work."""
GRACE = 10.0
"""Seconds that a build has to end when it is told to."""
BUSY = "busy"
"""The file that a slot has while a step is in it."""
SLOTS = 4096


class Slot(NamedTuple):
    """A folder that this process alone works in, as long as its lock is held."""

    folder: Path
    lock: int


class MachineError(Exception):
    """Why this machine cannot do the work."""


def scratch_folder(order: dict[str, Any], environment: dict[str, str]) -> Path:
    """The folder of all slots of this run and user, which nobody else may write to. Raises `MachineError`."""
    parent = Path(order["scratch"] or environment.get("TMPDIR") or "/tmp")  # noqa: S108 - checked below
    folder = parent / f"jc-{os.getuid()}-{order['run']}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise MachineError(f"{folder}: {error.strerror}") from None
    if folder.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise MachineError(f"{folder}: belongs to somebody else, or others may write to it")
    free = shutil.disk_usage(folder).free
    if free < order["least_free_bytes"]:
        least = order["least_free_bytes"] / 2**30
        raise MachineError(f"{folder}: {free / 2**30:.1f} GiB are free, at least {least:.1f} GiB are needed")
    return folder


def claimed_slot(scratch: Path) -> Slot:
    """The first slot that nobody works in. Raises `MachineError`."""
    for number in range(SLOTS):
        lock = os.open(scratch / f"{number}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            continue
        folder = scratch / str(number)
        if (folder / BUSY).exists():
            shutil.rmtree(folder)
        folder.mkdir(exist_ok=True)
        (folder / BUSY).touch()
        return Slot(folder, lock)
    raise MachineError(f"{scratch}: all {SLOTS} slots are in use")


def furnish(slot: Path, run: Path, order: dict[str, Any], asked: argparse.Namespace) -> None:
    """Write what Spack works with in a slot: the environment, its configuration, and the program `spack`."""
    shutil.rmtree(slot / "environment", ignore_errors=True)
    shutil.copytree(run / "environments" / asked.environment, slot / "environment")
    warm = run / "warm"
    if warm.is_dir() and not (slot / "cache").exists():
        shutil.copytree(warm, slot / "cache", symlinks=True)
    scope = slot / "scope"
    scope.mkdir(exist_ok=True)
    tree = {"root": str(slot / "tree"), "padded_length": order["padded_length"]}
    config = {
        "install_tree": tree if order["padded_length"] else {"root": tree["root"]},
        "build_stage": [str(slot / "stage")],
        "test_stage": str(slot / "test"),
        "source_cache": str(slot / "sources"),
        "build_jobs": asked.cores + asked.ranks,
    }
    if asked.ranks:
        config["ccache"] = True
    for section, value in (("config", config), ("mirrors", order["mirrors"])):
        # What other scopes say of mirrors does not count: the order has all of them.
        key = "mirrors:" if section == "mirrors" else section
        (scope / f"{section}.yaml").write_text(json.dumps({key: value}), encoding="utf-8")
    (slot / "bin").mkdir(exist_ok=True)
    scopes = "".join(f" -C {shlex.quote(one)}" for one in (*order["scopes"], str(scope)))
    program = slot / "bin" / "spack"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(order["spack"])}{scopes} "$@"\n', encoding="utf-8")
    program.chmod(0o700)


def variables(order: dict[str, Any], slot: Path, output: Path, asked: argparse.Namespace) -> dict[str, str]:
    """All variables of the build."""
    known = {name: os.environ[name] for name in order["variables"] if name in os.environ}
    environment = str(slot / "environment")
    return {
        **known,
        "PATH": f"{slot / 'bin'}:{os.environ.get('PATH', os.defpath)}",
        "SPACK_ENV": environment,
        "SPACK_CONCRETE_ENV_DIR": environment,
        "SPACK_ARTIFACTS_ROOT": str(output / asked.environment),
        "SPACK_USER_CACHE_PATH": str(slot / "cache"),
        "SPACK_REQUIRE_SIGNING": str(order["signed"]),
        "SPACKTAINERS_PACKAGES": f"/{asked.hash}",
        "SPACKTAINERS_COLLECT": " ".join(order["collect"]),
        "SPACKTAINERS_COLLECTED": str(slot / "collected"),
    }


def build(environment: dict[str, str], program: Path, asked: argparse.Namespace) -> tuple[int, str]:
    """Run the program of package jobs; its exit code, and why it was ended, if it was."""
    command = [sys.executable, str(program)]
    with subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True) as process:  # noqa: S603

        def stop(number: int, frame: Any) -> None:
            del frame
            end(process)
            raise SystemExit(128 + number)

        signal.signal(signal.SIGTERM, stop)
        parents, until = parents_of(asked), time.monotonic() + asked.seconds
        while time.monotonic() < until:
            try:
                return process.wait(1), ""
            except subprocess.TimeoutExpired:
                # Whoever wanted the package is gone, and somebody else may begin with it at any time.
                if parents_of(asked) != parents:
                    stop(signal.SIGHUP, None)
        return end(process), f"it was not done within {asked.seconds:.0f} s"


def parents_of(asked: argparse.Namespace) -> list[int]:
    """Who started this, and with a compile pool between them, who started that."""
    found = [os.getppid()]
    if asked.ranks:
        with suppress(OSError):
            # The second field after the name, which may hold anything (proc(5)).
            status = Path(f"/proc/{found[0]}/stat").read_text(encoding="utf-8", errors="replace")
            found.append(int(status.rpartition(")")[2].split()[1]))
    return found


def end(process: subprocess.Popen[bytes]) -> int:
    """End a build with all that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(GRACE)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
    return process.wait()


def leave(slot: Path, *, is_fresh: bool) -> None:
    """Tidy a slot up: nothing stays of it, or what the next step can use."""
    if is_fresh:
        shutil.rmtree(slot, ignore_errors=True)
        return
    for name in ("stage", "collected"):
        shutil.rmtree(slot / name, ignore_errors=True)
    (slot / BUSY).unlink()


def record_of(output: Path, run: Path, asked: argparse.Namespace, worker: str, why: str) -> dict[str, Any]:
    """What became of the package: what the program wrote down, or why it could not."""
    lock = json.loads((run / "environments" / asked.environment / "spack.lock").read_text(encoding="utf-8"))
    node = lock["concrete_specs"][asked.hash]
    record = {"hash": asked.hash, "package": node["name"], "version": str(node["version"])}
    record.update(environment=asked.environment, state="failed", because=why, seconds=0.0, peak_memory_bytes=0)
    record["started"] = 0.0
    file = output / asked.environment / "outcomes" / "packages.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    if lines:
        record = json.loads(lines[-1])
    return {**record, "engine": asked.engine, "worker": worker, "attempt": asked.attempt}


def write(output: Path, record: dict[str, Any]) -> None:
    """Write the record down, all of it at once."""
    new = output / ".record.json"
    new.write_text(json.dumps(record), encoding="utf-8")
    new.replace(output / "record.json")


def work(asked: argparse.Namespace) -> int:
    """Build the package, and write down what became of it. Raises `MachineError`."""
    run, output = Path(asked.run), Path(asked.output)
    output.mkdir(parents=True, exist_ok=True)
    start, started = time.monotonic(), time.time()
    worker, why, code, failure = os.environ.get("SLURMD_NODENAME") or platform.node(), "", MACHINE_FAILED, ""
    try:
        order = json.loads((run / "order.json").read_text(encoding="utf-8"))
        slot = claimed_slot(scratch_folder(order, dict(os.environ)))
        worker = f"{worker}/{slot.folder.name}"
        furnish(slot.folder, run, order, asked)
        environment = variables(order, slot.folder, output, asked)
        try:
            code, why = build(environment, run / "program" / "build_packages.py", asked)
        except SystemExit:
            shutil.rmtree(slot.folder, ignore_errors=True)
            raise
        why = why or f"its program ended with exit code {code} and said nothing of it"
        leave(slot.folder, is_fresh=asked.fresh)
    except (MachineError, OSError) as error:
        why, failure = str(error), "infrastructure"
        sys.stderr.write(f"this machine cannot do it: {why}\n")
    record = record_of(output, run, asked, worker, why)
    record["failure"] = failure
    record["seconds"] = record["seconds"] or round(time.monotonic() - start, 1)
    record["started"] = record["started"] or round(started, 1)
    write(output, record)
    return code if code in (0, MACHINE_FAILED) else 1


def main(arguments: list[str]) -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser()
    for name in ("run", "environment", "hash", "output"):
        parser.add_argument(name)
    parser.add_argument("--engine", required=True)
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--attempt", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=12 * 3600.0)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--ranks", type=int, default=0)
    return work(parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
