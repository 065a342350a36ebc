"""Stands for Flux where there is none: it runs each job on this machine, and answers as Flux 0.88 was seen to answer.

    python3 flux.py FOLDER (submit | jobs | cancel) ARGUMENTS…

A job is a process that waits for those that it depends on, and leaves what became of it as a file in FOLDER, where
tests say what goes wrong: a file `lose-NAME` has the next job whose name ends with NAME lose its node, as when a broker
is killed, `forget` all jobs forgotten that have ended. Only the standard library is needed.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

DIGITS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
FIRST = 34_000_000_000
SECONDS = 120.0


def main(folder: Path, arguments: list[str]) -> int:
    command, *rest = arguments
    return {"submit": submit, "jobs": jobs, "cancel": cancel}[command](folder, rest)


def submit(folder: Path, arguments: list[str]) -> int:
    parser = argparse.ArgumentParser()
    for option in ("job-name", "cwd", "output", "time-limit"):
        parser.add_argument(f"--{option}", required=True)
    parser.add_argument("--setopt", action="append", default=[])
    parser.add_argument("--ntasks", type=int)
    parser.add_argument("--cores-per-task", type=int)
    parser.add_argument("--dependency", action="append", default=[])
    parser.add_argument("--queue")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    asked = parser.parse_args(arguments)
    after = [one.removeprefix("afterok:") for one in asked.dependency]
    for one in after:
        known = state(folder, one)
        why = "" if known else "job not found"
        if known and known["state"] == "INACTIVE" and known["result"] != "COMPLETED":
            why = f"job {shown(int(one))} failed or was canceled"
        if why:
            sys.stderr.write(f"flux-submit: ERROR: dependency: afterok: {why}\n")
            return 1
    if asked.queue == "no-such-queue":
        sys.stderr.write("flux-submit: ERROR: Invalid queue 'no-such-queue' specified\n")
        return 1
    id_ = FIRST + len(list(folder.glob("*.told")))
    (folder / f"{id_}.told").write_text(json.dumps(arguments))
    job = {"id": id_, "name": asked.job_name, "cwd": asked.cwd, "state": "DEPEND" if after else "SCHED"}
    note(folder, job)
    if os.fork() == 0:
        os.setsid()
        with Path(os.devnull).open("r+b") as nothing:
            for stream in range(3):
                os.dup2(nothing.fileno(), stream)
        run(folder, job, asked, after)
        os._exit(0)
    sys.stdout.write(f"{shown(id_)}\n")
    return 0


def run(folder: Path, job: dict[str, Any], asked: argparse.Namespace, after: list[str]) -> None:
    """What Flux does with a job."""
    (folder / f"{job['id']}.process").write_text(str(os.getpid()))
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    until = time.monotonic() + SECONDS
    while True:
        before = [state(folder, one) or {"state": "INACTIVE", "result": "COMPLETED"} for one in after]
        if any(one["state"] == "INACTIVE" and one["result"] != "COMPLETED" for one in before):
            return end(folder, job, "FAILED", ("dependency", "afterok dependency can never be satisfied"))
        if all(one["state"] == "INACTIVE" for one in before) or time.monotonic() > until:
            break
        time.sleep(0.05)
    note(folder, {**job, "state": "RUN"})
    for lost in folder.glob("lose-*"):
        if job["name"].endswith(lost.name.removeprefix("lose")):
            lost.unlink()
            return end(folder, job, "FAILED", ("exec", "node failure on node2 (rank 1)"))
    mode = "ab" if "output.mode=append" in asked.setopt else "wb"
    with (
        Path(asked.output).open(mode) as output,
        subprocess.Popen(
            asked.command,
            cwd=asked.cwd,
            stdout=output,
            stderr=output,
            env={**os.environ, "FLUX_JOB_ID": str(job["id"])},
        ) as process,
    ):
        try:
            code = process.wait(SECONDS)
        except SystemExit:
            process.terminate()
            process.wait(20)
            return end(folder, job, "CANCELED", ("cancel", ""))
    return end(folder, job, "FAILED" if code else "COMPLETED", None, code)


def end(folder: Path, job: dict[str, Any], result: str, exception: tuple[str, str] | None, code: int = 1) -> None:
    told: dict[str, Any] = {"occurred": False}
    if exception:
        told = {"occurred": True, "severity": 0, "type": exception[0], "note": exception[1]}
    note(folder, {**job, "state": "INACTIVE", "result": result, "returncode": code, "exception": told})


def jobs(folder: Path, arguments: list[str]) -> int:
    assert arguments == ["-a", "--count=0", "--json"]
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("*.job"))]
    if (folder / "forget").exists():
        found = [one for one in found if one["state"] != "INACTIVE"]
    sys.stdout.write(json.dumps({"jobs": found}))
    return 0


def cancel(folder: Path, arguments: list[str]) -> int:
    code = 0
    for id_ in arguments:
        job = state(folder, id_)
        if job is None or job["state"] == "INACTIVE":
            sys.stderr.write(f"flux-cancel: ERROR: {shown(int(id_))}: job is inactive\n")
            code = 1
            continue
        process = int((folder / f"{id_}.process").read_text())
        if job["state"] != "RUN":
            os.kill(process, signal.SIGKILL)
            end(folder, job, "CANCELED", ("cancel", ""))
        else:
            os.kill(process, signal.SIGTERM)
    return code


def state(folder: Path, id_: str) -> dict[str, Any] | None:
    path = folder / f"{id_}.job"
    job: dict[str, Any] | None = json.loads(path.read_text()) if path.is_file() else None
    forgotten = (folder / "forget").exists() and job is not None and job["state"] == "INACTIVE"
    return None if forgotten else job


def note(folder: Path, job: dict[str, Any]) -> None:
    new = folder / f".{job['id']}.{os.getpid()}"
    new.write_text(json.dumps(job))
    new.replace(folder / f"{job['id']}.job")


def shown(number: int) -> str:
    letters = ""
    while number:
        number, digit = divmod(number, len(DIGITS))
        letters = DIGITS[digit] + letters
    return f"ƒ{letters}"


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    sys.stderr.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
