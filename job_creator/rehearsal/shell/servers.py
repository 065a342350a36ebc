"""The servers of a rehearsal, all on this machine: S3 (moto's) and, where there is one, an OCI registry."""

from __future__ import annotations

import json
import logging
import re
import shutil
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from foundation.doors.files import write_files
from foundation.doors.processes import ProcessError, run, serving
from foundation.errors import NotReadyError
from foundation.stores.s3_client import s3_client

ADDRESS: Final = "127.0.0.2"
"""This machine under an address for which clients insist on HTTPS; buildah's login knows nothing else."""
_START_SECONDS: Final = 30.0
_DAYS: Final = "2"


@contextmanager
def s3_server(buckets: Sequence[str]) -> Iterator[str]:
    """An S3 server in memory with these buckets; gives its URL. Raises `NotReadyError` where moto is not installed."""
    try:
        from moto.server import ThreadedMotoServer
    except ImportError:
        raise NotReadyError(
            "moto is not installed, whose S3 server is used; try: pip install 'moto[s3,server]'"
        ) from None
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    client = s3_client(url, anonymous=True)
    try:
        for bucket in buckets:
            client.create_bucket(Bucket=bucket)
        yield url
    finally:
        server.stop()


@dataclass(frozen=True)
class RunningRegistry:
    """A running registry: its host with port, and the certificate that it shows."""

    host: str
    certificate: Path


@contextmanager
def registry_server(folder: Path) -> Iterator[RunningRegistry]:
    """`docker-registry`, with its data in a folder. Raises `NotReadyError` where it cannot be started."""
    program = shutil.which("docker-registry")
    if not program:
        raise NotReadyError("docker-registry is not installed; without --images none is needed")
    certificate, key = _certificate(folder)
    configuration = {
        "version": "0.1",
        "log": {"level": "info", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}},
        "http": {"addr": f"{ADDRESS}:0", "tls": {"certificate": str(certificate), "key": str(key)}},
    }
    write_files(folder, {"config.yml": json.dumps(configuration).encode()})
    log = folder / "registry.log"
    command = [program, "serve", str(folder / "config.yml")]
    # Variables named REGISTRY_… would change its configuration.
    with serving(command, environment={"HOME": str(folder)}, log=log) as is_running:
        yield RunningRegistry(f"{ADDRESS}:{_port(is_running, log)}", certificate)


def trusted(certificate: Path | None) -> bytes:
    """The certificates of this machine, and one more."""
    paths = ssl.get_default_verify_paths()
    own = Path(paths.cafile or paths.openssl_cafile)
    known = own.read_bytes() if own.is_file() else b""
    return known + (certificate.read_bytes() if certificate else b"")


def _certificate(folder: Path) -> tuple[Path, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", _DAYS, "-subj", "/CN=rehearsal"]
    command += ["-addext", f"subjectAltName=IP:{ADDRESS}", "-keyout", str(key), "-out", str(certificate)]
    try:
        run(command, seconds=60)
    except ProcessError as error:
        raise NotReadyError(f"cannot make a certificate for the registry: {error}") from None
    return certificate, key


def _port(is_running: Callable[[], bool], log: Path) -> int:
    """The free port that the registry took, as it says itself."""
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and is_running():
        if found := re.search(
            rf"listening on {re.escape(ADDRESS)}:(\d+)", log.read_text(encoding="utf-8", errors="replace")
        ):
            return int(found[1])
        time.sleep(0.02)
    said = log.read_text(encoding="utf-8", errors="replace").strip()
    raise NotReadyError(f"docker-registry did not start: {said}")
