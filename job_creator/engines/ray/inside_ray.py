"""Speaks with a cluster of Ray for `jc build`: a line of JSON in, a line out.

    python inside_ray.py ADDRESS

It is a process of its own, since Ray reads where and with which token to connect from the environment, and since it
ends with its standard input, also when `jc` is killed; Ray then ends the tasks. The parts of a cluster are its children
and end with it, the last one first, by their numbers: `ray stop` would end every Ray of the user. Lines are:

    {"do": "start", "parts": [[argv, log]], "tell"}                                 {"nodes"}
    {"do": "submit", "id", "argv", "environment", "log", "cores", "after": [id]}    {}
    {"do": "poll", "seconds"}                                                       {"ended": [[id, code, detail]]}
    {"do": "cancel", "ids"}                                                         {}

A code is that of the step's program, `null` if its machine or Ray ended it, and -1 if it was not started because a step
before it did not end with 0. `tell` is a file that gets the address as soon as there is a head, for machines that are
to join it; empty for none. Nothing of this project is imported here.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

# Of an extra: whoever only looks at this module does without.
with contextlib.suppress(ImportError):
    import ray

NOT_STARTED = -1
CONNECT_SECONDS = 300.0
GRACE = 10.0
BETWEEN = ("sh", "-c", '"$@"; exit $?', "sh")
"""Stands between Ray and a step's program. Ray kills what a task has started, without a word; the program sees then
that its parent is gone, and ends all that it has started itself."""


def step(argv: list[str], environment: dict[str, str], log: str, *before: int | None) -> int:
    """Run a step's program on whichever node this is; its exit code."""
    if any(code != 0 for code in before):
        return NOT_STARTED
    with Path(log).open("ab") as output:
        output.write(f"on the node {ray.get_runtime_context().get_node_id()} of Ray\n".encode())
        output.flush()
        streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
        command = [*BETWEEN, *argv]
        code = subprocess.run(command, env=environment, start_new_session=True, check=False, **streams).returncode  # noqa: S603
    # A signal is told as shells do: negative codes are ours.
    return code if code >= 0 else 128 - code


class Tasks:
    """The steps that Ray has."""

    def __init__(self, most_cores: float) -> None:
        self._most_cores = most_cores
        self._remote = ray.remote(step)
        self._found: dict[str, Any] = {}
        """Futures by id; those of what has ended are kept, for what comes after it."""
        self._open: dict[Any, str] = {}

    def submit(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Have a step run after others. Ray tries nothing again by itself: whoever asks here counts the attempts."""
        task = self._remote.options(num_cpus=min(asked["cores"], self._most_cores), max_retries=0, name=asked["id"])
        before = [self._found[one] for one in asked["after"]]
        future = task.remote(asked["argv"], asked["environment"], asked["log"], *before)
        self._found[asked["id"]] = future
        self._open[future] = asked["id"]
        return {}

    def poll(self, asked: dict[str, Any]) -> dict[str, Any]:
        """What has ended. Waits for the first one to end."""
        if not self._open:
            return {"ended": []}
        done, _ = ray.wait(list(self._open), num_returns=1, timeout=asked["seconds"])
        if done:
            done, _ = ray.wait(list(self._open), num_returns=len(self._open), timeout=0)
        return {"ended": [self._ended(future) for future in done]}

    def cancel(self, asked: dict[str, Any]) -> dict[str, Any]:
        """End steps, with all that they started."""
        for future, id_ in self._open.items():
            if id_ in asked["ids"]:
                ray.cancel(future, force=True)
        return {}

    def _ended(self, future: Any) -> tuple[str, int | None, str]:
        id_ = self._open.pop(future)
        try:
            return id_, ray.get(future), ""
        except ray.exceptions.RayTaskError as error:
            # What a step before it raised is raised by all that follow.
            cause = error.cause
            lost = (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError, ray.exceptions.TaskCancelledError)
            return id_, NOT_STARTED if isinstance(cause, lost) else None, str(cause)
        except ray.exceptions.RayError as error:
            return id_, None, type(error).__name__


def connect(address: str, head: list[tuple[list[str], str]], started: list[subprocess.Popen[bytes]]) -> None:
    """Connect to a cluster that may still be starting.

    A head that is not up within half a minute gives up by itself, as on a busy machine; it is started again.
    """
    until = time.monotonic() + CONNECT_SECONDS
    while True:
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        except Exception:
            if time.monotonic() > until:
                raise
            if started and started[-1].poll() is not None:
                # What it has started itself is still there, and has its port.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(started.pop().pid, signal.SIGKILL)
                start(head, started)
            time.sleep(0.5)
        else:
            return


def start(parts: list[tuple[list[str], str]], started: list[subprocess.Popen[bytes]]) -> None:
    """Start the parts of a cluster."""
    for argv, log in parts:
        with Path(log).open("ab") as output:
            streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output}
            process = subprocess.Popen(argv, start_new_session=True, **streams)  # noqa: S603
        started.append(process)


def end(started: list[subprocess.Popen[bytes]]) -> None:
    """End them. A part ends what it has started itself, if it is the only one that is told to."""
    for process in reversed(started):
        process.terminate()
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def processors(address: str) -> list[float]:
    """The processors of each node. Waits for a node that has one."""
    until = time.monotonic() + CONNECT_SECONDS
    while True:
        nodes = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
        if any(nodes):
            return nodes
        if time.monotonic() > until:
            sys.exit(f"no node of the cluster at {address} has a processor for tasks")
        time.sleep(0.5)


def main(address: str) -> None:
    """Answer until nobody asks."""
    # Ray prints what it likes; only answers go to whoever asks.
    answers_to = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    started: list[subprocess.Popen[bytes]] = []
    try:
        asked = json.loads(sys.stdin.readline())
        parts = asked["parts"]
        # Nodes give up soon where there is no head yet.
        start(parts[:1], started)
        connect(address, parts[:1], started)
        if asked["tell"]:
            # Only now: nodes that start beside the head take its time, of which Ray gives it half a minute.
            new = Path(f"{asked['tell']}.new")
            new.write_text(f"{address}\n", encoding="ascii")
            new.replace(asked["tell"])
        start(parts[1:], started)
        nodes = processors(address)
        tasks = Tasks(max(nodes))
        answers = {"submit": tasks.submit, "poll": tasks.poll, "cancel": tasks.cancel}
        answer: dict[str, Any] = {"nodes": len(nodes)}
        while True:
            answers_to.write(f"{json.dumps(answer)}\n")
            answers_to.flush()
            line = sys.stdin.readline()
            if not line:
                return
            asked = json.loads(line)
            answer = answers[asked["do"]](asked)
    finally:
        # As long as there is somebody to say goodbye to; later, Ray would wait for a minute for an answer.
        ray.shutdown()
        end(started)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        # Ray has threads that wait for servers which are gone.
        sys.stderr.flush()
        os._exit(0)
