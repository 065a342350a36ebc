"""Images that tests build on, made without a registry: from a Debian root that debootstrap makes."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.components import give_up, require

ROOT_VARIABLE = "SPACKTAINERS_DEBIAN_ROOT"
"""May name a Debian root with Python, so that no test has to make one: a minute and 250 MB."""
SUITE = "bookworm"
_MIRROR_FORMAT = "$(SITE)"
_LEFT_OUT = ("dev", "proc", "run", "sys", "tmp", "var/cache", "var/lib/apt", "var/lib/dpkg", "var/log", "usr/share")
"""What no image of the tests needs; small ones are made, searched and converted quickly."""


@dataclass(frozen=True)
class Buildah:
    """A buildah with a storage of its own. Everything that it prints is remembered nowhere but in what is returned."""

    program: str
    environment: Mapping[str, str]

    def attempt(self, *arguments: str | Path, cwd: Path | None = None, **variables: str) -> tuple[int, str]:
        """The exit code and everything that was printed."""
        done = subprocess.run(
            [self.program, *map(str, arguments)],
            cwd=cwd,
            env={**self.environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    def __call__(self, *arguments: str | Path, cwd: Path | None = None, **variables: str) -> str:
        """What was printed. The test fails when buildah does."""
        code, printed = self.attempt(*arguments, cwd=cwd, **variables)
        assert code == 0, printed
        return printed

    def config(self, image: str) -> Any:
        """The configuration of an image, as it is pushed."""
        return json.loads(json.loads(self("inspect", "--type", "image", image))["Config"])

    def run(self, image: str, *command: str, entry_point: bool = False) -> str:
        """What a command prints in a new container of an image, with its entry point or without."""
        start = self.config(image)["config"].get("Entrypoint") or [] if entry_point else []
        # The last line: what comes before may be a warning about another architecture.
        container = self("from", "--pull-never", image).split()[-1]
        try:
            return self("run", container, "--", *start, *command)
        finally:
            self("rm", container)


def buildah_in(folder: Path, **variables: str) -> Buildah:
    """A buildah that keeps everything below `folder`. Skips the test without one."""
    program = require("buildah")
    folder.mkdir(exist_ok=True)
    (folder / "registries.conf").write_text("unqualified-search-registries = []\n")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "XDG_RUNTIME_DIR": str(folder),
        "BUILDAH_ISOLATION": "chroot",
        "BUILDAH_FORMAT": "docker",
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        "CONTAINERS_REGISTRIES_CONF": str(folder / "registries.conf"),
        **variables,
    }
    buildah = Buildah(program, environment)
    # Layers that are mounted are ten times as fast as layers that are copied, but not possible everywhere.
    for driver in ("overlay", "vfs"):
        storage = f'driver = "{driver}"\nrunroot = "{folder}/{driver}-run"\ngraphroot = "{folder}/{driver}"\n'
        (folder / "storage.conf").write_text(f"[storage]\n{storage}")
        if buildah.attempt("info")[0] == 0:
            break
    return buildah


def import_root(
    buildah: Buildah, root: Path, image: str, left_out: Collection[str] = _LEFT_OUT, architecture: str = "amd64"
) -> None:
    """Makes an image of the files below `root`, without those in some of its folders."""
    folder = Path(buildah.environment["HOME"]) / "context"
    folder.mkdir(exist_ok=True)
    without = [f"--exclude=./{name}/*" for name in left_out]
    subprocess.run(["tar", "-C", str(root), *without, "-cf", str(folder / "root.tar"), "."], check=True)
    (folder / "Dockerfile").write_text("FROM scratch\nADD root.tar /\n")
    buildah("build", "--quiet", "--arch", architecture, "--tag", image, folder)
    (folder / "root.tar").unlink()


def unpacked_root(root: Path, folder: Path) -> Path:
    """A copy of the files below `root`, without those that no image of the tests needs."""
    folder.mkdir()
    without = [f"--exclude=./{name}/*" for name in _LEFT_OUT]
    with subprocess.Popen(["tar", "-C", str(root), *without, "-cf", "-", "."], stdout=subprocess.PIPE) as packing:
        subprocess.run(["tar", "-C", str(folder), "-xf", "-"], stdin=packing.stdout, check=True)
    assert packing.returncode == 0
    return folder


def debian_root(shared: Path) -> Path:
    """A Debian root with Python, made once below `shared` for all workers. Skips the test where none can be made."""
    named = os.environ.get(ROOT_VARIABLE)
    if named:
        return Path(named)
    debootstrap = require("debootstrap")
    if os.geteuid() != 0:
        give_up("debootstrap needs root")
    root = shared / SUITE
    with (shared / f"{SUITE}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / ".complete").exists():
            command = [debootstrap, "--variant=minbase", "--include=python3", SUITE, str(root), debian_mirror()]
            subprocess.run(command, check=True, capture_output=True)
            (root / ".complete").touch()
    return root


def debian_mirror() -> str:
    """The Debian mirror that this machine uses. Skips the test on a machine that knows none."""
    command = [require("apt-get"), "indextargets", "--format", _MIRROR_FORMAT, "Created-By: Packages"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    mirrors = [line for line in printed.splitlines() if line.rstrip("/").endswith("/debian")]
    return mirrors[0] if mirrors else give_up("this machine knows no Debian mirror")


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of a test run see."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
