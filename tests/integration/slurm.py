"""A Slurm of two nodes on this machine, for one test run, as whoever runs it: nobody needs to be root.

Both nodes are daemons on this host. What is unusual about the configuration is what a Slurm without root needs: its own
munge, no cgroups, no accounting. `cred_expire` is short, since Slurm waits that long before it starts a job anew.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests import leftovers
from tests.integration.components import give_up, require

NODES: Final = ("n1", "n2")
CONFIGURATION: Final = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=6
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SlurmdTimeout=10
KillWait=2
ReturnToService=1
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1,sched_min_interval=10000
MaxJobCount={most}
{nodes}
PartitionName=all Nodes=ALL Default=YES State=UP
"""


@dataclass
class PrivateSlurm:
    """A running Slurm."""

    folder: Path
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """What its commands need to know."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def run(self, *command: str) -> str:
        """What one of its commands says."""
        environment = {**os.environ, **self.environment}
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    def start(self, name: str, *command: str) -> None:
        """Start a daemon."""
        environment = {**os.environ, **self.environment}
        with (self.folder / f"{name}.out").open("wb") as log:
            self.daemons[name] = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def start_node(self, name: str) -> None:
        """Start the daemon of a node."""
        self.start(name, "slurmd", "-D", "-N", name)

    def kill(self, name: str) -> None:
        """End a daemon at once, as a failure of power would."""
        self.daemons.pop(name).kill()

    def stop(self) -> None:
        """End all daemons, the last ones that were started first, and the steps of jobs that they leave behind.

        A step outlives the daemon of its node, and tries for minutes to tell it that the job has ended.
        """
        for daemon in reversed(self.daemons.values()):
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        leftovers.end(str(self.folder), "slurmstepd: ")


@contextmanager
def private_slurm(folder: Path, *, cores: int = 2, most: int = 1000) -> Iterator[PrivateSlurm]:
    """Start a Slurm below a folder, whose nodes have so many cores each."""
    for program in ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel"):
        require(program)
    munge = folder / "munge"
    munge.mkdir(parents=True)
    munge.chmod(0o755)
    (munge / "key").write_bytes(secrets.token_bytes(128))
    (munge / "key").chmod(0o400)
    slurm = PrivateSlurm(folder)
    (folder / "slurm.conf").write_text(_configuration(folder, cores, most))
    (folder / "state").mkdir()
    try:
        options = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        paths = [f"--{option}={munge / name}" for option, name in options.items()]
        # Nobody else enters the folder, which it takes for a mistake.
        slurm.start("munged", "munged", "--foreground", "--force", *paths)
        _wait("munged", (munge / "socket").exists)
        slurm.start("slurmctld", "slurmctld", "-D", "-c", "-i")
        for name in NODES:
            (folder / f"spool.{name}").mkdir()
            slurm.start_node(name)
        _wait("nodes", lambda: _idle_nodes(slurm) == len(NODES))
        yield slurm
    finally:
        slurm.stop()


def _configuration(folder: Path, cores: int, most: int) -> str:
    host = socket.gethostname().partition(".")[0]
    port, *ports = _free_ports(len(NODES) + 1)
    nodes = "\n".join(
        f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={own} CPUs={cores} RealMemory=1000"
        for name, own in zip(NODES, ports, strict=True)
    )
    user = pwd.getpwuid(os.getuid()).pw_name
    return CONFIGURATION.format(host=host, port=port, user=user, folder=folder, nodes=nodes, most=most)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _idle_nodes(slurm: PrivateSlurm) -> int:
    try:
        return slurm.run("sinfo", "--noheader", "--Node", "--format=%T").split().count("idle")
    except subprocess.CalledProcessError:
        return 0


def _wait(what: str, is_so: object, seconds: float = 60.0) -> None:
    assert callable(is_so)
    until = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > until:
            give_up(f"{what} of a private Slurm did not start")
        time.sleep(0.1)


def has_slurm() -> bool:
    """Whether Slurm is installed."""
    return shutil.which("slurmctld") is not None
