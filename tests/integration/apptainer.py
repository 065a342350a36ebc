"""A real Apptainer: the one on PATH, or one in a root folder that debootstrap made of a Debian release that has it.

That release has a newer buildah than this machine, too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from tests.integration.components import give_up

ROOT_VARIABLE = "SPACKTAINERS_APPTAINER_ROOT"
"""Names the root folder, made by `debootstrap --variant=minbase --include=… sid FOLDER MIRROR` with
`apptainer,buildah,ca-certificates,cosign,netavark,squashfuse`."""

# A chroot is not enough: Apptainer wants to mount. Pulling from a registry takes names and certificates. The root
# folder itself is never written to: each call has a copy of its own in memory, read-only where the folder is seen so.
_ENTER = """\
#!/bin/sh
set -e
root={root} folder={folder}
export root folder HOME="$folder" TMPDIR="$folder" APPTAINER_NO_PRIVS=1
exec unshare --mount --propagation private /bin/sh -ec '
mount -t tmpfs tmpfs "$root/mnt"
own=$root/mnt/own
mkdir "$own" "$root/mnt/changed" "$root/mnt/work"
mount -t overlay -o "lowerdir=$root,upperdir=$root/mnt/changed,workdir=$root/mnt/work" overlay "$own"
touch "$own/etc/hosts" "$own/etc/resolv.conf"
mount -t tmpfs tmpfs "$own/tmp"
mkdir -p "$own/tmp/.host" "$own$folder"
[ -w "$root" ] || mount -o remount,ro "$own"
mount -t proc proc "$own/proc"
mount --rbind /sys "$own/sys"
mount --rbind /dev "$own/dev"
for file in hosts resolv.conf; do
  mount --bind "/etc/$file" "$own/etc/$file"
done
mount --rbind "$folder" "$own$folder"
directory=$PWD
cd "$own"
pivot_root . tmp/.host
umount --lazy /tmp/.host
cd "$directory" 2> /dev/null || cd "$folder"
exec {program} "$@"
' sh "$@"
"""


@dataclass(frozen=True)
class Apptainer:
    """A program that sees `folder`, and is called `apptainer` and `singularity` in a folder that may go on PATH."""

    program: Path
    folder: Path

    def __call__(self, *arguments: str | Path, **variables: str) -> str:
        """What it prints on stdout. The test fails when it does."""
        done = subprocess.run(
            [str(self.program), *map(str, arguments)],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def apptainer_for(folder: Path) -> Apptainer:
    """An Apptainer that works in `folder`, with its program in `folder`/bin. Skips the test without one."""
    programs = folder / "bin"
    programs.mkdir()
    program = programs / "apptainer"
    installed = shutil.which("apptainer")
    root = os.environ.get(ROOT_VARIABLE)
    if installed:
        program.symlink_to(installed)
    elif not root:
        give_up(f"apptainer is not installed, and {ROOT_VARIABLE} names no root folder that has it")
    elif os.geteuid() != 0:
        give_up(f"{ROOT_VARIABLE} is of use to root only")
    else:
        _write_entering(program, root, folder, "/usr/bin/apptainer")
    (programs / "singularity").symlink_to(program)
    return Apptainer(program, folder)


def newer_buildah_for(folder: Path, seen: Path) -> Path | None:
    """The buildah of that root folder, as a program in `folder` that sees all below `seen`; `None` without one."""
    root = os.environ.get(ROOT_VARIABLE, "")
    if os.geteuid() != 0 or not root or not (Path(root) / "usr/bin/buildah").exists():
        return None
    program = folder / "buildah"
    _write_entering(program, root, seen, "/usr/bin/buildah")
    # Not every machine lets the limits be raised that it would ask for.
    (folder / "containers.conf").write_text('[containers]\ndefault_ulimits=["nofile=1024:1024"]\n')
    return program


def _write_entering(program: Path, root: str, folder: Path, entered: str) -> None:
    program.write_text(_ENTER.format(root=quote(root), folder=quote(str(folder)), program=entered))
    program.chmod(0o755)
