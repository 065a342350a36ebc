"""A second S3 server besides moto's, with the habits of a large one: Ceph's gateway on a store in memory.

It checks keys and signatures, limits batches, leaves messages out of errors and ends listings with an empty page.
Takes the Debian packages ceph-mon, ceph-osd and radosgw, and root.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.components import give_up, require

PROGRAMS = ("ceph", "ceph-authtool", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
KEYS = {"AWS_ACCESS_KEY_ID": "cephaccess", "AWS_SECRET_ACCESS_KEY": "planted-ceph-secret"}
"""Of the user `tests`, who makes buckets."""
OTHERS = {name: (f"{name}access", f"planted-{name}-secret") for name in ("reader", "branches")}
"""The keys of users who may do what the policies of buckets say."""
_SECONDS = 60
_CONFIGURATION = """\
[global]
fsid = {fsid}
mon_initial_members = a
mon_host = v2:127.0.0.1:{mon}/0
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
keyring = {folder}/keyring
run_dir = {folder}
log_file = {folder}/$name.log
pid_file = {folder}/$name.pid
admin_socket = {folder}/$name.asok
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
osd_objectstore = memstore
memstore_device_bytes = 1073741824
osd_data = {folder}/osd
osd_class_load_list = *
osd_class_default_list = *
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
mon_max_pg_per_osd = 1000
mon_data = {folder}/mon
rgw_frontends = beast endpoint=127.0.0.1:{gateway}
rgw_enable_apis = s3
rgw_data = {folder}
"""


@dataclass(frozen=True)
class _Cluster:
    """The programs of a cluster, with its configuration."""

    folder: Path

    def run(self, *command: str) -> str:
        """What a program prints; daemons go into the background by themselves."""
        done = subprocess.run(
            [*command, "-c", str(self.folder / "ceph.conf")],
            stdin=subprocess.DEVNULL,
            # Daemons inherit the error stream, and would keep a pipe open.
            stdout=subprocess.PIPE if command[0] in ("ceph", "radosgw-admin") else subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            timeout=_SECONDS,
            check=True,
        )
        return done.stdout or ""

    def start(self, mon: int, gateway: int) -> None:
        """Make the cluster and start monitor, store and gateway."""
        folder = self.folder
        fsid, osd = str(uuid.uuid4()), str(uuid.uuid4())
        (folder / "osd").mkdir()
        text = _CONFIGURATION.format(fsid=fsid, mon=mon, gateway=gateway, folder=folder)
        (folder / "ceph.conf").write_text(text)
        keyring = str(folder / "keyring")
        _run("ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        allowed = [part for daemon in ("mon", "osd", "mgr") for part in ("--cap", daemon, "allow *")]
        _run("ceph-authtool", keyring, "--gen-key", "-n", "client.admin", *allowed)
        _run(
            "ceph-authtool",
            keyring,
            "--gen-key",
            "-n",
            "osd.0",
            "--cap",
            "mon",
            "allow profile osd",
            "--cap",
            "osd",
            "allow *",
        )
        monmap = str(folder / "monmap")
        _run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", f"[v2:127.0.0.1:{mon}]", monmap)
        self.run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", keyring)
        self.run("ceph-mon", "-i", "a")
        self.run("ceph", "osd", "new", osd)
        self.run("ceph", "auth", "add", "osd.0", "-i", keyring)
        self.run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
        self.run("ceph-osd", "-i", "0")
        _wait(lambda: "1 up" in self.run("ceph", "osd", "stat"))
        self.run("radosgw", "-n", "client.admin")
        _wait(lambda: _answers(gateway))
        for name, (key, secret) in {"tests": tuple(KEYS.values()), **OTHERS}.items():
            user = (f"--uid={name}", f"--display-name={name}", f"--access-key={key}", f"--secret-key={secret}")
            self.run("radosgw-admin", "user", "create", *user)

    def stop(self) -> None:
        """End all daemons."""
        for path in self.folder.glob("*.pid"):
            try:
                os.kill(int(path.read_text()), signal.SIGKILL)
            except (ValueError, ProcessLookupError):
                continue


@pytest.fixture(scope="session", name="ceph_url")
def ceph_url_fixture(components: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One server for all tests of a process; those that use it belong to the xdist group `ceph`."""
    with ceph_server(tmp_path_factory.mktemp("ceph")) as url:
        yield url


@pytest.fixture(name="ceph_environment")
def ceph_environment_fixture(ceph_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The environment in which boto3 works against the server; its URL."""
    for name, value in {**KEYS, "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN", "S3_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    return ceph_url


@contextmanager
def ceph_server(folder: Path) -> Iterator[str]:
    """The URL of an S3 server that knows `KEYS`. Skips the test where Ceph is not installed."""
    for program in PROGRAMS:
        require(program)
    if os.geteuid() != 0:
        give_up("Ceph's daemons need root")
    mon, gateway = _free_ports(2)
    cluster = _Cluster(folder)
    try:
        cluster.start(mon, gateway)
        yield f"http://127.0.0.1:{gateway}"
    finally:
        cluster.stop()


def _run(*command: str) -> None:
    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=True)


def _wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + _SECONDS
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("Ceph did not start")
        time.sleep(0.2)


def _answers(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def _free_ports(count: int) -> Sequence[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
